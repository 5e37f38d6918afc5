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
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from ..._runtime.formulas import any_unsafe, guarded
from ...records import Kind
from .._fresh import FreshFile
from .columns import Column, Rows


class CsvWriter:
    """Writes records to a new file. Blocking; not for two threads at a time."""

    held = None

    def __init__(self, path: Path, rows: Rows, *, excel: bool = False) -> None:
        """Make the file and write its header, in the dialect `excel` or the plain one."""
        self._rows = rows
        self._fresh = FreshFile(path)
        self._cells = excel_cells if excel else cells
        self._text = TextIOWrapper(self._fresh.file, "utf-8-sig" if excel else "utf-8", newline="")
        self._writer = csv.writer(self._text, delimiter=";" if excel else ",", quoting=csv.QUOTE_NONNUMERIC)
        self._writer.writerow([column.name for column in rows.columns])

    def write(self, lines: bytes) -> None:
        """Add the records of whole lines."""
        for batch in self._rows.batches(lines):
            self._writer.writerows(zip(*map(self._cells, self._rows.columns, batch), strict=True))

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


def excel_cells(column: Column, values: list[Any]) -> list[Any]:
    """Return what `cells` does, of text that no spreadsheet takes for a formula."""
    if column.textual and any_unsafe(values):
        values = [value and guarded(value) for value in values]
    return cells(column, values)


def cells(column: Column, values: list[Any]) -> list[Any]:
    """Return values as a `csv.writer` that quotes all but numbers writes the cells of a column; text as it is."""
    if column.kind is Kind.BOOLEAN:
        return [_BOOLEANS[value] for value in values]
    return [_NULL if value is None else value for value in values] if None in values else values
