"""How fast to go where something is scarce: shares that come to be equal, and what single calls need."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meitner_aio._pipeline.fair_share import FairShare, SingleCalls


def _even(least: float, most: float) -> float:
    """Draw no jitter."""
    return (least + most) / 2


# The share


def test_the_first_request_is_due_at_once() -> None:
    """Nothing was sent that it would have to keep a distance from."""
    assert FairShare(_even).due(1.0) == -math.inf


@pytest.mark.parametrize(("part", "pause"), [(1.0, 2.0), (0.5, 4.0), (1.25, 1.6), (0.0, 64.0), (7.0, 1.6)])
def test_a_share_is_a_pause_between_two_requests(part: float, pause: float) -> None:
    """At one request in two seconds for everybody; a share is never less than a 32nd nor more than five quarters."""
    share = FairShare(_even)
    share.begin(part)
    share.sent(100.0)
    assert share.due(0.5) == pytest.approx(100.0 + pause)


def test_a_share_grows_by_steps_and_shrinks_by_factors() -> None:
    """Additive increase, multiplicative decrease; at most one decrease in one and a half of the client's intervals."""
    share = FairShare(_even)
    share.grow()
    assert share.part == pytest.approx(1.03)
    for _ in range(20):
        share.grow()
    assert share.part == 1.25
    share.begin(1.0)
    parts = []
    for now in (0.0, 1.0, 1.4, 1.5, 1.6, 3.1, 3.5):
        share.shrink(now, rate=1.0)
        parts.append(share.part)
    shrunk = [0.85**times for times in (1, 1, 1, 1, 1, 2, 2)]  # 1.5 / 0.85 seconds after the first
    assert parts == pytest.approx(shrunk)


def test_a_refusal_halves_the_share() -> None:
    """Down to a 32nd, so that nobody starves."""
    share = FairShare(_even)
    parts = []
    for _ in range(7):
        share.halve()
        parts.append(share.part)
    assert parts == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 32, 1 / 32]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1 / 32, 1.25), min_size=2, max_size=5), st.integers(0, 99))
def test_clients_that_see_the_same_come_to_equal_shares(parts: list[float], seed: int) -> None:
    """However unequally they began, by nothing but what remains of a bucket: it never runs dry, and hardly fills up."""
    chance = random.Random(seed)
    shares = [FairShare(chance.uniform) for _ in parts]
    for share, part in zip(shares, parts, strict=True):
        share.begin(part)
        share.sent(chance.random())
    tokens, at, sent, levels = 10.0, 0.0, Counter[int](), list[float]()
    for number in range(4000):
        client = min(range(len(shares)), key=lambda client: shares[client].due(1.0))
        share = shares[client]
        now = max(at, share.due(1.0))
        tokens, at = tokens + now - at - 1.0, now
        share.sent(now)
        if tokens >= 5.0:
            share.grow()
        else:
            share.shrink(now, 1.0)
        if number >= 2000:
            sent[client] += 1
            levels.append(tokens)
    assert max(sent.values()) <= 2 * min(sent[client] for client in range(len(shares)))
    assert min(levels) > 0.0
    assert max(levels) < 20.0


def test_pauses_are_jittered() -> None:
    """By a tenth either way, so that clients that began together do not stay together; on average by nothing."""
    chance, pauses = random.Random(1), []
    share = FairShare(chance.uniform)
    share.begin(1.0)
    now = 0.0
    share.sent(now)
    for _ in range(500):
        now = max(now, share.due(1.0))
        share.sent(now)
        pauses.append(share.due(1.0) - now)
    assert min(pauses) == pytest.approx(0.9, abs=0.02)
    assert max(pauses) == pytest.approx(1.1, abs=0.02)
    assert sum(pauses) / len(pauses) == pytest.approx(1.0, abs=0.01)


def test_a_long_pause_is_not_jittered() -> None:
    """A tenth of an hour's pause would be another one."""
    share = FairShare(lambda _, most: most)
    share.sent(0.0)
    share.sent(3600.0)
    assert share.due(1.0) == pytest.approx(3601.0)


# Single calls


def test_without_single_calls_nothing_is_kept() -> None:
    """There are none before the first, and ten minutes after the last."""
    singles = SingleCalls()
    assert (singles.recent(0.0), singles.rate(0.0), singles.need(0.0, 3600.0)) == (False, 0.0, 0.0)
    singles.came(100.0)
    assert singles.recent(699.0)
    assert singles.need(699.0, 0.0) == 3.0
    assert (singles.recent(700.0), singles.need(700.0, 3600.0)) == (False, 0.0)


def test_one_single_call_has_no_rate() -> None:
    """A little is kept for the next one all the same; so it is after several at once."""
    singles = SingleCalls()
    for _ in range(3):
        singles.came(100.0)
    assert singles.rate(100.5) == 0.0
    assert singles.need(100.5, 3600.0) == 3.0


@pytest.mark.parametrize("every", [1.0, 5.0, 30.0, 120.0])
def test_a_steady_rate_is_known_soon(every: float) -> None:
    """After five calls within a quarter, after an hour within a twentieth: whatever the rate."""
    singles = SingleCalls()
    for number in range(5):
        singles.came(every * number)
    assert singles.rate(every * 4) == pytest.approx(1 / every, rel=0.25)
    for number in range(5, int(3600 / every)):
        singles.came(every * number)
    assert singles.rate(every * (int(3600 / every) - 1)) == pytest.approx(1 / every, rel=0.15)


def test_the_rate_follows_the_last_ten_minutes() -> None:
    """A morning rush is forgotten by noon, and a service that has stopped needs less from minute to minute."""
    singles = SingleCalls()
    for second in range(600):
        singles.came(float(second))
    rush = singles.rate(600.0)
    assert rush == pytest.approx(1.0, rel=0.05)
    assert singles.rate(900.0) < 0.75 * rush
    for minute in range(60):
        singles.came(600.0 + 60.0 * minute)
    assert singles.rate(4200.0) == pytest.approx(1 / 60, rel=0.15)


@given(st.lists(st.floats(0.0, 300.0), max_size=60), st.floats(0.0, 700.0), st.floats(-10.0, 3600.0))
def test_what_is_kept_covers_chance(pauses: list[float], later: float, seconds: float) -> None:
    """At least what is expected, and more the longer it has to last; never less than nothing."""
    singles, now = SingleCalls(), 0.0
    for pause in pauses:
        now += pause
        singles.came(now)
    now += later
    need, rate = singles.need(now, seconds), singles.rate(now)
    assert rate >= 0.0
    assert need == 0.0 if not singles.recent(now) else need >= 3.0 + rate * max(0.0, seconds)
    assert singles.need(now, seconds + 60.0) >= need
