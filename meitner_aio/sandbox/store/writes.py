"""What a create or an update may say, and the record that comes of it. Knows formats, but no other record.

A write may carry the fields of its body. Others are ignored or, in a dialect that says so, refused even if they would
change nothing: fields that do not exist, that the server sets or, in an update, that are fixed at creation. A field
that an update leaves out stays; null clears it. A null list or object counts as left out; null inside an object clears
that member. Everything refused here is 422.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

from msgspec import structs

from ...records import External, Field, Meta, Record, fields
from ...records import Kind as FieldKind
from ..http.answers import unprocessable
from ..http.dialect import Dialect, blank
from ..http.reading import dotted, read_fields
from .schemas import ResourceSchema
from .shapes import is_object
from .tables import Row

SOURCE = "api"
"""What the server writes into `external.source`."""


def read_write(schema: ResourceSchema, operation: str, data: dict[str, object], dialect: Dialect) -> dict[str, object]:
    """Return what the body of a write says, by Python name."""
    body = schema.bodies[operation]
    if dialect.unknown == "refuse":
        _check_known(schema, body, data)
    try:
        given = read_fields(body, data, dialect)
    except ValueError as error:
        unprocessable(str(error))
    _check_formats(body, given)
    return given


def _check_known(schema: ResourceSchema, body: type[Record], data: dict[str, object]) -> None:
    """Refuse a field that a body does not have, with the reason why."""
    for wire in data.keys() - _wires(body):
        if wire in _wires(schema.bodies.get("create", body)):
            unprocessable(f"{wire} is fixed when the record is created")
        unprocessable(f"{wire} is set by the server" if wire in _wires(schema.model) else f"{wire} is not a field")


def _wires(record: type[Record]) -> set[str]:
    return {field.wire for field in fields(record)}


def _shape(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern).fullmatch


def _is_academic_year(text: str) -> bool:
    match = re.fullmatch(r"(\d{4})/(\d{4})", text, re.ASCII)
    return match is not None and int(match[2]) == int(match[1]) + 1


_FORMATS: dict[str, tuple[Callable[[str], object], str]] = {
    "identity_number": (_shape("[0-9]{8}-[0-9]{4}"), "YYYYMMDD-NNNN"),
    "edu_person_principal_name": (_shape(r"[^@\s]+@[^@\s]+"), "localpart@domain"),
    "municipality_code": (_shape("[0-9]{4}"), "four digits"),
    "country_code": (_shape("[A-Z]{3}"), "ISO 3166-1 alpha-3"),
    "mother_tongue": (_shape("[a-z]{3}"), "ISO 639-3"),
    "modern_language_in_school_choice": (_shape("[a-z]{3}"), "ISO 639-2"),
    "modern_language_in_language_choice": (_shape("[a-z]{3}"), "ISO 639-2"),
    "academic_year": (_is_academic_year, "YYYY/YYYY, two years that follow each other"),
}
"""The formats that the API's rules name, by Python name; code lists are held to their shape only."""


def _check_formats(body: type[Record], given: dict[str, object], prefix: str = "") -> None:
    for field in fields(body):
        value, name = given.get(field.name), dotted(prefix, field.wire)
        if is_object(value):
            _check_formats(field.type, value, name)
        elif isinstance(value, str) and field.name in _FORMATS:
            fits, form = _FORMATS[field.name]
            if not fits(value):
                unprocessable(f"{name} must have the form {form}")


def born(model: type[Row], given: dict[str, object], record_id: str, meta: Meta) -> Row:
    """Return the record that a create makes; an object that is never null is there even when the body left it out."""
    blanks = {field.name: blank(field) for field in fields(model) if _always_there(field)}
    values: dict[str, object] = {**blanks}
    for field in fields(model):
        if field.name in given:
            values[field.name] = _stored(field, given[field.name], blanks.get(field.name))
    make = cast("Callable[..., Row]", model)
    return make(**{**values, "id": record_id, "meta": meta})


def changed(model: type[Row], row: Row, given: dict[str, object], meta: Meta) -> Row:
    """Return a record after an update: fields that it leaves out stay."""
    values = {
        field.name: _stored(field, given[field.name], getattr(row, field.name))
        for field in fields(model)
        if field.name in given
    }
    return structs.replace(row, **values, meta=meta)


def _always_there(field: Field) -> bool:
    return field.kind is FieldKind.OBJECT and not field.nullable and field.name != "meta"


def _stored(field: Field, value: object, before: Record | None) -> object:
    """Return what is kept of a value: an object is merged into the one before."""
    if not is_object(value):
        return value
    merged = structs.replace(before or blank(field), **value)
    return structs.replace(merged, source=SOURCE) if isinstance(merged, External) else merged
