"""Which fields of records to show on a terminal, and how. Pure; text from a directory never steers the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import cast

from ...records import Field, Kind, Record, fields

_GAP = 2
_WIDEST = 40


def table_of(records: Sequence[Record], width: int, visible: Callable[[str], str] = str) -> tuple[list[list[str]], int]:
    """Return the rows of a table at most `width` wide, the first naming the columns, and how many fields it lacks.

    What identifies a record comes first: its id, then its required fields, then the rest, references last. Fields that
    are empty in every record are no loss. `records` holds at least one. `visible` escapes what cannot be written.
    """
    declared = fields(type(records[0]))
    chosen: list[list[str]] = []
    left, lacking = width + _GAP, 0
    for field in sorted(declared, key=_rank):
        column = [field.name, *(_shown(getattr(record, field.name), visible) for record in records)]
        needed = max(map(len, column)) + _GAP
        if not any(column[1:]):
            continue
        if field.kind is Kind.OBJECT or needed > left:
            lacking += 1
            continue
        chosen.append(column)
        left -= needed
    return [list(row) for row in zip(*chosen, strict=True)], lacking


def _rank(field: Field) -> tuple[bool, bool, bool]:
    return field.name != "id", field.kind is Kind.UUID, not field.required


def _shown(value: object, visible: Callable[[str], str]) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case list():
            return ", ".join(_shown(one, visible) for one in cast("list[object]", value))
        case _:
            return _clipped(str(value), visible)


def _clipped(text: str, visible: Callable[[str], str]) -> str:
    safe = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    safe, cut = visible(safe), "…" if visible("…") == "…" else "..."
    return safe if len(safe) <= _WIDEST else safe[: _WIDEST - len(cut)] + cut
