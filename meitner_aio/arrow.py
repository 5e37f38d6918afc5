"""Listings as Arrow tables, for pandas, polars, DuckDB and whatever else reads Arrow. Needs the extra `parquet`."""

from __future__ import annotations

from typing import Any, cast

from ._listing.listing import Listing, begun, inside
from ._runtime.threads import threaded
from .export._spool import encode_lines
from .export.formats.arrow import Arrow, ArrowTable, NestedRows, pyarrow
from .records import Record

__all__ = ["ArrowTable", "to_arrow"]

_PIECE = 1 << 20
"""Bytes of lines that wait to be a chunk of the table: columns of many short chunks are slow to read."""


async def to_arrow(listing: Listing[Any]) -> ArrowTable:
    """Read a listing, or a search, to its end, and return its rows as a `pyarrow.Table`.

    ```python
    table = await to_arrow(meitner.students.list())
    frame = table.to_pandas()
    ```

    Columns are those of a Parquet export, all of them, also where there is no row: dates as `date32`, instants as
    `timestamp('us', tz='UTC')`, ids and enums as text, lists as lists, nested objects as structs.

    A table holds every row: rows that moved meanwhile are fetched again, as with `exact=True`, and rows that were
    deleted meanwhile are left out. Raises `IncompleteListing` where that could not be shown, or where
    `on_invalid="skip"` left rows out; `listing.report` says why. From an offset nothing is fetched again.

    Memory is that of the table, and of the pages fetched ahead. Raises `TypeError` for anything but a listing and
    `ConfigurationError` where pyarrow is not installed, before anything is requested. A printed table shows
    personal data.
    """
    if not isinstance(cast("object", listing), Listing):
        raise TypeError("to_arrow takes a listing or a search that was not awaited, such as meitner.students.list()")
    source, reading = inside(listing)
    table = _Table(cast("type[Record]", source.model))
    read = begun(listing, strict=True, exact=not reading.offset)
    try:
        while (page := await read.next()) is not None:
            await threaded(table.add, page.data)
    finally:
        await read.close()
    return await threaded(table.whole, frozenset(read.tracker.report().gone))


class _Table:
    """A table in the making. Blocking; an object, since what Arrow itself shows in a crash report are the rows."""

    def __init__(self, model: type[Record]) -> None:
        self._arrow: Arrow = pyarrow()
        self._rows = NestedRows(model)
        self._lines = bytearray()
        self._chunks: list[Arrow] = []

    def add(self, records: list[Any]) -> None:
        """Add records; what is kept of them are bytes."""
        self._lines += encode_lines(records)
        if len(self._lines) >= _PIECE:
            self._end_chunk()

    def whole(self, gone: frozenset[str]) -> ArrowTable:
        """Return the table, without the rows that were deleted."""
        if self._lines:
            self._end_chunk()
        table = self._arrow.concat_tables(self._chunks) if self._chunks else self._rows.schema.empty_table()
        if gone:
            table = table.filter([row not in gone for row in table["id"].to_pylist()])
        return table

    def _end_chunk(self) -> None:
        lines, self._lines = bytes(self._lines), bytearray()
        self._chunks.append(self._rows.of_records(lines))
        self._arrow.default_memory_pool().release_unused()
