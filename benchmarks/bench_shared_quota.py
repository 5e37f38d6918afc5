"""Four processes on one credential, with and without a quota shared through Redis: requests served and refused.

The sandbox has the documented bucket, 1,500 requests and as many an hour, with headers and without. An hour takes 36
seconds: event loops, sandbox and Redis are on a clock that is 100 times as fast. Needs a redis-server.

    python benchmarks/bench_shared_quota.py
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from _harness import SIZE, tell
from _tables import Column, Row, Table
from fast_time import fast_clock
from redis_server import RedisServer
from shared_hosts import Hosts, Served, share

SPEED, HOURS = 100.0, 0.5 if SIZE == "full" else 0.1


async def measure(headers: str, redis: str | None) -> Served:
    """Let four hosts read for half an hour."""
    from meitner_aio.sandbox import Sandbox

    async with Sandbox(students=300, headers=headers, clock=fast_clock(SPEED)) as sandbox:  # type: ignore[arg-type]
        return await share(Hosts(sandbox.url, redis, speed=SPEED, hours=HOURS), sandbox)


def main() -> None:
    """Measure, and tell the table."""
    rows = []
    for headers in ("none", "now"):
        for shared in (True, False):
            with RedisServer() as server:
                seen = asyncio.run(measure(headers, server.url if shared else None))
            store = "RedisQuota" if shared else "no store"
            told = {
                "served": seen.served,
                "possible": seen.possible,
                "share": seen.share * 100,
                "refused": seen.refused,
            }
            rows.append(Row(f"{store}, {'no headers' if headers == 'none' else 'headers'}", told))
    columns = [Column("served", "served", 0), Column("possible", "possible", 0), Column("share", "share, %")]
    columns.append(Column("refused", "refused", 0))
    title = f"Four processes on one credential, for {HOURS} hours"
    tell(Table("shared-quota", title, columns, rows, "refused", "requests refused"))


if __name__ == "__main__":
    main()
