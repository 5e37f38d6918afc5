"""Peers side by side: each measurement in a fresh process, rounds interleaved, the best and the median reported.

Interleaving spreads what else the machine does over all peers; the best round is the one that it disturbed least.
Nothing here asserts a time: a benchmark informs, tests decide.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from statistics import median

import msgspec

LIBRARIES = ("aiohttp", "msgspec", "aiolimiter", "tenacity", "meitner", "httpx", "pydantic", "orjson")


class Cost(msgspec.Struct):
    """Seconds that a load took: of the processor, and on the wall."""

    cpu: float = 0.0
    wall: float = 0.0


Peer = Callable[[str], Cost]
"""Measures itself, given the base URL of the server (empty where there is none)."""


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the block; the cost is filled in when it ends."""
    cost = Cost()
    wall, cpu = time.perf_counter(), time.process_time()
    yield cost
    cost.cpu, cost.wall = time.process_time() - cpu, time.perf_counter() - wall


def child(command: Sequence[str]) -> tuple[Cost, bytes]:
    """Run a process to its end; return what all of it cost, start and exit included, and what it printed."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, time.perf_counter() - wall), done.stdout


def run(peers: Mapping[str, Peer], *, rounds: int, url: str = "") -> dict[str, list[Cost]]:
    """Measure every peer in fresh processes of the calling script, which must begin with `answer_as_peer`."""

    def measure(name: str) -> Cost:
        return msgspec.json.decode(child([sys.executable, sys.argv[0], "--peer", name, url])[1], type=Cost)

    return interleave({name: partial(measure, name) for name in peers}, rounds)


def answer_as_peer(peers: Mapping[str, Peer]) -> None:
    """When this process was started to be a peer, measure it, say the cost and exit."""
    if len(sys.argv) == 4 and sys.argv[1] == "--peer":
        sys.stdout.buffer.write(msgspec.json.encode(peers[sys.argv[2]](sys.argv[3])))
        raise SystemExit(0)


def interleave(measures: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """Measure all peers in turn, so many times, each round beginning with another one."""
    costs: dict[str, list[Cost]] = {name: [] for name in measures}
    names = list(measures)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            costs[name].append(measures[name]())
    return costs


def report(title: str, costs: Mapping[str, Sequence[Cost]], *, unit: str, units: int = 1, scale: float = 1e6) -> None:
    """Print a table: the cost of one unit (of `units` in a load), and how it compares to the first peer.

    `scale` makes seconds what `unit` says: 1e6 for microseconds.
    """
    ours = min(cost.cpu for cost in next(iter(costs.values())))
    width = max(map(len, costs))
    print(f"\n{title}\n{facts()}\n")
    print(f"{'':{width}}  CPU best   median  wall best   median   {unit}; CPU against the first")
    for name, taken in costs.items():
        cpu, wall = ([getattr(cost, kind) / units * scale for cost in taken] for kind in ("cpu", "wall"))
        ratio = min(cost.cpu for cost in taken) / ours
        numbers = f"{min(cpu):8.1f} {median(cpu):8.1f}   {min(wall):8.1f} {median(wall):8.1f}"
        print(f"{name:{width}}  {numbers}   {ratio:7.2f}x")


def facts() -> str:
    """Return what the numbers depend on: the interpreter, the machine, the versions of the libraries."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    return f"{platform.python_implementation()} {platform.python_version()}, {machine}\n{libraries}"
