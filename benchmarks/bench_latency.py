"""How long does a listing take when every answer takes 50 ms? 20,000 students, pages of 100, 16 in flight.

The ideal is ceil(pages / 16) times the latency. Peers: this client; by hand, a loop that asks for one page at a time,
and one that asks for the first page and then for 16 at once. The first page has the total, so a reader that sends no
request in vain needs one latency more than the ideal.

    python benchmarks/bench_latency.py
"""

from __future__ import annotations

import asyncio
import math
from statistics import median

from _harness import Cost, answer_as_peer, measured, run, sized, tell
from _peers import CREDENTIALS, by_hand, less, rows_by_hand
from _server import serving
from _tables import Column, Row, Table

ROWS, LIMIT, FLIGHTS, LATENCY = sized(20_000, quick=4000), 100, 16, 0.05
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


def gathered(url: str) -> Cost:
    """List the first page, then as many at once as may be in flight."""
    import msgspec

    from meitner_aio import Student
    from meitner_aio._wire.messages import Envelope

    decoder, slots = msgspec.json.Decoder(Envelope[Student]), asyncio.Semaphore(FLIGHTS)

    async def main() -> Cost:
        async with by_hand() as session:

            async def page(offset: int) -> Envelope[Student]:
                params = {"limit": LIMIT, "offset": offset}
                async with slots, session.get(f"{url}/student", params=params) as response:
                    return decoder.decode(await response.read())

            await asyncio.gather(*(page(0) for _ in range(FLIGHTS)))  # connect
            with measured() as cost:
                total = (await page(0)).pagination.total
                pages = await asyncio.gather(*(page(offset) for offset in range(LIMIT, total, LIMIT)))
            if sum(len(page.data) for page in pages) != ROWS - LIMIT:
                raise RuntimeError(ROWS)
            return cost

    return asyncio.run(main())


PEERS = {
    "meitner_aio, 16 in flight": ours,
    "aiohttp + msgspec by hand, 16 in flight": gathered,
    "aiohttp + msgspec by hand, one at a time": sequential,
}

if __name__ == "__main__":
    answer_as_peer(PEERS)
    pages = math.ceil(ROWS / LIMIT)
    ideal = math.ceil(pages / FLIGHTS) * LATENCY
    with serving(ROWS, LATENCY) as base_url:
        costs = run(PEERS, rounds=ROUNDS, url=base_url)
    rows = [Row("ideal", {"seconds": ideal})]
    rows += [Row(name, {"seconds": median(cost.wall for cost in taken)}) for name, taken in costs.items()]
    title = f"Listing {ROWS:,} students, {LIMIT} a page, {LATENCY * 1000:.0f} ms an answer"
    table = Table("latency", title, [Column("seconds", "s", 2)], rows, "seconds", "seconds", notes=less(costs))
    table.rounds = max(map(len, costs.values()))
    tell(table)
