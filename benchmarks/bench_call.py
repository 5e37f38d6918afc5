"""What does one call cost, besides the network? One student, got again and again on one connection kept alive.

Peers: this client; the same by hand with aiohttp and msgspec, which has no retries, limits, masking or typed errors;
the official client, async and sync. The server answers from memory, in a process of its own.

    python benchmarks/bench_call.py
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.request import Request, urlopen

from _harness import Cost, answer_as_peer, measured, report, run
from _server import serving

CALLS = 2000
WARM_UP = 100
ROUNDS = 5
CREDENTIALS = {"Client-ID": "benchmark", "Client-Secret": "benchmark"}


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
    import aiohttp
    import msgspec

    from meitner_aio import Student

    decoder = msgspec.json.Decoder(Student)
    address = f"{url}/student/{_some_id(url)}"

    async def get(session: aiohttp.ClientSession) -> Student:
        async with session.get(address) as response:
            body = await response.read()
            if response.status != 200:
                raise RuntimeError(response.status)
            return decoder.decode(body)

    async def main() -> Cost:
        headers = CREDENTIALS | {"Accept": "application/json"}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(60)) as session:
            return await _repeated(lambda: get(session))

    return asyncio.run(main())


def _security(models: Any) -> Any:
    client_id, secret = CREDENTIALS.values()
    return models.Security(option1=models.SecurityOption1(client_credentials=client_id, client_secret=secret))


def official_async(url: str) -> Cost:
    """Get with the official client, awaited."""
    from meitner import Meitner, models

    async def main() -> Cost:
        student_id = _some_id(url)
        async with Meitner(security=_security(models), server_url=url) as meitner:
            return await _repeated(lambda: meitner.students.get_async(id=student_id))

    return asyncio.run(main())


def official_sync(url: str) -> Cost:
    """Get with the official client, blocking."""
    from meitner import Meitner, models

    student_id = _some_id(url)
    with Meitner(security=_security(models), server_url=url) as meitner:
        for _ in range(WARM_UP):
            meitner.students.get(id=student_id)
        with measured() as cost:
            for _ in range(CALLS):
                meitner.students.get(id=student_id)
    return cost


PEERS = {
    "meitner_aio": ours,
    "aiohttp + msgspec by hand": bare,
    "meitner (official), async": official_async,
    "meitner (official), sync": official_sync,
}

if __name__ == "__main__":
    answer_as_peer(PEERS)
    with serving() as base_url:
        costs = run(PEERS, rounds=ROUNDS, url=base_url)
    report(f"Getting one student, {CALLS:,} times in a row", costs, unit="µs a call", units=CALLS)
