"""Does a row of a long read cost what one of a short read does? 100,000 and 1,000,000 students, pages of 1,000.

Listed and dropped, listed with `exact=True`, and exported to NDJSON. The server makes every answer anew: to keep half a
gigabyte of them would make a long read cost more by itself. Instructions are those that more rows add: 20,000 to a read
of 20,000, and 200,000 to one of 40,000, which take it past what is kept in other ways when there is much of it.

    python benchmarks/bench_growth.py
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from functools import partial

import msgspec
from _harness import SIZE, Cost, Peer, answer_as_peer, measured, report, run, sized
from _peers import CREDENTIALS
from _server import serving

LENGTHS = (sized(100_000, quick=2000), sized(1_000_000, quick=5000))
COUNTED = (20_000, 40_000, 240_000)
LIMIT, ROUNDS = 1000, 5
KINDS = {"list": "Listing", "exact": "Listing with `exact`", "export": "Exporting to NDJSON"}
"""What is read, and how a table says it."""

NOTES = [
    "The server makes every answer anew, however long the read.",
    f"Instructions: those of {COUNTED[0]:,} rows beyond {COUNTED[0]:,}, and of 200,000 beyond {COUNTED[1]:,}.",
]


def _read(kind: str, rows: int, where: str) -> Cost:
    """Read so many rows, from the server that has as many."""
    from meitner_aio import Meitner
    from meitner_aio.export import export

    url = msgspec.json.decode(where, type=dict[int, str])[rows]

    async def main(folder: str) -> Cost:
        async with Meitner(*CREDENTIALS.values(), base_url=url) as meitner:
            await meitner.students.list(limit=1)  # connect and import before the clock runs
            with measured() as cost:
                if kind == "export":
                    done = await export(meitner, ["students"], to=folder, page_size=LIMIT)
                    count, complete = done.rows, done.complete
                else:
                    count, listing = 0, meitner.students.list().paged(limit=LIMIT, exact=kind == "exact")
                    async for _ in listing:
                        count += 1
                    complete = listing.report.complete
        if count != rows or not complete:
            raise RuntimeError(count)
        return cost

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(main(folder))


def _peers(kind: str, lengths: tuple[int, ...]) -> dict[str, Peer]:
    return {f"{kind}, {rows:,} rows": partial(_read, kind, rows) for rows in lengths}


def _added(counts: list[Cost]) -> list[Cost]:
    """Return the instructions of a row that came on top of a shorter read."""
    costs: list[Cost] = []
    for place in (1, 2):
        less, more = counts[place - 1].instructions, counts[place].instructions
        rows = COUNTED[place] - COUNTED[place - 1]
        costs.append(Cost(instructions=None if less is None or more is None else (more - less) / rows))
    return costs


def _a_row(found: dict[str, list[Cost]]) -> dict[str, list[Cost]]:
    """Return what a row costs in a short read and in a long one."""
    taken = list(found.values())
    if SIZE == "counted":
        taken = [[cost] for cost in _added([costs[0] for costs in taken])]
    else:
        taken = [[cost.per(rows) for cost in costs] for rows, costs in zip(LENGTHS, taken, strict=True)]
    return dict(zip(("a short read", "a long read"), taken, strict=True))


if __name__ == "__main__":
    asked = COUNTED if SIZE == "counted" else LENGTHS
    answer_as_peer({name: peer for kind in KINDS for name, peer in _peers(kind, asked).items()})
    with ExitStack() as servers:
        where = {rows: servers.enter_context(serving(rows, kept=0)) for rows in asked}
        for read, told in KINDS.items():
            costs = run(_peers(read, asked), rounds=ROUNDS, url=msgspec.json.encode(where).decode())
            title = f"{told}, {LIMIT:,} a page: {LENGTHS[0]:,} students and {LENGTHS[1]:,}"
            report(f"growth-{read}", title, _a_row(costs), unit="µs a row", notes=NOTES, drawn=False)
