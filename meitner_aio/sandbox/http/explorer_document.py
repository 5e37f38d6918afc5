"""The document that the explorer shows: that of the sandbox as OpenAPI 3.0, with calls that work as they stand. Pure.

Swagger UI, as it is packaged for Python, does not read 3.1. The examples are made of records that the directory holds,
so they are shown to the user of this machine only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, cast

import msgspec

from ..._operations.operations import operations
from ...records import Kind, Record, fields, wire_name
from ...resources import RESOURCES
from ..store.rules import UNIQUE
from ..store.tables import Row
from .openapi import Json, Schema, document

_NEW = {"identityNumber": "19991231-0007", "title": "Ett exempel"}
"""Values for what a new record must have and no other may: the check digit of the number is wrong, as of all here."""

_NULL = {"type": "null"}

_HOW = (
    "A directory on this machine, to try things on. Its credentials are filled in: open an operation, then *Try it "
    "out* and *Execute*. What is asked is listed under [Requests](/requests)."
)


class Example(NamedTuple):
    """A call of an operation: the id in its path, and its body."""

    id: str
    body: Mapping[str, Json] | None


def explorer_document(rows: Callable[[str], Sequence[Row]]) -> Schema:
    """Return the document, with examples of what `rows` returns for the attribute of a resource."""
    described = cast("dict[str, Any]", _as_3_0(document(data_export=True)))
    described["openapi"] = "3.0.3"
    described["info"]["description"] = _HOW
    for attribute, kind in RESOURCES.items():
        there = rows(attribute)
        for name, operation in operations(kind).items() if there else ():
            place = described["paths"][operation.route(kind)][operation.method.lower()]
            example = _example(attribute, name, operation.body, there)
            for parameter in (one for one in place["parameters"] if one["in"] == "path"):
                parameter["example"] = example.id
            if example.body is not None:
                place["requestBody"]["content"]["application/json"]["example"] = example.body
    return described


def _as_3_0(value: Json) -> Json:
    """Return a document with what may be null said in the words of 3.0."""
    if isinstance(value, Mapping):
        match value.get("anyOf"):
            case [dict() as one, null] if null == _NULL:
                said = cast("Schema", _as_3_0(cast("Schema", one)))
                return {**({"allOf": [said]} if "$ref" in said else said), "nullable": True}
            case _:
                # An empty list of what is required is no list in 3.0.
                return {name: _as_3_0(inner) for name, inner in value.items() if (name, inner) != ("required", [])}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_3_0(inner) for inner in value]
    return value


def _example(attribute: str, name: str, body: type[Record] | None, rows: Sequence[Row]) -> Example:
    if name == "search":
        ids = [row.id for row in rows[:3]]
        return Example("", {"filter": {"contains": {"id": ids}, "orCondition": False}})
    row = _fitting(name, rows)
    if body is None:
        return Example(row.id, None)
    return Example(row.id, _created(attribute, body, row) if name == "create" else _written(body, row))


def _fitting(name: str, rows: Sequence[Row]) -> Row:
    """Return a record that an operation can succeed with, as far as there is one."""
    if name == "archive":
        over = (row for row in rows if getattr(row, "end_date", None) and not getattr(row, "archived_at", None))
        return min(over, key=attrgetter("end_date"), default=rows[0])
    if name == "restore":
        return next((row for row in rows if getattr(row, "archived_at", None)), rows[0])
    return rows[-1 if name == "delete" else 0]


def _written(body: type[Record], row: Record) -> dict[str, Json]:
    """Return what a write of a record as it is says: nothing that is null, and of an object what a write may say."""
    said: dict[str, Json] = {}
    for field in fields(body):
        value = getattr(row, field.name, None)
        if isinstance(value, Record):
            value = _written(field.type, value)
        if value is not None and value != {}:
            said[field.wire] = msgspec.to_builtins(value)
    return said


def _created(attribute: str, body: type[Record], row: Row) -> dict[str, Json]:
    """Return what creates a record like another, but for what only one may have."""
    required = {field.wire for field in fields(body) if field.required}
    unique = {wire_name(name) for names in UNIQUE.get(attribute, ()) for name in names}
    own = {field.wire for field in fields(body) if field.kind is Kind.OBJECT and field.name == "external"}
    said = {name: value for name, value in _written(body, row).items() if name not in (unique | own) - required}
    return said | {name: value for name, value in _NEW.items() if name in said}
