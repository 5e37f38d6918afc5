"""Does a row of a long read cost what one of a short read does? 100,000 and 1,000,000 students, pages of 1,000.

Listed and dropped, listed with `exact=True`, and exported to NDJSON. Prints the cost of a row at each length, and how
many bytes were resident at most; and, where valgrind is installed, the instructions of a row, which no other load
disturbs: those that a few rows more add to a short read and to a long one.

    python benchmarks/bench_growth.py
"""

from __future__ import annotations

import asyncio
import resource
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from itertools import pairwise
from statistics import median

import msgspec
from _harness import Cost, child, facts, interleave, measured
from _peers import CREDENTIALS
from _server import serving

LENGTHS = (100_000, 1_000_000)
STEPS = (50_000, 100_000, 250_000, 300_000)
"""Read under valgrind, which takes fifty times as long: the first two tell a short read, the others a long one."""
LIMIT, ROUNDS = 1000, 3
KINDS = ("list", "exact", "export")


class Growth(Cost):
    """What a read cost, and the bytes that were resident at most."""

    resident: int = 0


async def _read(kind: str, rows: int, url: str) -> Growth:
    from meitner_aio import Meitner
    from meitner_aio.export import export

    async with Meitner(*CREDENTIALS.values(), base_url=url) as meitner:
        await meitner.students.list(limit=1)  # connect and import before the clock runs
        count = 0
        with measured() as cost:
            if kind == "export":
                with tempfile.TemporaryDirectory() as folder:
                    done = await export(meitner, ["students"], to=folder, page_size=LIMIT)
                count, complete = done.rows, done.complete
            else:
                listing = meitner.students.list().paged(limit=LIMIT, exact=kind == "exact")
                async for _ in listing:
                    count += 1
                complete = listing.report.complete
    if count != rows or not complete:
        raise RuntimeError(count)
    return Growth(cost.cpu, cost.wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _command(kind: str, rows: int, url: str) -> list[str]:
    return [sys.executable, sys.argv[0], "--peer", kind, str(rows), url]


def _measured(kind: str, rows: int, url: str) -> Growth:
    return msgspec.json.decode(child(_command(kind, rows, url))[1], type=Growth)


def _instructions(kind: str, rows: int, url: str) -> int:
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    said = subprocess.run([*valgrind, *_command(kind, rows, url)], check=True, capture_output=True, text=True).stderr
    return int(said.partition("refs:")[2].split()[0].replace(",", ""))


def _compare(kind: str, urls: dict[int, str]) -> None:
    measures = {f"{rows:,}": partial(_measured, kind, rows, urls[rows]) for rows in LENGTHS}
    costs = interleave(measures, ROUNDS)
    usual = 0.0
    for rows in LENGTHS:
        taken = costs[f"{rows:,}"]
        cpu = [cost.cpu / rows * 1e6 for cost in taken]
        most = median(cost.resident for cost in taken if isinstance(cost, Growth)) / 2**20
        usual = usual or min(cpu)
        numbers = f"{min(cpu):6.2f} best, {median(cpu):6.2f} median, {min(cpu) / usual:5.2f}x"
        print(f"{kind:7} {rows:>9,} rows   {numbers} µs a row   {most:6.1f} MiB")


def _count(kind: str) -> None:
    counts: list[int] = []
    for rows in STEPS:
        with serving(rows) as url:
            counts.append(_instructions(kind, rows, url))
    costs = [(b - a) / (more - less) for (a, b), (less, more) in zip(pairwise(counts), pairwise(STEPS), strict=True)]
    short, _, long = costs
    print(f"{kind:7} {short:9,.0f} instructions a row up to {STEPS[1]:,}, {long:9,.0f} from {STEPS[2]:,} on", end="")
    print(f"   {long / short:5.2f}x")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_read(sys.argv[2], int(sys.argv[3]), sys.argv[4]))))
        raise SystemExit(0)
    print(f"\nReading {' and '.join(f'{rows:,}' for rows in LENGTHS)} students, {LIMIT:,} a page\n{facts()}\n")
    with serving(LENGTHS[0]) as short_url, serving(LENGTHS[1]) as long_url:
        for name in KINDS:
            _compare(name, dict(zip(LENGTHS, (short_url, long_url), strict=True)))
    if shutil.which("valgrind"):
        print()
        for name in KINDS:
            _count(name)
