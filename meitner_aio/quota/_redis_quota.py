"""Buckets in a Redis server, by the algorithm of pyrate-limiter. The only module that imports it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .._pipeline.shared_quota import QuotaBucket
from .._runtime.redis_client import InRedis
from .._wire.validation import strip_traceback
from ..errors import ConfigurationError, MeitnerError

if TYPE_CHECKING:
    from pyrate_limiter import Rate

    from .._runtime.redis_client import Redis

_CHECKED = 60.0
"""Seconds for which the difference between the clock of Redis and that of this process is believed."""

_MORE, _LESS = 5, 40
"""Requests that a bucket may hold more than the server's, and less: those on their way were taken out of it already."""


class RedisQuota(InRedis):
    """Keeps the quota in Redis, for all hosts and processes that use the same credentials.

    ```python
    async with Meitner(quota_store=RedisQuota("rediss://redis.example:6379")) as meitner:
        ...
    ```

    `redis` is a URL, or your own `redis.asyncio.Redis`, which stays open. The connections of a URL are closed after
    the last client that used them, or by `close()`; a store is for one event loop at a time. Redis holds one hash for
    each credential, with one number in it, for two hours at most; its name begins with `prefix` and reveals neither
    server nor client. A request costs one call of a script; each host makes two more calls every ten seconds.

    Raises `ConfigurationError` if redis or pyrate-limiter is not installed (`pip install "meitner-aio[redis]"`), and
    `TypeError` or `ValueError` for invalid arguments.
    """

    @strip_traceback
    def __init__(self, redis: str | Redis, *, prefix: str = "meitner_aio_quota:") -> None:
        """Connect on first use."""
        # The prefix is none that begins as RedisCache's, whose clear() forgets every key that does.
        try:
            from pyrate_limiter import GCRA
        except ImportError:
            raise ConfigurationError('RedisQuota needs pyrate-limiter: pip install "meitner-aio[redis]"') from None
        super().__init__(redis, prefix)
        self._algorithm = GCRA()  # one number for a bucket: the vendor's own algorithm
        self._stores: dict[str, Any] = {}  # RedisStateStore, whose methods have no types
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ahead, self._checked_at = 0.0, 0.0

    async def take(self, key: str, bucket: QuotaBucket) -> float:
        """Take a request out of a bucket and return 0.0; or take none, and return in how many seconds there is one."""
        return await self._spend(key, bucket, 1)

    async def tell(self, key: str, bucket: QuotaBucket, left: float) -> None:
        """Lower or raise a bucket that differs from what the server has `left` by more than what may be on its way."""
        store, now = self._store(key), await self._now()
        state = await store.read(self._algorithm, [_rate(bucket)])
        holds = bucket.burst - self._algorithm.consumed([_rate(bucket)], state, now)
        if holds > left + _MORE:
            await self._spend(key, bucket, int(holds - left))
        elif holds < left - _LESS:
            await store.reset()
            if left < bucket.burst:
                await self._spend(key, bucket, int(bucket.burst - left))

    async def close(self) -> None:
        """Close the connections of a URL; your own client stays open."""
        self._loop = None
        await super().close()

    async def _spend(self, key: str, bucket: QuotaBucket, requests: int) -> float:
        """Take so many requests and return 0.0; or none, and return in how many seconds there are as many."""
        decision = await self._store(key).check(self._algorithm, [_rate(bucket)], await self._now(), requests)
        return 0.0 if decision.allowed else float(decision.retry_after_ms) / 1000

    def _store(self, key: str) -> Any:
        if key not in self._stores:
            from pyrate_limiter import RedisStateStore

            self._stores[key] = RedisStateStore(self._redis, self._prefix + key)
        return self._stores[key]

    async def _now(self) -> int:
        """Return the time of Redis in milliseconds since 1970: the clocks of hosts differ."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop or loop.time() >= self._checked_at + _CHECKED:
            if self._loop is not None and self._loop is not loop:
                raise MeitnerError("it belongs to another event loop: make one for each loop")
            began = loop.time()
            there = await self._time()
            self._checked_at = loop.time()
            self._ahead = there - (began + self._checked_at) / 2
            self._loop = loop
        return int((loop.time() + self._ahead) * 1000)

    async def _time(self) -> float:
        seconds, microseconds = await self._redis.time()
        return float(seconds) + float(microseconds) / 1e6


def _rate(bucket: QuotaBucket) -> Rate:
    from pyrate_limiter import Duration, Rate

    return Rate(max(1, int(bucket.per_hour)), Duration.HOUR, burst=bucket.burst)
