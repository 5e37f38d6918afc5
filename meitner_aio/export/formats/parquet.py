"""Parquet with the types of the records. The only module that knows pyarrow; it loads it when a file is begun.

Dates are `date32`, instants `timestamp('us', tz='UTC')`, lists lists, nested objects structs, ids and enums strings
(dictionary-encoded); names are those of the records all the way down, and null is not empty. zstd, in row groups of
50,000 rows or 24 MiB, whichever is reached first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias

from ...errors import ConfigurationError, MeitnerError
from ...records import Field, Kind, Record, fields
from .._fresh import FreshFile
from .columns import kept, pieces

Arrow: TypeAlias = Any
"""The module pyarrow and its objects, which have no types."""

_PIECE = 1 << 20
"""Bytes that are parsed at a time."""
_ROWS, _BYTES = 50_000, 24 << 20
"""Where a row group ends, in rows and in bytes before compression: it is in memory until then."""
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
        raise ConfigurationError('Parquet needs pyarrow: pip install "meitner-aio[parquet]"') from None
    finally:
        if not chosen:
            os.environ.pop(_ALLOCATOR, None)


class ParquetWriter:
    """Writes records to a new file. Blocking; not for two threads at a time."""

    held = None

    def __init__(self, path: Path, model: type[Record], names: Sequence[str] | None = None) -> None:
        """Begin a file with the fields named, and the id; all when None."""
        self._arrow = arrow = pyarrow()
        declared = kept(model, names)
        as_text = arrow_types(arrow) | {Kind.DATE: arrow.string()}  # the parser knows no dates
        self._spelled = arrow.schema(_members(arrow, declared, as_text, attrgetter("wire")))
        self._named = arrow.schema(_members(arrow, declared, as_text, attrgetter("name")))
        self._typed = arrow.schema(_members(arrow, declared, arrow_types(arrow), attrgetter("name")))
        self._name = path.name
        self._waiting: list[Arrow] = []
        self._rows = self._bytes = 0
        self._fresh = FreshFile(path)
        self._writer = arrow.parquet.ParquetWriter(self._fresh.file, self._typed, compression="zstd")

    def write(self, lines: bytes) -> None:
        """Add the records of whole lines. `MeitnerError` when one does not fit the types of its fields."""
        for piece in pieces(lines, _PIECE):
            batch = self._read(piece)
            self._waiting.append(batch)
            self._rows += batch.num_rows
            self._bytes += batch.nbytes
            self._arrow.default_memory_pool().release_unused()  # 20 MiB less, for a twentieth of the time
            if self._rows >= _ROWS or self._bytes >= _BYTES:
                self._end_group()

    def close(self) -> None:
        """Make the file whole."""
        if self._rows:
            self._end_group()
        self._writer.close()
        self._fresh.close()

    def abort(self) -> None:
        """Remove the file, unless it is whole."""
        self._waiting.clear()
        self._writer.is_open = False  # it would write its end into a file that is gone
        self._fresh.abort()

    def _read(self, lines: memoryview) -> Arrow:
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
            return arrow.Table.from_arrays(list(columns), schema=self._named).cast(self._typed)
        except arrow.ArrowInvalid:
            pass  # it quotes the value
        raise MeitnerError(f"{self._name}: a record does not fit the types of its columns")

    def _end_group(self) -> None:
        self._writer.write_table(self._arrow.concat_tables(self._waiting), row_group_size=self._rows)
        self._waiting.clear()
        self._rows = self._bytes = 0


def _renamed(column: Arrow, kind: Arrow) -> Arrow:
    return column.chunk(0).view(kind)


def arrow_types(arrow: Arrow) -> dict[Kind, Arrow]:
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
