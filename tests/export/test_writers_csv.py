"""CSV: what stands in a cell, of which programs lose nothing, and that a spreadsheet runs none."""

import csv
import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from read_back import TEXTS, as_answered, flat, rebuilt, records, write
from samples import ID, required

from meitner_aio import EmployeePlacement, Group, Student
from meitner_aio._runtime.formulas import guarded, plain
from meitner_aio.export.formats.columns import Column
from meitner_aio.export.formats.csv import CsvText
from meitner_aio.records import Kind

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"


def written(path, *rows, model=Student, **options):
    """Return the text of a file of these rows."""
    write("csv", model, rows, path, **options)
    return path.read_bytes().decode()


def student(**fields):
    """Return a student with an id, a name and what else is given."""
    return Student(**required(Student) | {"identity_number": "20150101-0001"} | fields)


def test_a_file_in_full(tmp_path):
    """Text in quotes, numbers and truth bare, null empty, objects in columns, lists in JSON, CRLF."""
    group = Group(id=ID, school_id=ID, title='Kör "A", B', member_ids=[ID], types=[])
    assert written(tmp_path / "g.csv", group, model=Group, fields=("title", "external", "types", "member_ids")) == (
        '"id","external_source_id","external_source","title","types","member_ids"\r\n'
        f'"{ID}",,,"Kör ""A"", B","[]","[""{ID}""]"\r\n'
    )
    row = {"id": ID, "employeeID": ID, "schoolID": ID, "startDate": "2026-01-01", "employmentPercent": -5, "title": ""}
    placement = msgspec.convert(row, EmployeePlacement)
    fields = ("title", "start_date", "end_date", "employment_percent")
    assert written(tmp_path / "p.csv", placement, model=EmployeePlacement, fields=fields).splitlines() == [
        '"id","title","start_date","end_date","employment_percent"',
        f'"{ID}","","2026-01-01",,-5',
    ]
    pupil = student(identity_temporary=True)
    assert written(tmp_path / "s.csv", pupil, fields=("identity_temporary",)).splitlines()[1] == f'"{ID}",true'


def test_a_file_for_excel_in_full(tmp_path):
    """After the mark of UTF-8, which is not in a plain one, the same with semicolons; text is guarded, numbers not."""
    row = {
        "id": ID,
        "employeeID": ID,
        "schoolID": ID,
        "startDate": "2026-01-01",
        "employmentPercent": -5,
        "title": "@å",
    }
    fields = ("title", "start_date", "end_date", "employment_percent")
    text = written(tmp_path / "p.csv", msgspec.convert(row, EmployeePlacement), model=EmployeePlacement, fields=fields)
    assert text.splitlines()[1] == f'"{ID}","@å","2026-01-01",,-5'
    path = tmp_path / "excel.csv"
    text = written(path, msgspec.convert(row, EmployeePlacement), model=EmployeePlacement, fields=fields, excel=True)
    assert text == (
        f'\ufeff"id";"title";"start_date";"end_date";"employment_percent"\r\n"{ID}";"\'@å";"2026-01-01";;-5\r\n'
    )


def test_instants_sort_as_text(tmp_path):
    """In UTC, with six digits whether they are needed or not."""
    given = ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00.5Z", "2026-03-01T14:00:01+02:00"]
    answers = [
        {"id": ID, "identityNumber": "1", "firstName": "a", "lastName": "b", "meta": {"createdAt": at}} for at in given
    ]
    text = written(tmp_path / "s.csv", *msgspec.convert(answers, list[Student]), fields=("meta",))
    assert re.findall(r"2026[^\"]*", text) == [
        "2026-03-01T12:00:00.000000Z",
        "2026-03-01T12:00:00.500000Z",
        "2026-03-01T12:00:01.000000Z",
    ]


_HOSTILE = st.text(st.sampled_from(f"{SIGNS}\t\r\n;'\" ,ax0"), max_size=10)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(rows=st.lists(st.tuples(_HOSTILE, _HOSTILE), min_size=1, max_size=3), delimiter=st.sampled_from(",;\t"))
def test_no_cell_begins_with_a_sign_wherever_a_spreadsheet_splits(rows, delimiter):
    """An English Excel splits at commas, whatever the file does: what begins a cell there is no formula either."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.csv"
        text = written(path, *(student(first_name=first, last_name=last) for first, last in rows), excel=True)
    cells = [cell for row in csv.reader(text.splitlines(keepends=True), delimiter=delimiter) for cell in row]
    assert len(cells) > len(rows)
    assert [cell for cell in cells if cell.lstrip("\t\r\n").startswith(tuple(SIGNS))] == []


@pytest.mark.parametrize("hostile", ["=1", "\t1", "a;-1", "'+1", '"@1', "\uff20"])
@pytest.mark.parametrize("place", [0, 7, 99])
def test_looking_at_a_column_at_once_misses_nothing(hostile, place, tmp_path):
    """One hostile cell among many harmless ones, at any place."""
    names = ["Bo"] * 100
    names[place] = hostile
    written(tmp_path / "s.csv", *(student(first_name=name) for name in names), excel=True)
    with (tmp_path / "s.csv").open(encoding="utf-8-sig", newline="") as file:
        found = [row["first_name"] for row in csv.DictReader(file, delimiter=";")]
    assert found == ["Bo"] * place + [guarded(hostile)] + ["Bo"] * (99 - place)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_reader_that_distinguishes_null_from_empty_reads_everything_back(data):
    """Quotes say which: so do PostgreSQL, DuckDB and pyarrow see it."""
    made = data.draw(st.lists(records(Student), min_size=1, max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.csv"
        names = next(csv.reader(written(path, *made).splitlines()))
        table = pa.csv.read_csv(
            path,
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )
    back = [rebuilt(Student, row, _cell) for row in table.to_pylist()]
    assert back == [flat(row) for row in as_answered(made)]


def _cell(field, cell):
    return {"true": True, "false": False}[cell] if field.kind == "boolean" else cell


class _Bare(float):
    """What csv.writer takes for a number: it writes it without quotes."""

    def __new__(cls, text):
        made = super().__new__(cls)
        made.text = text
        return made

    def __str__(self):
        return self.text


def _as_python_writes(columns, rows, *, excel):
    """Return the text of the same cells by csv.writer, one cell after another."""
    text = io.StringIO("\ufeff" if excel else "", newline="")
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text, delimiter=";" if excel else ",", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([column.name for column in columns])
    for row in rows:
        writer.writerow([_for_python(*cell, excel=excel) for cell in zip(columns, row, strict=True)])
    return text.getvalue()


def _for_python(column, value, *, excel):
    if value is None:
        return _Bare("")
    if column.kind is Kind.BOOLEAN:
        return _Bare("true" if value else "false")
    return guarded(value) if excel and column.textual else value


_TEXT_CELLS = _HOSTILE | TEXTS | st.sampled_from(["", "%s", '"%s"', "2026-03-01", '["a","b"]', "[]", "é\0\u2028"])
_CELLS = {Kind.BOOLEAN: st.booleans(), Kind.INTEGER: st.integers()}
_KINDS = [Kind.UUID, Kind.TEXT, Kind.BOOLEAN, Kind.INTEGER, Kind.DATE, Kind.INSTANT, Kind.ENUM, None]


@st.composite
def _tables(draw):
    """Draw columns, and rows of cells; a column has nulls or has none."""
    columns = [
        Column(f"c{place}", kind)
        for place, kind in enumerate(draw(st.lists(st.sampled_from(_KINDS), min_size=1, max_size=4)))
    ]
    cells = [_CELLS.get(column.kind, _TEXT_CELLS) for column in columns]
    cells = [cell | st.none() if draw(st.booleans()) else cell for cell in cells]
    return columns, draw(st.lists(st.tuples(*cells), max_size=5))


@pytest.mark.parametrize("excel", [False, True])
@settings(max_examples=200, deadline=None, derandomize=True)
@given(table=_tables())
def test_the_bytes_are_those_of_the_csv_module(excel, table):
    """Of any columns and cells: quotes, separators, line breaks, nulls, empty text, numbers, truth, one column alone."""
    columns, rows = table
    text = io.StringIO(newline="")
    ours = CsvText(text, columns, excel=excel)
    ours.begin()
    for batch in (rows[:2], rows[2:]):
        ours.write([[row[place] for row in batch] for place in range(len(columns))])
    assert text.getvalue() == _as_python_writes(columns, rows, excel=excel)


_TEXT = TEXTS | _HOSTILE
_DIALECTS = [(False, ",", "utf-8", str), (True, ";", "utf-8-sig", plain)]


@pytest.mark.parametrize(("excel", "delimiter", "encoding", "undone"), _DIALECTS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(names=st.lists(_TEXT, min_size=1, max_size=5))
def test_python_and_pandas_read_the_very_values(excel, delimiter, encoding, undone, names):
    """Of a plain file as they stand there; of one for Excel once the apostrophes are gone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.csv"
        written(path, *(student(first_name=name) for name in names), excel=excel)
        with path.open(encoding=encoding, newline="") as file:
            found = [row["first_name"] for row in csv.DictReader(file, delimiter=delimiter)]
        table = pd.read_csv(path, sep=delimiter, encoding=encoding, dtype=str, keep_default_na=False)
    assert [undone(cell) for cell in found] == names
    assert [undone(cell) for cell in table["first_name"]] == names


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("soffice") is None, reason="needs LibreOffice")
def test_libreoffice_shows_text_where_a_formula_was_typed(tmp_path):
    """Opened as Excel opens it: the cells are text, with their letters."""
    written(tmp_path / "s.csv", *(student(first_name=name) for name in ("=1+1", "Åsa", "+46701234567")), excel=True)
    convert = ["soffice", f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless", "--convert-to"]
    how = ["csv:Text - txt - csv (StarCalc):9,34,76,1", "--infilter=Text - txt - csv (StarCalc):59,34,76,1"]
    subprocess.run([*convert, *how, "--outdir", str(tmp_path / "back"), str(tmp_path / "s.csv")], check=True)
    with (tmp_path / "back" / "s.csv").open(encoding="utf-8", newline="") as file:
        found = [row["first_name"] for row in csv.DictReader(file, delimiter="\t")]
    assert found == ["'=1+1", "Åsa", "'+46701234567"]
