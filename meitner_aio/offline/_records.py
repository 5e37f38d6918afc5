"""Records from the cells of a mirror's tables: what the columns of an export say, read back. Pure.

A cell that is null is a field that is absent. An object of which all cells are null is none, unless the mirror notes
beside the table that there was one without a value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from ..records import DirectoryRecord, Field, Kind, Record, fields


class Cell(NamedTuple):
    """Where a cell goes: a column, and the fields that lead to it."""

    column: str
    field: Field
    path: tuple[str, ...]
    """Names on the wire."""
    read: Callable[[Any], Any]


def _as_it_is(value: Any) -> Any:
    return value


_READ: dict[Kind, Callable[[Any], Any]] = {Kind.BOOLEAN: bool}


def cells_of(model: type[Record], prefix: str = "", path: tuple[str, ...] = ()) -> Iterator[Cell]:
    """Yield the columns of a record, in their order."""
    for field in fields(model):
        where = (*path, field.wire)
        if field.kind is Kind.OBJECT and not field.many:
            yield from cells_of(field.type, f"{prefix}{field.name}_", where)
        else:
            read = msgspec.json.decode if field.many else _READ.get(field.kind, _as_it_is)
            yield Cell(prefix + field.name, field, where, read)


class Reader:
    """Makes records of one kind of rows."""

    def __init__(self, model: type[DirectoryRecord]) -> None:
        self._model = model
        self._cells = tuple(cells_of(model))
        self._wires = {field.name: field.wire for field in fields(model)}
        self.columns = tuple(cell.column for cell in self._cells)

    def fits(self, columns: str) -> bool:
        """Whether a table has the columns of this version; `columns` is what the mirror notes of it."""
        return self.columns == tuple(json.loads(columns))

    def select(self, attribute: str) -> str:
        """Return the beginning of a query for what `record` takes, as `t`; its first value is the attribute."""
        columns = ", ".join(f'"{column}"' for column in self.columns)
        blank = "(SELECT fields FROM meitner_aio_blank AS b WHERE b.resource = ? AND b.id = t.id)"
        return f'SELECT {blank}, {columns} FROM "{attribute}" AS t'

    def record(self, row: Sequence[Any], blank: str | None = None) -> DirectoryRecord:
        """Return the record of a row; `blank` names its objects without a value."""
        data: dict[str, Any] = {self._wires[name]: {} for name in (blank or "").split()}
        for cell, value in zip(self._cells, row, strict=True):
            if value is not None:
                into = data
                for name in cell.path[:-1]:
                    into = into.setdefault(name, {})
                into[cell.path[-1]] = cell.read(value)
        return msgspec.convert(data, self._model)
