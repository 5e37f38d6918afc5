"""Parquet with the types of the records. Loads pyarrow when a file is begun.

Rows are those of `NestedRows`; ids and enums are dictionary-encoded. zstd, in row groups of 50,000 rows or 24 MiB,
whichever is reached first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...records import Record
from .._fresh import FreshFile
from .arrow import Arrow, NestedRows, pyarrow
from .columns import pieces

_PIECE = 1 << 20
"""Bytes that are parsed at a time."""
_ROWS, _BYTES = 50_000, 24 << 20
"""Where a row group ends, in rows and in bytes before compression: it is in memory until then."""


class ParquetWriter:
    """Writes records to a new file. Blocking; not for two threads at a time."""

    held = None

    def __init__(self, path: Path, model: type[Record], names: Sequence[str] | None = None) -> None:
        """Begin a file with the fields named, and the id; all when None."""
        self._arrow = arrow = pyarrow()
        self._rows_of = NestedRows(model, names)
        self._waiting: list[Arrow] = []
        self._rows = self._bytes = 0
        self._fresh = FreshFile(path)
        self._writer = arrow.parquet.ParquetWriter(self._fresh.file, self._rows_of.schema, compression="zstd")

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
        self._writer.close()
        self._fresh.close()

    def abort(self) -> None:
        """Remove the file, unless it is whole."""
        self._waiting.clear()
        self._writer.is_open = False  # it would write its end into a file that is gone
        self._fresh.abort()

    def _end_group(self) -> None:
        self._writer.write_table(self._arrow.concat_tables(self._waiting), row_group_size=self._rows)
        self._waiting.clear()
        self._rows = self._bytes = 0
