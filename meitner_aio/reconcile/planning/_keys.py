"""What records and rows are known by, spelled so that what means the same is the same. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ..._operations.comparison import composed
from ..._operations.operations import operations
from ..._operations.writes import Create
from ..._wire.validation import is_id
from ...records import DirectoryRecord, External, SourcedRecord
from ...resources import RESOURCES
from ..registry._declared import declared

NaturalKey = tuple[str, ...]
"""The values of the fields by which records of a resource are known. `@` and a name stand for an id to come."""

ORDER = (
    "units",
    "schools",
    "employees",
    "students",
    "guardians",
    "employee_placements",
    "student_placements",
    "groups",
)
"""Resources, each behind those that its records refer to: nobody becomes a member of a group without a placement."""

PLACEMENTS: dict[str, str] = {"employee_placements": "employee_id", "student_placements": "student_id"}
"""The placements, and the field that names whose they are."""

PEOPLE = ("employees", "students", "guardians")


def spelled(value: str) -> str:
    """Return a value of a key as it is compared: trimmed, composed, ids in lower case."""
    trimmed = value.strip()
    if is_id(trimmed):
        return trimmed.lower()
    return trimmed if trimmed.isascii() else composed(trimmed)


@cache
def natural_key_of(resource: str) -> Callable[[Any], NaturalKey | None]:
    """Return what reads the natural key of a record; None where it has none."""
    names = declared(resource).natural

    def read(record: DirectoryRecord) -> NaturalKey | None:
        values = [getattr(record, name) for name in names]
        return tuple(map(spelled, values)) if values and None not in values else None

    return read


def _external(record: DirectoryRecord | None) -> External | None:
    return record.external if isinstance(record, SourcedRecord) else None


def source_of(record: DirectoryRecord) -> str | None:
    """Return the source that owns a record."""
    external = _external(record)
    return None if external is None else external.source


def raw_source_id_of(record: DirectoryRecord | None) -> str | None:
    """Return the id that a record has in the system that owns it, as the directory keeps it."""
    external = _external(record)
    return None if external is None else external.source_id


def source_id_of(record: DirectoryRecord) -> str | None:
    """Return the id that a record has in the system that owns it."""
    raw = raw_source_id_of(record)
    return None if raw is None else spelled(raw)


def school_of(record: object) -> str | None:
    """Return the school whose records a placement or a group is counted among."""
    school: str | None = getattr(record, "school_id", None)
    return None if school is None else school.lower()


@cache
def fixed_fields(resource: str) -> frozenset[str]:
    """Return the fields that no update can change."""
    table = operations(RESOURCES[resource])
    create, update = table["create"], table["update"]
    return frozenset(_names(create)) - frozenset(_names(update))


def _names(operation: object) -> tuple[str, ...]:
    body = operation.body if isinstance(operation, Create) else getattr(operation, "body", None)
    return () if body is None else body.__struct_fields__


@cache
def can(resource: str, operation: str) -> bool:
    """Whether the API has an operation for a resource."""
    return operation in operations(RESOURCES[resource])
