"""How long until the first row of a listing? Pages of 1,000, which are the default, beside pages of 100.

Counted is the time from `async for` to the first row, over a connection that is open: request, answer, decoding of the
whole page, check of its rows. Three servers: one that costs nothing, one that answers after 50 ms, and one that also
takes 25 µs for each row of a page. A first read asks for one page; one of a listing that was read to its end lately
begins with several.

    python benchmarks/bench_first_row.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from statistics import median

from _harness import Cost, answer_as_peer, measured, run, sized, tell
from _peers import CREDENTIALS
from _server import serving
from _tables import Column, Row, Table

ROWS = 3000
TIMES = sized(15, quick=2)
"""First rows of a process, of which the fastest counts: others may have waited for the processor."""
ROUNDS = 5
COLUMNS = [Column("wall", "ms", 2), Column("cpu", "CPU, ms", 2)]
NOTES = [
    f"The fastest of {TIMES} in each round. The connection is open; the whole page is decoded and checked first.",
    "Read before: to its end, in the last five minutes. The read then begins with several requests at once.",
]
SERVERS = {
    "first-row": ("", 0.0, 0.0),
    "first-row-late": (", 50 ms an answer", 0.05, 0.0),
    "first-row-made": (", 50 ms an answer and 25 µs a row", 0.05, 25e-6),
}
"""What is said of each server, its seconds before an answer, and those for each row asked for."""


def _first(url: str, *, limit: int | None, known: bool) -> Cost:
    """Measure the first rows of listings; with `known`, each was read to its end before."""
    from meitner_aio import Meitner

    async def main() -> Cost:
        costs: list[Cost] = []
        async with Meitner(*CREDENTIALS.values(), base_url=url) as meitner:
            for _ in range(TIMES + 1):  # the first connects, and learns how large a page is
                if known:
                    await meitner.students.list(limit=limit).all()
                async with aclosing(aiter(meitner.students.list(limit=limit))) as rows:
                    with measured() as cost:
                        await anext(rows)
                costs.append(cost)
        return Cost(min(cost.cpu for cost in costs[1:]), min(cost.wall for cost in costs[1:]))

    return asyncio.run(main())


PEERS: dict[str, Callable[[str], Cost]] = {
    "limit=100": partial(_first, limit=100, known=False),
    "default, 1,000": partial(_first, limit=None, known=False),
    "limit=100, read before": partial(_first, limit=100, known=True),
    "default, 1,000, read before": partial(_first, limit=None, known=True),
}


def _row(name: str, taken: list[Cost], first: list[Cost]) -> Row:
    values = {kind: median(getattr(cost, kind) * 1000 for cost in taken) for kind in ("wall", "cpu")}
    return Row(name, values | {"ratio": median(a.wall / b.wall for a, b in zip(taken, first, strict=True))})


if __name__ == "__main__":
    answer_as_peer(PEERS)
    for table, (said, latency, a_row) in SERVERS.items():
        with serving(ROWS, latency, a_row) as base_url:
            costs = run(PEERS, rounds=ROUNDS, url=base_url)
        rows = [_row(name, taken, costs["limit=100"]) for name, taken in costs.items()]
        title = f"The first of {ROWS:,} students{said}"
        told = Table(table, title, COLUMNS, rows, "wall", "ms until the first row", notes=NOTES, drawn=False)
        told.rounds = max(map(len, costs.values()))
        tell(told)
