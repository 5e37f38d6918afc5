"""Exports of rows without ids: named only, in every format, every row as often as it is there, also after a resume."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pyarrow.parquet
import pytest
from msgspec.structs import replace
from object_stores import BUCKET

from meitner_aio import Attendance, AttendanceReport, ExportedStudent, Meitner
from meitner_aio._wire.validation import encode
from meitner_aio.errors import MeitnerError
from meitner_aio.export import export, plan, purge
from meitner_aio.resources import RESOURCES, Attendances
from meitner_aio.sandbox import Sandbox
from meitner_aio.tenants import export_many

FORMATS = ("ndjson", "csv", "parquet", "sqlite")
CANARY = "Kanariefågel"


ROWS = [
    Attendance(
        student=ExportedStudent(first_name=CANARY, identity_number="20110405-2382"),
        report=AttendanceReport(week=str(number // 2), status="Attendance", absence_duration_minutes=0),
    )
    for number in range(300)
]
"""Two of each."""


@pytest.fixture
def sandbox():
    """Give a directory with 300 reports of attendance, of which some are equal."""
    sandbox = Sandbox(students=2, limiter="none")
    sandbox.serve(Attendances, ROWS)
    return sandbox


def weeks(folder, format):
    """Return how often each week is in a file, read back without the package."""
    match format:
        case "ndjson":
            lines = (folder / "attendances.ndjson").read_text(encoding="utf-8").splitlines()
            return Counter(json.loads(line)["report"]["week"] for line in lines)
        case "csv":
            with (folder / "attendances.csv").open(encoding="utf-8", newline="") as file:
                return Counter(row["report_week"] for row in csv.DictReader(file))
        case "parquet":
            table = pyarrow.parquet.read_table(folder / "attendances.parquet")
            return Counter(row["week"] for row in table["report"].to_pylist())
        case _:
            with closing(sqlite3.connect(folder / "directory.sqlite")) as database:
                return Counter(week for (week,) in database.execute("SELECT report_week FROM attendances"))


@pytest.mark.parametrize("format", FORMATS)
async def test_every_row_is_written_as_often_as_it_is_there(sandbox, tmp_path, format):
    """Equal rows are rows; a second export replaces the first, and adds nothing to it; three pages are read twice."""
    out = tmp_path / "out"
    async with Meitner.sandbox(sandbox) as meitner:
        for _ in range(2):
            sandbox.requests.clear()
            report = await export(meitner, ["attendances"], to=out, format=format, page_size=100)
            (one,) = report.resources
            assert (one.rows, one.level, one.complete) == (300, "stable", True)
            assert len(sandbox.requests) == one.requests == 6
            assert weeks(out, format) == Counter(row.report.week for row in ROWS)


async def test_an_export_that_names_nothing_leaves_it_out(sandbox, tmp_path):
    """It is sensitive, large, and of another API: nobody gets it by accident."""
    async with Meitner.sandbox(sandbox) as meitner:
        report = await export(meitner, to=tmp_path / "out")
        planned = await plan(meitner)
    assert [one.resource for one in report.resources] == [*RESOURCES]
    assert [one.resource for one in planned.resources] == [*RESOURCES]
    assert not [one for one in sandbox.requests if "data-export" in one.path]


async def test_a_plan_counts_the_second_pass(sandbox):
    """What it says is what is asked for; one page needs no second."""
    async with Meitner.sandbox(sandbox) as meitner:
        for size, requests in ((100, 6), (50, 12), (300, 1), (None, 1)):
            planned = await plan(meitner, ["attendances"], page_size=size)
            assert planned.requests == requests


class Stopped(Exception):
    """What ends an export early."""


async def interrupted(meitner, out, format):
    """Export until 150 rows are there."""

    def stop(news):
        if news.rows >= 150:
            raise Stopped

    with pytest.raises(Stopped):
        await export(meitner, ["attendances"], to=out, format=format, page_size=50, concurrency=1, progress=stop)


@pytest.mark.parametrize("format", FORMATS)
async def test_a_resumed_export_has_no_row_twice_and_none_too_few(sandbox, tmp_path, format):
    """It goes on behind what is there, and the second pass proves the whole."""
    out = tmp_path / "out"
    async with Meitner.sandbox(sandbox) as meitner:
        await interrupted(meitner, out, format)
        sandbox.requests.clear()
        report = await export(meitner, ["attendances"], to=out, format=format, page_size=50, concurrency=1, resume=True)
    assert (report.rows, report.level, report.complete) == (300, "stable", True)
    assert weeks(out, format) == Counter(row.report.week for row in ROWS)
    assert len(sandbox.requests) == 3 + 6


async def test_a_resumed_export_is_not_complete_when_rows_moved_meanwhile(sandbox, tmp_path):
    """As many rows, one of them another: what was written before the interruption cannot be vouched for."""
    out = tmp_path / "out"
    async with Meitner.sandbox(sandbox) as meitner:
        await interrupted(meitner, out, "ndjson")
        moved = [*ROWS[1:], replace(ROWS[0], report=AttendanceReport(week="new"))]
        sandbox.serve(Attendances, moved)
        report = await export(meitner, ["attendances"], to=out, page_size=50, concurrency=1, resume=True)
    assert (report.complete, report.level) == (False, "consistent")


@pytest.mark.parametrize("format", FORMATS)
async def test_a_part_does_not_take_the_place_of_a_whole(sandbox, tmp_path, format):
    """Not in a table either: without a key its rows would come beside those that are there."""
    out = tmp_path / "out"
    async with Meitner.sandbox(sandbox) as meitner:
        await export(meitner, ["attendances"], to=out, format=format)
        for manifest in (True, False):
            if not manifest:
                (out / "manifest.json").unlink()
            with pytest.raises(MeitnerError, match="holds all attendances"):
                await export(meitner, ["attendances"], to=out, format=format, limit=10)
            assert weeks(out, format).total() == 300
        await export(meitner, ["attendances"], to=out, format=format, limit=10, replace=True)
    assert weeks(out, format).total() == 10


async def test_fields_are_those_that_are_named(sandbox, tmp_path):
    """There is no id that would always be there."""
    async with Meitner.sandbox(sandbox) as meitner:
        await export(meitner, ["attendances"], to=tmp_path / "out", fields=["report"], limit=1)
        with pytest.raises(ValueError, match="has no field 'rapport'; did you mean 'report'"):
            await export(meitner, ["attendances"], to=tmp_path / "out", fields=["rapport"])
        with pytest.raises(ValueError, match="cannot be searched"):
            await export(meitner, ["attendances"], to=tmp_path / "out", where={"week": "1"})
    (line,) = (tmp_path / "out" / "attendances.ndjson").read_text().splitlines()
    assert [*json.loads(line)] == ["report"]


async def test_pseudonyms_drop_names_and_keep_what_the_rows_are_for(sandbox, tmp_path):
    """A child is a pseudonym; that it was away is still told."""
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_bytes(bytes(range(32)))
    async with Meitner.sandbox(sandbox) as meitner:
        report = await export(meitner, ["attendances"], to=tmp_path / "out", pseudonymise=key, page_size=100)
    text = (tmp_path / "out" / "attendances.ndjson").read_text(encoding="utf-8")
    assert (report.level, len(text.splitlines())) == ("stable", 300)
    assert not any(word in text for word in (CANARY, "20110405"))
    first = json.loads(text.splitlines()[0])
    assert first["report"] == json.loads(encode(ROWS[0].report))


@pytest.mark.parametrize("format", FORMATS)
async def test_files_are_private_and_a_purge_finds_them(sandbox, tmp_path, format):
    """What an interrupted export left of it, too."""
    out = tmp_path / "out"
    async with Meitner.sandbox(sandbox) as meitner:
        await export(meitner, ["attendances"], to=out, format=format)
        await interrupted(meitner, out, format)
    files = [path for path in out.iterdir() if path.name != "exports.log"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert {"attendances.part", "attendances.journal"} <= {path.name for path in files}
    for path in files:
        os.utime(path, (1, 1))
    manifest = out / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"exported_at": "20', '"exported_at": "19'), encoding="utf-8")
    purge(out, timedelta(days=30))
    assert [path.name for path in out.iterdir() if b"Kanari" in path.read_bytes()] == []


@pytest.mark.parametrize("format", FORMATS)
async def test_rows_that_were_not_shown_to_be_all_do_not_pile_up(sandbox, tmp_path, format):
    """Each export replaces what the one before it wrote, also where something moved between its passes."""
    out = tmp_path / "out"
    async with Meitner.sandbox(sandbox) as meitner:
        await export(meitner, ["attendances"], to=out, format=format)
        for turn in range(2):
            moved = [*ROWS[1:], replace(ROWS[0], report=AttendanceReport(week=f"new {turn}"))]

            def move(_, moved=moved):
                sandbox.serve(Attendances, moved)

            report = await export(meitner, ["attendances"], to=out, format=format, page_size=100, progress=move)
            assert (report.complete, report.rows) == (False, 300)
            assert weeks(out, format).total() == 300


async def test_it_goes_into_an_object_store(sandbox, s3):
    """By name, beside the directory, with what was proven in the manifest."""
    async with Meitner.sandbox(sandbox) as meitner:
        report = await export(meitner, ["attendances", "schools"], to=f"s3://{BUCKET}/out", page_size=100)
    assert report.complete
    manifest = json.loads(s3.get("out/manifest.json"))["resources"]
    assert manifest["attendances"]["level"] == "stable"
    assert len(s3.get(f"out/{manifest['attendances']['file']}").splitlines()) == 300


async def test_many_tenants_take_it_by_name(sandbox, tmp_path):
    """A folder each; nothing of it where it is not named."""
    other = Sandbox(students=5)
    clients = {"one": Meitner.sandbox(sandbox), "two": Meitner.sandbox(other)}
    report = await export_many(clients, ["attendances"], to=tmp_path / "out")
    assert report.ok
    lines = (tmp_path / "out" / "two" / "attendances.ndjson").read_bytes().splitlines()
    assert len(lines) == len(other.records("attendances"))
