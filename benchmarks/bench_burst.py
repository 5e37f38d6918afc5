"""How long does a short listing take that this client has read before? 1,600 students, pages of 100, 50 ms an answer.

The first read asks for one page and then for the others; the next one, within five minutes, asks for all at once. The
ideal is the time of one answer. Both reads take as many requests.

    python benchmarks/bench_burst.py
"""

from __future__ import annotations

import asyncio
from statistics import median

from _harness import Cost, answer_as_peer, measured, run, tell
from _peers import CREDENTIALS
from _server import serving
from _tables import Column, Row, Table

ROWS, LIMIT, FLIGHTS, LATENCY = 1_600, 100, 16, 0.05
ROUNDS = 5


def _read(url: str, times: int) -> Cost:
    """Return what the last of so many reads cost."""
    from meitner_aio import Meitner

    async def main() -> Cost:
        async with Meitner(*CREDENTIALS.values(), base_url=url, max_concurrency=FLIGHTS) as meitner:
            await asyncio.gather(*(meitner.students.list().first() for _ in range(FLIGHTS)))  # connect
            for _ in range(times):
                listing = meitner.students.list(limit=LIMIT, concurrency=FLIGHTS)
                with measured() as cost:
                    rows = len(await listing.all())
            if (rows, listing.report.requests) != (ROWS, ROWS // LIMIT):
                raise RuntimeError(listing.report)
            return cost

    return asyncio.run(main())


def once(url: str) -> Cost:
    """Read it for the first time."""
    return _read(url, 1)


def again(url: str) -> Cost:
    """Read it for the second time."""
    return _read(url, 2)


PEERS = {"first read": once, "second read": again}

if __name__ == "__main__":
    answer_as_peer(PEERS)
    with serving(ROWS, LATENCY) as base_url:
        costs = run(PEERS, rounds=ROUNDS, url=base_url)
    rows = [Row("one answer", {"seconds": LATENCY})]
    rows += [Row(name, {"seconds": median(cost.wall for cost in taken)}) for name, taken in costs.items()]
    title = f"Listing {ROWS:,} students, {LIMIT} a page, {LATENCY * 1000:.0f} ms an answer"
    table = Table("burst", title, [Column("seconds", "s", 3)], rows, "seconds", "seconds")
    table.rounds = max(map(len, costs.values()))
    tell(table)
