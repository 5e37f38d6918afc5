"""Reading JSON by the declarations of a record: what a value on the wire means, or why it is refused.

Shared by writes and filters, which answer a `ValueError` from here with different statuses. Messages name fields as
the wire does, and never quote a value.
"""

from __future__ import annotations

from datetime import date

import msgspec

from ..._wire.validation import check_one
from ...records import Field, Kind, Record, Timestamp, fields
from ..store.shapes import is_list, is_object
from .dialect import Dialect


def read_object(data: object, name: str) -> dict[str, object]:
    """Return a JSON object."""
    if not is_object(data):
        raise ValueError(f"{name or 'the body'} must be an object")
    return data


def read_fields(record: type[Record], data: object, dialect: Dialect, name: str = "") -> dict[str, object]:
    """Return what an object says, by Python name; only what it says, so that a partial update stays partial.

    `name` is where the object stands, empty for the body itself. A null list or object counts as left out. Raises
    `ValueError` for a missing field, for an unknown one where the dialect refuses those, for any other null where none
    may be, and for a value of another type.
    """
    given = read_object(data, name)
    declared = {field.wire: field for field in fields(record)}
    if dialect.unknown == "refuse":
        for wire in given.keys() - declared.keys():
            raise ValueError(f"{dotted(name, wire)} is not a field")
    missing = [dotted(name, field.wire) for field in declared.values() if field.required and field.wire not in given]
    if missing:
        raise ValueError(f"{', '.join(missing)} must be given")
    return {
        field.name: _read(field, given[wire], dialect, dotted(name, wire))
        for wire, field in declared.items()
        if wire in given and not (given[wire] is None and _says_nothing_by_null(field))
    }


def _says_nothing_by_null(field: Field) -> bool:
    return field.many or field.kind is Kind.OBJECT


def dotted(name: str, wire: str) -> str:
    """Return the name of a field within what is called `name`."""
    return f"{name}.{wire}" if name else wire


def _read(field: Field, value: object, dialect: Dialect, name: str) -> object:
    if value is None:
        if not field.nullable:
            raise ValueError(f"{name} cannot be null")
        return None
    if field.many:
        items = enumerate(read_list(value, name))
        return [read_one(field, item, dialect, f"{name}[{index}]") for index, item in items]
    return read_one(field, value, dialect, name)


def read_list(value: object, name: str) -> list[object]:
    """Return a JSON list."""
    if not is_list(value):
        raise ValueError(f"{name} must be a list")
    return value


def read_one(field: Field, value: object, dialect: Dialect, name: str) -> object:
    """Return a single value of the field's kind, as it is kept or compared: an element where the field holds a list."""
    if field.kind is Kind.OBJECT:
        return read_fields(field.type, value, dialect, name)
    try:
        if field.kind is Kind.DATE:
            return msgspec.convert(value, date)
        if field.kind is Kind.INSTANT:
            return dialect.instant(msgspec.convert(value, Timestamp))
        check_one(field, value, name)
    except TypeError as error:
        raise ValueError(str(error)) from None
    except msgspec.ValidationError:
        raise ValueError(f"{name} must be a {field.kind} (RFC 3339)") from None
    if field.kind is Kind.ENUM:
        return field.type(value)
    if isinstance(value, str):
        return value.lower() if field.kind is Kind.UUID else dialect.text(field, value)
    return value
