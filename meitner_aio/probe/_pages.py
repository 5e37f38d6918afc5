"""A page as a server wrote it, before any record is made of it: what is there, and what is not. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from msgspec import Struct

from ._asking import Answer

Row = dict[str, Any]
"""An object of JSON, its dates and instants as text."""


_MOST = 10**15
"""Rows that no directory has."""


class Page(Struct, frozen=True):
    """Rows and what the server says about them."""

    rows: list[Row]
    limit: int
    total: int
    null: bool = False
    """Whether the list of rows was null."""

    def __repr__(self) -> str:
        return f"Page({len(self.rows)} of {self.total} rows)"  # the rows are personal

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("rows", len(self.rows)), ("total", self.total)]


def page(answer: Answer) -> Page | None:
    """Return the page that an answer holds; None when it is a failure, or no page."""
    envelope = as_object(answer.data) if answer.good else {}
    data: object = envelope.get("data", "")
    pagination = as_object(envelope.get("pagination"))
    limit, total = _count(pagination.get("limit")), _count(pagination.get("total"))
    if limit is None or total is None or not isinstance(data, list | None):
        return None
    return Page([as_object(row) for row in cast("Iterable[object]", data or ())], limit, total, data is None)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < _MOST else None


def meta(row: Row, name: str) -> object:
    """Return what a row's meta says under a name."""
    return as_object(row.get("meta")).get(name)


def as_object(value: object) -> Row:
    """Return a JSON object; an empty one for anything else."""
    return cast("Row", value) if isinstance(value, dict) else {}
