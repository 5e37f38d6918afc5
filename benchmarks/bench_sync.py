"""What does it cost to keep a copy true? A directory of some 130,000 rows, before a sandbox in a process of its own.

Three moments: the first run, which reads everything; a quiet one, when nothing happened; and one after a hundredth of
the rows changed: 1,000 students renamed, 160 entered, 160 placements deleted. Beside the mirror, a full export to
SQLite, which is what one does who has none. A row of a quiet or a changed run is one of the whole copy.

Where dlt is installed (`pip install "dlt[duckdb]"`), its REST source with `incremental` reads the students, beside a
mirror of students only. The API's lists have no filter, so dlt reads all pages each time, and sorts out afterwards what
is new; it hears of no deletion. It follows `updatedAt`, which most rows lack, as they were never updated, and merges
those again each time; or it follows `updatedAt` and, where there is none, `createdAt`, which a step tells it.

    python benchmarks/bench_sync.py
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import IO, Any

import msgspec
from _harness import Cost, child, measured, sized, tell, turns
from _served import served
from _tables import Column, Row, Table

STUDENTS, ROUNDS = sized(20_000, quick=1000), 3
MOMENTS = ("first", "quiet", "changed")
CREDENTIALS = ("sandbox", "sandbox")
LATEST = "meta.latest"
RENAMED, ENTERED, DELETED = sized(1000, quick=50), sized(160, quick=8), sized(160, quick=8)


class Spent(msgspec.Struct):
    """What a run took; `rows` are those of the copy after it, `peak` bytes resident at most, `base` before it began."""

    cost: Cost
    rows: int
    base: int
    peak: int
    requests: int = 0


def of_mirror(
    url: str, folder: str, resources: Sequence[str] | None = None, grades_every: float | None = None
) -> Spent:
    """Follow with a mirror."""
    import sqlite3

    from meitner_aio import Meitner
    from meitner_aio.mirror import Mirror
    from meitner_aio.resources import RESOURCES

    async def main(path: Path) -> Spent:
        async with Meitner(*CREDENTIALS, base_url=url) as meitner:
            await meitner.schools.list(limit=1)  # connect and import before the clock runs
            with Mirror(path) as mirror, spending(after=1) as spent:
                await mirror.sync(meitner, resources, grades_every=grades_every)
        with sqlite3.connect(path) as database:
            tables = resources or [name for name in RESOURCES if name != "audit_events"]
            spent.rows = sum(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
        return spent

    return asyncio.run(main(Path(folder, "directory.sqlite")))


def of_export(url: str, folder: str) -> Spent:
    """Export everything, each time."""
    from meitner_aio import Meitner
    from meitner_aio.export import export
    from meitner_aio.resources import RESOURCES

    async def main() -> Spent:
        async with Meitner(*CREDENTIALS, base_url=url) as meitner:
            await meitner.schools.list(limit=1)
            names = [name for name in RESOURCES if name != "audit_events"]
            with spending(after=1) as spent:
                done = await export(meitner, names, to=folder, format="sqlite", page_size=1000)
            if not done.complete:
                raise RuntimeError(done)
        spent.rows = done.rows
        return spent

    return asyncio.run(main())


def of_dlt(url: str, folder: str, cursor: str = "meta.updatedAt") -> Spent:
    """Merge students into DuckDB, following a time of each."""
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
    import dlt
    import duckdb
    from dlt.sources.rest_api import rest_api_source

    headers = dict(zip(("Client-ID", "Client-Secret"), CREDENTIALS, strict=True))
    paginator = {"type": "offset", "limit": 1000, "total_path": "pagination.total"}
    incremental = {"cursor_path": cursor, "on_cursor_value_missing": "include"}
    students = {
        "name": "students",
        "primary_key": "id",
        "write_disposition": "merge",
        "endpoint": {"path": "student", "data_selector": "data", "incremental": incremental},
        "processing_steps": [{"map": _stamped}] if cursor == LATEST else [],
    }
    source = rest_api_source(
        {"client": {"base_url": f"{url}/", "headers": headers, "paginator": paginator}, "resources": [students]}
    )
    database = Path(folder, "bench.duckdb")
    destination = dlt.destinations.duckdb(str(database))
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="d", pipelines_dir=f"{folder}/state")
    with spending() as spent:
        pipeline.run(source)
    with duckdb.connect(str(database)) as read:
        ((spent.rows,),) = read.execute("SELECT count(*) FROM d.students").fetchall()
    return spent


def _stamped(row: dict[str, Any]) -> dict[str, Any]:
    row["meta"]["latest"] = row["meta"].get("updatedAt") or row["meta"]["createdAt"]
    return row


Peer = Callable[[str, str], Spent]
ALL: dict[str, Peer] = {
    "meitner_aio, mirror": of_mirror,
    "meitner_aio, mirror, grades once a day": partial(of_mirror, grades_every=86400.0),
    "meitner_aio, export": of_export,
}
DLT: dict[str, Peer] = {}
if find_spec("dlt") and find_spec("duckdb"):
    DLT["students: dlt, updatedAt"] = of_dlt
    DLT["students: dlt, created or updated"] = partial(of_dlt, cursor=LATEST)
STUDENTS_ONLY = {"students: meitner_aio, mirror": partial(of_mirror, resources=["students"]), **DLT}
PEERS = {**ALL, **STUDENTS_ONLY}


@contextmanager
def spending(after: int = 0) -> Iterator[Spent]:
    """Measure the block, which began after so many requests: cost and memory are filled in when it ends."""
    spent = Spent(Cost(), 0, _resident(), 0, -after)
    with measured() as spent.cost:
        yield spent
    spent.peak = _resident()


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# -- the directory, in a process of its own


async def serve() -> None:
    """Serve; each line on stdin changes a hundredth of the rows, or asks how many requests came since the last."""
    from meitner_aio import Meitner
    from meitner_aio.sandbox import Sandbox

    sandbox, requests = Sandbox(students=STUDENTS, limiter="none"), 0

    async def counted(request: Any) -> Any:
        nonlocal requests
        requests += 1
        return await sandbox.send(request)

    async with Meitner.sandbox(sandbox) as meitner, served(counted) as url:
        print(url, flush=True)
        while order := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if order == "change":
                await _change(meitner, sandbox)
            print(requests, flush=True)
            requests = 0


async def _change(meitner: Any, sandbox: Any) -> None:
    """Rename students, enter some, and delete as many placements."""
    students = sandbox.records("students")
    for student in students[:: len(students) // RENAMED][:RENAMED]:
        kept = {"identity_number": student.identity_number, "last_name": student.last_name}
        await meitner.students.update(student.id, first_name=f"{student.first_name[:20]}a", **kept)
    for number in range(ENTERED):
        who = {"first_name": "Ny", "last_name": f"Elev {number}"}
        await meitner.students.create(identity_number=f"20150101-{number:04}", **who)
    placements = sandbox.records("student_placements")
    for placement in placements[:: len(placements) // DELETED][:DELETED]:
        await meitner.student_placements.delete(placement.id)


@contextmanager
def serving() -> Iterator[tuple[str, Callable[[str], int]]]:
    """Give the URL of a directory, and what tells its process what to do."""
    with subprocess.Popen(
        [sys.executable, sys.argv[0], "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        orders, answers = _pipes(process)

        def order(what: str) -> int:
            print(what, file=orders, flush=True)
            return int(answers.readline())

        yield answers.readline().strip(), order
        orders.close()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the server did not start")
    return process.stdin, process.stdout


# -- rounds


def rounds() -> dict[tuple[str, str], list[Spent]]:
    """Measure every peer at every moment, in fresh processes: each round with a directory and copies of its own."""
    spent: dict[tuple[str, str], list[Spent]] = {(moment, name): [] for moment in MOMENTS for name in PEERS}
    peers = list(PEERS)
    for names in turns(peers, ROUNDS):
        with serving() as (url, order), tempfile.TemporaryDirectory() as folder:
            for moment in MOMENTS:
                if moment == "changed":
                    order("change")
                for name in names:
                    mine = Path(folder, str(peers.index(name)))
                    mine.mkdir(mode=0o700, exist_ok=True)
                    order("count")
                    run = msgspec.json.decode(child([sys.executable, sys.argv[0], name, url, str(mine)])[1], type=Spent)
                    run.requests += order("count")
                    spent[moment, name].append(run)
    return spent


COLUMNS = [
    Column("rows", "rows", 0),
    Column("requests", "requests", 0),
    Column("cpu", "CPU, s", 2),
    Column("wall", "wall, s", 2),
    Column("per_row", "µs a row"),
    Column("more", "MiB more"),
]
DONE = {"first": "the first time", "quiet": "when nothing happened", "changed": "when a hundredth changed"}


def tables(spent: dict[tuple[str, str], list[Spent]]) -> Iterator[Table]:
    """Yield a table for each moment, of all resources and of students only, each against a mirror of the same rows."""
    for moment in MOMENTS:
        for kind, peers in (("", ALL), ("-students", STUDENTS_ONLY)):
            rows = [Row(name, values(spent[moment, name])) for name in peers]
            title = f"Keeping a copy of {'students' if kind else 'a directory'}, {DONE[moment]}"
            table = Table(f"sync-{moment}{kind}", title, COLUMNS, rows, "cpu", "seconds of CPU")
            table.rounds = max(map(len, spent.values()))
            yield table


def values(runs: list[Spent]) -> dict[str, float]:
    """Return the medians of some runs."""
    cpu, rows = median(run.cost.cpu for run in runs), runs[-1].rows
    return {
        "rows": rows,
        "requests": runs[-1].requests,
        "cpu": cpu,
        "wall": median(run.cost.wall for run in runs),
        "per_row": cpu / max(rows, 1) * 1e6,
        "more": max(run.peak - run.base for run in runs) / 2**20,
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(serve())
    elif sys.argv[1:]:
        print(msgspec.json.encode(PEERS[sys.argv[1]](*sys.argv[2:])).decode())
    else:
        for table in tables(rounds()):
            tell(table)
        if not DLT:
            print('\ndlt is left out, as it is not installed: pip install "dlt[duckdb]"')
