"""Records as Arrow tables, each column with the type of its field. Knows pyarrow, and loads it when it is asked for.

Dates are `date32`, instants `timestamp('us', tz='UTC')`, integers `int64`, booleans `bool`, ids and enums text. Types
follow from the declarations of a record, never from the values that happen to be there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import import_module
from operator import attrgetter
from typing import Any, TypeAlias

from ...errors import ConfigurationError, MeitnerError
from ...records import Field, Kind, Record, fields
from .columns import Column, Rows, kept

Arrow: TypeAlias = Any
"""The module pyarrow and its objects, which have no types."""
ArrowTable: TypeAlias = Any
"""A `pyarrow.Table`."""
DELETED_AT = "_deleted_at"
"""The column that says when a row was deleted."""
_ALLOCATOR = "ARROW_DEFAULT_MEMORY_POOL"


def pyarrow() -> Arrow:
    """Return pyarrow with its reader of JSON and its Parquet; `ConfigurationError` where it is not installed."""
    # Arrow reads this once, when it is loaded. Its own allocator keeps 30 MiB of what it has been given back.
    chosen = _ALLOCATOR in os.environ
    os.environ.setdefault(_ALLOCATOR, "system")
    try:
        for part in ("pyarrow.json", "pyarrow.parquet"):
            import_module(part)  # not a statement: where it is not installed, type checkers would stumble over it
        return import_module("pyarrow")
    except ImportError:
        raise ConfigurationError('Parquet and Arrow need pyarrow: pip install "meitner-aio[parquet]"') from None
    finally:
        if not chosen:
            os.environ.pop(_ALLOCATOR, None)


class NestedRows:
    """Makes tables of records as they are: lists are lists, nested objects structs, and null is not empty.

    Names are those of the records all the way down. Blocking; `ConfigurationError` where pyarrow is not installed.
    """

    def __init__(self, model: type[Record], names: Sequence[str] | None = None) -> None:
        """Keep the fields named, and the id; all when None."""
        self._arrow = arrow = pyarrow()
        self._name = model.__name__
        declared = kept(model, names)
        as_text = _types_of(arrow) | {Kind.DATE: arrow.string()}  # the parser knows no dates
        self._spelled = arrow.schema(_members(arrow, declared, as_text, attrgetter("wire")))
        self._named = arrow.schema(_members(arrow, declared, as_text, attrgetter("name")))
        self.schema: Arrow = arrow.schema(_members(arrow, declared, _types_of(arrow), attrgetter("name")))

    def of_records(self, lines: bytes | memoryview) -> Arrow:
        """Return the records of whole lines, of which there is one at least.

        `MeitnerError` when one does not fit the types of its columns.
        """
        arrow = self._arrow
        try:
            table = arrow.json.read_json(
                arrow.BufferReader(lines),
                # One block: the parser would refuse a line that is longer than a block.
                read_options=arrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
                parse_options=arrow.json.ParseOptions(
                    explicit_schema=self._spelled, unexpected_field_behavior="ignore"
                ),
            )
            columns = map(_renamed, table, self._named.types)
            return arrow.Table.from_arrays(list(columns), schema=self._named).cast(self.schema)
        except arrow.ArrowInvalid:
            pass  # it quotes the value
        raise _unfit(self._name)


class ArrowRows:
    """Makes tables of records in the columns of a flat format, where a list is JSON text.

    One column more says when a row was deleted, for whoever deletes by key: it is null in every record. Blocking;
    `ConfigurationError` where pyarrow is not installed.
    """

    def __init__(self, model: type[Record], names: Sequence[str] | None = None) -> None:
        """Keep the fields named, and the id; all when None."""
        self._arrow = arrow = pyarrow()
        self._name = model.__name__
        self._rows = Rows(model, names)
        types = _types_of(arrow)
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
        raise _unfit(self._name)

    def _column(self, column: Column, cells: list[Any], field: Arrow) -> Arrow:
        if column.kind in (Kind.DATE, Kind.INSTANT):
            return self._arrow.array(cells, self._arrow.string()).cast(field.type)
        return self._arrow.array(cells, field.type)


def _member(arrow: Arrow, column: Column, types: dict[Kind, Arrow]) -> Arrow:
    kind = arrow.string() if column.kind is None else types.get(column.kind, arrow.string())
    return arrow.field(column.name, kind, nullable=column.name != "id")


def _unfit(name: str) -> MeitnerError:
    return MeitnerError(f"a record of {name} does not fit the types of its columns")


def _renamed(column: Arrow, kind: Arrow) -> Arrow:
    return column.chunk(0).view(kind)


def _types_of(arrow: Arrow) -> dict[Kind, Arrow]:
    """Return the types of what is not text."""
    return {
        Kind.BOOLEAN: arrow.bool_(),
        Kind.INTEGER: arrow.int64(),
        Kind.DATE: arrow.date32(),
        Kind.INSTANT: arrow.timestamp("us", tz="UTC"),
    }


def _members(
    arrow: Arrow,
    declared: Sequence[Field],
    types: dict[Kind, Arrow],
    name: Callable[[Field], str],
) -> list[Arrow]:
    """Return the fields of a schema or a struct, under the names that `name` gives them."""
    members: list[Arrow] = []
    for field in declared:
        if field.kind is Kind.OBJECT:
            kind = arrow.struct(_members(arrow, fields(field.type), types, name))
        else:
            kind = types.get(field.kind, arrow.string())
        members.append(arrow.field(name(field), arrow.list_(kind) if field.many else kind))
    return members
