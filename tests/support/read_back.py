"""Records written by an export's writer and read back by libraries that know nothing of it; and any records at all."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet
from hypothesis import strategies as st

from meitner_aio.export.formats.writers import open_writer
from meitner_aio.records import Field, Record, fields

encode_lines = msgspec.json.Encoder().encode_lines


def write(
    form: str,
    model: type[Record],
    records: Iterable[Record],
    path: Path,
    *,
    table: str = "rows",
    fields: tuple[str, ...] | None = None,
    replace: bool = True,
    excel: bool = False,
) -> None:
    """Write records in one go."""
    writer = open_writer(form, model, path, table=table, fields=fields, replace=replace, excel=excel)
    try:
        writer.write(encode_lines(list(records)))
        writer.close()
    finally:
        writer.abort()


def read(form: str, model: type[Record], path: Path, *, table: str = "rows") -> list[Any]:
    """Return the records of a file, in its order."""
    if form == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            return [rebuilt(model, row, _of_csv) for row in csv.DictReader(file)]
    if form == "parquet":
        # A file of its own: pyarrow would keep the name open.
        rows = pyarrow.parquet.read_table(path).to_pylist()
        return [msgspec.convert(_spelled(model, row), model) for row in rows]
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [rebuilt(model, dict(row), _of_sqlite) for row in database.execute(f'SELECT * FROM "{table}"')]


def rebuilt(model: type[Record], row: Mapping[str, Any], value: Any, prefix: str = "") -> Any:
    """Return the record that flat cells stand for, None when no cell of it holds anything."""
    found: dict[str, Any] = {}
    for field in fields(model):
        name = prefix + field.name
        if field.kind == "object" and not field.many:
            found[field.wire] = rebuilt(field.type, row, value, f"{name}_")
        else:
            found[field.wire] = None if row[name] is None else value(field, row[name])
    if prefix and all(cell is None for cell in found.values()):
        return None
    return msgspec.convert({name: cell for name, cell in found.items() if cell is not None}, model)


def _of_csv(field: Field, cell: str) -> Any:
    # The csv module reads null and empty text alike: read by it, only text that is never null can be empty.
    if not cell and (field.nullable or field.kind not in ("string", "enum")):
        return None
    if field.many:
        return json.loads(cell)
    bare = {"boolean": {"true": True, "false": False}.__getitem__, "integer": int}
    return bare.get(field.kind, str)(cell)


def _of_sqlite(field: Field, cell: Any) -> Any:
    if field.many:
        return json.loads(cell)
    return bool(cell) if field.kind == "boolean" else cell


def _spelled(model: type[Record], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of nested snake_case dictionaries as the API spells it."""
    spelled: dict[str, Any] = {}
    for field in fields(model):
        value = row[field.name]
        if value is not None:
            nested = field.kind == "object"
            spell = (lambda item, field=field: _spelled(field.type, item)) if nested else (lambda item: item)
            spelled[field.wire] = [spell(item) for item in value] if field.many else spell(value)
    return spelled


def as_answered(records: Sequence[Any]) -> list[Any]:
    """Return records as they are once they have been on the wire."""
    return [msgspec.json.decode(msgspec.json.encode(record), type=type(record)) for record in records]


def flat(record: Any, *, without_empty_text: bool = False) -> Any:
    """Return a record as a flat format keeps it: a nested object without a value is none.

    `without_empty_text` is for a reader of CSV that reads empty text as none.
    """
    changes: dict[str, Any] = {}
    for field in fields(type(record)):
        value = getattr(record, field.name)
        if isinstance(value, Record):
            nested = flat(value, without_empty_text=without_empty_text)
            changes[field.name] = (
                nested if any(getattr(nested, f.name) is not None for f in fields(field.type)) else None
            )
        elif value == "" and field.nullable and without_empty_text:
            changes[field.name] = None
    return msgspec.structs.replace(record, **changes)


TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "\0",
        "a\0b",
        "a\r\nb",
        "\n",
        "'",
        '"',
        ',"',
        "=1+1",
        "+46701234567",
        "-",
        "@a",
        "\t=x",
        "a;=b",
        "x;\"'-y",
        "\uff1d1",
        "🦉 Åsa",
        "null",
        "NaN",
        "0042",
        "true",
        "\ufeff",
    ]
)
_ZONES = st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-9, minutes=-30))])
_INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=_ZONES) | st.sampled_from(
    [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)]
)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "uuid": st.uuids().map(str),
    "string": TEXTS,
    "boolean": st.booleans(),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "date": st.dates() | st.sampled_from([date.min, date.max]),
    "date-time": _INSTANTS,
}


def records(model: type[Record]) -> st.SearchStrategy[Any]:
    """Return a strategy of records of a model: extremes, formulas, unknown choices, and all that may be left out."""
    required = {field.name: _values(field) for field in fields(model) if field.required}
    optional = {field.name: _values(field) for field in fields(model) if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: model(**given))


def _values(field: Field) -> st.SearchStrategy[Any]:
    if field.kind == "object":
        one = records(field.type)
    elif field.kind == "enum":
        one = st.sampled_from(list(field.type)) | TEXTS.map(field.type)
    else:
        one = _VALUES[field.kind]
    values = st.lists(one, max_size=3) if field.many else one
    return values | st.none() if field.nullable else values


def distinct(rows: Iterable[Any]) -> list[Any]:
    """Return the last of the records of each id, as a table with a key keeps them."""
    return [list(same)[-1] for _, same in groupby(sorted(rows, key=lambda row: row.id), key=lambda row: row.id)]
