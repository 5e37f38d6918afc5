"""A search's filter as SQL: what the database can answer, or at least narrow down. Pure.

The sandbox's filter decides what fits. This says of it in SQL what it can: exactly, or so that nothing which fits is
left out. Expects a filter that the sandbox has found to make sense.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import msgspec

from ..query import GROUPS
from ..records import Field, Kind, Record, fields
from ..sandbox.http.dialect import Dialect
from ..sandbox.http.reading import read_one

_MOST = 200
"""Conditions: SQLite bounds how deep an expression may be."""
_PLAIN_YEARS = range(3, 9998)
"""An instant within them is UTC in a table, so that the order of the text is the order in time."""
_COMPARED = {
    "equals": "=",
    "notEquals": "<>",
    "greaterThan": ">",
    "greaterOrEqual": ">=",
    "smallerThan": "<",
    "smallerOrEqual": "<=",
}
_LISTED = {"contains": "IN", "notContains": "NOT IN"}


class Where(NamedTuple):
    """A condition on rows. Where it is not `exact`, more may fit than are asked for, and never fewer."""

    sql: str = "true"
    values: tuple[object, ...] = ()
    exact: bool = True


_ANY = Where(exact=False)


def where(model: type[Record], level: dict[str, Any], dialect: Dialect) -> Where:
    """Return what a filter, in its JSON, asks for."""
    conditions = list(_conditions(model, level, dialect))
    return _ANY if len(conditions) > _MOST else _level(model, level, dialect)


def _level(model: type[Record], level: dict[str, Any], dialect: Dialect) -> Where:
    nested = [_level(model, inner, dialect) for inner in level.get("nestedFilters") or ()]
    own = [
        _condition(group, field, value, column, dialect)
        for group, field, value, column in _conditions(model, {**level, "nestedFilters": None}, dialect)
    ]
    return _joined([*own, *nested], either=level["orCondition"])


def _joined(parts: list[Where], *, either: bool) -> Where:
    exact = all(part.exact for part in parts)
    narrowing = [part for part in parts if part != _ANY]
    if not narrowing or (either and len(narrowing) < len(parts)):
        return Where(exact=exact)
    sql = (" OR " if either else " AND ").join(f"({part.sql})" for part in narrowing)
    return Where(sql, tuple(value for part in narrowing for value in part.values), exact)


def _conditions(
    model: type[Record], level: dict[str, Any], dialect: Dialect
) -> Iterator[tuple[str, Field, object, str]]:
    """Yield every condition of a level, and of those nested in it: its group, field, value and column."""
    for group in GROUPS:
        yield from _of_group(group, model, level.get(group), "")
    for inner in level.get("nestedFilters") or ():
        yield from _conditions(model, inner, dialect)


def _of_group(
    group: str, model: type[Record], given: dict[str, Any] | None, prefix: str
) -> Iterator[tuple[str, Field, object, str]]:
    declared = {field.wire: field for field in fields(model)}
    for wire, value in (given or {}).items():
        field = declared[wire]
        if value is None:
            continue
        if field.kind is Kind.OBJECT:
            yield from _of_group(group, field.type, value, f"{prefix}{field.name}_")
        else:
            yield group, field, value, prefix + field.name


def _condition(group: str, field: Field, value: Any, name: str, dialect: Dialect) -> Where:
    column = f'"{name}"'
    if field.many:
        return _of_list(group, field, value, column, dialect)
    if group in ("null", "notNull"):
        return Where(f"{column} IS NULL" if value is (group == "null") else f"{column} IS NOT NULL")
    if group in _LISTED:
        items = [_cell(read_one(field, item, dialect, name)) for item in value]
        if None in items:
            return _ANY
        among = "(SELECT value FROM json_each(?))"
        sql = f"{column} IS NOT NULL AND {column} {_LISTED[group]} {among}"
        return Where(sql, (msgspec.json.encode(items).decode(),))
    if group not in _COMPARED:
        return _ANY
    cell = _cell(read_one(field, value, dialect, name))
    return _ANY if cell is None else Where(f"{column} {_COMPARED[group]} ?", (cell,))


def _of_list(group: str, field: Field, value: Any, column: str, dialect: Dialect) -> Where:
    """Return what narrows down which lists hold an id: the text of it is in that of the list."""
    if field.kind is not Kind.UUID or group not in ("equals", "contains"):
        return _ANY
    items = value if group == "contains" else [value]
    if not 0 < len(items) <= _MOST:
        return _ANY
    ids = tuple(f'"{read_one(field, item, dialect, "")}"' for item in items)
    return Where(" OR ".join([f"instr({column}, ?) > 0"] * len(ids)), ids, exact=False)


def _cell(value: object) -> str | int | None:
    """Return a value as a table has it; None for one that it cannot be compared with."""
    if isinstance(value, datetime):
        plain = value.astimezone(UTC) if value.year in _PLAIN_YEARS else None
        return None if plain is None else plain.isoformat(timespec="microseconds")[:-6] + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int):
        return int(value)  # that of a boolean, too; the sandbox refuses more than 64 bits
    text = str(value)
    return None if "\0" in text else text  # which ends a text for some of SQLite's functions
