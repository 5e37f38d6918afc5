"""How the sandbox limits requests, and what its headers say: tables worked out by hand, and the laws of a bucket."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_calls import NOON, Clock, call

from meitner_aio.sandbox import Sandbox
from meitner_aio.sandbox.http.answers import Refusal
from meitner_aio.sandbox.http.quota import Limiter, new_limiter

USUAL: dict[str, Any] = {"burst": None, "reset": "full", "counted": "now"}

# Three tokens, and one more every ten seconds. A row is a request: seconds since the start, its status, the requests
# that remain, and in how many seconds since the start Reset lies. NOON is a whole multiple of 30 seconds.
FULL = [
    (0, 200, 2, 10),
    (0, 200, 1, 20),
    (0, 200, 0, 30),
    (0, 429, 0, 30),
    (9.999, 429, 0, 30),
    (10, 200, 0, 40),
    (25, 200, 0, 50),  # one token and a half: the half stays
    (29.5, 429, 0, 50),
    (30, 200, 0, 60),
    (100, 200, 2, 110),  # no more than three are ever there
]


def _with_resets(*resets: float) -> list[tuple[float, int, int, float]]:
    return [(*row[:3], reset) for row, reset in zip(FULL, resets, strict=True)]


TABLES: dict[str, tuple[dict[str, Any], list[tuple[float, int, int, float]]]] = {
    "full": ({}, FULL),
    "next": ({"reset": "next"}, _with_resets(10, 10, 10, 10, 10, 20, 30, 30, 40, 110)),
    "hour": ({"reset": "hour"}, _with_resets(30, 30, 30, 30, 39.999, 40, 55, 59.5, 60, 130)),
    "top": ({"reset": "top"}, _with_resets(30, 30, 30, 30, 30, 30, 30, 30, 60, 120)),
    "a small burst": (
        {"burst": 2},
        [(0, 200, 1, 10), (0, 200, 0, 20), (0, 429, 0, 20), (10, 200, 0, 30), (100, 200, 1, 110)],
    ),
    "a large burst": ({"burst": 4}, [(0, 200, 3, 10), (0, 200, 2, 20), (0, 200, 1, 30), (0, 200, 0, 40), (5, 429, 0, 40)]),
    "late": (
        {"headers": "late"},
        [(0, 200, 3, 0), (0, 200, 2, 10), (0, 200, 1, 20), (0, 429, 0, 30), (10, 200, 1, 30), (10, 429, 0, 40)],
    ),
    "a window": (
        {"limiter": "window"},
        [(5, 200, 2, 35), (5, 200, 1, 35), (20, 200, 0, 35), (20, 429, 0, 35), (34.999, 429, 0, 35), (35, 200, 2, 65), (100, 200, 2, 130)],
    ),
    "a late window": (
        {"limiter": "window", "headers": "late"},
        [(5, 200, 3, 35), (5, 200, 2, 35), (20, 200, 1, 35), (20, 429, 0, 35), (35, 200, 3, 65), (36, 200, 2, 65)],
    ),
}  # fmt: skip


def _empty(clock: Clock, **choices: Any) -> Sandbox:
    return Sandbox(students=0, schools=0, clock=clock, quota=3, window=30.0, **choices)


@pytest.mark.parametrize("name", TABLES)
async def test_every_answer_names_the_quota(name):
    """Status, limit, what remains and the Reset in epoch milliseconds, of every kind and at every moment."""
    clock = Clock()
    choices, table = TABLES[name]
    sandbox = _empty(clock, **choices)
    for seconds, status, remaining, reset in table:
        clock.now = NOON + seconds
        answer = await call(sandbox, "GET", "/unit")
        headers = [answer.headers[f"RateLimit-{part}"] for part in ("Limit", "Remaining", "Reset")]
        assert (seconds, answer.status, *headers) == (
            seconds, status, "3", str(remaining), str(round((NOON + reset) * 1000))
        )  # fmt: skip
        assert status == 200 or answer.code == "RateLimited"


async def test_a_bucket_is_what_there_is_when_nobody_says():
    """1,500 an hour, one every 2.4 seconds, as the answers say: what the vendor documents."""
    clock = Clock()
    sandbox = Sandbox(students=0, schools=0, clock=clock)
    answers = [await call(sandbox, "GET", "/unit") for _ in range(1501)]
    assert [answer.status for answer in answers] == [200] * 1500 + [429]
    assert answers[0].headers["RateLimit-Limit"] == "1500"
    assert answers[-1].headers["RateLimit-Reset"] == str(int((NOON + 3600) * 1000))
    clock.now += 2.4
    assert [(await call(sandbox, "GET", "/unit")).status for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(("limiter", "statuses"), [("bucket", [200, 200, 200, 429]), ("window", [200, 200, 200, 429])])
async def test_a_limit_may_be_silent(limiter, statuses):
    """It limits as it does, and no answer says a word of it, a 429 included."""
    sandbox = _empty(Clock(), limiter=limiter, headers="none")
    answers = [await call(sandbox, "GET", "/unit") for _ in statuses]
    assert [answer.status for answer in answers] == statuses
    assert not [name for answer in answers for name in answer.headers if name.startswith(("ratelimit", "retry"))]


async def test_no_limit_is_no_limit():
    """Whatever the quota would be: everything is served, and no quota is named."""
    sandbox = _empty(Clock(), limiter="none")
    answers = [await call(sandbox, "GET", "/unit") for _ in range(100)]
    assert {answer.status for answer in answers} == {200}
    assert not [name for answer in answers for name in answer.headers if name.startswith("ratelimit")]


async def test_late_headers_tell_the_present_where_nothing_was_counted():
    """A 401 costs nothing: before it and after it the same remains."""
    sandbox = _empty(Clock(), headers="late")
    await call(sandbox, "GET", "/unit")
    refused = await call(sandbox, "GET", "/unit", headers={})
    assert (refused.status, refused.headers["RateLimit-Remaining"]) == (401, "2")


async def test_a_clock_that_is_set_back_refills_nothing_twice():
    """It takes nothing away either: what was there is there, and the hours count once, when it has caught up."""
    clock = Clock()
    sandbox = _empty(clock)
    statuses = []
    for seconds in (0, 0, -1000, -1000, 0, 9, 10, 10):
        clock.now = NOON + seconds
        statuses.append((await call(sandbox, "GET", "/unit")).status)
    assert statuses == [200, 200, 200, 429, 429, 429, 200, 429]


@pytest.mark.parametrize("reset", ["full", "next"])
async def test_a_full_bucket_is_full_now(reset):
    """Such are the headers of a 401 before any request was counted."""
    answer = await call(_empty(Clock(), reset=reset), "GET", "/unit", headers={})
    headers = [answer.headers[f"RateLimit-{part}"] for part in ("Remaining", "Reset")]
    assert headers == ["3", str(int(NOON * 1000))]


# Laws

QUOTAS = st.integers(1, 60)
PERIODS = st.sampled_from([1.0, 7.0, 60.0, 3600.0])
BURSTS = st.none() | st.integers(1, 90)
GAPS = st.lists(st.just(0.0) | st.floats(0, 5) | st.floats(0, 4000), min_size=1, max_size=120)


def _served(limiter: Limiter) -> bool:
    try:
        limiter.spend()
    except Refusal as refusal:
        if refusal.status != 429:
            raise
        return False
    return True


@settings(deadline=None)
@given(quota=QUOTAS, period=PERIODS, burst=BURSTS, gaps=GAPS)
def test_in_any_time_a_bucket_serves_what_it_holds_and_what_flows_in(quota, period, burst, gaps):
    """From any request to any later one no more are served than capacity + rate * time."""
    clock = Clock()
    limiter = new_limiter("bucket", quota, period, clock, **{**USUAL, "burst": burst})
    served: list[float] = []
    for gap in gaps:
        clock.now += gap
        served += [clock.now] * _served(limiter)
    for first, last in combinations_with_replacement(range(len(served)), 2):
        allowed = (burst or quota) + (served[last] - served[first]) * quota / period
        assert last - first + 1 <= allowed + 1e-5


@settings(deadline=None)
@given(quota=QUOTAS, period=PERIODS, burst=BURSTS, gaps=GAPS)
def test_a_bucket_refuses_nobody_whose_token_is_there(quota, period, burst, gaps):
    """Against a bucket of exact fractions: the same requests are served, and the same remain, but for the rounding."""
    clock = Clock()
    limiter = new_limiter("bucket", quota, period, clock, **{**USUAL, "burst": burst})
    size = tokens = Fraction(burst or quota)
    for gap in gaps:
        before = Fraction(clock.now)
        clock.now += gap
        tokens = min(size, tokens + (Fraction(clock.now) - before) * quota / Fraction(period))
        if abs(tokens - round(tokens)) < Fraction(1, 10**4) and tokens != round(tokens):
            return  # on the edge, where a float may fall to either side
        served = _served(limiter)
        assert served is (tokens >= 1)
        tokens -= served
        assert limiter.headers()["RateLimit-Remaining"] == str(int(tokens))


@settings(deadline=None)
@given(quota=QUOTAS, period=PERIODS, burst=BURSTS, gaps=GAPS, counted=st.sampled_from(["now", "late"]))
def test_who_comes_at_the_time_named_is_served(quota, period, burst, gaps, counted):
    """At the Reset of a 429 there is a token ("next"), or as many as there can be ("full"), to the millisecond."""
    clock = Clock()
    for reset, left in (("next", 0), ("full", (burst or quota) - 1)):
        limiter = new_limiter("bucket", quota, period, clock, burst=burst, reset=reset, counted=counted)
        for gap in gaps:
            clock.now += gap
            if not _served(limiter):
                clock.now = int(limiter.headers()["RateLimit-Reset"]) / 1000
                assert _served(limiter)
                limiter.headers()  # of the request before
                assert int(limiter.headers()["RateLimit-Remaining"]) >= left


@settings(deadline=None)
@given(quota=QUOTAS, period=PERIODS, gaps=GAPS)
def test_a_window_serves_its_quota_and_no_more(quota, period, gaps):
    """Between one Reset and the next, exactly the first ones are served."""
    clock = Clock()
    limiter = new_limiter("window", quota, period, clock, **USUAL)
    counts: dict[str, int] = {}
    for gap in gaps:
        clock.now += gap
        served = _served(limiter)
        headers = limiter.headers()
        reset = headers["RateLimit-Reset"]
        counts[reset] = counts.get(reset, 0) + 1
        assert served is (counts[reset] <= quota)
        assert headers["RateLimit-Remaining"] == str(max(0, quota - counts[reset]))
