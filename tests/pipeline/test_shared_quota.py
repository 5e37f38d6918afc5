"""A quota that hosts share through a store: its word is advice, and its failures are nobody's, on a virtual clock."""

from __future__ import annotations

import asyncio
import logging
import math

import pytest
from limiters import EPOCH, Bucket, FixedWindow, Server
from msgspec.structs import replace
from quota_stores import MemoryQuota, ScriptedQuota
from traffic import CALL, PAGE, Tally, client, now, read
from virtual_time import run

from meitner_aio import QuotaExhausted, QuotaPolicy, Rate
from meitner_aio._pipeline.gate import GATE, gated
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._pipeline.shared_quota import SharedQuota
from meitner_aio.quota import QuotaBucket

LOG = logging.getLogger("meitner_aio")


def on_virtual_time(main):
    """Make a test of a coroutine function."""

    def test():
        run(main())

    test.__doc__, test.__name__ = main.__doc__, main.__name__
    return test


async def _key():
    return "0" * 64


class Host:
    """A client of a server that shares its quota through a store; without a store it is as any other."""

    def __init__(self, server, store=None, *, rate=None, **policy):
        self.limiter = RateLimiter(8, rate, QuotaPolicy(**policy), wall=lambda: EPOCH + now())
        if store is not None:
            self.limiter.share(SharedQuota(store, _key, LOG))
        self.send = client(server, rate_limiter=self.limiter)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.limiter.close()
        await self.limiter.close_shared()


async def _reads_for(hosts, seconds):
    """Let each host read pages for so long; return how many each got."""
    tallies = [Tally() for _ in hosts]
    reading = [asyncio.create_task(read(host.send, 10**6, tally)) for host, tally in zip(hosts, tallies, strict=True)]
    await asyncio.sleep(seconds)
    for one in reading:
        one.cancel()
    await asyncio.wait(reading)
    for host in hosts:
        await host.__aexit__()
    return [tally.pages for tally in tallies]


@pytest.mark.parametrize("shared", [False, True])
def test_four_hosts_before_a_silent_server_are_refused_only_without_a_store(shared):
    """Where answers state no quota, each host believes that all of it is its own; with a store they share it evenly."""

    async def main():
        server, store = Server(Bucket(300), headers="none"), MemoryQuota()
        hosts = [Host(server, store if shared else None, per_hour=300) for _ in range(4)]
        pages = await _reads_for(hosts, 2 * 3600)
        return server, store, pages

    server, store, pages = run(main(), debug=False)
    possible = 300 + 2 * 300
    if not shared:
        assert server.refused > 40
        return
    assert server.refused == 0
    assert server.served >= 0.95 * possible
    assert min(pages) >= 0.8 * possible / 4
    assert store.refused <= 6 * store.taken  # a host asks again when there is something, not all the time


@pytest.mark.parametrize("limiter", [Bucket(300), FixedWindow(300)])
def test_a_store_costs_nothing_where_headers_tell(limiter):
    """At least 96 % of what the limiter gives is used, and hardly any request refused, as without a store."""

    async def main():
        server, store = Server(limiter), MemoryQuota()
        await _reads_for([Host(server, store) for _ in range(4)], 2 * 3600 - 1)
        return server

    server = run(main(), debug=False)
    assert server.refused <= 0.003 * server.served
    assert server.served >= 0.96 * (900 if isinstance(limiter, Bucket) else 600)


# The headers win.


async def _granted():
    return 0.0


def _call():
    """Return a request of its own: how far it came is noted in it."""
    return replace(CALL, attempt=type(CALL.attempt)())


async def _later():
    return 2.0


@on_virtual_time
async def test_a_store_that_lets_everything_leave_is_overruled_by_headers():
    """It says go, the headers say wait: hardly any request is refused."""
    server = Server(Bucket(100))
    async with Host(server, ScriptedQuota(_granted)) as host:
        await read(host.send, 200, Tally())
    assert server.served == 200
    assert server.refused <= 2


@on_virtual_time
async def test_a_store_that_lets_nothing_leave_is_overruled_by_headers():
    """Most of 1,500 are left by the headers: a read of 100 pages is not held back, and the store hears of what is left."""
    first = iter([0.0])

    async def take():
        return next(first, 2.0)

    store = ScriptedQuota(take)
    async with Host(Server(Bucket(1500)), store) as host:
        await host.send(CALL)
        tally = Tally()
        await read(host.send, 100, tally)
    assert tally.took < 10
    assert store.told
    assert store.told[-1][1] > 1300


@on_virtual_time
async def test_the_bucket_is_the_one_that_answers_show():
    """1,500 an hour are assumed until an answer tells of 5,000; little less is shared, because requests travel."""
    store = MemoryQuota()
    async with Host(Server(Bucket(5000)), store) as host:
        for _ in range(3):
            await host.send(CALL)
    assert store.seen == {QuotaBucket(1500.0, 1498), QuotaBucket(5000.0, 4998)}


@on_virtual_time
async def test_what_is_left_is_told_every_ten_seconds():
    """Not more often: a request costs one call of the store."""
    store = MemoryQuota()
    async with Host(Server(Bucket(1500)), store) as host:
        for _ in range(30):
            await host.send(CALL)
            await asyncio.sleep(1)
    assert [round(at / 11) for at, _ in store.told] == [0, 1, 2]
    assert store.told[-1][1] == pytest.approx(1500 - 20, abs=10)
    assert store.taken == 30


@pytest.mark.parametrize("headers", ["now", "none"])
def test_a_429_is_told_at_once(headers):
    """The others learn that nothing is left, also from a server that states no quota."""

    async def main():
        server, store = Server(Bucket(1500), headers=headers), MemoryQuota()
        async with Host(server, store) as host:
            await host.send(CALL)
            server.empty()
            await host.send(replace(CALL, bulk=True))
            await asyncio.sleep(0)
        return server, store

    server, store = run(main())
    assert server.refused == 1
    assert 0.0 in [left for _, left in store.told]


@on_virtual_time
async def test_without_any_quota_the_store_is_not_asked():
    """`per_hour=math.inf` and no headers: there is nothing to share."""
    store = ScriptedQuota(_later)
    async with Host(Server(Bucket(1500), headers="none"), store, per_hour=math.inf) as host:
        await host.send(CALL)
    assert store.asked == 0


@on_virtual_time
async def test_a_store_that_is_stuck_holds_nobody_for_more_than_two_minutes():
    """It asks for an hour again and again, as after a clock that was set back; then the server is asked."""

    async def stuck():
        return 3600.0

    async with Host(Server(Bucket(1500), headers="none"), ScriptedQuota(stuck)) as host:
        await host.send(PAGE)
        assert 60 <= now() <= 180


# Who waits, and who does not.


@on_virtual_time
async def test_a_single_call_goes_before_the_pages_that_wait_for_the_store():
    """Whoever is refused leaves its slot: a page that waits holds up no call."""
    opens = []

    async def take():
        return 0.0 if opens else 20.0

    server = Server(Bucket(1500), headers="none", latency=0.0)
    ended = []

    async def sent(host, request, name):
        await host.send(request)
        ended.append(name)

    async with Host(server, ScriptedQuota(take), per_hour=100) as host, asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(sent(host, PAGE, f"page {number}"))
        await asyncio.sleep(5)
        group.create_task(sent(host, CALL, "call"))
        await asyncio.sleep(1)
        opens.append(True)
    assert ended[0] == "call"
    assert ended[1:] == [f"page {number}" for number in range(10)]  # in the order of arrival


@pytest.mark.parametrize(
    ("policy", "bulk", "refused"),
    [({}, False, True), ({}, True, False), ({"max_wait": 200}, False, False), ({"on_exhausted": "raise"}, True, True)],
)
def test_patience_is_that_of_the_quota(policy, bulk, refused):
    """A single call waits a minute for the store's next request, bulk as long as it takes, and the policy decides."""

    async def main():
        waits = iter([100.0])

        async def take():
            return next(waits, 0.0)

        async with Host(Server(Bucket(1500), headers="none"), ScriptedQuota(take), per_hour=36, **policy) as host:
            if refused:
                with pytest.raises(QuotaExhausted):
                    await host.send(replace(CALL, bulk=bulk))
            else:
                await host.send(replace(CALL, bulk=bulk))
                assert now() >= 60
        return host

    run(main())


@on_virtual_time
async def test_who_never_waits_still_waits_for_the_answer_of_the_store():
    """Two calls at once where little is left: the second asks after the first, and neither is refused for it."""
    waits = iter([0.5])

    async def take():
        await asyncio.sleep(0.1)
        return next(waits, 0.0)

    async with Host(Server(Bucket(1500), headers="none"), ScriptedQuota(take), on_exhausted="raise") as host:
        with pytest.raises(QuotaExhausted):
            await host.send(CALL)
        await asyncio.sleep(1)
        await asyncio.gather(host.send(CALL), host.send(CALL))


# Nothing is spent in vain.


@pytest.mark.parametrize("turns", range(0, 12, 2))
def test_what_a_cancelled_request_took_is_for_the_next_one(turns):
    """Cancelled at any turn of the loop before it leaves: two requests reach the server, two are taken."""

    async def main():
        server, store = Server(Bucket(1500), latency=1.0), MemoryQuota()
        async with Host(server, store) as host:
            await host.send(CALL)
            sending = asyncio.create_task(host.send(CALL))
            for _ in range(turns):
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.wait([sending])
            await asyncio.sleep(1)
            await host.send(CALL)
        return server, store

    server, store = run(main())
    left = store.taken - server.served
    assert left == 0 or turns >= 4  # it may have left by then, and then it counts


@pytest.mark.parametrize("where", ["smoother", "gate"])
def test_what_is_cancelled_before_it_leaves_is_not_spent(where):
    """It waits for the local bucket, or for the bound that tenants share, after the store let it go."""

    async def main():
        server, store = Server(Bucket(1500), latency=0.0), MemoryQuota()
        host = Host(server, store, rate=Rate(0.1) if where == "smoother" else None)
        lock = asyncio.Lock()
        host.send = host.limiter.admitting(gated(server.send))
        GATE.set(lambda: lock if where == "gate" else asyncio.Lock())
        async with host:
            await host.send(replace(CALL))
            if where == "gate":
                await lock.acquire()
            sending = asyncio.create_task(host.send(_call()))
            await asyncio.sleep(1)
            sending.cancel()
            await asyncio.wait([sending])
            if where == "gate":
                lock.release()
            await host.send(CALL)
        return server, store

    server, store = run(main())
    assert server.served == store.taken == 2


# When the store is away.


async def _fails():
    raise OSError("redis://:canary@host")


async def _hangs():
    await asyncio.sleep(10**6)


def _says(value):
    async def take():
        return value

    return take


TROUBLE = {
    "fails": _fails,
    "hangs": _hangs,
    **{f"says {value!r}": _says(value) for value in (math.nan, -1.0, math.inf, "soon", None, True)},
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_a_store_in_trouble_is_one_warning_and_no_failed_call(trouble, caplog):
    """Headers alone decide: a quarter of a second is lost once, and the store is asked ever more rarely."""
    store, waits = ScriptedQuota(trouble), []

    async def main():
        async with Host(Server(Bucket(1500), latency=0.0), store) as host:
            for _ in range(120):
                began = now()
                await host.send(CALL)
                waits.append(now() - began)
                await asyncio.sleep(1)
            await asyncio.wait_for(asyncio.gather(*(host.send(PAGE) for _ in range(8))), 1)

    with caplog.at_level(logging.WARNING, "meitner_aio"):
        run(main())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the quota store is away" in caplog.text
    assert "canary" not in caplog.text
    assert waits[0] <= 0.26
    assert max(waits[1:]) < 0.001
    assert 4 <= store.asked <= 12


@on_virtual_time
async def test_a_store_that_is_back_is_asked_again():
    """Every request, at the latest half a minute after; those that looked for it were counted and did not wait."""
    away = [True]

    async def take():
        return await (_fails() if away else _granted())

    store = ScriptedQuota(take)
    async with Host(Server(Bucket(1500), latency=0.0), store) as host:
        for _ in range(20):
            await host.send(CALL)
            await asyncio.sleep(1)
        away.clear()
        await asyncio.sleep(30)
        await host.send(CALL)
        asked = store.asked
        for _ in range(5):
            await asyncio.sleep(0.01)
            await host.send(CALL)
        assert store.asked == asked + 5


@on_virtual_time
async def test_what_is_cancelled_while_the_store_is_away_was_never_taken():
    """Eight that were cancelled before they left: once the store is back, each request is taken out of it again."""
    away, quota, lock = [True], MemoryQuota(), asyncio.Lock()
    bucket = QuotaBucket(1500.0, 1500)

    async def take():
        return await (_fails() if away else quota.take("0" * 64, bucket))

    server = Server(Bucket(1500), latency=0.0)
    async with Host(server, ScriptedQuota(take)) as host:
        host.send = host.limiter.admitting(gated(server.send))
        GATE.set(lambda: lock)
        await host.send(_call())
        await lock.acquire()
        sending = [asyncio.create_task(host.send(_call())) for _ in range(8)]
        await asyncio.sleep(0.01)
        for task in sending:
            task.cancel()
        await asyncio.wait(sending)
        lock.release()
        away.clear()
        await asyncio.sleep(30)
        await host.send(_call())
        await asyncio.sleep(1)
        for _ in range(5):
            await host.send(_call())
        assert (quota.taken, server.served) == (6, 7)


@on_virtual_time
async def test_a_connection_that_takes_longer_than_a_request_waits_is_still_made():
    """The first question goes on behind the request, so that the next one finds the connection open."""
    opened = []

    async def take():
        if not opened:
            await asyncio.sleep(1.0)
            opened.append(now())
        return 0.0

    store = ScriptedQuota(take)
    async with Host(Server(Bucket(1500), latency=0.0), store) as host:
        await host.send(CALL)
        assert now() < 0.3
        await asyncio.sleep(2)
        assert opened
        await host.send(CALL)
        await asyncio.sleep(0.1)
        asked = store.asked
        await host.send(CALL)
        assert store.asked == asked + 1


@on_virtual_time
async def test_requests_held_back_go_on_when_the_store_goes_away():
    """What it last said does not outlive it."""
    waits = iter([50.0])

    async def take():
        try:
            return next(waits)
        except StopIteration:
            raise OSError from None

    async with Host(Server(Bucket(1500), headers="none"), ScriptedQuota(take), per_hour=100) as host:
        await asyncio.gather(*(host.send(PAGE) for _ in range(4)))
        assert now() < 60


# Its end.


@on_virtual_time
async def test_the_store_is_closed_after_the_last_of_its_clients():
    """One serves many; one that asked nothing of it is not counted."""
    store, server = MemoryQuota(), Server(Bucket(1500))
    hosts = [Host(server, store) for _ in range(3)]
    for host in hosts[:2]:
        await host.send(CALL)
    for host in (hosts[2], hosts[0]):
        await host.__aexit__()
        assert store.closed == 0
    await hosts[1].__aexit__()
    assert store.closed == 1


@on_virtual_time
async def test_closing_ends_what_is_asked_and_minds_no_error():
    """A store that hangs, and whose own close() fails, delays nothing."""

    class Bad(ScriptedQuota):
        __hash__ = None  # as of a dataclass: it cannot be counted

        async def close(self):
            raise OSError

    async with Host(Server(Bucket(1500)), Bad(_hangs)) as host:
        sending = asyncio.create_task(host.send(CALL))
        await asyncio.sleep(0.1)
    await asyncio.wait([sending])
    assert now() < 2


@pytest.mark.parametrize("store", ["redis://localhost", object(), type("Half", (), {"take": _granted})()])
def test_what_is_no_store_is_refused_at_once(store):
    """The error names what is missing."""
    with pytest.raises(TypeError, match="quota_store must have an async"):
        SharedQuota(store, _key, LOG)
