"""Listings as Arrow tables: every row of them or no table, in the types of an export."""

from __future__ import annotations

import asyncio
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from traceback import StackSummary, walk_tb
from typing import Any

import numbered_directory
import pyarrow as pa
import pyarrow.parquet
import pytest
from numbered_directory import NumberedDirectory, refusing

import meitner_aio
from meitner_aio import (
    APIStatusError,
    ConfigurationError,
    IncompleteListing,
    Meitner,
    MeitnerError,
    Portal,
    ResponseReceived,
    equals,
    like,
)
from meitner_aio import arrow as _arrow
from meitner_aio.arrow import to_arrow
from meitner_aio.export import export
from meitner_aio.export.formats.arrow import NestedRows
from meitner_aio.resources import RESOURCES

NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_a_table_is_what_an_export_to_parquet_holds(meitner, tmp_path: Path) -> None:
    """Of every resource: the same columns, types and rows."""
    await export(meitner, to=tmp_path, format="parquet")
    for name in RESOURCES:
        table = await to_arrow(getattr(meitner, name).list())
        exported = pyarrow.parquet.read_table(tmp_path / f"{name}.parquet")
        assert table.schema.equals(exported.schema), name
        assert table.num_rows > 0, name
        assert table.to_pylist() == exported.to_pylist(), name


@pytest.mark.parametrize("name", [name for name, kind in RESOURCES.items() if hasattr(kind, "search")])
async def test_a_search_without_a_row_has_all_columns(meitner, name: str) -> None:
    """So that what is made of the table does not depend on what was found."""
    resource = getattr(meitner, name)
    assert (await to_arrow(resource.search(id=~equals(NOBODY)))).num_rows == await resource.list().count()
    nothing = await to_arrow(resource.search(id=NOBODY))
    assert nothing.num_rows == 0
    assert nothing.schema.equals(NestedRows(RESOURCES[name].model).schema)


async def test_a_table_costs_what_a_listing_costs(meitner, meitner_sandbox) -> None:
    """One request a page, and the listing's report tells of the read."""
    listing = meitner.students.list(limit=20)
    rows = await listing.all()
    once = len(meitner_sandbox.requests)
    listing = meitner.students.list(limit=20)
    table = await to_arrow(listing)
    assert len(meitner_sandbox.requests) == 2 * once
    assert table["id"].to_pylist() == [row.id for row in rows]
    assert (listing.report.rows, listing.report.level) == (len(rows), "certified")


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> NumberedDirectory:
    """Give a directory whose first pages have nothing in fields that later ones have something in."""
    plain = numbered_directory.row

    def row(resource: str, number: int) -> dict[str, Any]:
        made = plain(resource, number) | {"gender": None, "dateOfBirth": None, "address": None}
        if number == 20:
            made |= {"gender": "Nykommen", "dateOfBirth": "2010-01-01", "address": {"postalCity": "Solna"}}
        return made

    monkeypatch.setattr(numbered_directory, "row", row)
    return NumberedDirectory()


async def test_types_do_not_depend_on_the_first_rows(late: NumberedDirectory, monkeypatch) -> None:
    """A column that is null for pages has its type, and a choice that nobody knew is text."""
    monkeypatch.setattr(_arrow, "_PIECE", 1)
    table = await to_arrow(late.students.list())
    assert table["id"].num_chunks == 3
    assert table.schema.field("date_of_birth").type == pa.date32()
    assert table["gender"].to_pylist() == [None] * 20 + ["Nykommen"] + [None] * 4
    assert [city for city in table["address"].combine_chunks().field("postal_city").to_pylist() if city] == ["Solna"]


async def test_grades_are_read_until_they_are_known_to_be_all() -> None:
    """They have no dates and no audit events: another pass shows it, as in an export."""
    directory = NumberedDirectory({"grade_elementaries": 25})
    listing = directory.grade_elementaries.list()
    assert (await to_arrow(listing)).num_rows == 25
    assert listing.report.complete


async def test_a_part_gives_no_table(meitner, tmp_path: Path) -> None:
    """A snapshot that holds a part of a directory has fewer rows than there are: no table is better than that one."""
    await export(meitner, ["students"], to=tmp_path, limit=10)
    async with Meitner(offline=tmp_path) as snapshot:
        listing = snapshot.students.list()
        with pytest.raises(IncompleteListing, match="holds only a part"):
            await to_arrow(listing)
        assert not listing.report.complete


async def test_rows_that_were_left_out_are_told(late: NumberedDirectory, monkeypatch) -> None:
    """`on_invalid="skip"` leaves rows out; a table without them would pass for all."""
    plain = numbered_directory.row
    monkeypatch.setattr(numbered_directory, "row", lambda *given: plain(*given) | {"firstName": 7})
    with pytest.raises(IncompleteListing, match="25 that break the contract were left out"):
        await to_arrow(late.students.list().paged(on_invalid="skip"))


@pytest.mark.parametrize("offset", [0, 20])
async def test_rows_that_move_are_no_partial_table(meitner, offset: int) -> None:
    """What a deletion moved is fetched again, and what was deleted is not there; from an offset there is no table."""
    before = [row.id for row in await meitner.students.list().all()]
    gone = before[offset]

    deletions: list[asyncio.Task[None]] = []

    def heard(event: object) -> None:
        if isinstance(event, ResponseReceived) and not deletions:
            deletions.append(asyncio.create_task(meitner.students.delete(gone)))

    listing = meitner.with_options(on_event=heard).students.list(limit=10, offset=offset, concurrency=1)
    if offset:
        with pytest.raises(IncompleteListing, match="the total changed"):
            await to_arrow(listing)
    else:
        table = await to_arrow(listing)
        assert set(table["id"].to_pylist()) == set(before) - {gone}
        assert listing.report.gone == (gone,)
        assert table.schema.equals(NestedRows(RESOURCES["students"].model).schema)


async def test_what_is_no_listing_is_refused(meitner, meitner_sandbox) -> None:
    """Before anything is asked for, with what to write: a page, a table of operations, rows."""
    page = await meitner.students.list()
    asked = len(meitner_sandbox.requests)
    for wrong in (page, page.data, meitner.students, meitner.students.list, None):
        with pytest.raises(TypeError, match=r"not awaited, such as meitner\.students\.list\(\)"):
            await to_arrow(wrong)
    assert len(meitner_sandbox.requests) == asked


async def test_without_pyarrow_nothing_is_requested(meitner, meitner_sandbox, monkeypatch) -> None:
    """And the error says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow.json", None)
    with pytest.raises(ConfigurationError, match=r'pip install "meitner-aio\[parquet\]"'):
        await to_arrow(meitner.students.list())
    assert not meitner_sandbox.requests


async def test_an_error_is_raised_as_it_is_and_ends_the_read() -> None:
    """Of the page that failed; nothing is asked for after it."""
    directory = NumberedDirectory({"students": 1000})
    directory.before = refusing("students", 20)
    with pytest.raises(APIStatusError, match="gone"):
        await to_arrow(directory.students.list(concurrency=1))
    assert len(directory.requests) <= 4


async def test_rows_are_parsed_outside_of_the_event_loop(meitner, monkeypatch) -> None:
    """A large page must not keep the loop from its other tasks."""
    threads: list[threading.Thread] = []
    parsed = NestedRows.of_records

    def seen(rows: NestedRows, lines: bytes) -> Any:
        threads.append(threading.current_thread())
        return parsed(rows, lines)

    monkeypatch.setattr(NestedRows, "of_records", seen)
    await to_arrow(meitner.students.list())
    assert threads
    assert threading.main_thread() not in threads


async def test_memory_does_not_grow_with_the_rows(monkeypatch) -> None:
    """Beside the table there are the pages under way: records go when they are columns."""
    monkeypatch.setattr(_arrow, "_PIECE", 20_000)
    peaks: list[int] = []
    for rows in (500, 500, 5000):
        directory = NumberedDirectory({"students": rows}, page_cap=100)
        tracemalloc.start()
        try:
            await to_arrow(directory.students.list(concurrency=1))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[2] < 3 * peaks[1]


async def test_chunks_are_bounded(monkeypatch) -> None:
    """By bytes, not by pages: a table of many short chunks would be slow to read."""
    directory = NumberedDirectory({"students": 300})
    assert (await to_arrow(directory.students.list()))["id"].num_chunks == 1
    monkeypatch.setattr(_arrow, "_PIECE", 10_000)
    chunks = (await to_arrow(directory.students.list()))["id"].chunks
    assert 3 < len(chunks) < 30
    assert max(len(chunk) for chunk in chunks) < 150


def _locals_of(error: BaseException) -> Iterator[str]:
    package = Path(meitner_aio.__file__).parent
    for frame in StackSummary.extract(walk_tb(error.__traceback__), capture_locals=True):
        if package in Path(frame.filename).parents:
            yield f"{frame.name}: {frame.locals}"


async def test_no_row_is_in_what_a_crash_report_shows(monkeypatch) -> None:
    """Arrow shows values in the `repr` of a table: no frame holds one."""
    monkeypatch.setattr(_arrow, "_PIECE", 1)
    directory = NumberedDirectory({"students": 60})
    directory.before = refusing("students", 50)
    with pytest.raises(MeitnerError) as failed:
        await to_arrow(directory.students.list(concurrency=1))
    shown = "\n".join(_locals_of(failed.value))
    assert "to_arrow" in shown
    assert "20100101" not in shown
    assert "Åsa" not in shown


async def test_a_value_without_a_place_in_its_column_is_not_quoted(monkeypatch) -> None:
    """Such as a number that is larger than any: Arrow would say which."""
    made = numbered_directory.row("grade_elementaries", 1) | {"employeeID": NOBODY, "startDate": "2026-01-01"}
    monkeypatch.setattr(numbered_directory, "row", lambda *_: made | {"employmentPercent": 8 * 10**30})
    with pytest.raises(MeitnerError, match="EmployeePlacement does not fit the types of its columns") as refused:
        await to_arrow(NumberedDirectory({"employee_placements": 1}).employee_placements.list())
    shown = f"{refused.value!r} {refused.value.__context__!r} " + "\n".join(_locals_of(refused.value))
    assert "8000" not in shown


def test_it_needs_no_asyncio() -> None:
    """A portal runs it, for scripts and notebooks."""
    with Portal(Meitner.sandbox(students=30)) as portal:
        table = portal.run(to_arrow(portal.meitner.students.search(last_name=like("%"))))
    assert table.num_rows == 30


async def test_a_cached_listing_is_a_table_too(meitner, meitner_sandbox) -> None:
    """And what is in the cache is not asked for again."""
    view = meitner.cached()
    once = await to_arrow(view.schools.list())
    asked = len(meitner_sandbox.requests)
    assert (await to_arrow(view.schools.list())).equals(once)
    assert len(meitner_sandbox.requests) == asked
