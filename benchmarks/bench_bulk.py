"""What does a create cost in bulk, and how many go through in a second? At once, and when an answer takes 50 ms.

Students are created in a sandbox that a process of its own serves. Peers: `create_many` of this client; a loop over
bare aiohttp that decodes the answers into the same records; the official client, one create awaited after the other
and gathered.

    python benchmarks/bench_bulk.py
"""

from __future__ import annotations

import asyncio
import math
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import median

from _harness import Cost, answer_as_peer, measured, run, sized, tell
from _peers import CREDENTIALS, by_hand, official
from _tables import Column, Row, Table

LATENCY, FLIGHTS = 0.05, 16
ROUNDS = 2


def bodies(count: int) -> Iterator[tuple[str, str, str]]:
    """Yield identity number and names of so many students; those of another process are others."""
    day = f"{random.randint(1000, 9999)}{random.randint(1, 12):02}{random.randint(1, 28):02}"
    for number in range(count):
        yield f"{day}-{number:04}", "Bo", f"Ek {number}"


def ours(url: str, count: int) -> Cost:
    """Create in bulk."""
    from meitner_aio import Meitner, QuotaPolicy

    unbounded = QuotaPolicy(per_hour=math.inf)  # the server says nothing of a quota, and has none

    async def main() -> Cost:
        items = (dict(zip(("identity_number", "first_name", "last_name"), b, strict=True)) for b in bodies(count))
        client = Meitner(*CREDENTIALS.values(), base_url=url, max_concurrency=FLIGHTS, quota=unbounded)
        async with client as meitner:
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
    "meitner_aio": (ours, sized(10_000, quick=500, count=200), sized(1000, quick=100)),
    "aiohttp + msgspec by hand": (bare, sized(10_000, quick=500, count=200), sized(1000, quick=100)),
    "meitner (official), gathered": (official_gathered, sized(200, quick=50), sized(100, quick=50)),
    "meitner (official), awaited": (official_awaited, sized(100, quick=20), sized(20, quick=10)),
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


COLUMNS = [
    Column("cpu", "CPU, µs a create"),
    Column("seconds", "creates a second", 0),
    Column("instructions", "instructions a create", 0),
]


def report(title: str, load: int, costs: dict[str, list[Cost]]) -> None:
    """Tell what a create costs and how many went through in a second."""
    rows = [_row(name.strip(), KINDS[name.strip()][1 + load], taken) for name, taken in costs.items()]
    told = [column for column in COLUMNS if any(column.key in row.values for row in rows)]
    table = Table(("bulk", "bulk-latency")[load], title, told, rows, "cpu", "µs of CPU a create")
    table.rounds = max(map(len, costs.values()))
    tell(table)


def _row(name: str, count: int, taken: list[Cost]) -> Row:
    instructions = taken[0].instructions
    if instructions is not None:
        return Row(name, {"instructions": instructions / count})
    cpu, wall = median(cost.cpu for cost in taken), median(cost.wall for cost in taken)
    return Row(name, {"cpu": cpu / count * 1e6, "seconds": count / wall} if wall else {})


if __name__ == "__main__":
    answer_as_peer({name: peer for peers in LOADS for name, peer in peers.items()})
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(_serve(float(sys.argv[2])))
    for index, (latency, title) in enumerate(((0.0, "answers at once"), (LATENCY, "50 ms an answer"))):
        with serving(latency) as base_url:
            found = run(LOADS[index], rounds=ROUNDS, url=base_url)
        report(f"Creating students, {title}, {FLIGHTS} in flight", index, found)
