"""Uses of a shared quota that type checkers must accept, and the types that they must see. Never run."""
# pyright: strict

from __future__ import annotations

from typing import assert_type

from meitner_aio import Meitner
from meitner_aio.quota import QuotaBucket, QuotaStore, RedisQuota


class Own:
    """A store needs three methods, and no base class."""

    async def take(self, key: str, bucket: QuotaBucket) -> float:
        """Take."""
        assert_type((bucket.per_hour, bucket.burst), tuple[float, int])
        return 0.0

    async def tell(self, key: str, bucket: QuotaBucket, left: float) -> None:
        """Hear."""

    async def close(self) -> None:
        """End."""


async def shared() -> None:
    """Redis, a store of one's own, and none."""
    store: QuotaStore = RedisQuota("rediss://host", prefix="p:")
    async with RedisQuota("redis://host") as opened:
        assert_type(opened, RedisQuota)
        assert_type(await opened.take("0" * 64, QuotaBucket(1500.0, 1498)), float)
    Meitner(quota_store=store)
    Meitner(quota_store=Own())
    Meitner(quota_store=None)
