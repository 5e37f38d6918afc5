"""CSV that Python, databases and spreadsheets read alike. Knows what a cell is, not where its value comes from.

RFC 4180: UTF-8, commas, CRLF, a header row. Text stands in quotes; a number and `true` or `false` stand bare; null is
an empty cell without quotes, empty text one with them (as PostgreSQL and DuckDB read it; where a reader does not tell
them apart, both are empty). Dates and instants are ISO 8601 text, a list is a JSON array.

Text that a spreadsheet could take for a formula has an apostrophe before it. Each part of a cell counts: the cell
itself, and what follows a `;`, a tab or a line break in it, where a spreadsheet that splits at semicolons (a Swedish
Excel does) sees another cell begin. A part that begins with `=`, `+`, `-`, `@` or one of their full-width twins gets an
apostrophe, and so does a cell that begins with a tab or a line break. Apostrophes and quotes before the sign do not
count, so that the rule can be undone: `plain` takes the apostrophe away wherever a part begins with one and then could
be a formula.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from io import TextIOWrapper
from operator import itemgetter
from pathlib import Path
from typing import Any

from ...records import Kind
from .._fresh import FreshFile
from .columns import Column, Rows

_SIGNS = "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_BREAKS = "\t\r\n"
_PART = rf"(?:^|(?<=[;{_BREAKS}]))"
_FORMULA = rf"['\"]*[{re.escape(_SIGNS)}]"
_BLANK = rf"'*[{_BREAKS}]"
_UNSAFE = re.compile(f"{_PART}(?={_FORMULA})|^(?={_BLANK})")
_GUARDED = re.compile(f"{_PART}'(?={_FORMULA})|^'(?={_BLANK})")
_OPENINGS = frozenset(f"{_SIGNS}{_BREAKS}'\"")


def guarded(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    return _UNSAFE.sub("'", text)


def plain(text: str) -> str:
    """Return the text that was guarded."""
    return _GUARDED.sub("", text)


class CsvWriter:
    """Writes records to a new file. Blocking; not for two threads at a time."""

    held = None

    def __init__(self, path: Path, rows: Rows, *, bom: bool = False) -> None:
        """Make the file and write its header, after a byte order mark when a spreadsheet needs one."""
        self._rows = rows
        self._fresh = FreshFile(path)
        self._text = TextIOWrapper(self._fresh.file, "utf-8-sig" if bom else "utf-8", newline="")
        self._writer = csv.writer(self._text, quoting=csv.QUOTE_NONNUMERIC)
        self._writer.writerow([column.name for column in rows.columns])

    def write(self, lines: bytes) -> None:
        """Add the records of whole lines."""
        for batch in self._rows.batches(lines):
            self._writer.writerows(zip(*map(_guarded_cells, self._rows.columns, batch), strict=True))

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


def _guarded_cells(column: Column, values: list[Any]) -> list[Any]:
    if column.textual and _unsafe(values):
        values = [value and guarded(value) for value in values]
    return cells(column, values)


def cells(column: Column, values: list[Any]) -> list[Any]:
    """Return values as a `csv.writer` that quotes all but numbers writes the cells of a column; text as it is."""
    if column.kind is Kind.BOOLEAN:
        return [_BOOLEANS[value] for value in values]
    return [_NULL if value is None else value for value in values] if None in values else values


def _unsafe(values: Iterable[str | None]) -> bool:
    """Whether any of the texts may need a guard. A look at all of them together costs a tenth of one at each."""
    texts = list(filter(None, values))
    together = "\0".join(texts)
    if not any(sign in together for sign in _SIGNS + _BREAKS):
        return False
    return any(sign in together for sign in f";{_BREAKS}") or not _OPENINGS.isdisjoint(map(itemgetter(0), texts))
