"""Parquet with the types of the records. Loads pyarrow when a file is begun.

Rows are those of `NestedRows`. zstd, in row groups of 50,000 rows or 24 MiB, whichever is reached first. A column has
a dictionary where its values repeat among the first rows: of others, such as ids, it would be a copy, which costs an
eighth of the file and a sixth of the time to write it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...records import Record
from .._fresh import FreshFile
from .arrow import Arrow, NestedRows, pyarrow
from .columns import pieces

_PIECE = 1 << 20
"""Bytes that are parsed at a time."""
_ROWS, _BYTES = 50_000, 24 << 20
"""Where a row group ends, in rows and in bytes before compression: it is in memory until then."""
_REPEATS = 2
"""Times that a value is there on average, in a column that gets a dictionary."""


class ParquetWriter:
    """Writes records to a new file. Blocking; not for two threads at a time."""

    held = None

    def __init__(self, path: Path, model: type[Record], names: Sequence[str] | None = None) -> None:
        """Begin a file with the fields named, and the id; all when None."""
        self._arrow = pyarrow()
        self._rows_of = NestedRows(model, names)
        self._waiting: list[Arrow] = []
        self._rows = self._bytes = 0
        self._fresh = FreshFile(path)
        self._writer: Arrow = None

    def write(self, lines: bytes) -> None:
        """Add the records of whole lines. `MeitnerError` when one does not fit the types of its fields."""
        for piece in pieces(lines, _PIECE):
            batch = self._rows_of.of_records(piece)
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
        (self._writer or self._begun()).close()
        self._fresh.close()

    def abort(self) -> None:
        """Remove the file, unless it is whole."""
        self._waiting.clear()
        if self._writer is not None:
            self._writer.is_open = False  # it would write its end into a file that is gone
        self._fresh.abort()

    def _end_group(self) -> None:
        if self._writer is None:
            self._writer = self._begun(list(self._repeating(self._waiting[0])))
        self._writer.write_table(self._arrow.concat_tables(self._waiting), row_group_size=self._rows)
        self._waiting.clear()
        self._rows = self._bytes = 0

    def _begun(self, dictionaries: Sequence[str] = ()) -> Arrow:
        return self._arrow.parquet.ParquetWriter(
            self._fresh.file, self._rows_of.schema, compression="zstd", use_dictionary=list(dictionaries)
        )

    def _repeating(self, table: Arrow) -> Iterator[str]:
        """Yield the paths of the columns in which values repeat."""
        for name in table.column_names:
            for path, values in self._leaves(name, table[name].combine_chunks()):
                if _REPEATS * len(values.unique()) <= len(values):
                    yield path

    def _leaves(self, path: str, values: Arrow) -> Iterator[tuple[str, Arrow]]:
        """Yield the columns that Parquet makes of one, under their paths in it, without nulls."""
        if self._arrow.types.is_struct(values.type):
            for member, part in zip(values.type, values.flatten(), strict=True):
                yield from self._leaves(f"{path}.{member.name}", part)
        elif self._arrow.types.is_list(values.type):
            yield from self._leaves(f"{path}.list.element", values.flatten())
        else:
            yield path, values.drop_null()
