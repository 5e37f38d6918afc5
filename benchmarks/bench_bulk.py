"""What does a create cost in bulk, and how many go through in a second? At once, and when an answer takes 50 ms.

Students are created in a sandbox that a process of its own serves. Peers: `create_many` of this client; a loop over
bare aiohttp that decodes the answers into the same records; the official client, one create awaited after the other
and gathered.

    python benchmarks/bench_bulk.py
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import median

from _harness import Cost, answer_as_peer, facts, measured, run
from _peers import CREDENTIALS, by_hand, official

LATENCY, FLIGHTS = 0.05, 16
ROUNDS = 2


def bodies(count: int) -> Iterator[tuple[str, str, str]]:
    """Yield identity number and names of so many students; those of another process are others."""
    day = f"{random.randint(1000, 9999)}{random.randint(1, 12):02}{random.randint(1, 28):02}"
    for number in range(count):
        yield f"{day}-{number:04}", "Bo", f"Ek {number}"


def ours(url: str, count: int) -> Cost:
    """Create in bulk."""
    from meitner_aio import Meitner

    async def main() -> Cost:
        items = (dict(zip(("identity_number", "first_name", "last_name"), b, strict=True)) for b in bodies(count))
        async with Meitner(*CREDENTIALS.values(), base_url=url, max_concurrency=FLIGHTS) as meitner:
            with measured() as cost:
                async for outcome in meitner.students.create_many(items, concurrency=FLIGHTS):
                    if outcome.error is not None:
                        raise outcome.error
            return cost

    return asyncio.run(main())


async def in_flight(count: int, create: Callable[[tuple[str, str, str]], Awaitable[object]]) -> Cost:
    """Create with as many tasks as requests may be in flight."""
    items = bodies(count)

    async def work() -> None:
        for item in items:
            await create(item)

    with measured() as cost:
        await asyncio.gather(*(work() for _ in range(FLIGHTS)))
    return cost


def bare(url: str, count: int) -> Cost:
    """Create by a hand-written loop."""
    import msgspec

    from meitner_aio import Student

    decoder = msgspec.json.Decoder(Student)

    async def main() -> Cost:
        async with by_hand() as session:

            async def create(item: tuple[str, str, str]) -> object:
                body = dict(zip(("identityNumber", "firstName", "lastName"), item, strict=True))
                async with session.post(f"{url}/student", json=body) as response:
                    if response.status != 201:
                        raise RuntimeError(response.status)
                    return decoder.decode(await response.read())

            return await in_flight(count, create)

    return asyncio.run(main())


def official_awaited(url: str, count: int) -> Cost:
    """Create one after the other."""
    with official(url) as meitner, measured() as cost:
        for number, first, last in bodies(count):
            meitner.students.create(identity_number=number, first_name=first, last_name=last)
    return cost


def official_gathered(url: str, count: int) -> Cost:
    """Create with as many in flight as the others."""

    async def main() -> Cost:
        with official(url) as meitner:

            async def create(item: tuple[str, str, str]) -> object:
                number, first, last = item
                return await meitner.students.create_async(identity_number=number, first_name=first, last_name=last)

            return await in_flight(count, create)

    return asyncio.run(main())


KINDS: dict[str, tuple[Callable[[str, int], Cost], int, int]] = {
    "meitner_aio": (ours, 10_000, 1000),
    "bare aiohttp": (bare, 10_000, 1000),
    "official, gathered": (official_gathered, 200, 100),
    "official, awaited": (official_awaited, 100, 20),
}
"""How to create, how many when answers come at once, and how many when they take their time."""


def _peer(name: str, load: int) -> Callable[[str], Cost]:
    create, *counts = KINDS[name]
    return lambda url: create(url, counts[load])


LOADS = [{f"{name}{' ' * load}": _peer(name, load) for name in KINDS} for load in (0, 1)]
"""The peers at once and with latency: their names differ by a blank, because a peer's process knows only its name."""


async def _serve(latency: float) -> None:
    from meitner_aio.sandbox import Sandbox

    async with Sandbox(students=0, limiter="none", latency=latency) as sandbox:
        print(sandbox.url, flush=True)
        await asyncio.Event().wait()


@contextmanager
def serving(latency: float) -> Iterator[str]:
    """Serve a sandbox from a process of its own; the value is the base URL."""
    command = [sys.executable, sys.argv[0], "--serve", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def report(title: str, load: int, costs: dict[str, list[Cost]]) -> None:
    """Print what a create costs and how many went through in a second, against bare aiohttp."""
    print(f"\n{title}\n\n{'':30} CPU us a create   against bare   creates a second   against bare")
    figures: dict[str, tuple[float, float]] = {}
    for name, taken in costs.items():
        count = KINDS[name.strip()][1 + load]
        figures[name.strip()] = (min(c.cpu for c in taken) / count * 1e6, count / median(c.wall for c in taken))
    cpu_bare, rate_bare = figures["bare aiohttp"]
    for name, (cpu, rate) in figures.items():
        print(f"{name:30} {cpu:15.1f} {cpu / cpu_bare:13.2f}x {rate:18.0f} {rate / rate_bare:13.2f}x")


if __name__ == "__main__":
    answer_as_peer({name: peer for peers in LOADS for name, peer in peers.items()})
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(_serve(float(sys.argv[2])))
    print(facts())
    for index, (latency, title) in enumerate(((0.0, "Answers at once"), (LATENCY, "50 ms an answer"))):
        with serving(latency) as base_url:
            report(f"{title}, {FLIGHTS} in flight", index, run(LOADS[index], rounds=ROUNDS, url=base_url))
