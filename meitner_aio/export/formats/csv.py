"""CSV by RFC 4180, in two dialects. Knows what a cell is, not where its value comes from.

`plain` is for programs: UTF-8, commas, CRLF, a header row, and each value as it is. `excel` is for people with a
spreadsheet that is set to Swedish: semicolons, a byte order mark, and apostrophes before what could be a formula
(`_runtime/formulas.py`).

Text stands in quotes; a number and `true` or `false` stand bare; null is an empty cell without quotes, empty text one
with them (as PostgreSQL and DuckDB read it; where a reader does not tell them apart, both are empty). Dates and
instants are ISO 8601 text, a list is a JSON array.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from ..._runtime.formulas import any_unsafe, guarded
from ...records import Kind
from .._fresh import FreshFile
from .columns import Column, Rows

MARK = "\ufeff"
"""A byte order mark, by which Excel knows UTF-8."""


class CsvText:
    """Writes columns of cells as text, in a dialect."""

    def __init__(self, text: TextIO, columns: Sequence[Column], *, excel: bool) -> None:
        """Write to what translates no line ends."""
        self._text = text
        self._columns = columns
        self._mark = MARK if excel else ""
        self._cells = _excel_cells if excel else _plain_cells
        self._writer = csv.writer(text, delimiter=";" if excel else ",", quoting=csv.QUOTE_NONNUMERIC)

    def begin(self) -> None:
        """Write what stands before the rows."""
        self._text.write(self._mark)
        self._writer.writerow([column.name for column in self._columns])

    def write(self, batch: Sequence[list[Any]]) -> None:
        """Write rows, of which the cells are given column by column."""
        self._writer.writerows(zip(*map(self._cells, self._columns, batch), strict=True))


class CsvWriter:
    """Writes records to a new file. Blocking; not for two threads at a time."""

    held = None

    def __init__(self, path: Path, rows: Rows, *, excel: bool = False) -> None:
        """Make the file and write its header, in the dialect `excel` or the plain one."""
        self._rows = rows
        self._fresh = FreshFile(path)
        self._text = TextIOWrapper(self._fresh.file, "utf-8", newline="")
        self._table = CsvText(self._text, rows.columns, excel=excel)
        self._table.begin()

    def write(self, lines: bytes) -> None:
        """Add the records of whole lines."""
        for batch in self._rows.batches(lines):
            self._table.write(batch)

    def close(self) -> None:
        """Make the file whole."""
        self._text.flush()
        self._fresh.close()

    def abort(self) -> None:
        """Remove the file, unless it is whole."""
        self._fresh.abort()


class _Bare(float):
    """What the csv module writes as it writes a number: without quotes."""

    text = ""

    def __str__(self) -> str:
        return self.text


class _True(_Bare):
    text = "true"


class _False(_Bare):
    text = "false"


_NULL = _Bare()
_BOOLEANS = {True: _True(), False: _False(), None: _NULL}


def _excel_cells(column: Column, values: list[Any]) -> list[Any]:
    if column.textual and any_unsafe(values):
        values = [value and guarded(value) for value in values]
    return _plain_cells(column, values)


def _plain_cells(column: Column, values: list[Any]) -> list[Any]:
    if column.kind is Kind.BOOLEAN:
        return [_BOOLEANS[value] for value in values]
    return [_NULL if value is None else value for value in values] if None in values else values
