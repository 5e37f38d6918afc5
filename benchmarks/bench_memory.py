"""Does a listing of any length run in the same memory? 1,000,000 students, pages of 1,000, streamed and dropped.

Prints the resident set at 10 % of the rows and at the end, and the growth in between.

    python benchmarks/bench_memory.py
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
from _harness import child, sized, tell
from _peers import CREDENTIALS
from _server import serving
from _tables import Column, Row, Table

ROWS, LIMIT = sized(1_000_000, quick=20_000), 1000


class Memory(msgspec.Struct):
    """Resident bytes early and at the end, and what the report said."""

    early: int
    end: int
    rows: int
    level: str


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


async def ours(url: str) -> Memory:
    """List a million rows and keep none."""
    from meitner_aio import Meitner

    rows = early = 0
    async with Meitner(*CREDENTIALS.values(), base_url=url) as meitner:
        listing = meitner.students.list(limit=LIMIT)
        async for _ in listing:
            rows += 1
            if rows == ROWS // 10:
                early = _resident()
        return Memory(early, _resident(), rows, listing.report.level)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(ours(sys.argv[2]))))
        raise SystemExit(0)
    with serving(ROWS) as base_url:
        cost, said = child([sys.executable, sys.argv[0], "--peer", base_url])
    memory = msgspec.json.decode(said, type=Memory)
    sizes = {"at 10 %": memory.early, "at the end": memory.end, "growth": memory.end - memory.early}
    tell(
        Table(
            "memory",
            f"Listing {memory.rows:,} students, {LIMIT:,} a page, {memory.level}",
            [Column("mebibytes", "MiB resident")],
            [Row(name, {"mebibytes": size / 2**20}) for name, size in sizes.items()],
            "mebibytes",
            "MiB resident",
            notes=[f"CPU: {cost.cpu:.1f} s, {cost.cpu / memory.rows * 1e6:.2f} µs a row."],
        )
    )
