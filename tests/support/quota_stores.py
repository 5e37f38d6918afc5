"""Stores of a shared quota for tests: one in memory on the loop's clock, and one that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pyrate_limiter import GCRA, Duration, InMemoryStateStore, Rate

from meitner_aio.quota import QuotaBucket


class MemoryQuota:
    """A store as `RedisQuota` is, on the loop's clock; what it is told changes nothing, but is kept."""

    def __init__(self) -> None:
        self.buckets: dict[str, InMemoryStateStore] = {}
        self.seen: set[QuotaBucket] = set()
        self.taken = self.refused = self.closed = 0
        self.told: list[tuple[float, float]] = []

    async def take(self, key: str, bucket: QuotaBucket) -> float:
        self.seen.add(bucket)
        store, now = self.buckets.setdefault(key, InMemoryStateStore()), asyncio.get_running_loop().time()
        rates = [Rate(int(bucket.per_hour), Duration.HOUR, burst=bucket.burst)]
        decision = store.check(GCRA(), rates, int(now * 1000), 1)
        self.taken += decision.allowed
        self.refused += not decision.allowed
        return 0.0 if decision.allowed else decision.retry_after_ms / 1000

    async def tell(self, key: str, bucket: QuotaBucket, left: float) -> None:
        self.told.append((asyncio.get_running_loop().time(), left))

    async def close(self) -> None:
        self.closed += 1


class ScriptedQuota(MemoryQuota):
    """A store whose `take` is the test's; it counts how often it was asked."""

    def __init__(self, take: Callable[[], Awaitable[Any]]) -> None:
        super().__init__()
        self.asked = 0
        self.script = take

    async def take(self, key: str, bucket: QuotaBucket) -> float:
        self.asked += 1
        self.seen.add(bucket)
        return await self.script()
