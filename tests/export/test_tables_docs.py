"""The recipes about tables keep their word: pandas, polars and DuckDB give what the directory holds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd
import polars as pl
import pytest
from pages import examples, run

from meitner_aio.arrow import to_arrow

POLARS, PORTAL, DUCKDB = examples("recipes.md")


def _sizes(sandbox: Any) -> Counter[tuple[str, str | None]]:
    """Return the students of each school and year, counted without any table."""
    titles = {school.id: school.title for school in sandbox.records("schools")}
    live = {
        (titles[row.school_id], row.school_year and str(row.school_year), row.student_id)
        for row in sandbox.records("student_placements")
        if row.archived_at is None
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
    students = {row.student_id for row in meitner_sandbox.records("student_placements") if row.archived_at is None}
    assert names["sizes"]["students"].sum() >= len(students)


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
