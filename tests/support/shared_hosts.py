"""Hosts on one credential, as processes: each reads pages for a while, on a fast clock. A module, and a script.

The script imports once and forks the hosts; its arguments are the fields of `Hosts`, as JSON.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec

import meitner_aio

ROOT = Path(__file__).resolve().parents[2]


class Hosts(msgspec.Struct):
    """What hosts do: for so many `hours`, of which one takes 3,600 / `speed` real seconds, they read pages of one row."""

    url: str
    redis: str | None
    number: int = 4
    speed: float = 1800.0
    hours: float = 1.0
    per_hour: int = 1500
    began: float = msgspec.field(default_factory=lambda: time.time() - 60.0)
    """When the fast time of all hosts began, in seconds since 1970."""


class Served(msgspec.Struct):
    """What the server saw of them."""

    served: int
    refused: int
    possible: int

    @property
    def share(self) -> float:
        """The part of the possible requests that was served."""
        return self.served / self.possible


async def share(hosts: Hosts, sandbox: object) -> Served:
    """Let hosts read from a sandbox whose bucket holds `per_hour`, and refills it in an hour."""
    me = [sys.executable, "-W", "error", __file__, msgspec.json.encode(hosts).decode()]
    path = os.pathsep.join([str(Path(meitner_aio.__file__).parents[1]), str(ROOT / "tests" / "support")])
    process = await asyncio.create_subprocess_exec(*me, env={**os.environ, "PYTHONPATH": path})
    try:
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    seen = Counter(request.status for request in sandbox.requests)
    return Served(seen[200], seen[429], int(hosts.per_hour * (1 + hosts.hours)))


async def host(hosts: Hosts) -> None:
    """Read pages until the time is over."""
    from meitner_aio import Meitner, QuotaPolicy

    store = None if hosts.redis is None else fast_store(hosts)
    policy = QuotaPolicy(per_hour=hosts.per_hour)
    options = {"base_url": hosts.url, "quota": policy, "quota_store": store, "timeout": 1e6}
    async with Meitner("an-id", "a-secret", **options) as meitner:
        try:
            async with asyncio.timeout(hosts.hours * 3600):
                while True:
                    await meitner.students.list(limit=1).paged(concurrency=4).all()
        except TimeoutError:
            pass


def fast_store(hosts: Hosts) -> object:
    """Return a store to which the seconds of Redis are as short as those of the loop."""
    from meitner_aio._pipeline import shared_quota
    from meitner_aio.quota import RedisQuota

    class FastQuota(RedisQuota):
        async def _time(self) -> float:
            # Microseconds since 1970 would be more than a script of Redis can count exactly, if they were shorter.
            return (await super()._time() - hosts.began) * hosts.speed

    for name in ("_PATIENCE", "_LONGEST"):
        setattr(shared_quota, name, getattr(shared_quota, name) * hosts.speed)
    return FastQuota(f"{hosts.redis}?socket_timeout=1e6&socket_connect_timeout=1e6")


def main() -> None:
    """Fork the hosts, and wait for them."""
    from fast_time import FastLoop

    import meitner_aio._pipeline.transport
    import meitner_aio.quota

    hosts = msgspec.json.decode(sys.argv[1], type=Hosts)
    if hosts.redis is not None:
        meitner_aio.quota.RedisQuota(hosts.redis)  # imports what all of them need
    children = []
    for _ in range(hosts.number):
        child = os.fork()
        if not child:
            with asyncio.Runner(loop_factory=lambda: FastLoop(hosts.speed)) as runner:
                runner.run(host(hosts))
            os._exit(0)
        children.append(child)
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    raise SystemExit(len(failed))


if __name__ == "__main__":
    main()
