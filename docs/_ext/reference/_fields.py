"""The fields of records as rows of tables, read from the declarations."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, get_origin

from msgspec import NODEFAULT, UNSET, structs

from meitner_aio.query import Condition
from meitner_aio.records import Field, Kind, Record, fields
from meitner_aio.resources._references import REFERENCES

from ._markdown import code
from ._signatures import default as default_of
from ._source import attributes

_OPERATORS = {
    "Equals": "equals",
    "OneOf": "one_of",
    "Like": "like",
    "Range": "range",
    "Null": "null",
}


class Row(NamedTuple):
    """A field of a record or of an object in it, by its dotted names."""

    name: str
    wire: str
    field: Field
    owner: type[Record]


def rows(record: type[Record], name: str = "", wire: str = "", above: tuple[type, ...] = ()) -> Iterator[Row]:
    """Yield the fields of a record, each object followed by its own."""
    for field in fields(record):
        row = Row(name + field.name, wire + field.wire, field, record)
        yield row
        if field.kind is Kind.OBJECT and field.type not in (record, *above):
            mark = "[]." if field.many else "."
            yield from rows(field.type, row.name + mark, row.wire + mark, (*above, record))


def type_of(field: Field) -> str:
    """Return the type of a field in words, with the class of an enum or of an object as code."""
    named = field.kind in (Kind.ENUM, Kind.OBJECT)
    word = f"{field.kind} {code(field.type.__name__)}" if named else field.kind.value
    return f"list of {word}" if field.many else word


def when_read(row: Row) -> str:
    """Return what an answer holds of a field."""
    default = next(one.default for one in structs.fields(row.owner) if one.name == row.field.name)
    if row.field.required:
        return "may be null" if row.field.nullable else "always"
    if row.field.nullable:
        return "may be null"
    unsaid = default in (NODEFAULT, UNSET, None)
    return "may be absent" if unsaid else f"absent means {code(default_of(default))}"


def when_written(body: type[Record] | None, name: str) -> str:
    """Return what a write takes of a field with this dotted name; no where it takes none."""
    if body is None:
        return ""
    head, _, rest = name.partition(".")
    field = next((one for one in fields(body) if one.name == head.removesuffix("[]")), None)
    if field is None:
        return "no"
    if rest:
        return when_written(field.type, rest)
    return ("required" if field.required else "optional") + (" or None" if field.nullable else "")


def notes(row: Row) -> str:
    """Return what is to be known of a field beside its type: docstring, references, whether it is personal."""
    kinds = (kind for kind in row.owner.__mro__ if issubclass(kind, Record))
    said = next((attributes(kind)[row.field.name].doc for kind in kinds if row.field.name in attributes(kind)), "")
    homes = REFERENCES.get(row.field.name, ())
    refers = f"Of {' or '.join(code(home) for home in homes)}." if homes else ""
    return " ".join(filter(None, [said, refers, "Personal." if row.field.personal else ""]))


def operators(field: Field) -> str:
    """Return what a search takes of a field."""
    if field.kind is Kind.OBJECT:
        return code(field.type.__name__) if not field.many else f"list of {code(field.type.__name__)}"
    classes = [get_origin(choice) or choice for choice in field.choices]
    names = [_OPERATORS[one.__name__] for one in classes if isinstance(one, type) and issubclass(one, Condition)]
    return ", ".join("a range" if name == "range" else code(name) for name in names)


def enums(record: type[Record]) -> dict[str, type[Enum]]:
    """Return the enums of a record and of the objects in it, by name."""
    return {row.field.type.__name__: row.field.type for row in rows(record) if row.field.kind is Kind.ENUM}


def objects(record: type[Record]) -> dict[str, type[Record]]:
    """Return the objects in a record, by name."""
    return {row.field.type.__name__: row.field.type for row in rows(record) if row.field.kind is Kind.OBJECT}
