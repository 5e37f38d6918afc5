"""Records as Arrow tables: the columns of a flat format, each with the type of its field. Loads pyarrow when made.

Dates are `date32`, instants `timestamp('us', tz='UTC')`, integers `int64`, booleans `bool`; everything else is text, a
list as JSON. One column more says when a row was deleted, for whoever deletes by key: it is null in every record.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ...errors import MeitnerError
from ...records import Kind, Record
from .columns import Column, Rows
from .parquet import Arrow, arrow_types, pyarrow

DELETED_AT = "_deleted_at"
"""The column that says when a row was deleted."""


class ArrowRows:
    """Makes tables of records. Blocking; `ConfigurationError` where pyarrow is not installed."""

    def __init__(self, model: type[Record], names: Sequence[str] | None = None) -> None:
        """Keep the fields named, and the id; all when None."""
        self._arrow = arrow = pyarrow()
        self._name = model.__name__
        self._rows = Rows(model, names)
        types = arrow_types(arrow)
        members = [_member(arrow, column, types) for column in self._rows.columns]
        self.schema: Arrow = arrow.schema([*members, arrow.field(DELETED_AT, types[Kind.INSTANT])])

    def of_records(self, lines: bytes) -> Arrow:
        """Return the records of whole lines. `MeitnerError` when one does not fit the types of its columns."""
        batches = [self._batch(cells) for cells in self._rows.batches(lines)]
        return self._arrow.Table.from_batches(batches, schema=self.schema)

    def of_deletions(self, ids: Sequence[str], at: datetime) -> Arrow:
        """Return rows that have an id and a time of deletion, and nothing else."""
        arrow, given = self._arrow, {"id": list(ids), DELETED_AT: [at] * len(ids)}
        empty: list[None] = [None] * len(ids)
        columns = [arrow.array(given.get(field.name, empty), field.type) for field in self.schema]
        return arrow.Table.from_arrays(columns, schema=self.schema)

    def _batch(self, cells: list[list[Any]]) -> Arrow:
        arrow = self._arrow
        try:
            columns = [self._column(*column) for column in zip(self._rows.columns, cells, self.schema, strict=False)]
        except (ValueError, TypeError, OverflowError):  # what Arrow raises is one of these, and quotes the value
            pass
        else:
            never = arrow.nulls(len(cells[0]), self.schema.field(DELETED_AT).type)
            return arrow.RecordBatch.from_arrays([*columns, never], schema=self.schema)
        raise MeitnerError(f"a record of {self._name} does not fit the types of its columns")

    def _column(self, column: Column, cells: list[Any], field: Arrow) -> Arrow:
        if column.kind in (Kind.DATE, Kind.INSTANT):
            return self._arrow.array(cells, self._arrow.string()).cast(field.type)
        return self._arrow.array(cells, field.type)


def _member(arrow: Arrow, column: Column, types: dict[Kind, Arrow]) -> Arrow:
    kind = arrow.string() if column.kind is None else types.get(column.kind, arrow.string())
    return arrow.field(column.name, kind, nullable=column.name != "id")
