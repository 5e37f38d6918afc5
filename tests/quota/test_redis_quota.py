"""The quota in Redis, against a real server: four processes on one credential, Redis away, and what lies in it."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from itertools import count

import pytest
from fast_time import fast_clock
from raw_server import STUDENT_ID, RawServer, answer
from redis_server import RedisServer, require_redis
from shared_hosts import Hosts, share

from meitner_aio import ApiKey, ConfigurationError, Meitner, OAuth2, QuotaPolicy
from meitner_aio._pipeline.authentication import BearerAuth
from meitner_aio._pipeline.identity import quota_key
from meitner_aio.cached import RedisCache
from meitner_aio.quota import QuotaBucket, QuotaStore, RedisQuota
from meitner_aio.sandbox import Sandbox

HOURLY = QuotaBucket(1500.0, 1498)
KEY = "0" * 64
_numbers = count()


@pytest.fixture
def prefix() -> str:
    """Give a prefix that no other test has."""
    return f"quota{next(_numbers)}:"


@pytest.fixture
async def redis(redis_server):
    """Give a client of the test's own to look behind the counter with."""
    from redis.asyncio import Redis

    async with Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def alone():
    """Give a server that a test may stop, pause and start again."""
    require_redis()
    with RedisServer() as server:
        yield server


# Hosts.


@pytest.mark.parametrize("shared", [True, False])
async def test_four_processes_share_a_quota_that_no_answer_states(shared, alone):
    """An hour in four seconds: without the store each spends the quota for itself, with it none is refused."""
    sandbox = Sandbox(students=300, quota=120, headers="none", clock=fast_clock(900))
    async with sandbox:
        hosts = Hosts(sandbox.url, alone.url if shared else None, speed=900, hours=0.5, per_hour=120)
        seen = await share(hosts, sandbox)
    assert seen.refused <= 3 if shared else seen.refused > 10
    assert seen.share > 0.4  # a process that is slow lets tokens overflow: the share is held by the longer test


@pytest.mark.slow
@pytest.mark.parametrize("headers", ["none", "now"])
async def test_four_processes_use_nearly_all_of_1500_requests_an_hour(headers, alone):
    """The documented quota, an hour in 36 seconds: more than 95 % is used, and hardly a request is refused."""
    sandbox = Sandbox(students=300, headers=headers, clock=fast_clock(100))
    async with sandbox:
        seen = await share(Hosts(sandbox.url, alone.url, speed=100, hours=0.5), sandbox)
    assert seen.refused <= 3
    assert seen.share > 0.95


# The bucket.


async def test_a_cache_beside_it_forgets_no_quota(redis_server):
    """With the prefixes that nobody named: what was taken stays taken when the cache is cleared."""
    bucket = QuotaBucket(10.0, 1)
    async with RedisQuota(redis_server.url) as quota, RedisCache(redis_server.url) as cache:
        assert await quota.take(KEY, bucket) == 0.0
        await cache.clear()
        assert await quota.take(KEY, bucket) > 300


async def test_a_bucket_is_one_for_all_stores_and_says_when_to_come_back(redis_server, prefix):
    """Two stores empty it together; the next request is there after an interval, by the time of Redis."""
    bucket = QuotaBucket(1500.0, 20)
    async with RedisQuota(redis_server.url, prefix=prefix) as one, RedisQuota(redis_server.url, prefix=prefix) as two:
        waits = [await store.take(KEY, bucket) for _ in range(11) for store in (one, two)]
    assert waits[:20] == [0.0] * 20
    assert 0 < waits[-1] <= 2.4
    assert waits.count(0.0) <= 21  # a slow machine may see one come back


async def test_the_clock_of_a_host_means_nothing(redis_server, prefix, monkeypatch):
    """One whose clock is an hour ahead gets nothing that the others do not: the time is that of Redis."""
    bucket = QuotaBucket(36.0, 10)
    async with RedisQuota(redis_server.url, prefix=prefix) as one, RedisQuota(redis_server.url, prefix=prefix) as two:
        assert [await one.take(KEY, bucket) for _ in range(10)] == [0.0] * 10
        monkeypatch.setattr("time.time", lambda: 10**10)
        monkeypatch.setattr("time.time_ns", lambda: 10**19)
        assert await two.take(KEY, bucket) > 0


@pytest.mark.parametrize(
    ("spent", "left", "after"), [(0, 100, 100), (0, 1495, 1498), (1000, 0, 0), (1000, 494, 498), (1498, 900, 900)]
)
async def test_a_bucket_follows_what_the_server_has_left(redis_server, prefix, spent, left, after):
    """Down when it holds more, up when it holds many less; a few are requests on their way."""
    async with RedisQuota(redis_server.url, prefix=prefix) as store:
        if spent:
            assert await store._spend(KEY, HOURLY, spent) == 0.0
        await store.tell(KEY, HOURLY, float(left))
        holds = HOURLY.burst - store._algorithm.consumed(
            [_rate()], await store._store(KEY).read(store._algorithm, [_rate()]), await store._now()
        )
    assert after <= holds <= after + 4  # some may come back on a slow machine


def _rate():
    from pyrate_limiter import Duration, Rate

    return Rate(1500, Duration.HOUR, burst=1498)


# As the store of clients.


def _client(server, store, client_id="an-id", secret="a-secret", **options):
    options.setdefault("quota", QuotaPolicy())
    return Meitner(client_id, secret, base_url=server.url, quota_store=store, **options)


async def test_clients_of_a_credential_have_one_bucket_that_names_nobody(redis_server, redis, prefix):
    """Two clients, one with a new secret, a copy and a cache: one hash, of which Redis forgets; others have their own."""
    store = RedisQuota(redis_server.url, prefix=prefix)
    async with RawServer([answer()]) as server:
        async with _client(server, store) as one, _client(server, store, secret="another-secret") as two:
            await one.students.get(STUDENT_ID)
            await two.with_options(max_retries=0).students.get(STUDENT_ID)
            await two.cached(ttl=60).students.get(STUDENT_ID)
            await two.cached(ttl=60).students.get(STUDENT_ID)
            [key] = [key async for key in redis.scan_iter(match=f"{prefix}*")]
            async with _client(server, store, "another-id") as other:
                await other.students.get(STUDENT_ID)
        keys = [key async for key in redis.scan_iter(match=f"{prefix}*")]
        assert len(keys) == 2
        assert await redis.hlen(key) == 1
        assert 0 < await redis.pttl(key) <= 2 * 3600 * 1000
        assert len(key) == len(prefix) + 64
        dump = b"".join([*keys, *[value for key in keys for value in await redis.hvals(key)]])
        host = server.url.split("//")[1].split("/")[0].encode()
        assert not any(told in dump for told in (b"an-id", b"another", b"secret", host))


async def test_a_request_costs_one_call_of_a_script(alone):
    """Besides, every ten seconds, what the answers say is left, and every minute the time of Redis."""
    from redis.asyncio import Redis

    told = {"RateLimit-Limit": "1500", "RateLimit-Remaining": "1400", "RateLimit-Reset": "3600"}
    async with RawServer([answer(headers=told)]) as server, Redis.from_url(alone.url) as redis:
        async with _client(server, RedisQuota(alone.url)) as meitner:
            for _ in range(20):
                await meitner.students.get(STUDENT_ID)
        stats = await redis.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()}
    assert 20 <= calls["evalsha"] <= 26  # one that Redis had not seen yet, and some that lowered the bucket
    assert calls["time"] <= 2


async def test_requests_for_tokens_are_not_counted(redis_server, redis, prefix):
    """They pass no limiter of the client; where the server counts them, its headers say so."""
    store = RedisQuota(redis_server.url, prefix=prefix)
    token = answer(data={"access_token": "tok", "expires_in": 3600})
    async with RawServer([token, answer()]) as server:
        async with Meitner(auth=OAuth2("an-id", "a-secret"), base_url=server.url, quota_store=store) as meitner:
            await meitner.students.get(STUDENT_ID)
        assert len(server.seen) == 2
        key = await quota_key(server.url, ApiKey("an-id", "a-secret"))
        async with store:
            state = await store._store(key).read(store._algorithm, [_rate()])
            assert store._algorithm.consumed([_rate()], state, await store._now()) == 1


async def test_the_key_is_that_of_server_and_client_id():
    """The same for a new secret and for OAuth2; another for another server or id."""
    url = "https://api.example/directory/v1"
    bearer = BearerAuth(OAuth2("an-id", "s"), lambda _: None, url)  # type: ignore[arg-type, return-value]
    same = {await quota_key(url, auth) for auth in (ApiKey("an-id", "a"), ApiKey("an-id", "b"), bearer)}
    assert len(same) == 1
    assert await quota_key("https://api.other/directory/v1", ApiKey("an-id", "a")) not in same
    assert await quota_key(url, ApiKey("id", "a")) not in same


# When Redis is away.


async def test_a_redis_that_is_away_fails_no_call_and_is_used_again_when_it_is_back(alone, caplog, monkeypatch):
    """One warning that quotes no password; then requests are counted again."""
    monkeypatch.setattr("meitner_aio._pipeline.shared_quota._PATIENCE", 5.0)  # the machine may be slow
    monkeypatch.setattr("meitner_aio._pipeline.shared_quota._FIRST_REST", 0.01)
    monkeypatch.setattr("meitner_aio._pipeline.shared_quota._LONGEST_REST", 0.02)
    url = alone.url.replace("//", "//:canary-password@")
    alone.stop()
    with caplog.at_level(logging.WARNING, "meitner_aio"):
        async with RawServer([answer()]) as server, _client(server, RedisQuota(url)) as meitner:
            for _ in range(5):
                await meitner.students.get(STUDENT_ID)
            assert [record.levelname for record in caplog.records] == ["WARNING"]
            assert "canary" not in caplog.text
    with caplog.at_level(logging.INFO, "meitner_aio"):
        async with RawServer([answer()]) as server, _client(server, RedisQuota(alone.url)) as meitner:
            await meitner.students.get(STUDENT_ID)
            assert alone.start()
            async with asyncio.timeout(30):
                while "the quota store is back" not in caplog.text:
                    await asyncio.sleep(0.02)
                    await meitner.students.get(STUDENT_ID)


async def test_a_redis_that_hangs_is_waited_for_once(alone, monkeypatch):
    """Twenty calls take no longer than the first of them."""
    waited = []
    real = asyncio.wait

    async def wait(tasks, **options):
        waited.append(options.get("timeout"))
        return await real(tasks, **options)

    async with RawServer([answer()]) as server, _client(server, RedisQuota(alone.url)) as meitner:
        await meitner.students.get(STUDENT_ID)
        monkeypatch.setattr("meitner_aio._pipeline.shared_quota.asyncio.wait", wait)
        alone.pause()
        try:
            for _ in range(20):
                await meitner.students.get(STUDENT_ID)
        finally:
            alone.go_on()
    assert [timeout for timeout in waited if timeout is not None] == [0.25]


# What makes no store.


async def test_connections_are_closed_with_the_last_client_and_the_callers_stay_open(redis_server, redis, prefix):
    """A store serves a later client, too, and one loop after another; a client of the caller's is never closed."""
    store = RedisQuota(redis_server.url, prefix=prefix)
    async with RawServer([answer()]) as server:
        for _ in range(2):
            async with _client(server, store) as one, _client(server, store) as two:
                await one.students.get(STUDENT_ID)
                await two.students.get(STUDENT_ID)
                await one.close()
                await two.students.get(STUDENT_ID)
                assert store._redis.connection_pool._available_connections
            assert all(not one.is_connected for one in store._redis.connection_pool._available_connections)
        own = RedisQuota(redis, prefix=prefix)
        async with _client(server, own) as meitner:
            await meitner.students.get(STUDENT_ID)
    assert await redis.ping()


def test_a_store_serves_one_loop_after_another(redis_server, prefix):
    """Closed at the end of one, it opens connections in the next; in two at once it says what to do."""
    store = RedisQuota(redis_server.url, prefix=prefix)

    async def take():
        async with store:
            assert await store.take(KEY, HOURLY) == 0.0

    asyncio.run(take())
    asyncio.run(take())


def test_repr_shows_no_password():
    """Neither does an error about the URL."""
    store: QuotaStore = RedisQuota("rediss://:canary@localhost", prefix="p:")
    assert repr(store) == "<RedisQuota: prefix 'p:'>"
    with pytest.raises(ValueError, match="percent-encode") as caught:
        RedisQuota("redis://me:secret-canary/token-canary@localhost:6379")
    assert "canary" not in str(caught.value)
    with pytest.raises(TypeError, match="not int"):
        RedisQuota(6379)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("missing", "what"), [("redis.asyncio", "RedisQuota needs redis"), ("pyrate_limiter", "needs pyrate-limiter")]
)
def test_without_the_extra_the_command_is_named(monkeypatch, missing, what):
    """The error names the extra to install; the cache needs only redis."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigurationError, match=rf'{what}: pip install "meitner-aio\[redis\]"'):
        RedisQuota("redis://localhost")
    if missing == "pyrate_limiter":
        RedisCache("redis://localhost")


def test_importing_loads_neither_library():
    """They are imported only on use."""
    code = "import sys, meitner_aio, meitner_aio.quota; print({'redis', 'pyrate_limiter'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
