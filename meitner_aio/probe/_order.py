"""By what rows are ordered, read from the rows themselves. Pure; names fields, never what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from ..records import DirectoryRecord, Kind, fields
from ._instants import moment
from ._pages import Row, meta

_FEWEST = 6
"""Different values that must be in order, for it to be no accident: of six, one in 720 is."""

_ORDERED = frozenset({Kind.UUID, Kind.TEXT, Kind.DATE, Kind.INSTANT, Kind.INTEGER})
"""Kinds of fields by which rows may be ordered."""

Key = Callable[[Row], Any]

_TIES: dict[str, Key] = {"created_at": lambda row: moment(meta(row, "createdAt")), "id": lambda row: row.get("id")}
"""What may order rows that are otherwise equal."""


_LAST_CHANGE = "the last change"


class Order(NamedTuple):
    """What rows are ordered by: the name of the first key, and the whole order in words, `title, then created_at`."""

    key: str
    words: str


def order_of(rows: Sequence[Row], model: type[DirectoryRecord]) -> Order | None:
    """Return the order of rows; None if they are in no order that can be seen."""
    for name, key in _keys(model):
        values = [key(row) for row in rows]
        if None in values or len(set(values)) < _FEWEST:
            continue
        for spelled in _spellings(values):
            if (direction := _direction(spelled)) is not None:
                return Order(name, f"{name}{direction}{_then(name, rows, spelled)}")
    return None


def enough(rows: Sequence[Row]) -> bool:
    """Whether there are so many rows that their order is no accident."""
    return len(rows) >= _FEWEST


def an_update_moves(rows: Sequence[Row], order: Order) -> bool | None:
    """Return whether a row that is updated moves in the order; None when no row shows it."""
    if order.key == _LAST_CHANGE:
        return True
    updated = [meta(row, "updatedAt") not in (None, meta(row, "createdAt")) for row in rows]
    return None if not any(updated) else False


def _keys(model: type[DirectoryRecord]) -> Iterator[tuple[str, Key]]:
    """Yield what rows may be ordered by, what is likelier first."""
    plain = {field.name: field for field in fields(model) if field.kind in _ORDERED and not field.many}
    for name in ("title", "timestamp"):
        if name in plain:
            yield name, _field(plain[name].wire, plain[name].kind)
    yield "created_at", lambda row: moment(meta(row, "createdAt"))
    yield _LAST_CHANGE, lambda row: moment(meta(row, "updatedAt")) or moment(meta(row, "createdAt"))
    for name, field in plain.items():
        if name not in ("title", "timestamp"):
            yield name, _field(field.wire, field.kind)


def _field(wire: str, kind: Kind) -> Key:
    if kind is Kind.INSTANT:
        return lambda row: moment(row.get(wire))
    plain = int if kind is Kind.INTEGER else str
    return lambda row: value if isinstance(value := row.get(wire), plain) else None


_SWEDISH = str.maketrans("åäö", "{|}")


def _spellings(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield the values as databases may compare them: as they are, and text by the rules of languages."""
    yield values
    if isinstance(values[0], str):
        folded = [value.casefold() for value in values]
        yield folded
        yield [value.translate(_SWEDISH) for value in folded]
        yield ["".join(filter(str.isalnum, value.translate(_SWEDISH))) for value in folded]


def _direction(values: Sequence[Any]) -> str | None:
    """Return nothing for ascending values, a word for descending ones, None for others."""
    if all(before <= after for before, after in pairwise(values)):
        return ""
    return ", descending" if all(before >= after for before, after in pairwise(values)) else None


def _then(name: str, rows: Sequence[Row], values: Sequence[Any]) -> str:
    """Return what orders rows whose values are equal, when there are enough of them to show it."""
    pairs = zip(values, rows, strict=True)
    equal = [[row for _, row in group] for _, group in groupby(pairs, key=lambda pair: pair[0])]
    ties = [group for group in equal if len(group) > 1]
    for other, key in _TIES.items():
        groups = [keys for group in ties if len(set(keys := [key(row) for row in group])) > 1]
        if other == name or sum(map(len, groups)) < _FEWEST or any(None in keys for keys in groups):
            continue
        directions = {_direction(keys) for keys in groups}
        if len(directions) == 1 and None not in directions:
            return f", then {other}{directions.pop()}"
    return ""
