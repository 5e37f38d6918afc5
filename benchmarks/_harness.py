"""Peers side by side: each measurement in a fresh process, rounds interleaved, medians and paired ratios reported.

Interleaving spreads what else the machine does over all peers; a ratio is the median of those of each round, in which
both peers had the same machine. Nothing here asserts a time: a benchmark informs, tests decide.

What a script is told by the environment, which `run.py` sets:

- `BENCH_SIZE`: `full`, `quick` (small loads, one round), or `counted`: smaller loads still, whose instructions are
  counted (`_counting.py`) instead of their seconds.
- `BENCH_SECONDS`: no new round begins after so many.
- `BENCH_RESULTS`: a file that each table is added to, as a line of JSON.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import msgspec
from _counting import VALGRIND, count_of, is_counting, mark, under_valgrind
from _tables import Column, Facts, Row, Table, as_text, told_facts

LIBRARIES = ("aiohttp", "msgspec", "aiolimiter", "tenacity", "meitner", "httpx", "pydantic", "orjson", "dlt", "isal")
SIZE = os.environ.get("BENCH_SIZE", "full")
SECONDS = float(os.environ.get("BENCH_SECONDS", "inf"))
SLOWEST = 400.0
"""Seconds after which a count is given up."""


class Cost(msgspec.Struct):
    """Seconds that a load took: of the processor, and on the wall; or the instructions of a counted one."""

    cpu: float = 0.0
    wall: float = 0.0
    instructions: float | None = None

    def per(self, times: int) -> Cost:
        """Return the cost of one of so many."""
        counted = self.instructions
        return Cost(self.cpu / times, self.wall / times, None if counted is None else counted / times)


Peer = Callable[[str], Cost]
"""Measures itself, given the base URL of the server (empty where there is none)."""


def sized(full: int, *, quick: int, count: int | None = None) -> int:
    """Return how large a load is; that of a quick run is counted where none is given for counts."""
    return {"full": full, "quick": quick, "counted": quick if count is None else count}[SIZE]


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the block; the cost is filled in when it ends."""
    cost, before = Cost(), mark() if is_counting() else 0
    wall, cpu = time.perf_counter(), time.process_time()
    yield cost
    cost.cpu, cost.wall = time.process_time() - cpu, time.perf_counter() - wall
    if is_counting():
        after = mark()
        cost.instructions = count_of(after) - count_of(before)


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
        command = [sys.executable, sys.argv[0], "--peer", name, url]
        said = counted(command)[1] if SIZE == "counted" else child(command)[1]
        return msgspec.json.decode(said, type=Cost) if said else Cost()

    return interleave({name: partial(measure, name) for name in peers}, rounds)


def counted(command: Sequence[str]) -> tuple[Cost, bytes]:
    """Run a process under valgrind; return its instructions and what it printed, or nothing where that cannot be."""
    if VALGRIND is None:
        return Cost(), b""
    try:
        instructions, said = under_valgrind(command, seconds=SLOWEST)
    except subprocess.SubprocessError as error:
        print(f"not counted: {error}", file=sys.stderr)
        return Cost(), b""
    return Cost(instructions=instructions), said


def compile_first(starts: Iterable[Sequence[str]]) -> None:
    """Start an interpreter with each of these arguments, so that byte code of all that it imports is there."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for arguments in starts:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)


def answer_as_peer(peers: Mapping[str, Peer]) -> None:
    """When this process was started to be a peer, measure it, say the cost and exit."""
    if len(sys.argv) == 4 and sys.argv[1] == "--peer":
        sys.stdout.buffer.write(msgspec.json.encode(peers[sys.argv[2]](sys.argv[3])))
        raise SystemExit(0)


def turns(names: Sequence[str], rounds: int) -> Iterator[list[str]]:
    """Yield the peers of each round, which begins with another one, until the time is used up; one round at least."""
    began = time.monotonic()
    for turn in range(rounds if SIZE == "full" else 1):
        if turn and time.monotonic() - began > SECONDS:
            return
        first = turn % len(names)
        yield [*names[first:], *names[:first]]


def interleave(measures: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """Measure all peers in turn, so many times."""
    costs: dict[str, list[Cost]] = {name: [] for name in measures}
    for names in turns(list(measures), rounds):
        for name in names:
            costs[name].append(measures[name]())
    return costs


def report(
    name: str,
    title: str,
    costs: Mapping[str, Sequence[Cost]],
    *,
    unit: str,
    units: int = 1,
    scale: float = 1e6,
    notes: Sequence[str] = (),
    drawn: bool = True,
) -> None:
    """Tell the cost of one unit (of `units` in a load), and how it compares to the first peer.

    `scale` makes seconds what `unit` says: 1e6 for microseconds.
    """
    rows = [_row(taken, next(iter(costs.values())), peer, units, scale) for peer, taken in costs.items()]
    short, _, per = unit.partition(" ")
    columns = [
        Column("cpu", f"CPU, {unit}"),
        Column("cpu_best", "best"),
        Column("wall", f"wall, {short}"),
        Column("instructions", f"instructions {per}".strip(), 0),
    ]
    told = [column for column in columns if any(column.key in row.values for row in rows)]
    table = Table(name, title, told, rows, "cpu", f"{short} of CPU {per}".strip(), notes=list(notes), drawn=drawn)
    table.rounds = max(map(len, costs.values()))
    tell(table)


def _row(taken: Sequence[Cost], first: Sequence[Cost], peer: str, units: int, scale: float) -> Row:
    instructions = taken[0].instructions
    if SIZE == "counted":
        return Row(peer, {} if instructions is None else {"instructions": instructions / units})
    cpu, wall = ([getattr(cost, kind) / units * scale for cost in taken] for kind in ("cpu", "wall"))
    paired = median(cost.cpu / base.cpu for cost, base in zip(taken, first, strict=True) if base.cpu)
    return Row(peer, {"cpu": median(cpu), "cpu_best": min(cpu), "wall": median(wall), "ratio": paired})


def tell(table: Table) -> None:
    """Print a table, and add it to the results where there are some."""
    print(as_text(table), flush=True)
    path = os.environ.get("BENCH_RESULTS")
    if path:
        with Path(path).open("ab") as file:
            file.write(msgspec.json.encode(table) + b"\n")
    else:
        print(told_facts(facts(" ".join(["python", *sys.argv]))), flush=True)


def facts(command: str) -> Facts:
    """Return what the numbers depend on: the interpreter, the machine, the versions of the libraries."""
    return Facts(
        date=datetime.now(UTC).date().isoformat(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors{_model()}",
        libraries={name: found for name in LIBRARIES if (found := _version(name))},
        command=command,
        size=SIZE,
    )


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _model() -> str:
    """Return the name of the processor, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((f" ({line.partition(':')[2].strip()})" for line in lines if line.startswith("model name")), "")
