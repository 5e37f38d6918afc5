"""One table of records: by id, in order, and by the value of any fields. Knows no rule and no resource."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from itertools import count
from typing import Literal, TypeAlias, cast

from ...records import DirectoryRecord, Meta
from .shapes import is_list

Row: TypeAlias = DirectoryRecord

Order = Literal["created", "-created", "updated"]
"""How rows are listed: as created, the newest first, or with an update moving its row to the end."""


Index: TypeAlias = dict[Hashable, tuple[str, ...]]
"""The ids of the rows that have a value."""


def meta_of(row: Row) -> Meta:
    """Return the meta of a row: only rows that never change may lack it."""
    return cast("Meta", row.meta)


class Table:
    """Rows by id, listed in an order that the table keeps through every change.

    Indexes and the ordered list are built when first asked for, so that a large table costs nothing until used.
    """

    def __init__(self, rows: Iterable[Row], order: Order) -> None:
        """Hold `rows`, which come as created."""
        self._order = order
        if order == "updated":
            rows = sorted(rows, key=lambda row: meta_of(row).updated_at or meta_of(row).created_at)
        self._rows: dict[str, Row] = {row.id: row for row in rows}
        self._numbers = count()
        self._places = dict(zip(self._rows, self._numbers, strict=False))
        self._ordered: list[Row] | None = None
        self._indexes: dict[tuple[str, ...], Index] = {}
        self.version = 0
        """Moves with every change."""

    def __contains__(self, record_id: object) -> bool:
        return record_id in self._rows

    def get(self, record_id: str) -> Row | None:
        """Return the row with this id, or None."""
        return self._rows.get(record_id)

    def rows(self) -> list[Row]:
        """Return every row in order; the list belongs to the table."""
        if self._ordered is None:
            self._ordered = list(self._rows.values())
            if self._order == "-created":
                self._ordered.reverse()
        return self._ordered

    def pick(self, ids: Iterable[str]) -> list[Row]:
        """Return those of the rows with these ids that exist, in order."""
        found = sorted(self._rows.keys() & set(ids), key=self._places.__getitem__, reverse=self._order == "-created")
        return [self._rows[record_id] for record_id in found]

    def find(self, names: tuple[str, ...], *values: Hashable) -> list[Row]:
        """Return the rows whose fields have these values, in order; a list field, alone, has that of any element."""
        index = self._indexes.get(names)
        if index is None:
            index = self._indexes[names] = {}
            for row in self._rows.values():
                _add(index, names, row)
        return self.pick(index.get(values, ()))

    def put(self, row: Row) -> None:
        """Add a row, or replace the one with its id."""
        self._forget(row.id)
        if self._order == "updated":
            self._rows.pop(row.id, None)
            self._places.pop(row.id, None)
        self._rows[row.id] = row
        if row.id not in self._places:
            self._places[row.id] = next(self._numbers)
        for names, index in self._indexes.items():
            _add(index, names, row)

    def remove(self, record_id: str) -> None:
        """Drop the row with this id, which must exist."""
        self._forget(record_id)
        del self._rows[record_id], self._places[record_id]

    def _forget(self, record_id: str) -> None:
        self.version += 1
        self._ordered = None
        row = self._rows.get(record_id)
        if row is not None:
            for names, index in self._indexes.items():
                _drop(index, names, row)


def _entries(row: Row, names: Collection[str]) -> Iterator[tuple[Hashable, ...]]:
    """Yield what a row is found by: nothing where a field is null, each element of a list."""
    values = tuple(getattr(row, name) for name in names)
    if is_list(values[0]):
        yield from ((item,) for item in dict.fromkeys(values[0]))
    elif None not in values:
        yield values


def _add(index: Index, names: Collection[str], row: Row) -> None:
    for value in _entries(row, names):
        index[value] = (*index.get(value, ()), row.id)


def _drop(index: Index, names: Collection[str], row: Row) -> None:
    for value in _entries(row, names):
        rest = tuple(other for other in index[value] if other != row.id)
        if rest:
            index[value] = rest
        else:
            del index[value]
