"""What clients ask of a limited server: a long read, a service of single calls, and what becomes of both."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from limiters import EPOCH, Server
from msgspec import Struct, field
from msgspec.structs import replace

from meitner_aio import MeitnerError, RetryPolicy
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._pipeline.retry import Retrying
from meitner_aio._wire.messages import Request, Send

PAGE = Request("list", "GET", "/student", "/student", bulk=True)
CALL = Request("get", "GET", "/student/{id}", "/student/x")


def now() -> float:
    """Return the loop's time in seconds."""
    return asyncio.get_running_loop().time()


class Tally(Struct):
    """What a client got."""

    waits: list[float] = field(default_factory=list)
    """Seconds that each single call took beyond an answer's usual time."""
    failed: int = 0
    pages: int = 0
    took: float = 0.0
    """Seconds until the last page."""

    @property
    def p95(self) -> float:
        """The wait that 95 of 100 single calls do not exceed."""
        return sorted(self.waits)[int(0.95 * len(self.waits))] if self.waits else 0.0


def client(
    server: Server,
    *,
    concurrency: int = 8,
    rate_limiter: RateLimiter | None = None,
    on_event: Any = None,
    **options: Any,
) -> Send:
    """Return the pipeline of a client: rate limiter and retries."""
    rate_limiter = rate_limiter or RateLimiter(concurrency, wall=lambda: EPOCH + now(), **options)
    return Retrying(rate_limiter.admitting(server.send, on_event), RetryPolicy(), on_event=on_event).send


async def read(send: Send, pages: int, tally: Tally, concurrency: int = 8) -> None:
    """Read so many pages in one listing: the first alone, the others as places become free."""
    began, coming = now(), itertools.count()

    async def worker() -> None:
        for number in coming:
            if number >= pages:
                return
            await send(replace(PAGE, upcoming=pages - number - 1, first=False))
            tally.pages += 1

    next(coming)
    await send(replace(PAGE, first=True))
    tally.pages += 1
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())
    tally.took = now() - began


async def serve(send: Send, every: float, seconds: float, tally: Tally) -> None:
    """Make a single call each so many seconds, without waiting for the one before."""
    ends = now() + seconds

    async def call() -> None:
        began = now()
        try:
            await send(CALL)
        except MeitnerError:
            tally.failed += 1
        else:
            tally.waits.append(now() - began)

    async with asyncio.TaskGroup() as group:
        while now() < ends:
            group.create_task(call())
            await asyncio.sleep(every)
