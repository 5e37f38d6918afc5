"""What the directories of 200 municipalities cost to export in one process: seconds, requests and memory.

Each is a sandbox with a server of its own, all of them in another process, that answers after 50 milliseconds. Beside
`export_many`, which has eight at work at once, the two loops that one writes who has none: one export after another,
and all of them at once in `asyncio.gather`. The server counts requests, and how many of them were in flight at once.

    python benchmarks/bench_tenants.py
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from importlib import import_module
from statistics import median
from typing import IO, Any

import msgspec
from _harness import Cost, child, measured, sized, tell, turns
from _served import served
from _tables import Column, Row, Table

TENANTS, STUDENTS, LATENCY, ROUNDS = sized(200, quick=10), 60, 0.05, 3
CREDENTIALS = ("sandbox", "sandbox")


class Spent(msgspec.Struct):
    """What a run took; `peak` bytes resident at most, `base` before it began; what the server saw."""

    cost: Cost
    rows: int
    base: int
    peak: int
    requests: int = 0
    in_flight: int = 0


async def many(urls: list[str], to: str) -> int:
    """Export eight at once."""
    from functools import partial

    from meitner_aio import Meitner
    from meitner_aio.tenants import export_many

    tenants = {f"town-{number}": partial(Meitner, *CREDENTIALS, base_url=url) for number, url in enumerate(urls)}
    report = await export_many(tenants, to=to)
    if not report.ok:
        raise RuntimeError(report)
    return sum(one.report.rows for one in report.tenants.values() if one.report is not None)


async def _one(number: int, url: str, to: str) -> int:
    from meitner_aio import Meitner
    from meitner_aio.export import export

    async with Meitner(*CREDENTIALS, base_url=url) as meitner:
        return (await export(meitner, to=f"{to}/town-{number}")).rows


async def in_turn(urls: list[str], to: str) -> int:
    """Export one after another."""
    return sum([await _one(number, url, to) for number, url in enumerate(urls)])


async def at_once(urls: list[str], to: str) -> int:
    """Export all at once."""
    return sum(await asyncio.gather(*(_one(number, url, to) for number, url in enumerate(urls))))


PEERS: dict[str, Callable[[list[str], str], Awaitable[int]]] = {
    "export_many": many,
    "one after another": in_turn,
    "all at once": at_once,
}


def spend(name: str, urls: list[str]) -> Spent:
    """Measure a peer in this process."""

    async def main() -> Spent:
        for module in ("meitner_aio.tenants", "meitner_aio._pipeline.transport"):
            import_module(module)  # before the memory is looked at
        base = _resident()
        with tempfile.TemporaryDirectory() as folder, measured() as cost:
            rows = await PEERS[name](urls, folder)
        return Spent(cost, rows, base, _resident())

    return asyncio.run(main())


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# -- the directories, in a process of their own


async def serve() -> None:
    """Serve; each line on stdin asks for the requests since the last, and for the most that were in flight."""
    from meitner_aio.sandbox import Sandbox

    requests = in_flight = most = 0

    def counted(sandbox: Any) -> Callable[[Any], Awaitable[Any]]:
        async def send(request: Any) -> Any:
            nonlocal requests, in_flight, most
            requests, in_flight = requests + 1, in_flight + 1
            most = max(most, in_flight)
            try:
                return await sandbox.send(request)
            finally:
                in_flight -= 1

        return send

    async with AsyncExitStack() as servers:
        sandboxes = [Sandbox(students=STUDENTS, seed=seed + 1, latency=LATENCY) for seed in range(TENANTS)]
        print(*[await servers.enter_async_context(served(counted(each))) for each in sandboxes], flush=True)
        while (await asyncio.to_thread(sys.stdin.readline)).strip():
            print(requests, most, flush=True)
            requests = most = 0


@contextmanager
def serving() -> Iterator[tuple[str, Callable[[], tuple[int, int]]]]:
    """Give the URLs of the directories, and what asks their process for its counts."""
    command = [sys.executable, sys.argv[0], "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        orders, answers = _pipes(process)

        def counts() -> tuple[int, int]:
            print("count", file=orders, flush=True)
            requests, most = answers.readline().split()
            return int(requests), int(most)

        yield answers.readline().strip(), counts
        orders.close()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the server did not start")
    return process.stdin, process.stdout


def rounds() -> dict[str, list[Spent]]:
    """Measure every peer in fresh processes, each round beginning with another one."""
    spent: dict[str, list[Spent]] = {name: [] for name in PEERS}
    for names in turns(list(PEERS), ROUNDS):
        with serving() as (urls, counts):  # with new servers, whose quotas are whole
            for name in names:
                counts()
                run = msgspec.json.decode(child([sys.executable, sys.argv[0], name, urls])[1], type=Spent)
                run.requests, run.in_flight = counts()
                spent[name].append(run)
    return spent


COLUMNS = [
    Column("rows", "rows", 0),
    Column("requests", "requests", 0),
    Column("in_flight", "in flight at most", 0),
    Column("cpu", "CPU, s"),
    Column("wall", "wall, s"),
    Column("more", "MiB more"),
]


def told(spent: dict[str, list[Spent]]) -> Table:
    """Return what each took, and how its time on the wall compares to that of the first."""
    rows = [Row(name, _values(runs)) for name, runs in spent.items()]
    title = f"{TENANTS} directories of {STUDENTS} students, {LATENCY * 1000:.0f} ms an answer"
    return Table("tenants", title, COLUMNS, rows, "wall", "seconds", rounds=max(map(len, spent.values())))


def _values(runs: list[Spent]) -> dict[str, float]:
    return {
        "rows": runs[-1].rows,
        "requests": runs[-1].requests,
        "in_flight": max(run.in_flight for run in runs),
        "cpu": median(run.cost.cpu for run in runs),
        "wall": median(run.cost.wall for run in runs),
        "more": max(run.peak - run.base for run in runs) / 2**20,
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(serve())
    elif sys.argv[1:]:
        print(msgspec.json.encode(spend(sys.argv[1], sys.argv[2].split())).decode())
    else:
        tell(told(rounds()))
