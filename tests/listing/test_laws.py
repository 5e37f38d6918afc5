"""Laws of the engine put together, under hypothesis and on virtual time: what holds whatever happens."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from fake_history import History, Plot
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scripted_send import endless, lost, request, said, unsent
from virtual_time import VirtualLoop, run

from meitner_aio import QuotaPolicy, RetryPolicy
from meitner_aio._pipeline.concurrency import FairSemaphore
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._pipeline.retry import Retrying
from meitner_aio._pipeline.retry_budget import FULL, RetryBudget
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio.errors import MeitnerError


def _now() -> float:
    return asyncio.get_running_loop().time()


# -- P1, the limiter


class Move(NamedTuple):
    """What happens to a line: somebody comes, leaves or is cancelled, or the width changes; then time passes, or not."""

    kind: str
    which: int


_moves = st.lists(
    st.builds(
        Move, st.sampled_from(["come", "come", "leave", "cancel", "narrow", "succeed", "door"]), st.integers(0, 9)
    ),
    max_size=60,
)


class Line:
    """Visitors of a few slots, numbered as they come."""

    def __init__(self, width: int) -> None:
        self.shut = False
        self.slots: FairSemaphore[int] = FairSemaphore(width, lambda _: math.inf if self.shut else 0.0)
        self.entered: dict[int, float] = {}
        self.inside: deque[int] = deque()
        self.visits: list[asyncio.Task[None]] = []

    async def _visit(self, number: int) -> None:
        if not self.slots.enter(number):
            await self.slots.wait(number)
        self.entered[number] = _now()
        self.inside.append(number)

    def come(self, _: int) -> None:
        self.visits.append(asyncio.ensure_future(self._visit(len(self.visits))))

    def leave(self, _: int) -> None:
        if self.inside:
            self.inside.popleft()
            self.slots.leave()

    def cancel(self, which: int) -> None:
        if self.visits:
            self.visits[which % len(self.visits)].cancel()

    def door(self, _: int) -> None:
        """Shut the door, or open it: those who wait hear of that a moment later."""
        self.shut = not self.shut
        if not self.shut:
            asyncio.get_running_loop().call_later(0.1, self.slots.admit)

    def narrow(self, _: int) -> None:
        self.slots.narrow(_now())

    def succeed(self, _: int) -> None:
        if self.inside:
            self.slots.widen()
            self.leave(0)


@settings(max_examples=200, deadline=None)
@given(width=st.integers(1, 6), moves=_moves)
@example(width=2, moves=[Move("door", 0), Move("come", 1), Move("door", 0), Move("come", 1)])
def test_a_line_conserves_its_slots_and_its_order_whatever_happens(width: int, moves: list[Move]) -> None:
    """P1: never more inside than the widest, first come first served, no slot idle while somebody waits, none lost."""

    async def main() -> None:
        line = Line(width)
        for move in moves:
            getattr(line, move.kind)(move.which)
            if move.which % 3:
                await asyncio.sleep((move.which % 3 - 1) / 2)
            assert line.slots.held <= width
        if line.shut:
            line.door(0)
        await asyncio.sleep(1.0)
        assert line.slots.held == len(line.inside)
        assert not line.slots.waiting(0) or line.slots.held >= line.slots.width
        while line.inside:
            line.leave(0)
            await asyncio.sleep(1.0)
        turns = [line.entered[number] for number in sorted(line.entered)]
        assert all(later > earlier - 1e-6 for earlier, later in pairwise(turns))
        assert (line.slots.held, line.slots.waiting(0)) == (0, 0)
        assert all(visit.done() for visit in line.visits)

    run(main(), debug=False)


def test_an_alarm_that_is_due_at_once_may_be_any_handle() -> None:
    """As on uvloop, whose handles of what is due do not tell when: a line that is looked at again keeps its alarm."""

    class PlainHandles(VirtualLoop):
        def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
            if when <= self.time():
                return self.call_soon(callback, *args, context=context)
            return super().call_at(when, callback, *args, context=context)

    async def main() -> None:
        opens = 1e-12
        slots: FairSemaphore[int] = FairSemaphore(1, lambda _: opens)
        waiting = asyncio.ensure_future(slots.wait(1))
        await asyncio.sleep(0)
        slots.admit()
        opens = 0.0
        await waiting
        assert slots.held == 1

    with asyncio.Runner(loop_factory=PlainHandles) as runner:
        runner.run(main())


@settings(max_examples=100, deadline=None)
@given(
    waiting=st.integers(1, 30),
    width=st.integers(2, 8),
    after=st.floats(0.0, 300.0),
    remaining=st.integers(400, 1000),
)
def test_a_limit_that_is_raised_lets_those_who_wait_go_at_once(
    waiting: int, width: int, after: float, remaining: int
) -> None:
    """P1: paced to the end of the window, until an answer says that there is more: the rest leaves in that instant."""

    async def main() -> None:
        left: list[float] = []
        told = {"RateLimit-Limit": "1000", "RateLimit-Remaining": "4", "RateLimit-Reset": "3600"}

        async def send(_: Request) -> RawResponse:
            left.append(_now())
            if len(left) == 2:
                await asyncio.sleep(after)
                told["RateLimit-Remaining"], told["RateLimit-Limit"] = str(remaining), "1001"
            return RawResponse(200, Headers(told), b"")

        rate_limiter = RateLimiter(width, policy=QuotaPolicy(max_wait=math.inf))
        admitted = rate_limiter.admitting(send)
        await admitted(request())
        await asyncio.gather(*(admitted(request()) for _ in range(waiting)))
        news = left[1] + after
        assert all(at <= news + 0.01 for at in left), (left, news)

    run(main(), debug=False)


# -- P3, backoff

_seconds = st.one_of(st.sampled_from([0.0, 5e-324, 1e-9, 0.5, 1e9, 1.7e308]), st.floats(0, 1e308))


@settings(max_examples=60, deadline=None)
@given(initial=_seconds, maximum=_seconds, exponent=st.floats(1, 1.7e308), attempts=st.integers(1, 60))
def test_a_wait_is_finite_and_bounded_for_every_policy_there_is(
    initial: float, maximum: float, exponent: float, attempts: int
) -> None:
    """P3: whatever numbers a policy takes, no wait is negative, none above its cap, and nothing overflows."""
    waits: list[float] = []

    async def main() -> None:
        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        async def send(_: Request) -> RawResponse:
            return said(503)

        policy = RetryPolicy(max_retries=attempts, initial=initial, maximum=maximum, exponent=exponent)
        with pytest.raises(MeitnerError):
            await Retrying(send, policy, endless(), sleep=sleep).send(request())

    run(main(), debug=False)
    assert len(waits) == attempts
    assert all(0 <= wait <= maximum for wait in waits)


# -- P4, deadlines


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_deadline_holds_also_before_the_gate(data: st.DataObject) -> None:
    """P4: whoever waits for a slot or a window is told in time; nothing of theirs leaves afterwards."""
    deadline = data.draw(st.sampled_from([0.5, 5.0, 30.0]), "deadline")
    width = data.draw(st.integers(1, 3), "width")
    callers = data.draw(st.integers(1, 8), "callers")
    takes = data.draw(
        st.lists(st.sampled_from([0.0, 0.4, 3.0, 40.0]), min_size=1, max_size=5), "seconds an answer takes"
    )
    replies = data.draw(
        st.lists(st.sampled_from(["ok", "503", "429", "spent", "lost", "unsent"]), min_size=1, max_size=8)
    )
    seed = data.draw(st.integers(0, 99))

    async def main() -> None:
        random.seed(seed)
        starts: list[float] = []

        async def send(_: Request) -> RawResponse:
            number = len(starts)
            starts.append(_now())
            await asyncio.sleep(takes[number % len(takes)])
            reply = replies[number % len(replies)]
            if reply in ("lost", "unsent"):
                raise lost() if reply == "lost" else unsent()
            spent = {"RateLimit-Limit": "9", "RateLimit-Remaining": "0", "RateLimit-Reset": "60"}
            return {"ok": said(200), "503": said(503), "429": said(429)}.get(reply) or RawResponse(
                429, Headers(spent), b""
            )

        rate_limiter = RateLimiter(width)
        retrying = Retrying(rate_limiter.admitting(send), RetryPolicy(max_retries=5, deadline=deadline), endless())
        results = await asyncio.gather(*(retrying.send(request()) for _ in range(callers)), return_exceptions=True)
        assert _now() <= deadline + 1e-6
        assert all(start < deadline for start in starts)
        assert all(isinstance(result, (RawResponse, MeitnerError)) for result in results)
        assert (rate_limiter._semaphore.held, rate_limiter._semaphore.waiting(0)) == (0, 0)
        before = len(starts)
        await asyncio.sleep(4000)
        assert len(starts) == before

    run(main(), debug=False)


# -- the budget


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["first success", "failed retry", "good retry", "throttled", "forgone"]), st.integers(1, 60)
        ),
        max_size=12,
    )
)
def test_a_budget_never_allows_more_failed_retries_than_it_holds_and_earns(story: list[tuple[str, int]]) -> None:
    """At most 35, and one more for every 14 successes at the first attempt; never below nothing, never above full."""
    budget = RetryBudget()
    failed = earned = 0
    for event in (event for event, times in story for _ in range(times)):
        if event == "first success":
            budget.succeeded()
            earned += 1
        elif (cost := budget.take(throttled=event == "throttled")) is not None:
            if event == "failed retry":
                failed += 1
            elif event == "forgone":
                budget.give_back(cost)
            elif event == "good retry":
                budget.succeeded(cost)
        assert 0 <= budget.tokens <= FULL
        assert 14 * failed <= FULL + earned


# -- P6, certificates


def _counterexample(seed: int) -> tuple[bool, bool]:
    """Read one generated history; whether it was certified, and whether rows that were there throughout are missing."""
    chance = random.Random(seed)
    plot = Plot(
        seed,
        rows=chance.choice((0, 4, 15, 30)),
        order=chance.choice(("created", "-created", "updated", "by date", "any")),
        busy=chance.choice((0.02, 0.1, 0.4)),
        kinds=chance.choice(("cdu", "cd", "d", "u", "c")),
        limit=chance.choice((3, 7)),
        concurrency=chance.choice((1, 4)),
        search=chance.random() < 0.3,
        audited=chance.random() < 0.7,
    )
    history = History(plot)
    got, report = history.read(chance.choice(("plain", "strict")))
    assert len(got) == len(set(got))
    return report.level == "certified", bool(history.missing(got))


def _histories(seeds: range) -> None:
    outcomes = [_counterexample(seed) for seed in seeds]
    assert [seed for seed, (certified, missing) in zip(seeds, outcomes, strict=True) if certified and missing] == []
    assert sum(certified for certified, _ in outcomes) > len(seeds) / 10
    assert sum(missing for _, missing in outcomes) > len(seeds) / 100


def test_no_certificate_is_false() -> None:
    """P6: the first 600 of 10,000 histories: a certified read lacks no row; uncertified ones do lose rows."""
    _histories(range(600))


@pytest.mark.slow
def test_no_certificate_is_false_in_ten_thousand_histories() -> None:
    """P6: the other 8,500."""
    _histories(range(1500, 10_000))
