"""Tables in HTML, for notebooks. Knows no record; every text is escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

T = TypeVar("T")


@runtime_checkable
class Showing(Protocol):
    """What says of itself which values may be shown."""

    def __rich_repr__(self) -> Iterable[tuple[str, object]]:
        """Return names and values, those that are hidden as `***`."""
        ...


ROWS = 50
"""Rows that a table shows unless more are asked for."""


def of_rows(rows: Sequence[T], pairs: Callable[[T], Iterable[tuple[str, object]]], what: str, most: int = ROWS) -> str:
    """Return a table of the first rows, each made of names and values; columns without any value are left out."""
    filled = [{name: text(value) for name, value in pairs(row)} for row in rows[:most]]
    columns = dict.fromkeys(name for row in filled for name, value in row.items() if value)
    rest = f", the first {most:,} shown" if len(rows) > most else ""
    title = f"{what}, {len(rows):,} row{'s' if len(rows) != 1 else ''}{rest}"
    return table(list(columns), [[row.get(name, "") for name in columns] for row in filled], title)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str) -> str:
    """Return a table with a title above it."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(text(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def preformatted(printed: str) -> str:
    """Return text as it is printed."""
    return f"<pre>{escape(printed)}</pre>"


def text(value: object) -> str:
    """Return a value as text: nothing for None, and of an object what it shows of itself."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, Showing):
        return _pairs(value.__rich_repr__())
    if isinstance(value, Mapping):
        return _pairs(cast("Mapping[str, object]", value).items())
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in cast("Sequence[Any]", value))
    return str(value)


def _pairs(pairs: Iterable[tuple[str, object]]) -> str:
    return ", ".join(f"{name}: {shown}" for name, value in pairs if (shown := text(value)))
