"""What is a pupil in rows, bytes and requests? A synthetic directory of 2,000 pupils, in this process: all is counted.

Bytes of a row are those of the answers, not compressed; requests are those of a mirror: of its first run, and of one
when nothing happened. `scale.py` counts with them.

    python benchmarks/bench_rows.py
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from _harness import tell
from _tables import Column, Row, Table

PUPILS = 2000
COLUMNS = [
    Column("rows", "rows a pupil", 3),
    Column("bytes", "bytes a row", 0),
    Column("first", "requests, first run", 0),
    Column("quiet", "when nothing happened", 0),
]


async def requests(sandbox: Any) -> list[Counter[str]]:
    """Return the requests of two runs of a mirror, by path."""
    from meitner_aio import Meitner
    from meitner_aio.events import ResponseReceived
    from meitner_aio.mirror import Mirror

    runs: list[Counter[str]] = []

    def count(event: Any) -> None:
        if isinstance(event, ResponseReceived):
            runs[-1][event.route.removesuffix("/_search")] += 1

    async with Meitner.sandbox(sandbox).with_options(on_event=count) as meitner:
        with tempfile.TemporaryDirectory() as folder, Mirror(Path(folder, "directory.sqlite")) as mirror:
            for _ in range(2):
                runs.append(Counter())
                await mirror.sync(meitner)
    return runs


def main() -> None:
    """Count, and tell the table."""
    from meitner_aio.resources import RESOURCES
    from meitner_aio.sandbox import Sandbox

    sandbox = Sandbox(students=PUPILS, limiter="none")
    first, quiet = asyncio.run(requests(sandbox))
    rows = []
    for name, resource in RESOURCES.items():
        records = sandbox.records(name)
        size = sum(len(msgspec.json.encode(record)) for record in records) / len(records)
        told = {"rows": len(records) / PUPILS, "bytes": size}
        rows.append(Row(name, {**told, "first": first[resource.path], "quiet": quiet[resource.path]}))
    tell(Table("rows", f"A directory of {PUPILS:,} pupils", COLUMNS, rows, "bytes", "bytes a row", drawn=False))


if __name__ == "__main__":
    main()
