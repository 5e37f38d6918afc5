"""What does a row of a long listing cost? 100,000 students, pages of 100 and of 1,000, no latency.

Peers: this client, with every safeguard on (ordered look-ahead, rate limiter, duplicates, proof of completeness); the
loop that one would write by hand with aiohttp and msgspec, or with httpx and the models of the official client; that
client with hand-made offsets, because its own `next()` ends after page one; dlt's REST source, where it is installed,
which stops at dictionaries; and the limit, a bare asyncio protocol that decodes each page with msgspec.

    python benchmarks/bench_listing.py
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from _harness import SIZE, Cost, answer_as_peer, measured, report, run, sized
from _peers import CREDENTIALS, RawReader, less, rows_by_hand, rows_of_httpx, rows_of_official, source_of_dlt
from _server import serving

ROWS = sized(100_000, quick=5000, count=6000)
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


def in_a_loop(pages: Callable[[str, int], AsyncIterator[list[Any]]], limit: int, url: str) -> Cost:
    """Iterate over every student in a loop written by hand."""

    async def main() -> Cost:
        rows = 0
        async for page in pages(url, limit):  # connect and import before the clock runs
            del page
            break
        with measured() as cost:
            async for page in pages(url, limit):
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


def of_dlt(limit: int, url: str) -> Cost:
    """Iterate over the dictionaries of dlt's REST source."""
    for _ in source_of_dlt(f"{url}", limit).resources["students"].add_limit(1):
        pass
    with measured() as cost:
        rows = sum(1 for _ in source_of_dlt(url, limit).resources["students"])
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
        "bare asyncio protocol + msgspec": limit_of_asyncio,
        "aiohttp + msgspec by hand": partial(in_a_loop, rows_by_hand),
        "httpx + official models": partial(in_a_loop, rows_of_httpx),
        "meitner (official)": official,
    }
    if find_spec("dlt") and SIZE != "counted":  # it takes minutes to start under valgrind
        kinds["dlt, REST source"] = of_dlt
    return {f"{name}, {limit} a page": partial(peer, limit) for name, peer in kinds.items()}


if __name__ == "__main__":
    answer_as_peer({name: peer for limit in LIMITS for name, peer in _peers(limit).items()})
    with serving(ROWS) as base_url:
        for limit in LIMITS:
            found = run(_peers(limit), rounds=ROUNDS, url=base_url)
            costs = {name.removesuffix(f", {limit} a page"): taken for name, taken in found.items()}
            title = f"Listing {ROWS:,} students, {limit:,} a page"
            report(f"listing-{limit}", title, costs, unit="µs a row", units=ROWS, notes=less(costs))
