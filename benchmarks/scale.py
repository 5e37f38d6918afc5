"""What the directories of a whole country cost: requests, hours, processor, bytes. Counted on paper.

    python benchmarks/scale.py

Measured are the figures of `results/`: rows and bytes of a synthetic pupil (`bench_rows.py`), processor time of 200
small exports (`bench_tenants.py`), of a large one and of mirrors (`bench_sync.py`). All else is an assumption, and is
named in `Assumptions`. The sizes of municipalities follow the rank-size rule that is usual for towns: the one of rank k
has k to the power of -a times the pupils of the largest. No figure is that of a real municipality.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
from _tables import Column, Results, Row, Table, as_markdown, as_text

RESULTS = Path(__file__).with_name("results")
GRADES = ("grade_elementaries", "grade_upper_secondaries")
DAY, HOUR = 86_400, 3600


class Assumptions(NamedTuple):
    """What nobody measured."""

    municipalities: int = 290
    pupils: int = 1_500_000
    largest: float = 100.0
    """The largest municipality has so many times the pupils of the median."""
    page: int = 1000
    """Rows of a page: what a client asks for unless a server gives less."""
    quota: int = 1500
    """Requests an hour of each municipality's credential: a bucket that holds as many, as is documented."""
    answer: float = 0.5
    """Seconds until a page is there."""
    in_flight: int = 30
    """Requests at once over all directories, as `export_many` was seen to have."""
    changed: float = 0.005
    """Part of the rows that changes in a day."""
    every: int = 600
    """Seconds from one sync of the frequent ones to the next."""


class Measured(NamedTuple):
    """What was measured; processor time is in seconds."""

    rows: dict[str, float]
    """Rows for each pupil, by resource."""
    size: dict[str, float]
    """Bytes of a row in an answer, by resource."""
    searches: int
    """Requests of a sync when nothing happened, without those of grades."""
    export_directory: float
    """Processor time of an export for each directory, however small."""
    export_row: float
    first_row: float
    """Processor time of a row in the first run of a mirror."""
    grade_row: float
    """Processor time of a row of grades that is read again."""
    sync: float
    """Processor time of a sync when nothing happened, without grades."""
    changed_row: float
    """Processor time of a row that changed."""
    memory: tuple[float, float, float]
    """MiB more than at the start: of small exports, eight at work; of a large export; of a large mirror."""


class Load(NamedTuple):
    """What a task costs over all municipalities, and the requests of the largest one in the busiest hour."""

    requests: int
    largest: int
    cpu: float
    rows: float
    received: float


# -- what was measured


def measured(folder: Path = RESULTS) -> Measured:
    """Read the figures."""
    kinds, tenants = _values(folder, "rows", "rows"), _values(folder, "tenants", "tenants")["export_many"]
    first, quiet, changed = (_values(folder, "sync", f"sync-{moment}") for moment in ("first", "quiet", "changed"))
    mirror, without, export = "meitner_aio, mirror", "meitner_aio, mirror, grades once a day", "meitner_aio, export"
    copied, exported = first[mirror], first[export]
    rows = {name: kind["rows"] for name, kind in kinds.items()}
    grades = copied["rows"] * sum(rows[name] for name in GRADES) / sum(_kept(rows).values())
    export_row = exported["cpu"] / exported["rows"]
    sync = quiet[without]["cpu"]
    return Measured(
        rows,
        {name: kind["bytes"] for name, kind in kinds.items()},
        int(sum(kind["quiet"] for name, kind in kinds.items() if name not in GRADES)),
        max(0.0, tenants["cpu"] - tenants["rows"] * export_row) / TENANTS,
        export_row,
        copied["cpu"] / copied["rows"],
        max(0.0, quiet[mirror]["cpu"] - sync) / grades,
        sync,
        max(0.0, changed[without]["cpu"] - sync) / (changed[without]["rows"] * CHANGED),
        (tenants["more"], exported["more"], copied["more"]),
    )


TENANTS, CHANGED = 200, 0.01
"""Directories of `bench_tenants.py`; the part of rows that `bench_sync.py` changes."""


def _values(folder: Path, name: str, table: str) -> dict[str, dict[str, float]]:
    results = msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Results)
    return {row.name: row.values for found in results.tables if found.name == table for row in found.rows}


def _kept(rows: dict[str, float]) -> dict[str, float]:
    """Return the rows that exports and mirrors read: audit events are the trace of changes, not data."""
    return {name: count for name, count in rows.items() if name != "audit_events"}


# -- what follows


def sizes(assumed: Assumptions) -> list[int]:
    """Return the pupils of each municipality, the smallest first."""
    ranks = range(assumed.municipalities, 0, -1)
    power = math.log(assumed.largest) / math.log(median(ranks))
    weights = [rank**-power for rank in ranks]
    return [round(assumed.pupils * weight / sum(weights)) for weight in weights]


def _pages(rows: float, page: int) -> int:
    return max(1, math.ceil(rows / page))


def exported(assumed: Assumptions, known: Measured) -> Load:
    """Return what a first full export of everything costs."""
    rows = _kept(known.rows)
    requests = [sum(_pages(pupils * each, assumed.page) for each in rows.values()) for pupils in sizes(assumed)]
    total = assumed.pupils * sum(rows.values())
    cpu = assumed.municipalities * known.export_directory + total * known.export_row
    received = assumed.pupils * sum(each * known.size[name] for name, each in rows.items())
    return Load(sum(requests), requests[-1], cpu, total, received)


def copied(assumed: Assumptions, known: Measured) -> Load:
    """Return what the first run of all mirrors costs."""
    load = exported(assumed, known)
    return load._replace(cpu=assumed.municipalities * known.sync + load.rows * known.first_row)


def synced(assumed: Assumptions, known: Measured, *, runs: int, grades: int) -> Load:
    """Return what a day of syncs costs, of which some read the grades, which cannot be searched."""
    searched = {name: each for name, each in _kept(known.rows).items() if name not in GRADES}
    changes = assumed.changed * assumed.pupils * sum(searched.values())
    marks = {name: known.rows[name] for name in GRADES}
    pages = [sum(_pages(pupils * each, assumed.page) for each in marks.values()) for pupils in sizes(assumed)]
    extra = assumed.changed * sizes(assumed)[-1] * sum(searched.values()) / assumed.page / runs
    hourly = max(1, round(runs / 24))
    read = grades * assumed.pupils * sum(marks.values())
    cpu = runs * assumed.municipalities * known.sync + read * known.grade_row + changes * known.changed_row
    size = sum(each * known.size[name] for name, each in searched.items())
    received = grades * sum(each * known.size[name] for name, each in marks.items()) + assumed.changed * size
    return Load(
        runs * assumed.municipalities * known.searches + grades * sum(pages),
        hourly * (known.searches + math.ceil(extra)) + min(hourly, grades) * pages[-1],
        cpu,
        read + changes,
        assumed.pupils * received,
    )


def waits(requests: int, assumed: Assumptions) -> float:
    """Return the seconds that a full bucket makes the last of so many requests wait."""
    return max(0, requests - assumed.quota) * HOUR / assumed.quota


def loads(assumed: Assumptions, known: Measured) -> Iterator[tuple[str, Load]]:
    """Yield every task with what it costs."""
    often = DAY // assumed.every
    yield "a full export", exported(assumed, known)
    yield "the first run of a mirror", copied(assumed, known)
    yield "a sync a day", synced(assumed, known, runs=1, grades=1)
    minutes = assumed.every // 60
    yield f"a day of syncs every {minutes} minutes, grades once", synced(assumed, known, runs=often, grades=1)
    yield f"a day of syncs every {minutes} minutes, grades each time", synced(assumed, known, runs=often, grades=often)


COLUMNS = [
    Column("requests", "requests", 0),
    Column("largest", "of the largest, in its busiest hour", 0),
    Column("waits", "hours until its quota has served them", 2),
    Column("cpu", "CPU, hours", 2),
    Column("wall", "hours in one process", 2),
    Column("rows", "million rows read", 2),
    Column("received", "GB received", 2),
]


def table(assumed: Assumptions, known: Measured) -> Table:
    """Return what every task costs."""
    rows = [
        Row(
            name,
            {
                "requests": load.requests,
                "largest": load.largest,
                "waits": waits(load.largest, assumed) / HOUR,
                "cpu": load.cpu / HOUR,
                "wall": max(load.cpu, load.requests * assumed.answer / assumed.in_flight) / HOUR,
                "rows": load.rows / 1e6,
                "received": load.received / 1e9,
                "ratio": load.requests / exported(assumed, known).requests,
            },
        )
        for name, load in loads(assumed, known)
    ]
    title = f"{assumed.municipalities} municipalities, {assumed.pupils:,} pupils"
    return Table("scale", title, COLUMNS, rows, "requests", "requests", drawn=False)


def notes(assumed: Assumptions, known: Measured) -> list[str]:
    """Return what the table rests on, measured and assumed."""
    pupils = sizes(assumed)
    rows = {name: each for name, each in _kept(known.rows).items() if each >= 0.01}
    told = ", ".join(f"{name.replace('_', ' ')} {each:.2f}" for name, each in rows.items())
    sized = (
        f"Assumed: the largest municipality has {assumed.largest:.0f} times the pupils of the median, the others "
        f"follow the rank-size rule: {pupils[0]:,} pupils in the smallest, {round(median(pupils)):,} in the median, "
        f"{pupils[-1]:,} in the largest."
    )
    served = (
        f"Assumed: {assumed.quota:,} requests an hour for each municipality, a bucket that is full at first; a page "
        f"is there after {assumed.answer} s, with {assumed.in_flight} requests in flight; {assumed.changed:.1%} of the "
        "rows change in a day."
    )
    cost = (
        f"Measured: {known.export_row * 1e6:.0f} µs of CPU for a row exported to SQLite, {known.first_row * 1e6:.0f} "
        f"for one first copied, {known.grade_row * 1e6:.0f} for a grade read again, "
        f"{known.changed_row * 1e6:.0f} for a row that changed; {known.export_directory * 1e3:.0f} ms for a directory "
        f"exported, {known.sync * 1e3:.0f} ms for a sync that finds nothing, in {known.searches} requests; that of "
        "20,000 pupils counts for every directory here."
    )
    many, large, mirror = known.memory
    memory = (
        f"Measured: memory grows by {many:.0f} MiB while 200 directories of 60 pupils are exported, eight at once; by "
        f"{large:.0f} MiB for one of 20,000 pupils exported to SQLite, and by {mirror:.0f} MiB for a mirror of it."
    )
    shape = f"Assumed, as in the sandbox: rows for each pupil are {told}. A page has {assumed.page:,} rows."
    return [sized, shape, served, cost, memory]


def told(assumed: Assumptions | None = None, folder: Path = RESULTS) -> str:
    """Return the table and its notes for the documentation."""
    assumed = assumed or Assumptions()
    known = measured(folder)
    return f"{as_markdown(table(assumed, known))}\n\n" + "\n".join(f"- {note}" for note in notes(assumed, known))


if __name__ == "__main__":
    figures = measured()
    print(as_text(table(Assumptions(), figures)), "", *notes(Assumptions(), figures), sep="\n")
