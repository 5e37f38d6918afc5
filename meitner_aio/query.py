"""Search conditions as values: what a caller may ask of a field, and how the API spells it.

A query record has one line a field; its annotation names the operators that the field's type allows. A bare value
means equals; `~` negates any condition. Pure: a query becomes the API's filter here and is sent elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Generic, Self, TypeVar, Union, cast, get_origin

from msgspec import UNSET, Struct, UnsetType

from ._wire.validation import check_one, floored, in_utc
from .records import Field, Id, Kind, Record, fields

V_co = TypeVar("V_co", covariant=True)
V = TypeVar("V")
Bound = TypeVar("Bound", date, datetime, int)

_NEGATIVE = {
    "equals": "notEquals",
    "like": "notLike",
    "contains": "notContains",
    "null": "notNull",
    "greaterThan": "smallerOrEqual",
    "smallerThan": "greaterOrEqual",
}
_OPPOSITE = _NEGATIVE | {negative: positive for positive, negative in _NEGATIVE.items()}

GROUPS = tuple(_OPPOSITE)
"""The twelve filter groups of the API."""

_INSTANT = timedelta(microseconds=1)
"""The finest that a `datetime` tells apart."""


class Condition(Struct, frozen=True):
    """A condition on one field: one part for each filter group that it uses. `~condition` is its opposite."""

    parts: tuple[tuple[str, Any], ...]
    either: bool = False
    """Whether one part is enough; otherwise all must hold."""

    def __invert__(self) -> Self:
        return type(self)(tuple((_OPPOSITE[group], value) for group, value in self.parts), not self.either)

    def __repr__(self) -> str:
        """Name the groups, never the values: they may be personal."""
        return f"{type(self).__name__}({', '.join(group for group, _ in self.parts)})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [(group, "***") for group, _ in self.parts]


class Equals(Condition, Generic[V_co], frozen=True):
    """The field has the value."""


class OneOf(Condition, Generic[V_co], frozen=True):
    """The field has one of the values."""


class Range(Condition, Generic[V_co], frozen=True):
    """The field lies on one side of a bound, or between two."""


class Like(Condition, frozen=True):
    """The text matches a pattern in which `%` stands for any run of characters."""


class Null(Condition, frozen=True):
    """The field is null (for a list: empty)."""


def equals(value: V) -> Equals[V]:
    """Match the value itself. A bare value means the same; this spelling can be negated: `~equals("Ek")`."""
    return Equals((("equals", value),))


def one_of(*values: V) -> OneOf[V]:
    """Match any of the values."""
    if not values:
        raise ValueError("one_of needs at least one value: a search for none of them would match nothing")
    return OneOf((("contains", list(values)),))


def above(value: Bound) -> Range[Bound]:
    """Match what is greater. An instant counts without its fraction of a second, as every lower bound."""
    return Range((("greaterThan", value),))


def at_least(value: Bound) -> Range[Bound]:
    """Match what is greater or equal. Of an instant the fraction is dropped: the API keeps whole seconds."""
    return Range((("greaterOrEqual", value),))


def below(value: Bound) -> Range[Bound]:
    """Match what is smaller."""
    return Range((("smallerThan", value),))


def at_most(value: Bound) -> Range[Bound]:
    """Match what is smaller or equal."""
    return Range((("smallerOrEqual", value),))


def between(low: Bound, high: Bound) -> Range[Bound]:
    """Match what lies between two bounds, both included; the lower one as in `at_least`."""
    return Range((("greaterOrEqual", low), ("smallerOrEqual", high)))


class _Pattern:
    """`like(pattern)`, with `like.escape(text)` beside it."""

    def __call__(self, pattern: str) -> Like:
        """Match text by a pattern in which `%` stands for any run of characters and `_` for one."""
        return Like((("like", pattern),))

    @staticmethod
    def escape(text: str) -> str:
        r"""Return a pattern that matches `text` and nothing else: `%`, `_` and `\` lose their meaning."""
        return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")

    def __repr__(self) -> str:
        return "like"


like = _Pattern()
null = Null((("null", True),))

Exact = Union[V, Equals[V], OneOf[V], UnsetType]
"""uuid, enum, boolean: equals, contains."""

Text = Union[str, Equals[str], OneOf[str], Like, UnsetType]
"""string: equals, contains, like."""

Ordered = Union[V, Equals[V], OneOf[V], Range[V], UnsetType]
"""date, integer: equals, contains, range."""

Instant = Union[datetime, Equals[datetime], Range[datetime], UnsetType]
"""date-time: equals, range."""


class Query(Record):
    """Conditions that must all hold."""

    def __repr__(self) -> str:
        """Name the conditions, never their values: they may be personal."""
        return f"{type(self).__name__}({', '.join(f'{name}=***' for name in _given(self))})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [(name, "***") for name in _given(self)]


class MetaQuery(Query):
    """When and by whom a record was made and last changed."""

    created_at: Instant = UNSET
    created_by: Exact[Id] | Null = UNSET
    updated_at: Instant | Null = UNSET
    updated_by: Exact[Id] | Null = UNSET


class ExternalQuery(Query):
    """The record's id in another system."""

    source_id: Text | Null = UNSET
    source: Text | Null = UNSET


class AddressQuery(Query):
    """A postal address."""

    postal_address: Text | Null = UNSET
    postal_code: Text | Null = UNSET
    postal_city: Text | Null = UNSET
    country_code: Text | Null = UNSET
    municipality_code: Text | Null = UNSET


class ResourceQuery(Query):
    """Conditions on the records of a resource, all of which must hold.

    `any_of` adds alternatives of which one must hold, `all_of` more conditions on fields that already have one.
    """

    any_of: Sequence[Self] | UnsetType = UNSET
    all_of: Sequence[Self] | UnsetType = UNSET

    id: Exact[Id] = UNSET
    meta: MetaQuery | UnsetType = UNSET


class SourcedQuery(ResourceQuery):
    """Conditions on records that may have an id in another system."""

    external: ExternalQuery | UnsetType = UNSET


def _given(query: Query) -> list[str]:
    return [name for name in query.__struct_fields__ if getattr(query, name) is not UNSET]


def to_filter(query: Query) -> dict[str, Any]:
    """Return the API's filter for a query.

    Raises `ValueError` for a query without conditions, which would match every row, and `TypeError` or `ValueError`
    for a condition that the field's type does not allow.
    """
    level: dict[str, Any] = {}
    nested: list[dict[str, Any]] = []
    for name in ("any_of", "all_of"):
        alternatives = getattr(query, name, UNSET)
        if alternatives is not UNSET:
            nested.append({"orCondition": name == "any_of", "nestedFilters": _each(query, name, alternatives)})
    for path, condition in _conditions(query):
        if condition.either and len(condition.parts) > 1:
            outside: dict[str, Any] = {"orCondition": True}
            _place(outside, path, condition)
            nested.append(outside)
        else:
            _place(level, path, condition)
    if not level and len(nested) == 1:
        return nested[0]
    if not level and not nested:
        raise ValueError(f"{type(query).__name__} holds no condition and would match every row; use list() for that")
    return level | {"orCondition": False} | ({"nestedFilters": nested} if nested else {})


def _each(query: Query, name: str, alternatives: object) -> list[dict[str, Any]]:
    owner = type(query)
    items = list(cast("Sequence[object]", alternatives)) if isinstance(alternatives, Sequence) else None
    queries = [item for item in items or () if isinstance(item, owner)]
    if items is None or len(queries) < len(items):
        raise TypeError(f"{owner.__name__}.{name} must be a sequence of {owner.__name__}")
    if not queries:
        raise ValueError(f"{owner.__name__}.{name} is empty")
    return [to_filter(item) for item in queries]


def _conditions(query: Query, prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Condition]]:
    """Return every condition of a query with its path of wire names."""
    found: list[tuple[tuple[str, ...], Condition]] = []
    for field in fields(type(query)):
        value = getattr(query, field.name)
        if value is UNSET or field.name in ("any_of", "all_of"):
            continue
        path, name = (*prefix, field.wire), f"{type(query).__name__}.{field.name}"
        if issubclass(field.type, Query):
            if not isinstance(value, field.type):
                raise TypeError(f"{name} must be a {field.type.__name__}, not {type(value).__name__}")
            inner = _conditions(value, path)
            if not inner:
                raise ValueError(f"{name} holds no condition")
            found += inner
        else:
            found.append((path, _allowed(field, value, name)))
    return found


def _allowed(field: Field, value: object, name: str) -> Condition:
    if value is None:
        raise TypeError(f"{name}: None is not a condition; use null or ~null")
    if not isinstance(value, Condition):
        check_one(field, value, name)
        value = equals(value)
    operators: tuple[type[Condition], ...] = tuple(get_origin(choice) or choice for choice in field.choices)
    if type(value) not in operators:
        raise TypeError(f"{name}: {type(value).__name__.lower()} does not apply to {field.described}")
    for group, part in value.parts:
        if group in ("null", "notNull"):
            continue
        for item in part if group in ("contains", "notContains") else [part]:
            check_one(field, item, name)
    return type(value)(tuple(map(_sent, value.parts)), value.either) if field.kind is Kind.INSTANT else value


def _sent(part: tuple[str, Any]) -> tuple[str, Any]:
    """Return a part of a condition on instants as it goes out: in UTC, and right whether stamps have fractions or not.

    A server that keeps whole seconds may compare a bound as it is, or cut its fraction off first; one that keeps
    microseconds compares it as it is. A lower bound is floored: a row of 10.7 s, kept as 10, is at least 10.5. An upper
    bound stays exact. Where it has a fraction, "below 10.5" goes out as "at most 10.499999": the same to the
    microsecond, and where the fraction is cut off "at most 10" still finds the rows kept as 10, which "below 10" loses.
    """
    group, value = part
    if not isinstance(value, datetime):
        return part
    if group in ("greaterThan", "greaterOrEqual"):
        return group, floored(value)
    value = in_utc(value)
    return ("smallerOrEqual", value - _INSTANT) if group == "smallerThan" and value.microsecond else (group, value)


def _place(level: dict[str, Any], path: tuple[str, ...], condition: Condition) -> None:
    *objects, leaf = path
    for group, value in condition.parts:
        target = level.setdefault(group, {})
        for name in objects:
            target = target.setdefault(name, {})
        target[leaf] = value


class SearchBody(Struct, frozen=True):
    """The body of a search."""

    filter: dict[str, Any]

    def __repr__(self) -> str:
        """Hide the filter: its values may be personal."""
        return "SearchBody(***)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("filter", "***")]
