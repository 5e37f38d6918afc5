"""The quota of a server that says nothing of one: what is assumed, and what a 429 teaches."""

from __future__ import annotations

import asyncio
import math

import pytest
from aiohttp import web
from aiolimiter import AsyncLimiter
from conftest import CREDENTIALS
from virtual_time import run

from meitner_aio import Meitner
from meitner_aio._pipeline.smoothing import AssumedQuota


def _low(low: float, _: float) -> float:
    return low


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _spend(quota: AssumedQuota, most: int = 10**6) -> int:
    """Send at once as many as are let through."""
    sent = 0
    while sent < most and not quota.opens(_now()):
        quota.spend(_now())
        quota.succeeded(_now())
        sent += 1
    return sent


def test_the_documented_bucket_is_kept_to():
    """1,500 at once but for one, then one each 2.4 seconds."""

    async def main():
        quota = AssumedQuota(1500, _low)
        assert (quota.limit, quota.left(_now())) == (1500, 1500)
        assert await _spend(quota) == 1499
        assert quota.left(_now()) == 0 or quota.opens(_now()) > _now()
        await asyncio.sleep(240)
        assert 99 <= await _spend(quota) <= 101

    run(main())


async def test_a_client_that_says_nothing_has_the_bucket_of_aiolimiter(aiohttp_server, monkeypatch):
    """`AsyncLimiter(1500, 3600)`, the documented quota, whose tokens the requests of all copies take."""
    made: list[AsyncLimiter] = []

    class Noted(AsyncLimiter):
        def __init__(self, *size: float) -> None:
            super().__init__(*size)
            made.append(self)

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/x", answer)
    url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    monkeypatch.setattr("aiolimiter.AsyncLimiter", Noted)
    async with Meitner(*CREDENTIALS, base_url=url) as meitner:
        for one in (meitner, meitner.with_options(max_retries=0)):
            await one.request("GET", "/x")
    assert [(bucket.max_rate, bucket.time_period) for bucket in made] == [(1500, 3600)]
    assert made[0].has_capacity(1498)
    assert not made[0].has_capacity(1499.5)


def test_a_refusal_is_followed_by_one_who_asks_ever_more_rarely():
    """After 4.8 seconds, 9.6, and so on, at most two minutes; what was refused together counts once."""

    async def main():
        quota, pauses = AssumedQuota(1500, _low), []
        quota.spend(_now())
        for _ in range(8):
            sent = _now()
            quota.refused(sent, sent, None)
            quota.refused(sent, sent - 0.1, None)
            pauses.append(quota.opens(_now()) - _now())
            assert quota.probing
            await asyncio.sleep(pauses[-1])
            assert quota.opens(_now()) == 0.0
            quota.spend(_now())
        return pauses

    assert run(main()) == pytest.approx([4.8, 9.6, 19.2, 38.4, 76.8, 120, 120, 120])


def test_refusals_that_last_longer_than_a_bucket_is_empty_show_a_window():
    """The next one begins with the first success, lasts an hour, and has as many requests as it turned out to have."""

    async def main():
        quota = AssumedQuota(1500, _low)
        assert await _spend(quota, 1000) == 1000
        for _ in range(8):
            sent = _now()
            quota.refused(sent, sent, None)
            await asyncio.sleep(quota.opens(_now()) - _now())
            quota.spend(_now())
        quota.succeeded(_now())
        opened = _now()
        assert await _spend(quota, 999) == 999
        for _ in range(2):  # the window of a thousand has ended
            quota.spend(_now())
            quota.refused(_now(), _now(), None)
            if quota.opens(_now()) < opened + 3600:
                await asyncio.sleep(quota.opens(_now()) - _now())
        assert quota.opens(_now()) == pytest.approx(opened + 3601)
        assert quota.limit <= 1001

    run(main())


def test_a_refusal_that_stays_alone_says_that_the_bucket_is_smaller():
    """It was believed to be nearly full: the burst is what was sent until then, the rate stays."""

    async def main():
        quota = AssumedQuota(1500, _low)
        await _spend(quota, 50)
        quota.spend(_now())
        quota.refused(_now(), _now(), None)
        await asyncio.sleep(4.8)
        quota.spend(_now())
        quota.succeeded(_now())
        assert quota.limit == 1500
        await asyncio.sleep(1000)
        assert 45 <= await _spend(quota) <= 51

    run(main())


def test_a_refusal_of_an_empty_bucket_says_that_it_is_slower():
    """A fifth less, and a tenth more again after an hour without any."""

    async def main():
        quota = AssumedQuota(1500, _low)
        await _spend(quota)
        quota.refused(_now(), _now(), None)
        await asyncio.sleep(4.8)
        quota.spend(_now())
        quota.succeeded(_now())
        assert quota.limit == 1200
        await asyncio.sleep(3601)
        quota.succeeded(_now())
        assert quota.limit == 1320

    run(main())


def test_a_wait_that_the_server_asks_for_is_kept():
    """Retry-After, and a tenth of it at most on top."""

    async def main():
        quota = AssumedQuota(1500, lambda _, high: high)
        quota.refused(_now(), _now(), 100.0)
        assert quota.opens(_now()) - _now() == pytest.approx(110)

    run(main())


def test_infinity_assumes_no_quota():
    """And learns nothing."""

    async def main():
        quota = AssumedQuota(math.inf, _low)
        quota.refused(_now(), _now(), None)
        assert await _spend(quota, 10_000) == 10_000
        assert not quota.probing

    run(main())
