"""Rows of a CSV file: semicolons, commas or tabs, as its header has them; quotes as in RFC 4180.

A file with semicolons and a byte order mark is one that people open in Excel, such as `export --excel` writes: its
texts have apostrophes before what could be a formula, which are no part of them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import BinaryIO, Protocol

from ..._runtime.formulas import plain
from ._declared import Column, Declared
from ._files import checked_encoding
from ._problems import Flaw, UnreadableFileError
from ._rows import RawRow

_DELIMITERS = ";,\t"


def csv_rows(file: BinaryIO, known: Declared, encoding: str) -> Iterator[RawRow]:
    """Yield the rows of a file; `UnreadableFileError` where its encoding or its header is wrong."""
    encoding = checked_encoding(file, encoding)
    text = TextIOWrapper(file, encoding, newline="")
    header = text.readline()
    if not header.strip():
        raise UnreadableFileError(Flaw("", "is empty: not even a header", "write the names of the columns"))
    delimiter = _delimiter(header, known)
    text.seek(0)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        names = next(reader)
    except csv.Error:
        raise UnreadableFileError(Flaw("", "the header is no CSV", "check its quotes")) from None
    columns = header_columns(names, known)
    try:
        yield from _rows(reader, columns, excel=delimiter == ";" and encoding == "utf-8-sig")
    finally:
        text.detach()  # the file is the caller's to close


class _Lines(Protocol):
    """What `csv.reader` makes: lists of cells, and how many lines they took."""

    line_num: int

    def __next__(self) -> list[str]: ...


def _rows(reader: _Lines, columns: Sequence[Column | None], *, excel: bool) -> Iterator[RawRow]:
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield RawRow(line, (), (Flaw("", "is no CSV: a quote is missing or too many", "check the quotes"),))
            continue
        if any(map(str.strip, cells)):
            yield _row(line, [plain(cell) for cell in cells] if excel else cells, columns)
        elif cells:
            yield RawRow(line, blank=True)


def _row(line: int, cells: list[str], columns: Sequence[Column | None]) -> RawRow:
    missing = len(columns) - len(cells)
    if missing > 0 or any(map(str.strip, cells[len(columns) :])):
        # Values may stand in the wrong columns: not even the key is to be relied on.
        flaw = Flaw("", f"has {len(cells)} cells where the header has {len(columns)}", "check delimiters and quotes")
        return RawRow(line, (), (flaw,))
    named = [(column, cell) for column, cell in zip(columns, cells, strict=False) if column is not None]
    if len(named) < len(columns):
        nameless = (cell for column, cell in zip(columns, cells, strict=False) if column is None)
        if any(map(str.strip, nameless)):
            return RawRow(line, named, (Flaw("", "has a value in a column without a name"),))
    return RawRow(line, named)


def _delimiter(header: str, known: Declared) -> str:
    """Return what separates the names of a header: whatever finds most columns that exist, else most columns."""

    def worth(delimiter: str) -> tuple[int, int]:
        names = [name.strip().strip('"') for name in header.split(delimiter)]
        return sum(name in known.spellings for name in names), len(names)

    return max(_DELIMITERS, key=worth)


def header_columns(names: Sequence[str], known: Declared) -> list[Column | None]:
    """Return the column of every name, None where there is no name; `UnreadableFileError` with all that is wrong."""
    columns: list[Column | None] = []
    flaws: list[Flaw] = []
    seen: set[str] = set()
    for place, name in enumerate(names, 1):
        found = known.column(name.strip(), f"column {place}") if name.strip() else None
        if isinstance(found, Flaw):
            flaws.append(found)
            continue
        if found is not None and found.name in seen:
            flaws.append(Flaw(found.name, "there are two columns of this name"))
        seen |= {found.name} if found is not None else set()
        columns.append(found)
    if not seen:
        flaws = [Flaw("", "no column is known", "the first line must name the columns")]
    flaws += known.lacking(seen) if seen else ()
    if flaws:
        raise UnreadableFileError(*flaws)
    return columns
