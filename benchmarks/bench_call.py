"""What does one call cost, besides the network? One student, got again and again on one connection kept alive.

Peers: this client; the same by hand with aiohttp and msgspec, which has no retries, limits, masking or typed errors, or
with httpx and the models of the official client; that client, async and sync; and the limit, a bare asyncio protocol
that decodes with msgspec. The server answers from memory, in a process of its own.

    python benchmarks/bench_call.py
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from _harness import Cost, answer_as_peer, measured, report, run, sized
from _peers import CREDENTIALS, RawReader, by_hand, less
from _peers import official as official_client
from _server import serving

CALLS = sized(2000, quick=200, count=100)
WARM_UP = sized(100, quick=10)
ROUNDS = 5


def _some_id(url: str) -> str:
    with urlopen(Request(f"{url}/student?limit=1&offset=7", headers=CREDENTIALS)) as page:  # noqa: S310 - our own server
        return str(json.load(page)["data"][0]["id"])


async def _repeated(call: Callable[[], Awaitable[object]]) -> Cost:
    for _ in range(WARM_UP):
        await call()
    with measured() as cost:
        for _ in range(CALLS):
            await call()
    return cost


def ours(url: str) -> Cost:
    """Get with this client, as its documentation says."""
    from meitner_aio import Meitner

    async def main() -> Cost:
        student_id = _some_id(url)
        async with Meitner(*CREDENTIALS.values(), base_url=url) as meitner:
            return await _repeated(lambda: meitner.students.get(student_id))

    return asyncio.run(main())


def bare(url: str) -> Cost:
    """Get by hand: a session, a status check, a decoder."""
    import msgspec

    from meitner_aio import Student

    decoder = msgspec.json.Decoder(Student)
    address = f"{url}/student/{_some_id(url)}"

    async def get(session: Any) -> Student:
        async with session.get(address) as response:
            body = await response.read()
            if response.status != 200:
                raise RuntimeError(response.status)
            return decoder.decode(body)

    async def main() -> Cost:
        async with by_hand() as session:
            return await _repeated(lambda: get(session))

    return asyncio.run(main())


def with_httpx(url: str) -> Cost:
    """Get with httpx, into the models of the official client."""
    import httpx
    from meitner import models

    address = f"{url}/student/{_some_id(url)}"

    async def main() -> Cost:
        async with httpx.AsyncClient(headers=CREDENTIALS, timeout=60) as client:

            async def get() -> object:
                answer = await client.get(address)
                return models.Student.model_validate_json(answer.raise_for_status().content)

            return await _repeated(get)

    return asyncio.run(main())


def limit_of_asyncio(url: str) -> Cost:
    """Get over a bare protocol."""
    import msgspec

    from meitner_aio import Student

    decoder, parts = msgspec.json.Decoder(Student), urlsplit(url)
    target = f"{parts.path}/student/{_some_id(url)}"

    async def main() -> Cost:
        _, reader = await asyncio.get_running_loop().create_connection(RawReader, parts.hostname, parts.port)

        async def get() -> object:
            return decoder.decode(await reader.get(target))

        cost = await _repeated(get)
        reader.close()
        return cost

    return asyncio.run(main())


def official_async(url: str) -> Cost:
    """Get with the official client, awaited."""

    async def main() -> Cost:
        student_id = _some_id(url)
        with official_client(url) as meitner:
            return await _repeated(lambda: meitner.students.get_async(id=student_id))

    return asyncio.run(main())


def official_sync(url: str) -> Cost:
    """Get with the official client, blocking."""
    student_id = _some_id(url)
    with official_client(url) as meitner:
        for _ in range(WARM_UP):
            meitner.students.get(id=student_id)
        with measured() as cost:
            for _ in range(CALLS):
                meitner.students.get(id=student_id)
    return cost


PEERS = {
    "meitner_aio": ours,
    "bare asyncio protocol + msgspec": limit_of_asyncio,
    "aiohttp + msgspec by hand": bare,
    "httpx + official models": with_httpx,
    "meitner (official), async": official_async,
    "meitner (official), sync": official_sync,
}

if __name__ == "__main__":
    answer_as_peer(PEERS)
    with serving() as base_url:
        costs = run(PEERS, rounds=ROUNDS, url=base_url)
    title = f"Getting one student, {CALLS:,} times in a row"
    report("call", title, costs, unit="µs a call", units=CALLS, notes=less(costs))
