"""How long does a listing take when every answer takes 50 ms? 20,000 students, pages of 100, 16 in flight.

The ideal is ceil(pages / 16) times the latency. Peers: this client and a reader that asks for one page at a time. The
first page has the total, so a reader that sends no request in vain needs one latency more than the ideal.

    python benchmarks/bench_latency.py
"""

from __future__ import annotations

import asyncio
import math

from _harness import Cost, answer_as_peer, facts, measured, run
from _peers import CREDENTIALS, rows_by_hand
from _server import serving

ROWS, LIMIT, FLIGHTS, LATENCY = 20_000, 100, 16, 0.05
ROUNDS = 5


def ours(url: str) -> Cost:
    """List with 16 requests in flight."""
    from meitner_aio import Meitner

    async def main() -> Cost:
        async with Meitner(*CREDENTIALS.values(), base_url=url, max_concurrency=FLIGHTS) as meitner:
            await asyncio.gather(*(meitner.students.list().first() for _ in range(FLIGHTS)))  # connect
            with measured() as cost:
                rows = len(await meitner.students.list(limit=LIMIT, concurrency=FLIGHTS).all())
            if rows != ROWS:
                raise RuntimeError(rows)
            return cost

    return asyncio.run(main())


def sequential(url: str) -> Cost:
    """List one page after the other."""

    async def main() -> Cost:
        with measured() as cost:
            async for _ in rows_by_hand(url, LIMIT):
                pass
        return cost

    return asyncio.run(main())


PEERS = {"meitner_aio, 16 in flight": ours, "one page at a time": sequential}

if __name__ == "__main__":
    answer_as_peer(PEERS)
    pages = math.ceil(ROWS / LIMIT)
    ideal = math.ceil(pages / FLIGHTS) * LATENCY
    with serving(ROWS, LATENCY) as base_url:
        costs = run(PEERS, rounds=ROUNDS, url=base_url)
    print(f"\nListing {ROWS:,} students, {LIMIT} a page, {LATENCY * 1000:.0f} ms an answer\n{facts()}\n")
    print(f"{'ideal':28} {ideal:6.3f} s")
    for name, taken in costs.items():
        best, middle = min(cost.wall for cost in taken), sorted(cost.wall for cost in taken)[len(taken) // 2]
        print(f"{name:28} {best:6.3f} s best, {middle:6.3f} s median, {best / ideal:5.2f} times the ideal")
