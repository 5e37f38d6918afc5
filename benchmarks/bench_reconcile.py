"""What does it cost to push a registry? 30,000 pupils with a placement each, of which a hundredth changed.

The registry is a folder of CSV: 300 pupils have another name, 300 placements another school year. Two moments: the run
that carries this out, and the next one, which finds nothing to do. Beside `plan` and `apply`, the loop that one writes
by hand: csv, bare aiohttp and msgspec, listing by 100, one get and one patch for a row that differs, one after the
other, with no guard, no journal and no check of the registry.

Requests, processor time and memory are of a fresh process, before a sandbox in a process of its own. Time within the
quota is that of a clock that jumps, before a bucket of 1,500 requests an hour; for the loop by hand it is the least
that the bucket allows to as many requests.

    python benchmarks/bench_reconcile.py
"""

from __future__ import annotations

import asyncio
import csv
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
from _harness import child, sized, tell, turns
from _peers import CREDENTIALS, by_hand
from _served import served
from _tables import Column, Row, Table
from bench_requests import LATENCY, least
from bench_sync import Spent, _pipes, spending, values

PUPILS, SCHOOLS, EACH, ROUNDS = sized(30_000, quick=1000), 30, 100, 2
"""One row in so many changed."""
MOMENTS = ("changed", "quiet")
QUOTA = 1500
SOURCE = "api"


# -- the directory and its registry


def sandbox(*, is_pushed: bool = False, **choices: Any) -> Any:
    """Return a sandbox with the pupils, owned by the source that it writes; `is_pushed` as the registry has them."""
    from meitner_aio.records import External, Meta
    from meitner_aio.resources.schools import School, SchoolType
    from meitner_aio.resources.student_placements import SchoolYear, StudentPlacement, StudentPlacementSchoolType
    from meitner_aio.resources.students import Student
    from meitner_aio.sandbox import Sandbox

    made = Sandbox(students=0, schools=0, **choices)
    tables = made._directory._tables  # noqa: SLF001 - 60,000 creates would take longer than the benchmark
    meta = Meta(created_at=datetime(2025, 1, 1, tzinfo=UTC))

    def put(resource: str, kind: type, number: int, **values: Any) -> None:
        external = External(source_id=f"{resource}-{number}", source=SOURCE)
        tables[resource].put(kind(id=_id(resource, number), meta=meta, external=external, **values))

    for number in range(SCHOOLS):
        put("schools", School, number, title=f"Skola {number}", school_type=SchoolType.GR)
    for number in range(PUPILS):
        changes = is_pushed and number % EACH == 0
        name = {"first_name": f"Elev {number}", "last_name": "Al" if changes else "Ek"}
        put("students", Student, number, identity_number=_identity(number), **name)
        place = {"student_id": _id("students", number), "school_id": _id("schools", number % SCHOOLS)}
        terms = {"school_type": StudentPlacementSchoolType.GR, "school_year": SchoolYear("5" if changes else "4")}
        put("student_placements", StudentPlacement, number, start_date=date(2025, 8, 18), **place, **terms)
    return made


def _id(resource: str, number: int) -> str:
    kind = ("schools", "students", "student_placements").index(resource)
    return f"{number:08x}-{kind:04x}-4000-8000-000000000000"


def _identity(number: int) -> str:
    return f"2015{1 + number // 10_000:02}{1 + number % 28:02}-{number % 10_000:04}"


def write_registry(folder: Path) -> None:
    """Write the files of the registry."""
    pupils = (
        {
            "source_id": f"students-{number}",
            "identity_number": _identity(number),
            "first_name": f"Elev {number}",
            "last_name": "Ek" if number % EACH else "Al",
        }
        for number in range(PUPILS)
    )
    placements = (
        {
            "source_id": f"student_placements-{number}",
            "student.identity_number": _identity(number),
            "school.source_id": f"schools-{number % SCHOOLS}",
            "school_type": "GR",
            "school_year": "4" if number % EACH else "5",
            "start_date": "2025-08-18",
        }
        for number in range(PUPILS)
    )
    for name, rows in (("students", pupils), ("student_placements", placements)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            first = next(rows)
            writer = csv.DictWriter(file, first)
            writer.writeheader()
            writer.writerows([first, *rows])


# -- peers


def ours(url: str, registry: str, folder: str) -> Spent:
    """Plan and carry out."""
    from meitner_aio import Meitner
    from meitner_aio.reconcile import Desired, plan

    async def main() -> Spent:
        async with Meitner(*CREDENTIALS.values(), base_url=url) as meitner:
            await meitner.schools.list(limit=1)  # connect and import before the clock runs
            with spending(after=1) as spent:
                proposal = await plan(meitner, Desired.load(registry), source=SOURCE)
                report = await proposal.apply(Path(folder, "journal"))
        if not report.ok or proposal.problems:
            raise RuntimeError(report)
        spent.rows = len(proposal.actions)
        return spent

    return asyncio.run(main())


def hand(url: str, registry: str, _: str) -> Spent:
    """List, compare, and get and patch what differs."""

    async def main() -> Spent:
        async with by_hand() as session:
            await _call(session, "GET", f"{url}/school?limit=1")
            with spending(after=1) as spent:
                spent.rows = await _push(session, url, Path(registry))
        return spent

    return asyncio.run(main())


async def _push(session: Any, url: str, registry: Path) -> int:
    students = {row["identityNumber"]: row async for row in _listed(session, f"{url}/student")}
    schools = {(row["external"] or {}).get("sourceID"): row["id"] async for row in _listed(session, f"{url}/school")}
    placements = {(r["studentID"], r["schoolID"]): r async for r in _listed(session, f"{url}/student-placement")}
    changed = 0
    with (registry / "students.csv").open() as file:
        for row in csv.DictReader(file):
            names = {"firstName": row["first_name"], "lastName": row["last_name"]}
            student = students[row["identity_number"]]
            body = {"identityNumber": row["identity_number"], **names}
            changed += await _patched(session, f"{url}/student/{student['id']}", student, body)
    with (registry / "student_placements.csv").open() as file:
        for row in csv.DictReader(file):
            student = students[row["student.identity_number"]]
            placement = placements[student["id"], schools[row["school.source_id"]]]
            terms = {"schoolType": row["school_type"], "schoolYear": row["school_year"]}
            body = {**terms, "startDate": row["start_date"]}
            changed += await _patched(session, f"{url}/student-placement/{placement['id']}", placement, body)
    return changed


async def _patched(session: Any, url: str, listed: dict[str, Any], body: dict[str, Any]) -> bool:
    if all(listed[name] == value for name, value in body.items()):
        return False
    now = await _call(session, "GET", url)
    if any(now[name] != value for name, value in body.items()):
        await _call(session, "PATCH", url, body)
    return True


async def _listed(session: Any, url: str) -> Any:
    offset, total = 0, 1
    while offset < total:
        page = await _call(session, "GET", f"{url}?limit=100&offset={offset}")
        for row in page["data"]:
            yield row
        offset, total = offset + len(page["data"]), page["pagination"]["total"]


async def _call(session: Any, method: str, url: str, body: object = None) -> Any:
    given = {} if body is None else {"data": msgspec.json.encode(body), "headers": {"Content-Type": "application/json"}}
    async with session.request(method, url, **given) as response:
        answer = await response.read()
        if response.status != 200:
            raise RuntimeError(response.status)
    return msgspec.json.decode(answer)


PEERS: Mapping[str, Callable[[str, str, str], Spent]] = {"meitner_aio, plan and apply": ours, "by hand": hand}


def within_quota(registry: str, folder: str, *, changed: bool) -> float:
    """Return the seconds that `plan` and `apply` take within the quota, on a clock that jumps."""
    from meitner_aio import Meitner
    from meitner_aio.reconcile import Desired, plan
    from meitner_aio.testing import VirtualClock

    class Clock(VirtualClock):
        def _ready(self, selector: Any, timeout: float | None) -> Any:
            return selector.select(None if timeout is None else 0)  # a plan of so many rows takes seconds in its thread

    clock = Clock()

    async def main() -> float:
        choices = {"limiter": "bucket", "quota": QUOTA, "latency": LATENCY, "clock": clock.time}
        async with Meitner.sandbox(sandbox(is_pushed=not changed, **choices)) as meitner:
            proposal = await plan(meitner, Desired.load(registry), source=SOURCE)
            await proposal.apply(Path(folder, "journal"))
        return clock.elapsed

    return clock.run(main())


# -- the sandbox, in a process of its own


async def serve() -> None:
    """Serve; each line on stdin asks how many requests came since the last."""
    directory, requests = sandbox(limiter="none"), 0

    async def counted(request: Any) -> Any:
        nonlocal requests
        requests += 1
        return await directory.send(request)

    async with served(counted) as url:
        print(url, flush=True)
        while (await asyncio.to_thread(sys.stdin.readline)).strip():
            print(requests, flush=True)
            requests = 0


@contextmanager
def serving() -> Iterator[tuple[str, Callable[[], int]]]:
    """Give the URL of a directory, and what tells how many requests came since it was last asked."""
    import subprocess

    command = [sys.executable, sys.argv[0], "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        orders, answers = _pipes(process)

        def count() -> int:
            print("count", file=orders, flush=True)
            return int(answers.readline())

        yield answers.readline().strip(), count
        orders.close()


# -- rounds


def rounds(registry: str) -> dict[tuple[str, str], list[Spent]]:
    """Measure every peer at both moments, in fresh processes, each with a directory of its own."""
    spent: dict[tuple[str, str], list[Spent]] = {(moment, name): [] for moment in MOMENTS for name in PEERS}
    for names in turns(list(PEERS), ROUNDS):
        for name in names:
            with serving() as (url, count), tempfile.TemporaryDirectory() as folder:
                for moment in MOMENTS:
                    count()
                    command = [sys.executable, sys.argv[0], name, url, registry, folder]
                    run = msgspec.json.decode(child(command)[1], type=Spent)
                    run.requests += count()
                    spent[moment, name].append(run)
    return spent


COLUMNS = [
    Column("rows", "writes", 0),
    Column("requests", "requests", 0),
    Column("cpu", "CPU, s", 2),
    Column("wall", "wall, s", 2),
    Column("more", "MiB more"),
    Column("minutes", f"minutes at {QUOTA:,} an hour"),
]


def tables(spent: Mapping[tuple[str, str], list[Spent]], seconds: Mapping[str, float]) -> Iterator[Table]:
    """Yield a table for each moment."""
    for moment in MOMENTS:
        rows = [Row(name, values(spent[moment, name])) for name in PEERS]
        rows[0].values["minutes"] = seconds[moment] / 60
        for row in rows[1:]:
            row.values["minutes"] = least(int(row.values["requests"]), "bucket", QUOTA) / 60
        what = "a hundredth changed" if moment == "changed" else "nothing changed"
        title = f"Pushing {PUPILS:,} pupils with a placement each, {what}"
        table = Table(f"reconcile-{moment}", title, COLUMNS, rows, "requests", "requests")
        table.rounds = max(map(len, spent.values()))
        table.notes = ["By hand: no guard, no journal, no check of the registry."]
        yield table


def main() -> None:
    """Measure, and tell the tables."""
    with tempfile.TemporaryDirectory() as registry, tempfile.TemporaryDirectory() as folder:
        write_registry(Path(registry))
        seconds = {}
        for moment in MOMENTS:
            made = child([sys.executable, sys.argv[0], "--quota", moment, registry, tempfile.mkdtemp(dir=folder)])[1]
            seconds[moment] = float(made)
        for table in tables(rounds(registry), seconds):
            tell(table)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(serve())
    elif sys.argv[1:2] == ["--quota"]:
        print(within_quota(*sys.argv[3:], changed=sys.argv[2] == "changed"))
    elif sys.argv[1:]:
        print(msgspec.json.encode(PEERS[sys.argv[1]](*sys.argv[2:])).decode())
    else:
        main()
