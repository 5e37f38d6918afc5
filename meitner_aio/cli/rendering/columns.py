"""Which fields of records to show on a terminal, and how. Text from a directory never steers the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, cast

from rich.cells import cell_len, set_cell_size

from ..._wire.field_names import leaves, paths
from ...records import Field, Kind, Record

_GAP = 2
_WIDEST = 40
"""Cells of the terminal that a value may take."""
_NARROWEST = 6
"""A column whose fields were named is cut down to no less than this."""
_HIDDEN = "***"
"""A personal value, as the `repr` of a record has it."""

_Visible = Callable[[str], str]


class Table(NamedTuple):
    """What of records fits into a width."""

    rows: list[list[str]]
    """The first names the columns."""
    lacking: int
    """Fields with values that are not shown."""
    hidden: bool
    """Whether there are personal values, which the table hides or lacks."""


def table_of(
    records: Sequence[Record],
    width: int,
    visible: _Visible = str,
    *,
    chosen: Sequence[str] | None = None,
    values: bool = False,
) -> Table:
    """Return a table at most `width` wide; personal values are hidden unless `values`.

    With the fields of the paths `chosen`, in their order: what does not fit is cut, and the last columns are left out
    where that is not enough. With None, those fields that fit as they are: the id first, then what tells records apart
    (the required fields, then the rest), then what is hidden, flags, references, and who changed them when. Fields that
    are empty in every record are no loss. `records` holds at least one. `visible` escapes what cannot be written.
    """
    model = type(records[0])
    everything = {path: _column(records, path, visible, values=values) for path in leaves(model, chosen)}
    known = paths(model)
    if chosen is not None:
        columns = _narrowed([(known[path], column) for path, column in everything.items()], width, visible)
    else:
        everything = {path: column for path, column in everything.items() if any(column[1:])}
        columns = _fitting(
            [everything[path] for path in sorted(everything, key=lambda path: _rank(path, known[path], values=values))],
            width,
        )
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Table(rows, len(everything) - len(columns), any(_HIDDEN in column for column in everything.values()))


def _fitting(columns: Iterable[list[str]], width: int) -> list[list[str]]:
    chosen: list[list[str]] = []
    left = width + _GAP
    for column in columns:
        needed = _width(column) + _GAP
        if needed <= left:
            chosen.append(column)
            left -= needed
    return chosen


def _narrowed(columns: Sequence[tuple[Field, list[str]]], width: int, visible: _Visible) -> list[list[str]]:
    """Return columns that fit, the widest of them cut first, and ids last: half an id is of no use."""
    columns = columns[: max(1, (width + _GAP) // (_NARROWEST + _GAP))]
    widths = [_width(column) for _, column in columns]
    cuttable = [field.kind is not Kind.UUID for field, _ in columns]
    while sum(widths) + _GAP * (len(widths) - 1) > width and max(widths) > 1:
        ranks = [(free and size > _NARROWEST, size) for free, size in zip(cuttable, widths, strict=True)]
        place = ranks.index(max(ranks))
        widths[place] -= 1
    return [[_cut(cell, wide, visible) for cell in column] for (_, column), wide in zip(columns, widths, strict=True)]


def _rank(path: str, field: Field, *, values: bool) -> tuple[bool, ...]:
    hidden = field.personal and not values
    last = path.startswith("meta."), field.kind is Kind.UUID, field.kind is Kind.BOOLEAN
    return path != "id", *last, hidden, not field.required, "." in path


def _column(records: Sequence[Record], path: str, visible: _Visible, *, values: bool) -> list[str]:
    hidden = paths(type(records[0]))[path].personal and not values
    found = (_value(record, path) for record in records)
    return [path, *(_HIDDEN if hidden and value is not None else _shown(value, visible) for value in found)]


def _value(record: Record, path: str) -> object:
    value: object = record
    for name in path.split("."):
        value = None if value is None else getattr(value, name)
    return value


def _shown(value: object, visible: _Visible) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case list():
            return _clipped(", ".join(_shown(one, visible) for one in cast("list[object]", value)), visible)
        case _:
            return _clipped(str(value), visible)


def _clipped(text: str, visible: _Visible) -> str:
    safe = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return _cut(visible(safe), _WIDEST, visible)


def _cut(text: str, wide: int, visible: _Visible) -> str:
    """Return text that takes at most so many cells of a terminal; some letters take two, some none."""
    if cell_len(text) <= wide:
        return text
    mark = "…" if visible("…") == "…" else "..."
    return (set_cell_size(text, max(0, wide - len(mark))).rstrip() + mark)[: max(wide, 1)]


def _width(column: Sequence[str]) -> int:
    return max(map(cell_len, column))
