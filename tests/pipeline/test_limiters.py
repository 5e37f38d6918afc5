"""The model limiters themselves, against hours and tokens counted by hand."""

from __future__ import annotations

import pytest
from limiters import EPOCH, Bucket, FixedWindow, Server
from traffic import CALL
from virtual_time import run


def test_a_window_opens_with_its_first_request_and_forgets_at_its_end():
    """Three an hour: the fourth is refused until an hour after the first, and not a moment longer."""
    window = FixedWindow(3)
    taken = [window.take(EPOCH + at) for at in (0, 10, 20, 30, 3599.9, 3600, 3601)]
    assert taken == [True, True, True, False, False, True, True]
    assert window.reset(EPOCH + 3601) == EPOCH + 7200


def test_a_window_on_the_grid_ends_with_the_hour():
    """The clock of the models shows 13 minutes 20 past."""
    window = FixedWindow(2, grid=True)
    window.take(EPOCH)
    assert window.reset(EPOCH) - EPOCH == pytest.approx(2799.63)


def test_a_bucket_gives_back_at_a_constant_rate():
    """3,600 an hour are one a second; never more than the burst."""
    bucket = Bucket(3600, burst=2)
    taken = [bucket.take(EPOCH + at) for at in (0.0, 0.1, 0.2, 0.9, 1.05, 1.1, 9.0, 9.0, 9.0)]
    assert taken == [True, True, False, False, True, False, True, True, False]


@pytest.mark.parametrize(("meaning", "later"), [("full", 2.0), ("next", 1.0), ("hour", 3600.0), ("top", 2799.63)])
def test_what_a_reset_may_mean(meaning, later):
    """Four readings of the same two missing tokens."""
    bucket = Bucket(3600, meaning)
    bucket.take(EPOCH)
    bucket.take(EPOCH)
    assert bucket.reset(EPOCH) - EPOCH == pytest.approx(later)


@pytest.mark.parametrize(("headers", "left"), [("now", ["4", "3"]), ("late", ["5", "4"]), ("none", [None, None])])
def test_headers_may_be_late_or_absent(headers, left):
    """One late: what was left before the request that they answer."""
    server = Server(FixedWindow(5), headers=headers)

    async def main():
        return [(await server.send(CALL)).headers.get("RateLimit-Remaining") for _ in range(2)]

    assert run(main()) == left


@pytest.mark.parametrize(
    ("limiter", "requests", "seconds"),
    [(FixedWindow(300), 1200, 3 * 3600), (FixedWindow(300), 1201, 4 * 3600), (Bucket(1500), 6000, 4500 * 2.4)],
)
def test_the_ideal_is_what_a_reader_who_is_never_refused_waits(limiter, requests, seconds):
    """Four windows are begun after three hours; what a bucket lacks comes with its refill."""
    assert limiter.ideal(requests) == pytest.approx(seconds)
