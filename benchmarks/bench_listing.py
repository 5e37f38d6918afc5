"""What does a row of a long listing cost? 100,000 students, pages of 100 and of 1,000, no latency.

Peers: this client, with every safeguard on (ordered look-ahead, rate limiter, duplicates, proof of completeness); the
loop that one would write by hand with aiohttp and msgspec; the official client with hand-made offsets, because its own
`next()` ends after page one; and the limit, a bare asyncio protocol that decodes each page with msgspec.

    python benchmarks/bench_listing.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from _harness import Cost, answer_as_peer, measured, report, run
from _peers import CREDENTIALS, RawReader, rows_by_hand, rows_of_official
from _server import serving

ROWS = 100_000
ROUNDS = 5
LIMITS = (100, 1000)


def _all(rows: int) -> None:
    if rows != ROWS:
        raise RuntimeError(f"{rows} rows instead of {ROWS}")


def ours(limit: int, url: str) -> Cost:
    """Iterate over every student, as the documentation says."""
    from meitner_aio import Meitner

    async def main() -> Cost:
        async with Meitner(*CREDENTIALS.values(), base_url=url) as meitner:
            await meitner.students.list(limit=1)
            listing = meitner.students.list(limit=limit)
            rows = 0
            with measured() as cost:
                async for _ in listing:
                    rows += 1
            _all(rows)
            if listing.report.level != "certified":
                raise RuntimeError(listing.report.level)
            return cost

    return asyncio.run(main())


def by_hand(limit: int, url: str) -> Cost:
    """Iterate over every student in a loop written by hand."""

    async def main() -> Cost:
        rows = 0
        async for page in rows_by_hand(url, limit):  # connect and import before the clock runs
            del page
            break
        with measured() as cost:
            async for page in rows_by_hand(url, limit):
                for _ in page:
                    rows += 1
        _all(rows)
        return cost

    return asyncio.run(main())


def official(limit: int, url: str) -> Cost:
    """Iterate over every student with the official client and hand-made offsets."""
    next(rows_of_official(url, 1))
    rows = 0
    with measured() as cost:
        for page in rows_of_official(url, limit):
            for _ in page:
                rows += 1
    _all(rows)
    return cost


def limit_of_asyncio(limit: int, url: str) -> Cost:
    """Read and decode every page over a bare protocol."""
    import msgspec

    from meitner_aio import Student
    from meitner_aio._wire.messages import Envelope

    async def main() -> Cost:
        parts = urlsplit(url)
        decoder, rows = msgspec.json.Decoder(Envelope[Student]), 0
        _, reader = await asyncio.get_running_loop().create_connection(RawReader, parts.hostname, parts.port)
        with measured() as cost:
            while rows < ROWS:
                rows += len(decoder.decode(await reader.get(f"{parts.path}/student?limit={limit}&offset={rows}")).data)
        reader.close()
        _all(rows)
        return cost

    return asyncio.run(main())


def _peers(limit: int) -> dict[str, Callable[[str], Cost]]:
    kinds = {
        "meitner_aio": ours,
        "aiohttp + msgspec by hand": by_hand,
        "meitner (official)": official,
        "bare asyncio protocol + msgspec": limit_of_asyncio,
    }
    return {f"{name}, {limit} a page": partial(peer, limit) for name, peer in kinds.items()}


if __name__ == "__main__":
    answer_as_peer({name: peer for limit in LIMITS for name, peer in _peers(limit).items()})
    with serving(ROWS) as base_url:
        for limit in LIMITS:
            costs = run(_peers(limit), rounds=ROUNDS, url=base_url)
            report(f"Listing {ROWS:,} students, {limit} a page", costs, unit="µs a row", units=ROWS)
