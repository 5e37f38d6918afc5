"""Uses of a shared quota that type checkers must refuse, each on its own line. Never run."""
# pyright: strict

from __future__ import annotations

from meitner_aio import Meitner
from meitner_aio.quota import QuotaBucket, RedisQuota


class Half:
    """It cannot be told anything."""

    async def take(self, key: str, bucket: QuotaBucket) -> float:
        """Take."""
        return 0.0


Meitner(quota_store="redis://host")  # wrong: a URL is no store
Meitner(quota_store=Half())  # wrong: two methods are missing
RedisQuota(6379)  # wrong: a port is no URL
RedisQuota("redis://host", timeout=1)  # wrong: there is no such option
