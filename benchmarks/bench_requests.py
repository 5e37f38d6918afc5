"""What a whole directory costs in requests, and how long they take within the quota.

A municipality of 30,000 students, all eleven resources, read as an export reads them, before a bucket of 1,500 requests
an hour and a window of 5,000, on a clock that jumps. Beside it the official client, paged by hand in steps of 50 (its
default) and of 100: its requests are counted on a real server; their time is the least that the limiter allows, for
a client that is never refused. The bound is one request for each page of 1,000.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from _harness import child, sized, tell
from _peers import official
from _tables import Column, Row, Table

STUDENTS = sized(30_000, quick=1000)
LATENCY = 0.05
"""Seconds of each answer."""
LIMITERS: dict[str, tuple[Literal["bucket", "window"], int]] = {
    "bucket of 1,500": ("bucket", 1500),
    "window of 5,000": ("window", 5000),
}


class Spent(msgspec.Struct):
    """What a read of everything took."""

    rows: int
    requests: int
    refused: int
    seconds: float
    bound: int


def ours(limiter: Literal["bucket", "window"], quota: int, *, again: bool = False) -> Spent:
    """Read all resources, one after the other, on virtual time; `again` counts a second read by the same client."""
    from meitner_aio import Meitner
    from meitner_aio.events import ResponseReceived
    from meitner_aio.resources import RESOURCES
    from meitner_aio.sandbox import Sandbox
    from meitner_aio.testing import VirtualClock

    clock, spent = VirtualClock(), Spent(0, 0, 0, 0.0, 0)

    def count(event: Any) -> None:
        if isinstance(event, ResponseReceived):
            spent.requests += 1
            spent.refused += event.status == 429

    async def read(meitner: Meitner) -> None:
        for name in RESOURCES:
            rows = 0
            async for page in getattr(meitner, name).list().paged(exact=True).pages():
                rows += len(page)
            spent.rows += rows
            spent.bound += max(1, -(-rows // 1000))

    async def main() -> None:
        sandbox = Sandbox(students=STUDENTS, limiter=limiter, quota=quota, latency=LATENCY, clock=clock.time)
        async with Meitner.sandbox(sandbox).with_options(on_event=count) as meitner:
            if again:
                await read(meitner)
                spent.rows = spent.requests = spent.bound = 0
            began = clock.elapsed
            await read(meitner)
            spent.seconds = clock.elapsed - began

    clock.run(main())
    return spent


def theirs(url: str, step: int) -> Spent:
    """Read all resources with the official client, which needs its pages turned by hand."""
    spent = Spent(0, 0, 0, 0.0, 0)
    with official(url) as meitner:
        for page in _pages(meitner, step):
            spent.rows += page
            spent.requests += 1
    return spent


def _pages(meitner: Any, step: int) -> Iterator[int]:
    from meitner_aio.resources import RESOURCES

    for name in RESOURCES:
        offset, total = 0, 1
        while offset < total:
            result = getattr(meitner, name).list(limit=step, offset=offset).result
            yield len(result.data)
            offset, total = offset + len(result.data), result.pagination.total


def least(requests: int, limiter: str, quota: int) -> float:
    """Return the seconds in which a limiter serves so many requests at best, each after the other's answer."""
    over, hours = max(0, requests - quota), -(-requests // quota) - 1
    waits = over * 3600 / quota if limiter == "bucket" else hours * 3600.0
    return max(waits, requests * LATENCY)


def _measure(*arguments: str) -> Spent:
    command = [sys.executable, __file__, "--peer", *arguments]
    return msgspec.json.decode(child(command)[1], type=Spent)


async def _official(step: int) -> Spent:
    from meitner_aio.sandbox import Sandbox

    async with Sandbox(students=STUDENTS, limiter="none") as sandbox:
        return await asyncio.to_thread(_measure, "official", sandbox.url, str(step))


COLUMNS = [
    Column("requests", "requests", 0),
    Column("of_bound", "of the bound", 2),
    Column("refused", "refused", 0),
    Column("minutes", "minutes"),
]


def main() -> None:
    """Measure, and tell a table for each limiter."""
    by_hand = {step: asyncio.run(_official(step)) for step in (50, 100)}
    for title, (limiter, quota) in LIMITERS.items():
        first, second = _measure("ours", limiter, str(quota)), _measure("again", limiter, str(quota))
        rows = [_row("meitner_aio, first read", first, first.bound), _row("meitner_aio, again", second, first.bound)]
        for step, spent in by_hand.items():
            spent.seconds = least(spent.requests, limiter, quota)
            rows.append(_row(f"meitner (official), by {step}, least", spent, first.bound))
            del rows[-1].values["refused"]
        what = f"Reading {first.rows:,} rows, {title}"
        table = Table(f"requests-{limiter}", what, COLUMNS, rows, "minutes", "minutes")
        table.notes = [f"One request for each 1,000 rows is {first.bound}."]
        tell(table)


def _row(name: str, spent: Spent, bound: int) -> Row:
    told = {"requests": spent.requests, "of_bound": spent.requests / bound, "refused": spent.refused}
    return Row(name, {**told, "minutes": spent.seconds / 60})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        kind, *rest = sys.argv[2:]
        result = (
            theirs(rest[0], int(rest[1]))
            if kind == "official"
            else ours("bucket" if rest[0] == "bucket" else "window", int(rest[1]), again=kind == "again")
        )
        sys.stdout.buffer.write(msgspec.json.encode(result))
    else:
        main()
