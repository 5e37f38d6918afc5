"""Writes records as the files of a registry, as a system that knows no ids of the directory would.

A record is referred to by the first of its keys that no other has: people by their identity number, schools by their
source id.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, cast

from ..._runtime.private_files import make_folder, open_private
from ...records import DirectoryRecord, SourcedRecord
from ...resources import RESOURCES
from ...resources._references import REFERENCES
from ._declared import Column, declared
from ._desired import Rows

_DELIMITER = ";"


class _Named(NamedTuple):
    """How a record is referred to."""

    by: str
    value: str


def write_registry(
    folder: str | os.PathLike[str], records_of: Callable[[str], Sequence[DirectoryRecord]]
) -> dict[str, int]:
    """Write a file for each resource (CSV, UTF-8, semicolons, 0600), and return how many rows each has. Blocking.

    The folder is made for the owner alone where it does not exist. `FileExistsError` where it has such a file already,
    `ValueError` for a record that refers to one that there is not.
    """
    place = make_folder(folder)
    records = {name: records_of(name) for name in RESOURCES if name in Rows.__optional_keys__}
    for resource, rows in records.items():
        handle = open_private(place / f"{resource}.csv", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=_DELIMITER, lineterminator="\n").writerows(_table(resource, rows, records))
    return {resource: len(rows) for resource, rows in records.items()}


def _table(
    resource: str, rows: Sequence[DirectoryRecord], records: Mapping[str, Sequence[DirectoryRecord]]
) -> Iterator[list[str]]:
    """Yield the names of the columns that are needed, then the cells of every row."""
    columns = list(declared(resource).columns.values())
    names = {column.field: _names(column.field, columns, records) for column in columns if column.by}
    table = [[_cell(row, column, names.get(column.field)) for column in columns] for row in rows]
    needed = [
        index
        for index, column in enumerate(columns)
        if column.field not in names or (column.by and any(cells[index] for cells in table))
    ]
    yield [columns[index].name for index in needed]
    for cells in table:
        yield [cells[index] for index in needed]


def _names(
    field: str, columns: Sequence[Column], records: Mapping[str, Sequence[DirectoryRecord]]
) -> dict[str, _Named]:
    """Return how each record that a field may refer to is named, by its id."""
    among = [record for home in REFERENCES[field] for record in records.get(home, ())]
    found: dict[str, _Named] = {}
    for by in (column.by for column in columns if column.field == field and column.by):
        counts = Counter(_value(record, by) for record in among)
        for record in among:
            value = _value(record, by)
            if value is not None and counts[value] == 1:
                found.setdefault(record.id, _Named(by, value))
    return found


def _value(record: DirectoryRecord, by: str) -> str | None:
    if by == "source_id":
        external = cast("SourcedRecord", record).external
        return None if external is None else external.source_id
    return cast("str | None", getattr(record, by, None))


def _cell(row: DirectoryRecord, column: Column, names: Mapping[str, _Named] | None) -> str:
    value = getattr(row, column.field)
    if column.inside:
        value = getattr(value, column.inside, None)
    if names is None or value is None:
        return _text(value)
    ids: list[str] = value if column.many else [value]
    missing = sum(one not in names for one in ids)
    if missing:
        raise ValueError(f"{column.field} refers to {missing} records that are not given, or have no key of their own")
    return _text([names[one].value for one in ids if names[one].by == column.by])


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Enum():
            return str(value.value)
        case list():
            return _DELIMITER.join(_text(item) for item in cast("list[object]", value))
        case _:
            return str(value)
