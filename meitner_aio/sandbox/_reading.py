"""Reading JSON by the declarations of a record: what a value on the wire means, or why it means nothing.

Shared by writes and filters, which answer a `ValueError` from here with different statuses. Messages name fields as
the wire does, and never quote a value.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

from .._values import check_one
from ..records import Field, Record, Timestamp, fields
from ._shapes import is_list, is_object

_TIMES: dict[str, Any] = {"date": date, "date-time": Timestamp}


def read_object(data: object, name: str) -> dict[str, Any]:
    """Return a JSON object."""
    if not is_object(data):
        raise ValueError(f"{name or 'the body'} must be an object")
    return data


def read_fields(record: type[Record], data: object, name: str = "") -> dict[str, Any]:
    """Return what an object says, by Python name; only what it says, so that a partial update stays partial.

    `name` is where the object stands, empty for the body itself. Raises `ValueError` for a missing or unknown field,
    a null where none may be, and a value of another type.
    """
    given = read_object(data, name)
    declared = {field.wire: field for field in fields(record)}
    for wire in given.keys() - declared.keys():
        raise ValueError(f"{dotted(name, wire)} is not a field")
    missing = [dotted(name, field.wire) for field in declared.values() if field.required and field.wire not in given]
    if missing:
        raise ValueError(f"{', '.join(missing)} must be given")
    return {declared[wire].name: _read(declared[wire], value, dotted(name, wire)) for wire, value in given.items()}


def dotted(name: str, wire: str) -> str:
    """Return the name of a field within what is called `name`."""
    return f"{name}.{wire}" if name else wire


def _read(field: Field, value: object, name: str) -> Any:  # noqa: ANN401 - the type that the field declares
    if value is None:
        if not field.nullable:
            raise ValueError(f"{name} cannot be null")
        return None
    if field.many:
        return [read_one(field, item, f"{name}[{index}]") for index, item in enumerate(read_list(value, name))]
    return read_one(field, value, name)


def read_list(value: object, name: str) -> list[Any]:
    """Return a JSON list."""
    if not is_list(value):
        raise ValueError(f"{name} must be a list")
    return value


def read_one(field: Field, value: object, name: str) -> Any:  # noqa: ANN401 - the type that the field declares
    """Return a single value of the field's kind: an element where the field holds a list."""
    kind = field.kind.partition(":")[0]
    if kind == "object":
        return read_fields(field.type, value, name)
    try:
        if kind in _TIMES:
            return msgspec.convert(value, _TIMES[kind])
        check_one(field, value, name)
    except TypeError as error:
        raise ValueError(str(error)) from None
    except msgspec.ValidationError:
        raise ValueError(f"{name} must be a {kind} (RFC 3339)") from None
    if kind == "enum":
        return field.type(value)
    return value.lower() if kind == "uuid" and isinstance(value, str) else value
