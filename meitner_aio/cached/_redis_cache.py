"""Answers kept in a Redis server, which other programs may share."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from .._runtime.redis_client import InRedis
from .._wire.validation import check_whole, strip_traceback
from ._providers import Cached

if TYPE_CHECKING:
    from .._runtime.redis_client import Redis

_BATCH = 500
"""Keys found or deleted by one command."""

_LARGEST = 4 * 1024 * 1024
"""Bytes above which an answer is not kept: a page of 1,000 records has about one million."""

_INDEX_LIFETIME = 30 * 86_400_000
"""Milliseconds for which the index of keys lives on after the last answer was kept."""


class RedisCache(InRedis):
    """Keeps answers in Redis, shared by all processes and hosts that use the same credentials.

    ```python
    async with RedisCache("redis://localhost:6379") as store:
        cached = meitner.cached(ttl=60, provider=store)
    ```

    `redis` is a URL, whose connections are closed with the block or by `close()`, or your own `redis.asyncio.Redis`,
    which stays open. Only keys that begin with `prefix` are touched, so that the server may be shared. Redis itself
    expires the answers; when there are more than `maxsize`, the oldest are dropped.

    The answers are **personal data**, stored in the clear: in the memory of Redis and, if it saves to disk, in its
    files. Whoever can read that Redis can read the answers. Nobody can plant one: they are sealed with the credentials.
    Use TLS (`rediss://`) and a password, and turn snapshots off (`save ""`, `appendonly no`) if you can.

    Raises `ConfigurationError` if redis is not installed (`pip install "meitner-aio[redis]"`), and `TypeError` or
    `ValueError` for invalid arguments.
    """

    @strip_traceback
    def __init__(self, redis: str | Redis, *, prefix: str = "meitner_aio:", maxsize: int = 10_000) -> None:
        """Connect on first use."""
        if not prefix:
            raise ValueError("prefix must not be empty: clear() forgets every key that begins with it")
        check_whole("maxsize", maxsize, 1)
        super().__init__(redis, prefix)
        self._index = f"{prefix}index"
        self._maxsize = maxsize

    async def get(self, key: str) -> Cached | None:
        """Return what is kept; None for a value that never expires, as this cache stores none."""
        async with self._redis.pipeline(transaction=True) as asking:
            value, milliseconds = await asking.get(self._prefix + key).pttl(self._prefix + key).execute()
        return None if value is None or milliseconds < 0 else Cached(value, milliseconds / 1000)

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds, unless it is larger than 4 MiB; drop the oldest if there are too many."""
        name, milliseconds = self._prefix + key, round(ttl * 1000)
        if milliseconds < 1 or len(value) > _LARGEST:
            await self.delete(key)  # what was kept before is out of date
            return
        async with self._redis.pipeline(transaction=True) as asking:
            asking.set(name, value, px=milliseconds)
            asking.zadd(self._index, {name: time.time()})
            asking.pexpire(self._index, max(milliseconds, _INDEX_LIFETIME))
            *_, kept = await asking.zcard(self._index).execute()
        if kept > self._maxsize:
            first = await self._redis.zpopmin(self._index, kept - self._maxsize)
            if first:  # else another process has dropped them
                await self._redis.unlink(*(name for name, _ in first))

    async def delete(self, key: str) -> None:
        """Forget a key."""
        async with self._redis.pipeline(transaction=True) as asking:
            await asking.unlink(self._prefix + key).zrem(self._index, self._prefix + key).execute()

    async def clear(self) -> None:
        """Forget every key with the prefix, and no other. Redis scans all of its keys for that."""
        batch: list[bytes] = []
        async for name in self._redis.scan_iter(match=_quoted(self._prefix) + "*", count=_BATCH):
            batch.append(name)
            if len(batch) >= _BATCH:
                await self._redis.unlink(*batch)
                batch.clear()
        await self._redis.unlink(self._index, *batch)


def _quoted(prefix: str) -> str:
    """Return a glob pattern that matches the prefix literally (Redis, KEYS: `?`, `*`, `[ae]`, `[^e]`, `[a-b]`)."""
    return re.sub(r"([*?\[\]\\^-])", r"\\\1", prefix)
