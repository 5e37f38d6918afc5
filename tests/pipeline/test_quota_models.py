"""The promises about the quota, before limiters that share nothing with the client: hours on a clock that jumps.

Each promise is also tried on a rate limiter that believes in windows only, as clients do: it breaks there.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest
from limiters import EPOCH, Bucket, FixedWindow, Server
from traffic import CALL, PAGE, Tally, client, now, read, serve
from virtual_time import run

from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._wire.messages import RawResponse, Request, Send

HOUR = 3600.0

LIMITERS = {
    "window 300": lambda: FixedWindow(300),
    "window on the grid": lambda: FixedWindow(300, grid=True),
    **{f"bucket, {reset}": lambda reset=reset: Bucket(300, reset) for reset in ("full", "next", "hour", "top")},
    **{f"burst 50, {reset}": lambda reset=reset: Bucket(600, reset, burst=50) for reset in ("full", "hour", "top")},
}
LARGE = {
    **{f"window {limit}": lambda limit=limit: FixedWindow(limit) for limit in (1500, 5000)},
    "window 1500 on the grid": lambda: FixedWindow(1500, grid=True),
    **{f"bucket 1500, {reset}": lambda reset=reset: Bucket(1500, reset) for reset in ("full", "next", "hour", "top")},
    "bucket 5000": lambda: Bucket(5000),
    **{
        f"burst 50 of 1500, {reset}": lambda reset=reset: Bucket(1500, reset, burst=50)
        for reset in ("full", "next", "top")
    },
}
TELLING = pytest.mark.parametrize("headers", ["now", "late"])


def _limiters(*starts, large=True):
    """Try a promise on every limiter whose name starts so; on those of the vendor's size, when slow tests are wanted."""
    chosen = [(name, make) for name, make in LIMITERS.items() if name.startswith(starts or "")]
    slow = [(name, make) for name, make in LARGE.items() if large and name.startswith(starts or "")]
    cases = [pytest.param(make, id=name) for name, make in chosen]
    return pytest.mark.parametrize("make", [*cases, *(pytest.param(m, id=n, marks=pytest.mark.slow) for n, m in slow)])


def _given(limiter, hours):
    """Return how many requests a limiter serves in so many hours at most, from its first request."""
    if isinstance(limiter, Bucket):
        return limiter.burst + limiter.limit * hours
    return limiter.limit * hours


@_limiters()
@TELLING
def test_a_long_read_alone_is_never_refused_and_as_fast_as_the_limiter_allows(make, headers):
    """Four quotas of pages: no answer of 429, at most 1.01 times the ideal."""
    server, tally = Server(make(), headers=headers), Tally()
    pages = 4 * server.limiter.limit

    async def main():
        await read(client(server), pages, tally)

    run(main(), debug=False)
    assert (server.refused, tally.pages) == (0, pages)
    assert tally.took <= 1.01 * server.limiter.ideal(pages) + 60


@_limiters("bucket", "burst")
@TELLING
def test_a_service_is_served_although_others_emptied_the_bucket(make, headers):
    """Calls for two hours that need half of the refill: none fails once it is known what stands there; 429 once at most.

    At 300 an hour it takes half a minute to see a bucket rise, which the second call does not wait for.
    """
    server, tally = Server(make(), headers=headers), Tally()

    async def main():
        server.empty()
        await serve(client(server), 2 * HOUR / server.limiter.limit, 2 * HOUR, tally)

    run(main(), debug=False)
    assert (tally.failed <= (2 if server.limiter.limit == 300 else 0), server.refused <= 1) == (True, True)
    assert tally.p95 <= 5


@_limiters()
@TELLING
def test_single_calls_beside_a_long_read_are_not_refused(make, headers):
    """For three hours: none fails, 95 % wait at most five seconds, and nothing of the quota is wasted."""
    server, tally, pages = Server(make(), headers=headers), Tally(), Tally()
    every = 2.5 * HOUR / server.limiter.limit

    async def main():
        send = client(server)
        reading = asyncio.create_task(read(send, 10**6, pages))
        await serve(send, every, 3 * HOUR, tally)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    run(main(), debug=False)
    assert (tally.failed, server.refused) == (0, 0)
    assert tally.p95 <= 5
    assert server.served >= 0.96 * _given(server.limiter, 3) - 20


@_limiters()
@TELLING
def test_three_clients_that_do_not_know_of_each_other_share(make, headers):
    """For four hours: 0.3 % refused at most (1 % of a burst of 50), 96 % used, nobody below two thirds of a fair share.

    Half of one where Reset is the top of the hour: until the first hour is over such a bucket looks like a window.
    """
    server, tallies = Server(make(), headers=headers), [Tally() for _ in range(3)]

    async def one(tally):
        try:
            async with asyncio.timeout(4 * HOUR):
                await read(client(server), 10**6, tally)
        except TimeoutError:
            pass

    async def main():
        await asyncio.gather(*map(one, tallies))

    run(main(), debug=False)
    small = isinstance(server.limiter, Bucket) and server.limiter.burst == 50
    assert server.refused <= (0.01 if small else 0.003) * server.served
    assert server.served >= 0.96 * _given(server.limiter, 4)
    share = 1 / 2 if getattr(server.limiter, "meaning", "") == "top" else 2 / 3
    assert min(tally.pages for tally in tallies) >= share * server.served / 3


@_limiters("window", "bucket", large=False)
@TELLING
@pytest.mark.parametrize(("left", "pages"), [(300, 280), (200, 190), (30, 25), (6, 3)])
def test_a_read_that_fits_into_what_is_left_is_not_slowed(make, headers, left, pages):
    """Not by a request: as fast as from a server without a limit, and nobody is told of a wait."""
    told = []

    def took(limiter):
        server, tally = Server(limiter, headers=headers), Tally()
        while limiter.left(EPOCH) > left and limiter.limit < 10**6:
            limiter.take(EPOCH)

        async def main():
            await read(client(server, on_event=told.append), pages, tally)

        run(main(), debug=False)
        assert server.refused == 0
        return tally.took

    assert took(make()) <= 1.1 * took(FixedWindow(10**6)) + 0.2
    assert not [event for event in told if type(event).__name__ == "QuotaWait"]


@pytest.mark.parametrize("limiter", [Bucket, FixedWindow])
def test_without_headers_the_documented_quota_is_assumed_and_a_429_teaches(limiter):
    """A silent bucket is kept to exactly; a silent window is found out, and each later hour used at once."""
    server, tally = Server(limiter(1500), headers="none"), Tally()
    kinds = set()

    async def main():
        rate_limiter = RateLimiter(8, wall=lambda: EPOCH + now())
        reading = asyncio.create_task(read(client(server, rate_limiter=rate_limiter), 6000, tally))
        while not reading.done():
            await asyncio.sleep(60)
            kinds.add(rate_limiter.quota and rate_limiter.quota.kind)
        await reading

    run(main(), debug=False)
    assert kinds == {"assumed"}
    assert tally.took <= (1.001 if limiter is Bucket else 1.03) * server.limiter.ideal(6000)
    assert server.refused <= (0 if limiter is Bucket else 90)


@_limiters()
def test_the_kind_is_known_and_told(make):
    """After a read of two quotas, whatever RateLimit-Reset means; and a window is called one from the beginning."""
    server, tally = Server(make()), Tally()

    async def main():
        rate_limiter = RateLimiter(8, wall=lambda: EPOCH + now())
        assert rate_limiter.quota is None
        send = client(server, rate_limiter=rate_limiter)
        await send(PAGE)
        first = rate_limiter.quota
        await read(send, int(1.2 * server.limiter.limit), tally)
        return first, rate_limiter.quota

    first, last = run(main(), debug=False)
    assert first.kind == "window"
    assert last.kind == ("bucket" if isinstance(server.limiter, Bucket) else "window")
    assert last.limit == server.limiter.limit
    assert 0 <= last.remaining <= server.limiter.left(EPOCH + 10**6)


@_limiters("window 300", "bucket, full", "bucket, top", "bucket 5000", "burst 50 of 1500")
def test_others_who_look_at_no_header_are_given_way(make):
    """They take a quarter of the refill at random: the read lives on what is left, and single calls beside it, too."""
    server, calls, pages = Server(make()), Tally(), Tally()

    async def main():
        others = asyncio.create_task(server.others(server.limiter.limit / 4 / HOUR, 4 * HOUR))
        send = client(server)
        reading = asyncio.create_task(read(send, 10**6, pages))
        await serve(send, 20 * HOUR / server.limiter.limit, 4 * HOUR, calls)
        reading.cancel()
        await asyncio.gather(reading, others, return_exceptions=True)

    run(main(), debug=False)
    assert (calls.failed, server.refused <= 0.003 * server.served) == (0, True)
    assert server.served + server.limiter.limit >= 0.9 * _given(server.limiter, 4)


# The control: what a client does that believes in windows, as this one did.


class Windowed:
    """Sends while anything remains, and waits for RateLimit-Reset when nothing does."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._left = 1
        self._opens = 0.0

    async def send(self, request: Request) -> RawResponse:
        """Send, or wait for what is believed to be the end of the window; a single call does not wait an hour."""
        while self._left < 1 and now() < self._opens:
            if not request.bulk and self._opens - now() > 60:
                raise TimeoutError
            await asyncio.sleep(self._opens - now())
        self._left -= 1
        answer = await self._send(request)
        self._left = int(answer.headers["RateLimit-Remaining"])
        self._opens = int(answer.headers["RateLimit-Reset"]) / 1000 - EPOCH
        return answer


@pytest.mark.parametrize(("reset", "fails"), [("full", True), ("hour", True), ("top", True), ("next", False)])
def test_the_control_fails_where_the_reset_is_no_end(reset, fails):
    """Others emptied the bucket: for such a client all calls fail until the reset that means something else."""
    server, failed = Server(Bucket(1500, reset)), 0

    async def main():
        nonlocal failed
        server.empty()
        send = Windowed(server.send).send
        for _ in range(100):
            try:
                failed += (await send(CALL)).status == 429
            except TimeoutError:
                failed += 1
            await asyncio.sleep(5)

    run(main(), debug=False)
    assert (failed > 50) == fails


def test_the_control_is_refused_where_several_share():
    """Three such clients at a window of 300: far more than 0.3 % are answered 429."""
    server = Server(FixedWindow(300))

    async def one():
        send = Windowed(server.send).send
        for _ in itertools.takewhile(lambda _: now() < 2 * HOUR, itertools.count()):
            await asyncio.gather(*(send(PAGE) for _ in range(8)))

    async def main():
        await asyncio.gather(one(), one(), one())

    run(main(), debug=False)
    assert server.refused > 0.03 * server.served
