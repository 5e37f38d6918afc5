"""A directory that one system has written: every record bears its id there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import cast

from msgspec import structs

from ...records import DirectoryRecord, External, SourcedRecord
from ...resources.employee_placements import EmployeePlacement
from ...resources.student_placements import StudentPlacement


def owned(records: Mapping[str, Iterable[DirectoryRecord]], source: str) -> dict[str, list[DirectoryRecord]]:
    """Return the records of a directory, all of whose owner is `source`, with source ids that tell them apart.

    Of several placements of a person at a school it has the last one only: a system that knows a placement by person
    and school has one row for them.
    """
    return {resource: list(_owned(resource, rows, source)) for resource, rows in records.items()}


def _owned(resource: str, rows: Iterable[DirectoryRecord], source: str) -> Iterator[DirectoryRecord]:
    for number, row in enumerate(_last_placements(rows), 1):
        if isinstance(row, SourcedRecord):
            external = External(source_id=f"{resource}-{number:06d}", source=source)
            yield structs.replace(row, external=external)
        else:
            yield row


def _last_placements(rows: Iterable[DirectoryRecord]) -> Iterable[DirectoryRecord]:
    kept: dict[object, DirectoryRecord] = {}
    for row in rows:
        known_by = _known_by(row)
        other = kept.setdefault(known_by, row)
        if row is not other and _start(row) > _start(other):
            kept[known_by] = row
    return kept.values()


def _known_by(row: DirectoryRecord) -> object:
    match row:
        case StudentPlacement():
            return row.student_id, row.school_id
        case EmployeePlacement():
            return row.employee_id, row.school_id
        case _:
            return id(row)


def _start(row: DirectoryRecord) -> date:
    return cast("StudentPlacement | EmployeePlacement", row).start_date
