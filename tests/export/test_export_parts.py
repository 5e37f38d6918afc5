"""A part of a directory says that it is one, takes the place of no whole unasked, and passes for none offline."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from numbered_directory import NumberedDirectory, refusing

from meitner_aio import APIConnectionError, ConfigurationError, IncompleteListing, Meitner, MeitnerError, NotFoundError
from meitner_aio.export import export
from meitner_aio.sandbox import Sandbox

LATER = datetime.now(UTC) + timedelta(days=400)
"""Nothing was changed since then."""
NOBODY = "00000000-0000-4000-8000-000000000000"

PARTS: list[dict[str, Any]] = [
    {"since": LATER},
    {"where": {"last_name": "Nobody"}},
    {"limit": 3},
    {"fields": ["last_name"]},
]
"""The four ways to narrow an export."""


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Give a directory of sixty students."""
    async with Sandbox(students=60, schools=3, seed=4, limiter="none") as sandbox:
        yield sandbox


@pytest.fixture
def meitner(sandbox: Sandbox) -> Meitner:
    """Give a client of it."""
    return Meitner.sandbox(sandbox)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _entry(folder: Path, resource: str = "students") -> dict[str, Any]:
    entry: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())["resources"][resource]
    return entry


def _table(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "directory.sqlite")) as database:
        return database.execute(query).fetchall()


# Files.


@pytest.mark.parametrize("how", PARTS, ids=lambda how: next(iter(how)))
@pytest.mark.parametrize("kind", ["ndjson", "csv"])
async def test_a_part_does_not_replace_a_whole(
    meitner: Meitner, sandbox: Sandbox, tmp_path: Path, how: Any, kind: Any
) -> None:
    """Refused before a request, with what to do; the file of before and its manifest are untouched."""
    await export(meitner, ["students"], to=tmp_path, format=kind)
    before, asked = _files(tmp_path), len(sandbox.requests)
    with pytest.raises(MeitnerError, match=rf"students.{kind} holds all students.*replace=True \(--replace\)"):
        await export(meitner, ["schools", "students"], to=tmp_path, format=kind, **_for_both(how))
    assert (_files(tmp_path), len(sandbox.requests)) == (before, asked)


def _for_both(how: dict[str, Any]) -> dict[str, Any]:
    """Return a part that schools have, too."""
    return {"since": LATER} if how.keys() & {"where", "fields"} else how


@pytest.mark.parametrize("how", PARTS, ids=lambda how: next(iter(how)))
async def test_a_part_replaces_a_whole_when_asked_to(meitner: Meitner, tmp_path: Path, how: Any) -> None:
    """And says of itself, in report and manifest, that it is a part."""
    await export(meitner, ["students"], to=tmp_path)
    report = await export(meitner, ["students"], to=tmp_path, replace=True, **how)
    (one,) = report.resources
    lines = (tmp_path / "students.ndjson").read_bytes().splitlines()
    assert (one.partial, one.rows) == (True, len(lines))
    assert (_entry(tmp_path)["partial"], _entry(tmp_path)["rows"]) == (True, len(lines))
    assert len(lines) == {"limit": 3, "fields": 60}.get(next(iter(how)), 0)


@pytest.mark.parametrize("how", PARTS, ids=lambda how: next(iter(how)))
async def test_a_part_replaces_a_part_and_a_whole_replaces_it(meitner: Meitner, tmp_path: Path, how: Any) -> None:
    """A folder of parts stays one, and a whole export is always welcome."""
    for _ in range(2):
        await export(meitner, ["students"], to=tmp_path, **how)
        assert _entry(tmp_path)["partial"]
    await export(meitner, ["students"], to=tmp_path)
    assert (_entry(tmp_path)["partial"], _entry(tmp_path)["rows"]) == (False, 60)
    with pytest.raises(MeitnerError, match="holds all students"):
        await export(meitner, ["students"], to=tmp_path, **how)


async def test_a_limit_that_nothing_meets_makes_no_part(meitner: Meitner, tmp_path: Path) -> None:
    """The file holds all there is."""
    report = await export(meitner, ["students"], to=tmp_path, limit=60)
    assert (report.resources[0].partial, report.complete) == (False, True)


async def test_a_file_that_no_manifest_knows_is_taken_for_a_whole(meitner: Meitner, tmp_path: Path) -> None:
    """Somebody's file is not lost because a manifest is."""
    (tmp_path / "students.csv").write_text("mine")
    with pytest.raises(MeitnerError, match=r"students\.csv holds all students, as far as is known"):
        await export(meitner, ["students"], to=tmp_path, format="csv", limit=1)
    assert (tmp_path / "students.csv").read_text() == "mine"


async def test_a_part_in_another_format_does_not_push_a_whole_out_of_the_manifest(
    meitner: Meitner, tmp_path: Path
) -> None:
    """The manifest knows one file a resource: what it knows is the best there is."""
    await export(meitner, ["students"], to=tmp_path)
    for kind in ("csv", "sqlite"):
        with pytest.raises(MeitnerError, match=r"students\.ndjson holds all students"):
            await export(meitner, ["students"], to=tmp_path, format=kind, limit=1)  # type: ignore[arg-type]


async def test_a_whole_that_a_part_pushed_out_of_the_manifest_is_still_no_part(
    meitner: Meitner, tmp_path: Path
) -> None:
    """`replace` allowed a part in another format, and not the next part to take the whole file's place."""
    await export(meitner, ["students"], to=tmp_path)
    whole = (tmp_path / "students.ndjson").read_bytes()
    await export(meitner, ["students"], to=tmp_path, format="csv", limit=1, replace=True)
    with pytest.raises(MeitnerError, match=r"students\.ndjson holds all students, as far as is known"):
        await export(meitner, ["students"], to=tmp_path, limit=1)
    assert (tmp_path / "students.ndjson").read_bytes() == whole
    await export(meitner, ["students"], to=tmp_path, format="csv", limit=1)


async def test_what_is_read_in_full_replaces_a_whole_beside_parts(meitner: Meitner, tmp_path: Path) -> None:
    """Grades are no part, whatever `since` narrows; one part among the resources is enough to refuse all."""
    await export(meitner, ["grade_elementaries"], to=tmp_path)
    report = await export(meitner, to=tmp_path, since=LATER)
    assert {one.resource: one.partial for one in report.resources}["grade_elementaries"] is False
    await export(meitner, ["students"], to=tmp_path)
    with pytest.raises(MeitnerError, match=r"students\.ndjson holds all students"):
        await export(meitner, to=tmp_path, since=LATER)


async def test_a_part_that_was_allowed_is_resumed_without_asking_again(tmp_path: Path) -> None:
    """Whoever said `replace` when it began need not say it when it goes on."""
    directory = NumberedDirectory({"students": 95})
    await export(directory, ["students"], to=tmp_path)  # type: ignore[arg-type]
    directory.before = refusing("students", 60)
    with pytest.raises(NotFoundError):
        await export(directory, ["students"], to=tmp_path, limit=90, replace=True, concurrency=1)  # type: ignore[arg-type]
    directory.before = lambda *_: None
    report = await export(directory, ["students"], to=tmp_path, limit=90, resume=True)  # type: ignore[arg-type]
    assert (report.rows, report.resources[0].partial) == (90, True)


# Tables.


async def test_a_part_updates_a_table_and_reports_what_it_holds(meitner: Meitner, tmp_path: Path) -> None:
    """A deleted row stays, so the table is not complete; the manifest counts the table, not what was read."""
    await export(meitner, ["students"], to=tmp_path, format="sqlite")
    gone = await meitner.students.list().first()
    assert gone is not None
    await meitner.students.delete(gone.id)
    made = await meitner.students.create(identity_number="20140101-0001", first_name="Bo", last_name="Ek")
    assert made.meta is not None
    report = await export(meitner, ["students"], to=tmp_path, format="sqlite", since=made.meta.created_at)
    (one,) = report.resources
    assert _table(tmp_path, "SELECT count(*) FROM students") == [(61,)]
    assert (one.rows, one.updated, one.partial, one.complete, report.complete) == (61, 1, True, False, False)
    entry = _entry(tmp_path)
    assert (entry["rows"], entry["updated"], entry["complete"]) == (61, 1, False)
    report = await export(meitner, ["students"], to=tmp_path, format="sqlite")
    assert (report.rows, report.complete, report.resources[0].updated) == (60, True, None)
    assert (gone.id,) not in _table(tmp_path, "SELECT id FROM students")


async def test_fields_leave_the_other_columns_of_a_table_alone(meitner: Meitner, tmp_path: Path) -> None:
    """Twenty-one columns do not vanish because one was asked for."""
    await export(meitner, ["students"], to=tmp_path, format="sqlite")
    before = _table(tmp_path, "SELECT * FROM students ORDER BY id")
    report = await export(meitner, ["students"], to=tmp_path, format="sqlite", fields=["last_name"])
    assert _table(tmp_path, "SELECT * FROM students ORDER BY id") == before
    assert (report.rows, report.resources[0].partial, report.complete) == (60, True, False)


@pytest.mark.parametrize(("how", "rows"), [(PARTS[0], 0), (PARTS[2], 3), (PARTS[3], 60)])
async def test_a_part_replaces_a_table_when_asked_to(meitner: Meitner, tmp_path: Path, how: Any, rows: int) -> None:
    """Then it holds the part, and nothing that is not in it."""
    await export(meitner, ["students"], to=tmp_path, format="sqlite")
    report = await export(meitner, ["students"], to=tmp_path, format="sqlite", replace=True, **how)
    columns = [name for (name,) in _table(tmp_path, "SELECT name FROM pragma_table_info('students')")]
    assert _table(tmp_path, "SELECT count(*) FROM students") == [(rows,)]
    assert (columns == ["id", "last_name"]) == ("fields" in how)
    assert (report.rows, report.resources[0].updated, report.resources[0].partial) == (rows, None, True)


async def test_a_part_in_a_new_table_is_all_that_it_holds(meitner: Meitner, tmp_path: Path) -> None:
    """Nothing else is in it: complete, as a part."""
    report = await export(meitner, ["students"], to=tmp_path, format="sqlite", where={"gender": "Female"})
    (one,) = report.resources
    assert (one.partial, one.complete, one.updated) == (True, True, None)
    assert _table(tmp_path, "SELECT count(*) FROM students") == [(one.rows,)]


# Offline.


@pytest.mark.parametrize(
    "how", [{"where": {"gender": "Female"}}, {"limit": 15}, {"since": datetime(2000, 1, 1, tzinfo=UTC)}]
)
async def test_a_part_does_not_pass_for_the_whole_offline(
    meitner: Meitner, tmp_path: Path, how: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning when it is opened; every listing is unverified, and a record that it lacks is not 'not found'."""
    await export(meitner, ["schools"], to=tmp_path)
    await export(meitner, ["students"], to=tmp_path, **how)
    with caplog.at_level(logging.WARNING, "meitner_aio"):
        async with Meitner(offline=tmp_path) as offline:
            for paging in ({}, {"exact": True}, {"limit": 4}):
                listing = offline.students.list().paged(**paging)  # type: ignore[arg-type]
                rows = await listing.all()
                assert (listing.report.level, listing.report.complete) == ("unverified", False)
                assert listing.report.problems == ("the snapshot holds only a part of the directory",)
            assert await offline.students.get(rows[0].id) == rows[0]
            with pytest.raises(APIConnectionError, match="holds a part of students"):
                await offline.students.get(NOBODY)
            with pytest.raises(IncompleteListing):
                await offline.students.list().paged(strict=True).all()
            with pytest.raises(IncompleteListing):
                await offline.students.get_many([NOBODY])
            whole = offline.schools.list()
            await whole.all()
            assert whole.report.level == "certified"
            again = await export(offline, ["students"], to=tmp_path / "again")
            assert (again.complete, again.level) == (False, "unverified")
    assert [
        record.getMessage().partition("only, of ")[2] for record in caplog.records if record.levelno == logging.WARNING
    ] == [f"students ({next(iter(how))}{' gender' if 'where' in how else ''}): no listing of it is complete"]


async def test_rows_without_some_of_their_fields_are_no_records_offline(meitner: Meitner, tmp_path: Path) -> None:
    """A null that nobody exported would be a lie: refused, with the reason."""
    await export(meitner, ["students"], to=tmp_path, fields=["identity_number", "first_name", "last_name"])
    async with Meitner(offline=tmp_path) as offline:
        with pytest.raises(ConfigurationError, match="only some fields of its records; export all of them"):
            await offline.students.list().all()


# Where to.


@pytest.mark.parametrize("to", ["https://example.com/x", "file:///tmp/x", "s3a://bucket/x", "postgres://u:secret@h/d"])
@pytest.mark.parametrize("kind", [str, Path])
async def test_an_address_is_no_folder(to: str, kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pupils' data does not land in a folder called `https:`; nothing is asked, nothing made, no password repeated."""
    monkeypatch.chdir(tmp_path)
    directory = NumberedDirectory()
    with pytest.raises(ValueError, match=f"{to.partition(':')[0]}:// is not supported") as refused:
        await export(directory, ["students"], to=kind(to))  # type: ignore[arg-type]
    assert "secret" not in str(refused.value)
    assert (directory.requests, _files(tmp_path)) == ([], {})


async def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """One that is there, one below it, and a name that is one's: each refused in words, before any request."""
    (tmp_path / "taken").write_text("mine")
    directory = NumberedDirectory()
    for name, problem in (
        ("taken", "taken is a file, and each resource gets a file of its own"),
        ("out.csv", r"out\.csv looks like a file.* name a folder, such as .*/out;"),
    ):
        with pytest.raises(ValueError, match=problem):
            await export(directory, ["students", "schools"], to=tmp_path / name)  # type: ignore[arg-type]
    with pytest.raises(NotADirectoryError, match=r"out cannot be a folder, for .*taken is a file"):
        await export(directory, ["students"], to=tmp_path / "taken" / "out")  # type: ignore[arg-type]
    assert (directory.requests, _files(tmp_path)) == ([], {"taken": b"mine"})


async def test_a_folder_may_have_a_name_with_a_dot(tmp_path: Path) -> None:
    """One that is there is what it is, and `v1.2` looks like no file."""
    (tmp_path / "data.csv").mkdir()
    for name in ("data.csv", "v1.2"):
        report = await export(NumberedDirectory(), ["schools"], to=tmp_path / name)  # type: ignore[arg-type]
        assert report.rows == 7
