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

from fast_time import fast_clock
from redis_server import RedisServer
from shared_hosts import Hosts, Served, share

SPEED, HOURS = 100.0, 0.5


async def measure(headers: str, redis: str | None) -> Served:
    """Let four hosts read for half an hour."""
    from meitner_aio.sandbox import Sandbox

    async with Sandbox(students=300, headers=headers, clock=fast_clock(SPEED)) as sandbox:  # type: ignore[arg-type]
        return await share(Hosts(sandbox.url, redis, speed=SPEED, hours=HOURS), sandbox)


def main() -> None:
    """Print a table."""
    print("headers  store       served  possible  share  refused")
    for headers in ("none", "now"):
        for shared in (False, True):
            with RedisServer() as server:
                seen = asyncio.run(measure(headers, server.url if shared else None))
            store = "RedisQuota" if shared else "none"
            print(f"{headers:8} {store:10} {seen.served:7} {seen.possible:9} {seen.share:6.1%} {seen.refused:8}")


if __name__ == "__main__":
    main()
