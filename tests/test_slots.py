"""A line before a door: who enters, in which order, how often anybody is woken, and that no slot is ever lost."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from virtual_time import VirtualLoop, run

from meitner_aio._slots import Slots


def _open() -> float:
    return 0.0


async def _turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _in_line(slots: Slots[int], count: int, entered: list[int]) -> list[asyncio.Task[None]]:
    async def visit(name: int) -> None:
        await slots.wait(name)
        entered.append(name)

    return [asyncio.create_task(visit(name)) for name in range(count)]


def test_a_width_that_lets_nobody_through_is_refused() -> None:
    """Zero slots would be a client that hangs."""
    with pytest.raises(ValueError, match="at least 1"):
        Slots(0, _open)


def test_a_free_slot_is_taken_at_once() -> None:
    """Without waiting, and not more than there are."""
    slots: Slots[int] = Slots(2, _open)
    assert (slots.enter(), slots.enter(), slots.enter()) == (True, True, False)
    slots.leave()
    assert slots.enter()
    assert repr(slots) == "Slots(2 of 2 held, 0 waiting)"


def test_first_come_first_served() -> None:
    """Nobody overtakes those who wait, not even in the instant in which a slot is free."""

    async def main() -> list[int]:
        slots: Slots[int] = Slots(1, _open)
        assert slots.enter()
        entered: list[int] = []
        _in_line(slots, 4, entered)
        await _turns()
        assert slots.first == 0
        for _ in range(4):
            slots.leave()
            assert not slots.enter()
            await _turns()
        return entered

    assert run(main()) == [0, 1, 2, 3]


def test_nobody_overtakes_while_the_alarm_is_late() -> None:
    """The door is open again, but the one who waits for it has not been woken yet."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        slots: Slots[int] = Slots(2, lambda: 0.0 if loop.time() >= 5 else 5.0)
        entered: list[int] = []
        _in_line(slots, 1, entered)
        await _turns()
        loop.advance(6)
        assert not slots.enter()
        await _turns()
        assert entered == [0]
        assert slots.enter()

    run(main())


def test_narrowing_lets_holders_finish_and_halves_at_most_once_a_second() -> None:
    """What was in flight together is refused together: eight refusals are one."""
    slots: Slots[int] = Slots(8, _open)
    assert all(slots.enter() for _ in range(8))
    widths = []
    for now in (0.0, 0.1, 0.99, 1.0, 2.5, 3.5, 4.5):
        slots.narrow(now)
        widths.append(slots.width)
    assert widths == [4, 4, 4, 2, 1, 1, 1]
    assert slots.held == 8
    for _ in range(7):
        slots.leave()
    assert not slots.enter()
    slots.leave()
    assert slots.enter()


def test_as_many_successes_as_the_width_widen_it_by_one() -> None:
    """Back to what it was at first, and no further."""
    slots: Slots[int] = Slots(4, _open)
    slots.narrow(0.0)
    slots.narrow(1.0)
    widths = []
    for _ in range(12):
        slots.widen()
        widths.append(slots.width)
    assert widths == [2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4]


def test_successes_before_a_refusal_do_not_count_after_it() -> None:
    """The width grows by what succeeds at this width."""
    slots: Slots[int] = Slots(8, _open)
    slots.narrow(0.0)
    for _ in range(3):
        slots.widen()
    slots.narrow(1.0)
    slots.widen()
    assert slots.width == 2


def test_a_door_that_opens_later_lets_in_then() -> None:
    """The alarm rings at the time that the door said; a door that says otherwise meanwhile is obeyed."""
    opens = [5.0]

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        slots: Slots[int] = Slots(2, lambda: 0.0 if loop.time() >= opens[0] else opens[0])
        assert not slots.enter()
        await slots.wait(1)
        first = loop.time()
        opens[0] = 100.0
        waiting = asyncio.create_task(slots.wait(2))
        await asyncio.sleep(1)
        alarm = slots._alarm
        slots.admit()
        assert slots._alarm is alarm  # nothing new: no other timer
        opens[0] = 10.0
        slots.admit()
        await waiting
        return first, loop.time()

    assert run(main()) == pytest.approx((5.0, 10.0))


def test_a_door_that_needs_news_sets_no_alarm() -> None:
    """Infinity: only `admit` lets in."""
    opens = [math.inf]

    async def main() -> None:
        slots: Slots[int] = Slots(1, lambda: opens[0])
        waiting = asyncio.create_task(slots.wait(1))
        await asyncio.sleep(10_000)
        assert not waiting.done()
        opens[0] = 0.0
        slots.admit()
        await waiting

    run(main())


def test_those_who_are_sent_away_leave_the_line() -> None:
    """One who was cancelled at the same moment stays cancelled; the rest keep their order."""

    async def main() -> tuple[list[int], list[BaseException | None]]:
        slots: Slots[int] = Slots(1, _open)
        assert slots.enter()
        entered: list[int] = []
        tasks = _in_line(slots, 4, entered)
        await _turns()
        tasks[1].cancel()
        slots.send_away(lambda name: KeyError(name) if name % 2 else None)
        for _ in range(2):
            slots.leave()
            await _turns()
        return entered, await asyncio.gather(*tasks, return_exceptions=True)

    entered, outcomes = run(main())
    assert entered == [0, 2]
    assert [type(outcome).__name__ for outcome in outcomes] == ["NoneType", "CancelledError", "NoneType", "KeyError"]


def test_close_sends_everybody_away_at_once() -> None:
    """Who waits, who was let in but has not moved yet, and who comes later; each with an error of its own."""

    async def main() -> list[BaseException | None]:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        slots: Slots[int] = Slots(1, _open)
        assert slots.enter()
        tasks = _in_line(slots, 3, [])
        await _turns()
        slots.leave()  # the first one's turn has come
        slots.close(lambda: KeyError("closed"))
        tasks[2].cancel()  # together with the refusal
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert slots.held == 0
        assert not slots.enter()
        with pytest.raises(KeyError):
            await slots.wait(9)
        slots.widen()
        assert not slots.enter()
        gc.collect()
        assert complaints == []
        return outcomes

    first, second, third = run(main())
    assert (type(first), type(second), type(third)) == (KeyError, KeyError, asyncio.CancelledError)
    assert first is not second


def test_nothing_is_left_when_the_last_one_gives_up() -> None:
    """No alarm goes on ticking for a line that is empty."""

    async def main() -> None:
        slots: Slots[int] = Slots(1, lambda: 3600.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(slots.wait(1), 5)
        assert slots._alarm is None
        assert slots.held == 0

    run(main())


def test_a_door_may_send_everybody_away() -> None:
    """Then nobody is left to ring for."""

    async def main() -> None:
        def door() -> float:
            slots.send_away(KeyError)
            return 3600.0

        slots: Slots[int] = Slots(1, door)
        with pytest.raises(KeyError):
            await slots.wait(1)
        assert slots._alarm is None

    run(main())


class _Counted(Coroutine[Any, Any, None]):
    """A coroutine that counts how often it is run on."""

    def __init__(self, inner: Coroutine[Any, Any, None]) -> None:
        self.inner, self.steps = inner, 0

    def send(self, value: Any) -> Any:
        self.steps += 1
        return self.inner.send(value)

    def throw(self, *problem: Any) -> Any:
        return self.inner.throw(*problem)

    def close(self) -> None:
        self.inner.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self.inner.__await__()


def test_no_thundering_herd() -> None:
    """However much happens meanwhile, everybody who waits is woken once, to enter; the door is asked about the first only."""
    asked = [0]

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        shut = [True]

        def door() -> float:
            asked[0] += 1
            return math.inf if shut[0] else 0.0

        slots: Slots[int] = Slots(8, door)
        visitors = [_Counted(slots.wait(name)) for name in range(500)]
        tasks = [loop.create_task(visitor) for visitor in visitors]
        await _turns()
        for _ in range(100):
            slots.admit()
            await asyncio.sleep(0)
        assert asked[0] <= 500 + 100
        shut[0] = False
        slots.admit()
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            while slots.held:
                slots.leave()
        return [visitor.steps for visitor in visitors]

    assert set(run(main())) == {2}


class Line(RuleBasedStateMachine):
    """Arrivals, departures, cancellations, widths and doors in any order: a model of who should be where."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.shut = False
        self.slots: Slots[int] = Slots(3, lambda: math.inf if self.shut else 0.0)
        self.inside: list[int] = []
        self.waiting: dict[int, asyncio.Task[None]] = {}
        self.entered: list[int] = []
        self.names = 0
        self.now = 0.0

    def _do(self, act: Callable[[], object] | Awaitable[object] | None = None) -> None:
        async def main() -> None:
            if callable(act):
                act()
            await _turns(4)
            for name in [name for name, task in self.waiting.items() if task.done()]:
                del self.waiting[name]

        self.runner.run(main())

    @rule()
    def arrive(self) -> None:
        self.names += 1
        name = self.names

        async def visit() -> None:
            if not self.slots.enter():
                await self.slots.wait(name)
            self.inside.append(name)
            self.entered.append(name)

        def act() -> None:
            self.waiting[name] = asyncio.get_running_loop().create_task(visit())

        self._do(act)

    @precondition(lambda self: self.inside)
    @rule(cancel=st.booleans(), data=st.data())
    def leave(self, *, cancel: bool, data: st.DataObject) -> None:
        """Leave, and perhaps cancel at the same moment the one whose turn it thereby is."""
        self.inside.remove(data.draw(st.sampled_from(self.inside)))
        following = next(iter(self.waiting.values()), None)

        def act() -> None:
            self.slots.leave()
            if cancel and following is not None:
                following.cancel()

        self._do(act)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), several=st.booleans())
    def give_up(self, data: st.DataObject, *, several: bool) -> None:
        """Cancel somebody who waits, or everybody in an order of its own."""
        tasks = list(self.waiting.values())
        chosen = data.draw(st.permutations(tasks)) if several else [data.draw(st.sampled_from(tasks))]

        def act() -> None:
            for task in chosen:
                task.cancel()
            self.slots.admit()

        self._do(act)

    @rule(name=st.integers(0, 99))
    def send_away(self, name: int) -> None:
        self._do(lambda: self.slots.send_away(lambda visitor: KeyError() if visitor % 7 == name % 7 else None))
        self._do()

    @rule()
    def narrow(self) -> None:
        self.now += 1.0
        self._do(lambda: self.slots.narrow(self.now))

    @rule()
    def widen(self) -> None:
        def act() -> None:
            for _ in range(3):
                self.slots.widen()
            self.slots.admit()

        self._do(act)

    @rule()
    def turn_the_door(self) -> None:
        self.shut = not self.shut
        self._do(self.slots.admit)

    @invariant()
    def nothing_is_lost(self) -> None:
        """Slots are held by those inside and nobody else; whoever may enter has entered; in order."""
        assert self.slots.held == len(self.inside) <= 3
        assert len(self.slots._line) == len(self.waiting)
        assert self.shut or not self.waiting or self.slots.held >= self.slots.width
        assert self.entered == sorted(self.entered)

    def teardown(self) -> None:
        async def main() -> None:
            tasks = list(self.waiting.values())
            self.slots.close(KeyError)
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in tasks:
                assert task.cancelled() or isinstance(task.exception(), KeyError)

        self.runner.run(main())
        for _ in self.inside:
            self.slots.leave()
        assert self.slots.held == 0
        self.runner.close()


TestLine = Line.TestCase
TestLine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
