"""The cache in Redis, against a real server: shared by processes, with lifetimes, and limited to its own keys."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest
from raw_server import STUDENT_ID, RawServer, answer
from redis_server import RedisServer, require_redis

from meitner_aio import ConfigurationError, Meitner
from meitner_aio.cached import Cached, CacheProvider, RedisCache

_numbers = count()


@pytest.fixture
def prefix() -> str:
    """Give a prefix that no other test has."""
    return f"test{next(_numbers)}:"


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Any]:
    """Give a client of the test's own to look behind the counter with."""
    from redis.asyncio import Redis

    async with Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
async def store(redis_server: RedisServer, prefix: str) -> AsyncIterator[RedisCache]:
    """Give a cache."""
    async with RedisCache(redis_server.url, prefix=prefix) as store:
        yield store


@pytest.fixture
def alone() -> Iterator[RedisServer]:
    """Give a server that a test may stop, pause and start again."""
    require_redis()
    with RedisServer("--enable-debug-command", "local") as server:
        yield server


KEY, OTHER = "0" * 40, "1" * 40


# As a provider.


async def test_what_is_kept_is_given_back_with_the_time_that_is_left(
    store: RedisCache, redis: Any, prefix: str
) -> None:
    """Bytes of any kind, by key; what never expires was not kept here."""
    assert isinstance(store, CacheProvider)
    value = bytes(range(256))
    await store.set(KEY, value, 60.0)
    kept = await store.get(KEY)
    assert kept is not None
    assert kept.value == value
    assert 59.0 < kept.expires_in <= 60.0
    assert await store.get(OTHER) is None
    await store.delete(KEY)
    await store.delete(OTHER)
    assert await store.get(KEY) is None
    await redis.set(prefix + KEY, b"for ever")
    assert await store.get(KEY) is None


async def test_redis_itself_forgets_in_time(store: RedisCache, redis: Any, prefix: str) -> None:
    """Redis expires the keys by itself."""
    await store.set(OTHER, b"value", 60.0)
    assert 0 < await redis.pttl(prefix + OTHER) <= 60_000
    assert await redis.ttl(f"{prefix}index") > 0
    await store.set(KEY, b"value", 0.05)
    while await redis.exists(prefix + KEY):
        await asyncio.sleep(0.005)
    assert await store.get(KEY) is None


@pytest.mark.parametrize("ttl", [0.0, -1.0, 0.0001])
async def test_what_has_no_time_is_not_kept(store: RedisCache, ttl: float) -> None:
    """Without a lifetime nothing is stored, and the value kept before is dropped."""
    await store.set(KEY, b"old", 60.0)
    await store.set(KEY, b"new", ttl)
    assert await store.get(KEY) is None


async def test_what_is_too_large_is_not_kept(store: RedisCache) -> None:
    """Values above 4 MiB are not stored."""
    await store.set(KEY, bytes(4 * 1024 * 1024), 60.0)
    assert await store.get(KEY) is not None
    await store.set(KEY, bytes(4 * 1024 * 1024 + 1), 60.0)
    assert await store.get(KEY) is None


async def test_no_more_is_kept_than_there_is_room_for(redis_server: RedisServer, redis: Any, prefix: str) -> None:
    """Whoever keeps it, at the same time too: those go first that were kept first, and keeping again counts anew."""
    async with (
        RedisCache(redis_server.url, prefix=prefix, maxsize=5) as one,
        RedisCache(redis, prefix=prefix, maxsize=5) as other,
    ):
        for number in range(7):
            await one.set(f"{number:040}", b"value", 60.0)
        left = [number for number in range(7) if await one.get(f"{number:040}") is not None]
        assert left == [2, 3, 4, 5, 6]
        await one.set(f"{2:040}", b"value", 60.0)
        await one.set(f"{9:040}", b"value", 60.0)
        assert await one.get(f"{2:040}") is not None
        assert await one.get(f"{3:040}") is None
        for start in range(100, 400, 50):
            await asyncio.gather(*(
                cache.set(f"{number:040}", b"value", 60.0) for number in range(start, start + 50) for cache in (one, other)
            ))  # fmt: skip
            keys = [key async for key in redis.scan_iter(match=f"{prefix}*")]
            assert len(keys) <= 5 + 1


@pytest.mark.parametrize("mine", ["plain:", "st*r:", "m?rk:", "[ab]c:", "back\\slash:", "a^b-c:", "å:", "{tag}:"])
async def test_clear_touches_nobody_elses_keys(redis_server: RedisServer, redis: Any, mine: str, prefix: str) -> None:
    """A prefix is taken literally, whatever Redis makes of its characters in a pattern."""
    mine = prefix + mine
    foreign = [
        f"{prefix}star:x",
        f"{prefix}stXXr:x",
        f"{prefix}mark:x",
        f"{prefix}ac:x",
        f"{prefix}bc:x",
        f"{prefix}backslash:x",
        f"{prefix}x",
        f"x{mine}x",
    ]
    for key in foreign:
        await redis.set(key, b"theirs")
    async with RedisCache(redis_server.url, prefix=mine) as store:
        for number in range(1200):
            await store.set(f"{number:040}", b"value", 60.0)
        await store.clear()
        assert [await redis.get(key) for key in foreign] == [b"theirs"] * len(foreign)
        assert await store.get(f"{0:040}") is None
        left = [key async for key in redis.scan_iter(count=1000) if key.startswith(mine.encode())]
        assert left == []


async def test_databases_are_apart(redis_server: RedisServer, redis: Any, prefix: str) -> None:
    """The database in the URL is used."""
    async with RedisCache(f"{redis_server.url}/3", prefix=prefix) as store:
        await store.set(KEY, b"value", 60.0)
        assert not await redis.exists(prefix + KEY)


# As the cache of a client.


def _client(server: RawServer, **options: Any) -> Meitner:
    return Meitner("an-id", "a-secret", base_url=server.url, **options)


async def _first_name(cached: Any) -> str:
    name: str = (await cached.students.get(STUDENT_ID)).first_name
    return name


async def test_clients_of_the_same_credentials_share_what_is_kept(store: RedisCache, redis: Any, prefix: str) -> None:
    """Others ask the server; keys tell nothing, and values no credential."""
    async with RawServer([answer()]) as server:
        for _ in range(2):
            async with _client(server) as meitner:
                assert await _first_name(meitner.cached(ttl=60.0, provider=store)) == "Bo"
        assert len(server.seen) == 1
        async with Meitner("another-id", "a-secret", base_url=server.url) as other:
            assert await _first_name(other.cached(ttl=60.0, provider=store)) == "Bo"
        assert len(server.seen) == 2
    keys = [key async for key in redis.scan_iter(match=f"{prefix}*")]
    assert sorted(len(key) - len(prefix) for key in keys) == [5, 40, 40]
    for key in keys:
        value = await redis.get(key) if not key.endswith(b"index") else b""
        assert STUDENT_ID.encode() not in key
        assert not any(secret in key + value for secret in (b"an-id", b"a-secret", b"another-id"))


async def test_processes_share_what_is_kept(redis_server: RedisServer, prefix: str) -> None:
    """A process reads from the cache what another one stored."""
    script = f"""
        import asyncio, sys
        from meitner_aio import Meitner
        from meitner_aio.cached import RedisCache

        async def main():
            async with RedisCache({redis_server.url!r}, prefix={prefix!r}) as store:
                async with Meitner("an-id", "a-secret", base_url=sys.argv[1]) as meitner:
                    print((await meitner.cached(ttl=60, provider=store).students.get({STUDENT_ID!r})).first_name)

        asyncio.run(main())
    """
    async with RawServer([answer()]) as server:
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-W", "error", "-c", textwrap.dedent(script), server.url, stdout=subprocess.PIPE
            )
            assert (await process.communicate())[0] == b"Bo\n"
        assert len(server.seen) == 1


async def test_what_others_planted_is_a_miss(store: RedisCache, redis: Any, prefix: str) -> None:
    """Pickles of any origin, answers of other credentials or under another key, and what never expires."""
    hexadecimal = "[0-9a-f]" * 40
    eva = {"id": STUDENT_ID, "identityNumber": "1", "firstName": "Eva", "lastName": "Ek"}
    async with (
        RawServer([answer(), answer(200, eva)]) as server,
        _client(server) as meitner,
        Meitner("thief-id", "a-secret", base_url=server.url) as thief,
    ):
        cached = meitner.cached(ttl=60.0, provider=store)
        assert await _first_name(cached) == "Bo"
        [mine] = [key async for key in redis.scan_iter(match=prefix + hexadecimal)]
        good = await redis.get(mine)
        await _first_name(thief.cached(ttl=60.0, provider=store))
        [theirs] = [key async for key in redis.scan_iter(match=prefix + hexadecimal) if key != mine]
        asked = len(server.seen)
        for planted in (pickle.dumps({"status": 200}), await redis.get(theirs), b"", good[:-1], good + b"x"):
            await redis.set(mine, planted, px=60_000)
            assert await _first_name(cached) == "Eva"
            asked += 1
            assert len(server.seen) == asked
        await redis.set(mine, good)  # for ever
        assert await _first_name(cached) == "Eva"
        assert len(server.seen) == asked + 1
    await redis.lpush(f"{prefix}{KEY}", b"a list")
    with pytest.raises(Exception, match="WRONGTYPE"):
        await store.get(KEY)


async def test_clear_of_a_view_forgets_for_everybody(redis_server: RedisServer, prefix: str) -> None:
    """In the shared server, and what is under way in this process."""
    async with RawServer([answer()]) as server, _client(server) as meitner:
        async with (
            RedisCache(redis_server.url, prefix=prefix) as one,
            RedisCache(redis_server.url, prefix=prefix) as two,
        ):
            await _first_name(meitner.cached(ttl=60.0, provider=one))
            await meitner.cached(provider=two).clear()
            await _first_name(meitner.cached(ttl=60.0, provider=one))
        assert len(server.seen) == 2


@pytest.mark.parametrize("parts", [2, pytest.param(20, marks=pytest.mark.slow)])
async def test_clear_has_time_for_a_large_server(alone: RedisServer, parts: int) -> None:
    """A hundred thousand keys of others, or a million, of which Redis has to look at each."""
    from redis.asyncio import Redis

    async with RawServer([answer()]) as server, _client(server) as meitner, Redis.from_url(alone.url) as redis:
        for part in range(parts):
            await redis.execute_command("DEBUG", "POPULATE", "50000", f"foreign{part}", "8")
        async with RedisCache(alone.url) as store:
            cached = meitner.cached(ttl=60.0, provider=store)
            await _first_name(cached)
            await cached.clear()
            assert [key async for key in redis.scan_iter(match="meitner_aio:*", count=10_000)] == []
            assert await redis.dbsize() == parts * 50_000
            await _first_name(cached)
        assert len(server.seen) == 2


# When Redis is away.


async def test_a_server_that_is_gone_fails_no_call(alone: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Reads go on, and keep again when it is back."""
    async with RawServer([answer()]) as server, _client(server) as meitner, RedisCache(alone.url) as store:
        cached = meitner.cached(ttl=60.0, provider=store)
        assert await _first_name(cached) == await _first_name(cached) == "Bo"
        assert len(server.seen) == 1
        alone.stop()
        with caplog.at_level(logging.WARNING, "meitner_aio"):
            assert await _first_name(cached) == "Bo"
        assert "the cache provider failed" in caplog.text
        assert STUDENT_ID not in caplog.text
        assert alone.start()
        asked = len(server.seen)
        cached = meitner.cached(ttl=60.0, provider=store)
        for _ in range(3):
            assert await _first_name(cached) == "Bo"
        assert len(server.seen) <= asked + 1


async def test_a_server_that_hangs_is_waited_for_once(alone: RedisServer) -> None:
    """One read waits a second; the following ones do not ask Redis for a while."""
    async with RawServer([answer()]) as server, _client(server) as meitner, RedisCache(alone.url) as store:
        cached = meitner.cached(ttl=60.0, provider=store)
        await _first_name(cached)
        alone.pause()
        try:
            began = time.monotonic()
            for _ in range(20):
                assert await _first_name(cached) == "Bo"
            assert 1.0 <= time.monotonic() - began < 10.0
        finally:
            alone.go_on()


async def test_a_clear_that_never_arrived_is_one_all_the_same(
    alone: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Redis is down during `clear()`, the view still does not find the old answers afterwards."""
    monkeypatch.setattr("meitner_aio.cached._layers._TO_CLEAR", 0.2)
    async with RawServer([answer()]) as server, _client(server) as meitner, RedisCache(alone.url) as store:
        cached = meitner.cached(ttl=60.0, provider=store)
        await _first_name(cached)
        alone.pause()
        await cached.clear()
        alone.go_on()
        monkeypatch.setattr("meitner_aio.cached._layers._REST", 0.0)
        cached._caching._back_at = 0.0  # type: ignore[union-attr]
        await _first_name(cached)
        assert len(server.seen) == 2


async def test_a_read_that_is_cancelled_leaves_the_connection_in_step(store: RedisCache) -> None:
    """At every turn of the loop: the next answer is that of the next question."""
    for number in range(50):
        await store.set(f"{number:040}", b"%d" % number, 60.0)
    for turns in range(30):
        asking = asyncio.ensure_future(store.get(f"{turns:040}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        kept = await store.get(f"{49 - turns:040}")
        assert kept is not None
        assert kept.value == b"%d" % (49 - turns)


# What makes no cache.


@pytest.mark.parametrize("how", [{"prefix": ""}, {"maxsize": 0}])
def test_what_makes_no_cache_is_refused(how: dict[str, Any]) -> None:
    """An empty prefix would be everybody's keys."""
    with pytest.raises(ValueError, match=next(iter(how))):
        RedisCache("redis://localhost", **how)


async def test_only_an_asynchronous_client_of_bytes_will_do() -> None:
    """Other clients are refused at once."""
    import redis
    from redis.asyncio import Redis

    with redis.Redis() as blocking, pytest.raises(TypeError, match=r"redis\.asyncio\.Redis, not Redis"):
        RedisCache(blocking)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not int"):
        RedisCache(6379)  # type: ignore[arg-type]
    async with Redis(decode_responses=True) as text:
        with pytest.raises(ValueError, match="decode_responses"):
            RedisCache(text)
    with pytest.raises(ValueError, match="decode_responses"):
        RedisCache("redis://localhost?decode_responses=True")


def test_without_redis_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra to install."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigurationError, match=r"meitner-aio\[redis\]"):
        RedisCache("redis://localhost")


def test_importing_the_cache_loads_no_redis() -> None:
    """redis is imported only on use."""
    code = "import sys, meitner_aio.cached; print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_a_client_of_the_callers_stays_open(redis_server: RedisServer, redis: Any, prefix: str) -> None:
    """A URL's connections end with the block; no password is shown."""
    async with RedisCache(redis, prefix=prefix) as store:
        await store.set(KEY, b"value", 60.0)
    assert await redis.get(prefix + KEY) == b"value"
    assert repr(RedisCache("redis://:canary@localhost", prefix=prefix)) == f"<RedisCache: prefix '{prefix}'>"
    own = RedisCache(redis_server.url, prefix=prefix)
    async with own:
        assert await own.get(KEY) == Cached(b"value", pytest.approx(60.0, abs=5.0))
    await own.close()
    clients = await redis.client_list()
    assert len(clients) == 1


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_these_tests_are_skipped_where_redis_is_missing_and_fail_where_all_must_run(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    """Either way they say what to install."""
    monkeypatch.setattr("redis_server._BINARY", None)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="apt-get install redis-server"):
        require_redis()
