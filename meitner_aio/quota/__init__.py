"""One quota for many hosts: `Meitner(quota_store=RedisQuota("rediss://..."))`, or a store of your own."""

from __future__ import annotations

from .._pipeline.shared_quota import QuotaBucket, QuotaStore
from ._redis_quota import RedisQuota

__all__ = ["QuotaBucket", "QuotaStore", "RedisQuota"]
