"""The recipes about tables keep their word: pandas, polars and DuckDB give what the directory holds."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from pages import examples, run

from meitner_aio.arrow import to_arrow
from meitner_aio.export import export

POLARS, PORTAL, DUCKDB, CHECK = examples("recipes.md")


def _active(sandbox: Any) -> list[Any]:
    """Return the placements of today; the sandbox has others too, or a filter that is wrong would not be noticed."""
    every, today = sandbox.records("student_placements"), datetime.now().astimezone().date()
    rows = [row for row in every if row.start_date <= today and (row.end_date is None or row.end_date >= today)]
    assert len(rows) < sum(row.archived_at is None for row in every)
    return rows


def _sizes(sandbox: Any) -> Counter[tuple[str, str | None]]:
    """Return the students of each school and year, counted without any table."""
    titles = {school.id: school.title for school in sandbox.records("schools")}
    live = {
        (titles[row.school_id], row.school_year and str(row.school_year), row.student_id) for row in _active(sandbox)
    }
    return Counter((title, year) for title, year, _ in live)


async def test_frames_hold_what_the_directory_holds(meitner, meitner_sandbox) -> None:
    """Counted by hand, by pandas and by pl."""
    names: dict[str, Any] = {"meitner": meitner}
    await run(POLARS, names)
    born = Counter(row.date_of_birth.year for row in meitner_sandbox.records("students") if row.date_of_birth)
    assert {int(year): int(number) for year, number in names["born"].items()} == born
    schools = {title for title, _ in _sizes(meitner_sandbox)}
    assert [title for title, _ in names["sizes"].rows()] == sorted(schools)
    wanted = Counter(title for title, _ in _sizes(meitner_sandbox).elements())
    assert dict(names["sizes"].rows()) == wanted


@pytest.mark.usefixtures("meitner_environment")
async def test_a_portal_gives_frames_to_scripts(meitner_sandbox) -> None:
    """Beside a loop that runs already, as in a notebook, too."""
    names: dict[str, Any] = {}
    await run(PORTAL, names)
    wanted = [row.id for row in meitner_sandbox.records("employees") if row.last_name == "Ek"]
    assert sorted(names["frame"]["id"]) == sorted(wanted)
    assert "first_name" in names["frame"]


async def test_duckdb_joins_the_files_of_an_export(meitner, meitner_sandbox, tmp_path, monkeypatch) -> None:
    """The counts are those of the directory, and nothing is left beside the export."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"meitner": meitner}
    await run(DUCKDB, names)
    assert {(title, year): number for title, year, number in names["counts"]} == _sizes(meitner_sandbox)
    cities = Counter(row.address and row.address.postal_city for row in meitner_sandbox.records("students"))
    assert dict(names["towns"]) == cities
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def _change_schools(path: Path, change: dict[str, Any] | None) -> None:
    manifest = json.loads(path.read_text())
    schools = manifest["resources"].pop("schools")
    if change is not None:
        manifest["resources"]["schools"] = schools | change
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ""),
        ({"complete": False}, "schools is not complete"),
        ({"partial": True}, "schools is not complete"),
        ({"exported_at": "2026-01-01T00:00:00Z"}, "schools is of 2026-01-01"),
        ({"sha256": "0"}, "schools.parquet was changed"),
        (None, "schools is not complete"),
    ],
)
async def test_the_check_of_the_page_tells_whole_exports_from_others(
    meitner, tmp_path, monkeypatch, change, told
) -> None:
    """A resource that is missing, a part, an old file and a changed one are each refused by their names."""
    monkeypatch.chdir(tmp_path)
    await export(meitner, ["schools", "students", "student_placements"], to="out/", format="parquet")
    _change_schools(tmp_path / "out" / "manifest.json", change)
    if not told:
        await run(CHECK, {})
        return
    with pytest.raises(SystemExit, match=told):
        await run(CHECK, {})


async def test_types_of_pandas_and_polars_are_as_told(meitner) -> None:
    """A date is a date, and a timestamp has its zone; `ArrowDtype` keeps lists, structs and whole numbers with nulls."""
    table = await to_arrow(meitner.employee_placements.list())
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    assert str(frame.dtypes["employment_percent"]) == "int64[pyarrow]"
    assert str(frame.dtypes["start_date"]) == "date32[day][pyarrow]"
    schema = pl.from_arrow(table).schema
    assert schema["start_date"] == pl.Date
    assert schema["roles"] == pl.List(pl.String)
    assert schema["meta"].to_schema()["created_at"] == pl.Datetime("us", "UTC")
