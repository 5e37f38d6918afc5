"""What is read from the headers of a limiter: which kind it is, what is left, and what can never be concluded."""

from __future__ import annotations

import asyncio
import math
import random
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.limiters import Bucket, FixedWindow, Server
from support.traffic import CALL
from virtual_time import run

from meitner_aio._headers import LONGEST_WAIT, Limits, limits
from meitner_aio._limiter import Limiter, Quota
from meitner_aio._protocol import Headers

EPOCH = 1_700_000_000


def _no_wall() -> float:
    raise AssertionError("the local clock was asked")


class Talk:
    """One request after the other, with the answers that a test wants."""

    def __init__(self, limit: int = 1500) -> None:
        self.limiter, self.limit = Limiter(_no_wall), limit

    def hear(self, at: float, remaining: int, reset: float, *, served: bool = True) -> Limiter:
        """Send a request at `at`, alone, and hear of it at once; `reset` is in seconds after the epoch."""
        departure = self.limiter.departs(at, 0)
        said = Limits(self.limit, remaining, EPOCH + reset, EPOCH + at)
        self.limiter.learn(said, departure, at, 0, served=served)
        return self.limiter


def test_before_the_first_answer_nothing_is_known():
    """No quota, and no window that would end."""
    limiter = Limiter(_no_wall)
    assert limiter.quota(0.0) is None
    assert (limiter.limit, limiter.ends) == (0, -math.inf)


def test_an_answer_tells_of_a_window():
    """Its limit, what remains, its end by the server's clock for people and by ours for waiting."""
    talk = Talk()
    limiter = talk.hear(50, 1499, 1800)
    assert limiter.quota(50) == Quota(1500, 1499, datetime.fromtimestamp(EPOCH + 1800, UTC), "window")
    assert limiter.ends == pytest.approx(1800)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ((10, 1498, 3604.8), "the reset moves: full again later"),
        ((10, 1498, 3610), "the reset moves with the clock"),
        ((10, 1499, 3600), "nothing was spent"),
        ((10, 1500, 3600), "it rose"),
    ],
)
def test_what_proves_a_bucket(second, why):
    """Two answers that do not overlap are enough, where a window could not have given the second."""
    talk = Talk()
    talk.hear(0, 1490, 3600)
    at, remaining, reset = second
    limiter = talk.hear(at, min(remaining, 1490) if remaining == 1498 else remaining - 9 + 2, reset)
    assert limiter.is_bucket, why


@pytest.mark.parametrize("second", [(10, 1489, 3600), (10, 1400, 3600), (10, 1489, 3600.9), (3601, 1499, 7201)])
def test_what_proves_none(second):
    """Spent by us or by others, rounded, turned over at its end: a window does all of this."""
    talk = Talk()
    talk.hear(0, 1490, 3600)
    at, remaining, reset = second
    assert not talk.hear(at, remaining, reset).is_bucket


def test_a_look_that_brings_nothing_back_shows_a_window():
    """A bucket would have risen by three while nothing was sent; the next hour needs no look."""
    talk = Talk()
    talk.hear(0, 10, 3600)
    assert not talk.hear(1, 9, 3600).is_window
    assert talk.hear(10, 8, 3600).is_window
    assert talk.hear(3700, 1499, 7300).is_window


def test_a_window_that_jumps_when_it_ends_is_one():
    """No bucket is refilled in a moment."""
    talk = Talk()
    talk.hear(3590, 10, 3600)
    assert talk.hear(3601, 1499, 7201).is_window


def test_a_bucket_that_turns_out_to_jump_was_a_window():
    """Requests that the server did not count looked like a refill: the end of the hour mends that."""
    talk = Talk()
    talk.hear(0, 100, 3600)
    assert talk.hear(10, 103, 3600).is_bucket
    assert not talk.hear(20, 1499, 7200).is_bucket


def test_a_bucket_is_believed_to_rise_but_not_far():
    """Eight tokens at most until an answer tells: others may have taken the rest."""
    talk = Talk(3600)
    talk.hear(0, 100, 3600)
    limiter = talk.hear(10, 108, 3610)
    assert limiter.tokens(12) == pytest.approx(110)
    assert limiter.tokens(1000) == 116
    assert limiter.quota(12).kind == "bucket"


def test_a_faster_refill_is_learnt():
    """A limit that says an hour, and a server that means a minute."""
    talk = Talk(600)
    for second in range(20):
        limiter = talk.hear(second, 300 + 5 * second, 3600 + second)
    assert limiter.refill == pytest.approx(6, rel=0.15)


@pytest.mark.parametrize(("first", "late"), [(1500, 1), (1499, 0), (1200, 1)])
def test_whether_headers_are_late_shows_in_a_full_quota(first, late):
    """Where nobody can know, they are believed to be."""
    assert Talk().hear(0, first, 3600).late == late


def test_another_limit_begins_anew():
    """Whatever was proven of the old one."""
    talk = Talk()
    talk.hear(0, 10, 3600)
    talk.hear(10, 14, 3600)
    talk.limit = 5000
    limiter = talk.hear(20, 4999, 3600)
    assert (limiter.limit, limiter.is_bucket, limiter.remaining) == (5000, False, 4999)


def test_nothing_makes_anything_wait_longer_than_an_hour():
    """Ten years are an hour and five seconds."""
    assert Talk().hear(0, 0, 10 * 365 * 86400).ends == pytest.approx(LONGEST_WAIT)


@pytest.mark.parametrize(
    "changed",
    [{"RateLimit-Limit": "0"}, {"RateLimit-Remaining": "-1"}, {"RateLimit-Reset": "soon"}, {"RateLimit-Limit": ""}],
)
def test_headers_that_make_no_sense_say_nothing(changed):
    """All three, or none."""
    honest = {"RateLimit-Limit": "10", "RateLimit-Remaining": "9", "RateLimit-Reset": f"{EPOCH}000"}
    honest["Date"] = formatdate(EPOCH, usegmt=True)
    assert limits(Headers(honest)) == Limits(10, 9, float(EPOCH), float(EPOCH))
    assert limits(Headers(honest | changed)) is None


def _learnt(server: Server, requests: int, pause: float, in_flight: int, seed: int) -> Limiter:
    """Send so many requests, with random latencies and several in flight, and return what was learnt."""
    limiter, chance, out = Limiter(_no_wall), random.Random(seed), 0

    async def call() -> None:
        nonlocal out
        departure = limiter.departs(asyncio.get_running_loop().time(), out)
        out += 1
        await asyncio.sleep(chance.expovariate(5))
        answer = server.answer()
        await asyncio.sleep(chance.expovariate(5))
        out -= 1
        limiter.learn(
            limits(answer.headers), departure, asyncio.get_running_loop().time(), out, served=answer.status == 200
        )

    async def worker() -> None:
        for _ in range(requests // in_flight):
            await call()
            await asyncio.sleep(chance.expovariate(1 / pause))

    async def main() -> None:
        await asyncio.gather(*(worker() for _ in range(in_flight)))

    run(main(), debug=False)
    return limiter


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([20, 300, 1500]), st.booleans(), st.sampled_from(["now", "late"]), st.integers(1, 8), st.integers()
)
def test_no_window_is_taken_for_a_bucket(limit, grid, headers, in_flight, seed):
    """However answers overtake each other, over several hours of it."""
    server = Server(FixedWindow(limit, grid=grid), headers=headers)
    assert not _learnt(server, 200, 60 * in_flight, in_flight, seed).is_bucket


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["full", "next", "hour", "top"]), st.sampled_from(["now", "late"]), st.integers(1, 8), st.integers()
)
def test_every_bucket_is_found_out(reset, headers, in_flight, seed):
    """Half empty, within a hundred requests and some minutes, whatever its reset means."""
    bucket = Bucket(1500, reset)
    server = Server(bucket, headers=headers)
    bucket.tokens, bucket.at = 700.0, EPOCH + 0.37
    assert _learnt(server, 100, 5 * in_flight, in_flight, seed).is_bucket


def test_the_request_of_these_tests_is_one_of_the_package():
    """The traffic of the models is made of what clients send."""
    assert CALL.method == "GET"
