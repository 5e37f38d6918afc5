"""Conditions as a person types them, as the conditions of a search. Nothing is sent.

A condition is a field, an operator and a value; blanks around each of the three mean nothing.

    last_name=Ek               is the value; several: gender=Female,Other, or the option once more
    last_name!=Ek              is not the value
    last_name~E%               looks like the pattern: % is any run of characters, _ is one; !~ does not
    date_of_birth>=2015-01-01  lies there; also <=, > and <
    email_address1=null        has none; !=null has one
    meta.updated_at>=7d        a field of a nested object; seven days ago

A field is named as in Python or as in the API: last_name, lastName, meta.updatedAt.

Conditions on different fields must all hold. A comma separates values of every kind but text, in which a comma is a
comma. `title~null` finds the word null itself. Servers keep letters such as å as one character: where two were typed,
as macOS does in the names of files, a value is looked for in both forms, and a pattern in that of the servers.

`@FILE` stands for the conditions in a file, one a line, and `@-` for those on stdin: every user of a machine may read
what others type, an identity number too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, cast, get_origin

from .._operations.comparison import composed
from .._operations.operations import operations
from .._wire.field_names import paths, resolved
from ..query import (
    Condition,
    Equals,
    Like,
    Null,
    OneOf,
    Query,
    Range,
    ResourceQuery,
    equals,
    like,
    null,
    one_of,
    to_filter,
)
from ..records import Field, Kind, fields
from ..resources import LISTED
from ._exit import UsageError
from .rendering.typed import value_of

_CONDITION = re.compile(r"\s*(?P<field>[\w.-]+)\s*(?P<sign>!=|!~|>=|<=|=|~|>|<)\s*(?P<text>.*?)\s*", re.DOTALL)
_NULL = "null"
_LARGEST_FILE = 1024 * 1024
"""Bytes of a file of conditions."""

_GROUPS = {">": "greaterThan", ">=": "greaterOrEqual", "<": "smallerThan", "<=": "smallerOrEqual"}
_OPERATORS: Mapping[str, type[Condition]] = {
    "=": Equals,
    "!=": Equals,
    "~": Like,
    "!~": Like,
    **dict.fromkeys(_GROUPS, Range),
}


class _Typed(NamedTuple):
    path: str
    sign: str
    text: str


def conditions(given: Sequence[str], resources: Iterable[str], now: datetime) -> dict[str, object]:
    """Return the keywords that `search` of each resource takes for the conditions typed; none for none.

    Raises `UsageError` for a condition that any of the resources cannot be searched by. `now` is what `7d` counts from.
    """
    typed = [_read(text) for one in given for text in _texts(one)]
    found: dict[str, object] = {}
    for name in resources if typed else ():
        query = query_of(name)
        found = _keywords(query, typed, name, now)
        _check(query, found)
    return found


def _texts(typed: str) -> list[str]:
    """Return the conditions that one option stands for: itself, or those in the file that it names."""
    if not typed.startswith("@"):
        return [typed]
    name = typed[1:]
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"--where: {name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--where: {name} is not UTF-8") from None
    if len(data) > _LARGEST_FILE:
        raise UsageError(f"--where: {name} is larger than {_LARGEST_FILE} bytes")
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:  # it would select everything
        raise UsageError(f"--where: {name} holds no condition; write one a line")
    return lines


def _read(text: str) -> _Typed:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise UsageError(
            "--where takes FIELD=VALUE (or @FILE with one a line), or another of != ~ !~ >= <= > < between the two"
        )
    return _Typed(match["field"], match["sign"], match["text"])


def query_of(resource: str) -> type[ResourceQuery]:
    """Return what a resource is searched by; `UsageError` for one that cannot be searched."""
    table = operations(LISTED[resource])
    if "search" not in table:
        raise UsageError(
            f"{resource} cannot be searched: leave out --where and --since, or name the resources that can"
        )
    return cast("type[ResourceQuery]", table["search"].body)


def searchable(query: type[Query]) -> dict[str, Field]:
    """Return every field that a query may have a condition on, by its dotted path."""
    return {path: field for path, field in paths(query).items() if field.kind is not Kind.OBJECT}


def operators(field: Field) -> list[str]:
    """Return the operators that apply to a field of a query, as they are typed."""
    allowed = _allowed(field)
    return [sign for sign, operator in _OPERATORS.items() if operator in allowed]


def _allowed(field: Field) -> set[type]:
    return {get_origin(choice) or choice for choice in field.choices}


def _keywords(query: type[ResourceQuery], typed: Sequence[_Typed], resource: str, now: datetime) -> dict[str, object]:
    leaves = searchable(query)
    by_path: dict[str, list[_Typed]] = {}
    for one in typed:
        try:
            path = resolved(one.path, leaves, resource)
        except ValueError as wrong:
            raise UsageError(f"--where: {wrong}") from None
        by_path.setdefault(path, []).append(one._replace(path=path))
    flat = {path: _joined(leaves[path], several, now) for path, several in by_path.items()}
    nested: dict[str, dict[str, object]] = {}
    for path, condition in flat.items():
        outer, _, inner = path.rpartition(".")
        nested.setdefault(outer, {})[inner] = condition
    objects = {field.name: field.type for field in fields(query) if field.name in nested}
    return nested.pop("", {}) | {name: objects[name](**inner) for name, inner in nested.items()}


def _joined(field: Field, typed: Sequence[_Typed], now: datetime) -> Condition:
    """Return one condition for everything that was typed about a field."""
    signs, path = {one.sign for one in typed}, typed[0].path
    allowed = _allowed(field)
    for sign in signs:
        if _OPERATORS[sign] not in allowed:
            raise UsageError(f"--where: {sign} does not apply to {path}; there is {' '.join(operators(field))}")
    try:
        if signs in ({"="}, {"!="}):
            condition = _one_of(field, typed, allowed, now)
        elif len(typed) == 1 and signs <= {"~", "!~"}:
            condition = like(composed(typed[0].text))
        else:
            condition = _range(field, typed, now)
    except ValueError as wrong:
        raise UsageError(f"--where: {path} {wrong}") from None
    return ~condition if signs <= {"!=", "!~"} else condition


def _range(field: Field, typed: Sequence[_Typed], now: datetime) -> Condition:
    sides = {one.sign[0] for one in typed}
    if not sides <= {"<", ">"} or len(sides) < len(typed):
        raise ValueError("has conditions that one search cannot join")
    bounds: Range[Any] = Range(tuple((_GROUPS[one.sign], value_of(field, one.text, now)) for one in typed))
    return bounds


def _one_of(field: Field, typed: Sequence[_Typed], allowed: Collection[type], now: datetime) -> Condition:
    texts = [one.text for one in typed]
    if field.kind is Kind.TEXT:
        texts = list(dict.fromkeys(form for text in texts for form in (text, composed(text))))
    else:
        texts = [part.strip() for text in texts for part in text.split(",")]
    if _NULL in texts:
        if Null not in allowed:
            raise ValueError("is never null")
        if len(texts) > 1:
            raise ValueError("is null or has a value: ask for one of the two")
        return null
    if len(texts) > 1 and OneOf not in allowed:
        raise ValueError("takes one value")
    values = [value_of(field, text, now) for text in texts]
    return one_of(*values) if len(values) > 1 else equals(values[0])


def _check(query: type[ResourceQuery], keywords: Mapping[str, object]) -> None:
    try:
        to_filter(query(**keywords))  # type: ignore[arg-type]
    except (TypeError, ValueError) as wrong:
        raise UsageError(f"--where: {wrong}") from None
