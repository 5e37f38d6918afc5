"""What differs between the searches of this version and the filters of a document. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any, get_origin

from ..query import GROUPS, Equals, Like, Null, OneOf, Query, Range
from ..records import Field, Kind, Record, fields
from ._fields import Expected, Fields, expected
from ._notes import Notes, listed
from ._schema import Reader, Value

_GROUPS: dict[type, tuple[str, ...]] = {
    Equals: ("equals", "notEquals"),
    OneOf: ("contains", "notContains"),
    Like: ("like", "notLike"),
    Range: ("greaterThan", "smallerThan", "greaterOrEqual", "smallerOrEqual"),
    Null: ("null", "notNull"),
}
"""The filter groups that an operator uses."""

_COMBINING = ("orCondition", "nestedFilters")


class Conditions:
    """Compares searches, and notes what differs."""

    def __init__(self, reader: Reader, notes: Notes, compared: Fields) -> None:
        self._reader = reader
        self._notes = notes
        self._fields = compared
        self._changed: dict[tuple[str, Field, bool], list[str]] = {}

    def search(self, owner: str, query: type[Record], body: Value) -> None:
        """Compare what a resource can be searched by with the body of its search."""
        members = self._reader.members(body) or {}
        groups = self._reader.members(members["filter"].value) if "filter" in members else None
        if groups is None:
            self._notes.add(owner, "search", "takes no `filter` that is described")
            return
        for name in sorted((members.keys() - {"filter"}) | (groups.keys() - {*GROUPS, *_COMBINING})):
            self._notes.add(owner, "search", f"takes {listed([name])} now")
        for name in (*_usable(query), *_COMBINING):
            if name not in groups:
                self._notes.add(owner, "search", f"takes no {listed([name])} any more")
        for name in GROUPS:
            if name in groups:
                self._group(owner, query, name, groups[name].value)

    def _group(self, owner: str, query: type[Record], group: str, value: Value) -> None:
        members = self._reader.members(value)
        if members is None:
            self._notes.add(owner, "search", f"does not say any more what {listed([group])} takes")
            return
        known = {field.wire: field for field in fields(query) if field.name not in ("any_of", "all_of")}
        for name in sorted(members.keys() - known.keys()):
            self._fields.new(owner, name, members[name], "search")
        for name, field in known.items():
            self._notes.looked_at(owner, f"field `{name}`", "search")
            there, nested = name in members, issubclass(field.type, Query)
            if there and nested:
                self._group(field.type.__name__.removesuffix("Query"), field.type, group, members[name].value)
            elif there is not (group in _groups(field)):
                self._changed.setdefault((owner, field, there), []).append(group)
            elif there:
                self._type(owner, field, group, members[name].value)

    def _type(self, owner: str, field: Field, group: str, value: Value) -> None:
        """Compare the type of a condition with that of the field, which may differ already."""
        known = Expected(Kind.BOOLEAN) if group in _GROUPS[Null] else expected(field)
        if value.many and group in _GROUPS[OneOf]:
            value = value._replace(many=False)
        change = self._fields.type_change(known, value, "search")
        if change:
            change = self._fields.retyped(owner, field.wire, value) or change
            self._notes.add(owner, f"field `{field.wire}`", change, "search")

    def finish(self) -> None:
        """Note by which groups a field can be searched now, and by which not any more."""
        for (owner, field, gained), groups in self._changed.items():
            subject, names = f"field `{field.wire}`", listed(dict.fromkeys(groups))
            if gained:
                self._notes.add(owner, subject, f"can be searched by {names} now")
            elif set(groups) == set(_groups(field)):
                self._notes.add(owner, subject, "is gone", "search")
            else:
                self._notes.add(owner, subject, f"cannot be searched by {names} any more")


def _groups(field: Field) -> tuple[str, ...]:
    """Return the filter groups that a field of a query can be in."""
    if issubclass(field.type, Query):
        return _usable(field.type)
    operators: list[Any] = [get_origin(choice) or choice for choice in field.choices]
    return tuple(group for operator, groups in _GROUPS.items() if operator in operators for group in groups)


@cache
def _usable(query: type[Record]) -> tuple[str, ...]:
    """Return the filter groups that any field of a query can be in."""
    used = {group for field in fields(query) if field.name not in ("any_of", "all_of") for group in _groups(field)}
    return tuple(group for group in GROUPS if group in used)
