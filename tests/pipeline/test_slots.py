"""Two lines before a door: who enters, in which order, how often anybody is woken, and that no slot is ever lost."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Callable, Coroutine, Generator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from virtual_time import VirtualLoop, run

from meitner_aio._pipeline.concurrency import FairSemaphore, Opens

SINGLES, BULK = 0, 1
"""The first line and the second."""


def _open(_: object) -> float:
    return 0.0


async def _turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _in_line(
    slots: FairSemaphore[int], names: range, entered: list[int], line: int = SINGLES
) -> list[asyncio.Task[None]]:
    async def visit(name: int) -> None:
        await slots.wait(name, line)
        entered.append(name)

    return [asyncio.create_task(visit(name)) for name in names]


def test_a_width_that_lets_nobody_through_is_refused() -> None:
    """Zero slots would be a client that hangs."""
    with pytest.raises(ValueError, match="at least 1"):
        FairSemaphore(0, _open)


def test_a_free_slot_is_taken_at_once() -> None:
    """Without waiting, from either line, and not more than there are; each who enters is told of."""
    told: list[str] = []
    slots: FairSemaphore[str] = FairSemaphore(2, _open, told.append)
    assert (slots.enter("a"), slots.enter("b", BULK), slots.enter("c")) == (True, True, False)
    slots.leave()
    assert slots.enter("d")
    assert told == ["a", "b", "d"]
    assert repr(slots) == "FairSemaphore(2 of 2 held, 0 waiting)"


def test_nobody_enters_past_a_shut_door_or_is_turned_away_without_waiting() -> None:
    """`enter` takes a slot or does nothing: what the door has against a waiter is told by `wait`."""
    answers: dict[str, Opens] = {"later": 5.0, "after news": math.inf, "never": KeyError("never"), "now": 0.0}
    told: list[str] = []
    slots: FairSemaphore[str] = FairSemaphore(2, answers.__getitem__, told.append)
    assert [slots.enter(name) for name in answers] == [False, False, False, True]
    assert (slots.held, slots.waiting(SINGLES), told) == (1, 0, ["now"])


@pytest.mark.parametrize("line", [SINGLES, BULK])
def test_first_come_first_served(line: int) -> None:
    """Nobody overtakes those who wait in the same line, not even in the instant in which a slot is free."""

    async def main() -> list[int]:
        slots: FairSemaphore[int] = FairSemaphore(1, _open)
        assert slots.enter(-1)
        entered: list[int] = []
        _in_line(slots, range(4), entered, line)
        await _turns()
        assert slots.waiting(line) == 4
        for _ in range(4):
            slots.leave()
            assert not slots.enter(9, line)
            await _turns()
        return entered

    assert run(main()) == [0, 1, 2, 3]


def test_nobody_overtakes_while_the_alarm_is_late() -> None:
    """The door is open again, but the one who waits for it has not been woken yet."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        slots: FairSemaphore[int] = FairSemaphore(2, lambda _: 0.0 if loop.time() >= 5 else 5.0)
        entered: list[int] = []
        _in_line(slots, range(1), entered)
        await _turns()
        loop.advance(6)
        assert not slots.enter(9)
        await _turns()
        assert entered == [0]
        assert slots.enter(9)

    run(main())


# The two lines


def test_single_calls_go_first() -> None:
    """Whoever comes to the first line enters before everybody in the second, however long those have waited."""

    async def main() -> list[int]:
        slots: FairSemaphore[int] = FairSemaphore(1, _open)
        assert slots.enter(-1)
        entered: list[int] = []
        _in_line(slots, range(10, 12), entered, BULK)
        await _turns()
        _in_line(slots, range(2), entered)
        await _turns()
        assert (slots.waiting(SINGLES), slots.waiting(BULK)) == (2, 2)
        for _ in range(4):
            slots.leave()
            await _turns()
        return entered

    assert run(main()) == [0, 1, 10, 11]


def test_every_fourth_admission_goes_to_bulk() -> None:
    """A service that never pauses does not keep a read from going on."""

    async def main() -> list[int]:
        slots: FairSemaphore[int] = FairSemaphore(1, _open)
        assert slots.enter(-1)
        entered: list[int] = []
        _in_line(slots, range(100, 110), entered, BULK)
        _in_line(slots, range(10), entered)
        await _turns()
        for _ in range(14):
            slots.leave()
            await _turns()
        return entered

    assert run(main()) == [0, 1, 2, 100, 3, 4, 5, 101, 6, 7, 8, 102, 9, 103]


def test_only_singles_that_bulk_saw_pass_give_it_a_turn() -> None:
    """A hundred that entered before any page came are no debt: the first three after it go first."""

    async def main() -> list[int]:
        slots: FairSemaphore[int] = FairSemaphore(1, _open)
        assert slots.enter(-1)
        entered: list[int] = []
        _in_line(slots, range(11), entered)
        await _turns()
        for _ in range(7):
            slots.leave()
            await _turns()
        _in_line(slots, range(100, 101), entered, BULK)
        await _turns()
        for _ in range(5):
            slots.leave()
            await _turns()
        return entered[7:]

    assert run(main()) == [7, 8, 9, 100, 10]


def test_those_who_leave_the_line_take_nobodys_turn() -> None:
    """Singles that were cancelled or turned away did not go before bulk, and a page that was did not have its turn."""

    async def main() -> list[int]:
        slots: FairSemaphore[int] = FairSemaphore(1, lambda name: KeyError(name) if name in (3, 100) else 0.0)
        assert slots.enter(-1)
        entered: list[int] = []
        pages = _in_line(slots, range(101, 103), entered, BULK)
        singles = _in_line(slots, range(10), entered)
        await _turns()
        singles[1].cancel()
        for _ in range(4):
            slots.leave()
            await _turns()
        assert entered == [0, 2, 4, 101]
        pages[1].cancel()
        pages += _in_line(slots, range(100, 101), entered, BULK) + _in_line(slots, range(103, 104), entered, BULK)
        await _turns()
        for _ in range(4):
            slots.leave()
            await _turns()
        slots.close(KeyError)
        await asyncio.gather(*singles, *pages, return_exceptions=True)
        return entered[4:]

    assert run(main()) == [5, 6, 7, 103]


def test_bulk_waits_while_a_single_call_waits_for_the_door() -> None:
    """What the door would give to a page now is what the single call needs next."""

    async def main() -> list[tuple[int, float]]:
        loop, entered = asyncio.get_running_loop(), list[tuple[int, float]]()
        slots: FairSemaphore[int] = FairSemaphore(
            4,
            lambda name: 0.0 if name >= 10 or loop.time() >= 5 else 5.0,
            lambda name: entered.append((name, loop.time())),
        )
        tasks = _in_line(slots, range(1), [])
        await _turns()
        assert not slots.enter(10, BULK)
        tasks += _in_line(slots, range(11, 13), [], BULK)
        await asyncio.gather(*tasks)
        return entered

    assert [(name, round(at)) for name, at in run(main())] == [(0, 5), (11, 5), (12, 5)]


def test_a_single_call_passes_bulk_that_waits_for_the_door() -> None:
    """Pages that are paced, or wait for the next window, stand in nobody's way."""

    async def main() -> None:
        slots: FairSemaphore[int] = FairSemaphore(4, lambda name: 0.0 if name < 10 else 3600.0)
        pages = _in_line(slots, range(10, 12), [], BULK)
        await _turns()
        assert slots.enter(0)
        singles = _in_line(slots, range(1, 4), [])
        await _turns()
        assert all(task.done() for task in singles)
        assert (slots.held, slots.waiting(BULK)) == (4, 2)
        slots.close(KeyError)
        await asyncio.gather(*pages, return_exceptions=True)

    run(main())


def test_bulks_turn_is_not_lost_to_a_shut_door() -> None:
    """At its turn the door is shut for bulk: singles go on; when it opens, bulk is next."""

    async def main() -> list[int]:
        loop, entered = asyncio.get_running_loop(), list[int]()
        slots: FairSemaphore[int] = FairSemaphore(
            1, lambda name: 0.0 if name < 100 or loop.time() >= 5 else 5.0, entered.append
        )
        assert slots.enter(-1)
        tasks = _in_line(slots, range(8), []) + _in_line(slots, range(100, 101), [], BULK)
        await _turns()
        for _ in range(5):
            slots.leave()
            await _turns()
        assert entered == [-1, 0, 1, 2, 3, 4]
        await asyncio.sleep(6)
        for _ in range(4):
            slots.leave()
            await _turns()
        await asyncio.gather(*tasks)
        return entered[6:]

    assert run(main()) == [100, 5, 6, 7]


@pytest.mark.parametrize("shut", [(5.0, 7.0), (7.0, 5.0), (math.inf, 5.0)])
def test_the_alarm_rings_for_whichever_line_may_enter_first(shut: tuple[float, float]) -> None:
    """At bulk's turn both are judged, and the earlier of the two opens."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        single, page = shut
        opens = {**dict.fromkeys(range(3), 0.0), 3: single, 100: page}
        slots: FairSemaphore[int] = FairSemaphore(4, lambda name: 0.0 if loop.time() >= opens[name] else opens[name])
        assert all(slots.enter(0) for _ in range(4))
        tasks = _in_line(slots, range(4), []) + _in_line(slots, range(100, 101), [], BULK)
        await _turns()
        for _ in range(4):
            slots.leave()
        await asyncio.wait(tasks[3:], return_when=asyncio.FIRST_COMPLETED)
        slots.close(KeyError)
        await asyncio.gather(*tasks, return_exceptions=True)
        return loop.time()

    assert run(main()) == pytest.approx(5.0)


# The door turns away


def test_whoever_is_turned_away_lets_the_next_be_judged() -> None:
    """With an error of its own, at once, in either line; the rest keep their order, and no slot is taken for it."""

    async def main(line: int) -> tuple[list[int], list[BaseException | None]]:
        told: list[int] = []
        slots: FairSemaphore[int] = FairSemaphore(1, lambda name: KeyError(name) if name % 2 else 0.0, told.append)
        assert slots.enter(-2)
        entered: list[int] = []
        tasks = _in_line(slots, range(1, 7), entered, line)
        await _turns()
        assert told == [-2]
        slots.leave()
        await _turns()
        assert (entered, slots.held, slots.waiting(line)) == ([2], 1, 4)
        tasks[4].cancel()
        for _ in range(2):
            slots.leave()
            await _turns()
        assert (told, slots.held) == ([-2, 2, 4, 6], 1)
        return entered, await asyncio.gather(*tasks, return_exceptions=True)

    for line in (SINGLES, BULK):
        entered, outcomes = run(main(line))
        assert entered == [2, 4, 6]
        assert [type(outcome).__name__ for outcome in outcomes] == [
            *("KeyError", "NoneType", "KeyError", "NoneType", "CancelledError", "NoneType")
        ]


def test_a_door_may_turn_everybody_away() -> None:
    """Then nobody is left to ring for."""

    async def main() -> None:
        slots: FairSemaphore[int] = FairSemaphore(1, KeyError)
        tasks = [*_in_line(slots, range(3), []), *_in_line(slots, range(3, 6), [], BULK)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [repr(outcome) for outcome in outcomes] == [f"KeyError({name})" for name in range(6)]
        assert slots._alarm is None
        assert slots.held == 0

    run(main())


# Widths


def test_narrowing_lets_holders_finish_and_halves_at_most_once_a_second() -> None:
    """What was in flight together is refused together: eight refusals are one."""
    slots: FairSemaphore[int] = FairSemaphore(8, _open)
    assert all(slots.enter(name) for name in range(8))
    widths = []
    for now in (0.0, 0.1, 0.99, 1.0, 2.5, 3.5, 4.5):
        slots.narrow(now)
        widths.append(slots.width)
    assert widths == [4, 4, 4, 2, 1, 1, 1]
    assert slots.held == 8
    for _ in range(7):
        slots.leave()
    assert not slots.enter(9)
    slots.leave()
    assert slots.enter(9)


def test_as_many_successes_as_the_width_widen_it_by_one() -> None:
    """Back to what it was at first, and no further."""
    slots: FairSemaphore[int] = FairSemaphore(4, _open)
    slots.narrow(0.0)
    slots.narrow(1.0)
    widths = []
    for _ in range(12):
        slots.widen()
        widths.append(slots.width)
    assert widths == [2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4]


def test_successes_before_a_refusal_do_not_count_after_it() -> None:
    """The width grows by what succeeds at this width."""
    slots: FairSemaphore[int] = FairSemaphore(8, _open)
    slots.narrow(0.0)
    for _ in range(3):
        slots.widen()
    slots.narrow(1.0)
    slots.widen()
    assert slots.width == 2


# Alarms


def test_a_door_that_opens_later_lets_in_then() -> None:
    """The alarm rings at the time that the door said; a door that says otherwise meanwhile is obeyed."""
    opens = [5.0]

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        slots: FairSemaphore[int] = FairSemaphore(2, lambda _: 0.0 if loop.time() >= opens[0] else opens[0])
        assert not slots.enter(1)
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
        slots: FairSemaphore[int] = FairSemaphore(1, lambda _: opens[0])
        waiting = asyncio.create_task(slots.wait(1))
        await asyncio.sleep(10_000)
        assert not waiting.done()
        opens[0] = 0.0
        slots.admit()
        await waiting

    run(main())


@pytest.mark.parametrize("line", [SINGLES, BULK])
def test_slots_that_are_full_need_no_alarm(line: int) -> None:
    """Whoever leaves lets the next one in: no timer of the loop is spent on that."""

    async def main() -> None:
        slots: FairSemaphore[int] = FairSemaphore(1, _open)
        assert slots.enter(9)
        tasks = _in_line(slots, range(3), [], line)
        await _turns()
        for _ in range(3):
            slots.leave()
            assert slots._alarm is None
            await _turns()
        await asyncio.gather(*tasks)

    run(main())


def test_nothing_is_left_when_the_last_one_gives_up() -> None:
    """No alarm goes on ticking for a line that is empty."""

    async def main(line: int) -> None:
        slots: FairSemaphore[int] = FairSemaphore(1, lambda _: 3600.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(slots.wait(1, line), 5)
        assert slots._alarm is None
        assert slots.held == 0

    for line in (SINGLES, BULK):
        run(main(line))


# Closing


def test_close_sends_everybody_away_at_once() -> None:
    """Who waits, who was let in but has not moved yet, and who comes later; each with an error of its own."""

    async def main() -> list[BaseException | None]:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        slots: FairSemaphore[int] = FairSemaphore(1, _open)
        assert slots.enter(9)
        tasks = [*_in_line(slots, range(2), []), *_in_line(slots, range(2, 4), [], BULK)]
        await _turns()
        slots.leave()  # the first one's turn has come
        slots.close(lambda: KeyError("closed"))
        tasks[2].cancel()  # together with the refusal
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert slots.held == 0
        for line in (SINGLES, BULK):
            assert not slots.enter(9, line)
            with pytest.raises(KeyError):
                await slots.wait(9, line)
        slots.widen()
        assert not slots.enter(9)
        gc.collect()
        assert complaints == []
        return outcomes

    first, second, third, fourth = run(main())
    assert [type(one) for one in (first, second, third, fourth)] == [
        KeyError, KeyError, asyncio.CancelledError, KeyError,
    ]  # fmt: skip
    assert len({id(first), id(second), id(fourth)}) == 3


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
    """However much happens meanwhile, everybody who waits is woken once, to enter; the door judges the first alone."""
    asked = [0]

    async def main(line: int) -> list[int]:
        loop = asyncio.get_running_loop()
        shut = [True]

        def next_admission(_: int) -> float:
            asked[0] += 1
            return math.inf if shut[0] else 0.0

        slots: FairSemaphore[int] = FairSemaphore(8, next_admission)
        visitors = [_Counted(slots.wait(name, line)) for name in range(500)]
        tasks = [loop.create_task(waiter) for waiter in visitors]
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
        return [waiter.steps for waiter in visitors]

    for line in (SINGLES, BULK):
        asked[0] = 0
        assert set(run(main(line))) == {2}


TURNED_AWAY = 7
"""While the door is strict, it turns away whoever's name is divisible by it."""


class Lines(RuleBasedStateMachine):
    """Arrivals, departures, cancellations, widths and doors in any order: a model of who should be where."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.shut = [False, False]
        self.strict = self.at_once = False
        self.slots: FairSemaphore[int] = FairSemaphore(3, self._door, self._enters)
        self.lines: dict[int, int] = {}
        self.inside: list[int] = []
        self.waiting: dict[int, asyncio.Task[None]] = {}
        self.entered: tuple[list[int], list[int]] = ([], [])
        self.passed = 0
        self.fair = True
        self.now = 0.0

    def _refuses(self, name: int) -> bool:
        return self.strict and name % TURNED_AWAY == 0

    def _door(self, name: int) -> Opens:
        return KeyError(name) if self._refuses(name) else math.inf if self.shut[self.lines[name]] else 0.0

    def _enters(self, name: int) -> None:
        """Judge whose turn it is in the instant in which somebody enters."""
        line, passed = self.lines[name], self.passed
        singles, bulk = self.slots.waiting(SINGLES), self.slots.waiting(BULK)
        self.entered[line].append(name)
        if self.at_once:
            self.fair &= not singles and not (line and bulk)
        elif line == BULK:
            self.fair &= not singles or passed >= 3
            self.passed = 0
        else:
            self.fair &= not bulk or passed < 3 or self.shut[BULK]
            self.passed = passed + 1 if bulk else 0

    def _do(self, act: Callable[[], object]) -> None:
        async def main() -> None:
            act()
            await _turns(4)
            for name, task in list(self.waiting.items()):
                if task.done():
                    del self.waiting[name]
                    assert task.cancelled() or task.exception() is None or name % TURNED_AWAY == 0

        self.runner.run(main())

    @rule(arrivals=st.lists(st.sampled_from([SINGLES, BULK]), min_size=1, max_size=8))
    def arrive(self, arrivals: list[int]) -> None:
        def act() -> None:
            for line in arrivals:
                name = len(self.lines) + 1
                self.lines[name] = line
                self.waiting[name] = asyncio.get_running_loop().create_task(self._visit(name, line))

        self._do(act)

    async def _visit(self, name: int, line: int) -> None:
        self.at_once = True
        entered = self.slots.enter(name, line)
        self.at_once = False
        if not entered:
            await self.slots.wait(name, line)
        self.inside.append(name)

    @precondition(lambda self: self.inside)
    @rule(cancel=st.booleans(), data=st.data())
    def leave(self, *, cancel: bool, data: st.DataObject) -> None:
        """Leave, and perhaps cancel at the same moment somebody whose turn it may thereby be."""
        self.inside.remove(data.draw(st.sampled_from(self.inside)))
        following = data.draw(st.sampled_from(list(self.waiting.values()))) if cancel and self.waiting else None

        def act() -> None:
            self.slots.leave()
            if following is not None:
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

    @rule()
    def turn_strictness(self) -> None:
        self.strict = not self.strict
        self._do(self.slots.admit)

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

    @rule(line=st.sampled_from([SINGLES, BULK]))
    def turn_the_door(self, line: int) -> None:
        self.shut[line] = not self.shut[line]
        self._do(self.slots.admit)

    @invariant()
    def nothing_is_lost(self) -> None:
        """Slots are held by those inside and nobody else; whoever may enter has entered; each when it was its turn."""
        slots = self.slots
        assert self.fair
        assert slots.held == len(self.inside) <= 3
        assert slots.waiting(SINGLES) + slots.waiting(BULK) == len(self.waiting)
        assert all(line == sorted(line) for line in self.entered)
        if slots.held < slots.width and self.waiting:
            first = BULK if not slots.waiting(SINGLES) else SINGLES
            assert self.shut[first]
            assert not self._refuses(next(iter(slots._lines[first].values())))

    def teardown(self) -> None:
        async def main() -> None:
            tasks = list(self.waiting.values())
            self.slots.close(KeyError)
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in tasks:
                assert task.cancelled() or isinstance(task.exception(), KeyError)

        with closing(self.runner):
            self.runner.run(main())
            for _ in self.inside:
                self.slots.leave()
            assert self.slots.held == 0


TestLines = Lines.TestCase
TestLines.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
