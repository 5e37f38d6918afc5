"""CSV by RFC 4180, in two dialects. Knows what a cell is, not where its value comes from.

`plain` is for programs: UTF-8, commas, CRLF, a header row, and each value as it is. `excel` is for people with a
spreadsheet that is set to Swedish: semicolons, a byte order mark, and apostrophes before what could be a formula
(`_runtime/formulas.py`).

Text stands in quotes; a number and `true` or `false` stand bare; null is an empty cell without quotes, empty text one
with them (as PostgreSQL and DuckDB read it; where a reader does not tell them apart, both are empty). Dates and
instants are ISO 8601 text, a list is a JSON array.
"""

from __future__ import annotations

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
_EMPTY = '""'
"""Null in a table of one column: most readers take an empty line for no row."""


class CsvText:
    """Writes columns of cells as text, in a dialect.

    The bytes are those of `csv.writer` with `QUOTE_NONNUMERIC`, for a third of the instructions: whether a column has
    nulls, or quotes to double, is asked of all its cells at once, and each row fills in a template.
    """

    def __init__(self, text: TextIO, columns: Sequence[Column], *, excel: bool) -> None:
        """Write to what translates no line ends."""
        self._text = text
        self._columns = columns
        self._excel = excel
        self._null = _EMPTY if len(columns) == 1 else ""

    def begin(self) -> None:
        """Write what stands before the rows."""
        names = [f'"{column.name}"' for column in self._columns]
        self._text.write((MARK if self._excel else "") + self._row(names))

    def write(self, batch: Sequence[list[Any]]) -> None:
        """Write rows, of which the cells are given column by column."""
        places, cells = zip(*map(self._formatted, self._columns, batch), strict=True)
        self._text.write("".join(map(self._row(places).__mod__, zip(*cells, strict=True))))

    def _row(self, parts: Sequence[str]) -> str:
        return (";" if self._excel else ",").join(parts) + "\r\n"

    def _formatted(self, column: Column, values: list[Any]) -> tuple[str, list[Any]]:
        """Return the place of a column in the template of a row, and what to put there."""
        if column.kind is Kind.BOOLEAN:
            words = {True: "true", False: "false", None: self._null}
            return "%s", [words[value] for value in values]
        if column.kind is Kind.INTEGER:
            return "%s", [self._null if value is None else value for value in values]
        if self._excel and column.textual and any_unsafe(values):
            values = [value and guarded(value) for value in values]
        if '"' in "".join(filter(None, values)):
            values = [value and value.replace('"', '""') for value in values]
        if None in values:
            return "%s", [self._null if value is None else f'"{value}"' for value in values]
        return '"%s"', values


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
