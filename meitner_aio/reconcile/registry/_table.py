"""The rows of one resource: checked once, and read again whenever they are wanted. Keeps a few bytes of each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from ..._runtime.frames import without_frames
from ._csv import csv_rows
from ._declared import declared
from ._files import Snapshot, opened
from ._ndjson import ndjson_rows
from ._objects import raw_row
from ._parquet import parquet_rows
from ._problems import Findings, Flaw, NoteKind, UnreadableFileError
from ._reader import Read, RowReader
from ._rows import HeldRow, Key, RawRow, Row

T = TypeVar("T")

_encode = msgspec.json.Encoder(order="deterministic").encode


class Doubt(StrEnum):
    """Why a record that no row names cannot be called missing from a registry."""

    EMPTY = "empty"
    """There is no row at all."""
    UNREADABLE = "unreadable"
    """The file, or its header, could not be read."""
    UNKNOWN_ROWS = "unknown_rows"
    """Rows were left out of which no key could be read: they may be any record."""


class Source(Protocol):
    """Where rows come from."""

    name: str

    def rows(self) -> Iterator[RawRow]:
        """Yield every row, as often as asked. `MeitnerError` where they are not those of the first time."""
        ...

    def is_empty(self) -> bool:
        """Whether there is nothing to read."""
        ...


class FileSource:
    """The rows of a file, which is not to change."""

    def __init__(self, resource: str, path: Path, encoding: str) -> None:
        """Read the file by its ending; the encoding is that of CSV."""
        self.name = path.name
        self._path = path
        self._encoding = encoding
        self._known = declared(resource)
        self._before: Snapshot | None = None

    def rows(self) -> Iterator[RawRow]:
        """Yield every row; `UnreadableFileError` where there are none to be had."""
        with opened(self._path, self._before) as (file, self._before):
            match self._path.suffix.lower():
                case ".csv":
                    yield from csv_rows(file, self._known, self._encoding)
                case ".ndjson":
                    yield from ndjson_rows(file, self._known)
                case _:
                    yield from parquet_rows(file, self._known)

    def is_empty(self) -> bool:
        """Whether the file has no byte."""
        return self._before is not None and self._before.size == 0


class MemorySource:
    """Rows that the caller gave, held as they are."""

    def __init__(self, resource: str, items: Iterable[object]) -> None:
        """Hold them."""
        self.name = resource
        self._items = list(items)
        self._known = declared(resource)

    def rows(self) -> Iterator[RawRow]:
        """Yield every row, numbered from 1."""
        for number, item in enumerate(self._items, 1):
            yield raw_row(number, item, self._known)

    def is_empty(self) -> bool:
        """Whether no row was given."""
        return not self._items


class Table:
    """What a registry says of one resource."""

    def __init__(self, resource: str, source: Source, today: date) -> None:
        """Read nothing yet."""
        self.resource = resource
        self.count = self.held_count = self.unknown_rows = 0
        self.digest = ""
        self.doubts: frozenset[Doubt] = frozenset()
        self._source = source
        self._today = today
        self._held: set[int] = set()
        self._left_out: set[int] = set()
        """The lines of the rows that cannot be used."""
        self._used: set[int] = set()

    def check(self, findings: Findings) -> None:
        """Read every row, and add what is wrong with them to some findings."""
        digest = hashlib.sha256(self.resource.encode())
        seen: set[int] = set()
        suspects: set[int] = set()
        doubts: set[Doubt] = set()
        any_row = False
        try:
            for read in self._checked(findings):
                any_row = True
                keys = list(map(hash, read.row.keys))
                self._count(read.row, keys)
                if isinstance(read.row, Row):
                    digest.update(_encode(read.row.fields) + b"\n")
                if not seen.isdisjoint(keys):
                    suspects |= seen.intersection(keys)
                seen.update(keys)
        except UnreadableFileError as error:
            findings.refuse(self.resource, self._source.name, error.line, error.flaws)
            doubts.add(Doubt.UNREADABLE)
        if not any_row and (Doubt.UNREADABLE not in doubts or self._source.is_empty()):
            doubts.add(Doubt.EMPTY)
        if suspects:
            self._refuse_repeated(suspects, findings)
        if self.unknown_rows:
            doubts.add(Doubt.UNKNOWN_ROWS)
        self.doubts, self.digest = frozenset(doubts), digest.hexdigest()

    def rows(self, lines: Container[int] | None = None) -> Iterator[Row]:
        """Yield the rows that can be used, in their order; those of some lines where these are given."""
        rows = (read.row for read in self._read(lambda line: self._is_used(line) and (lines is None or line in lines)))
        return _quietly(row for row in rows if isinstance(row, Row))

    def held(self) -> Iterator[HeldRow]:
        """Yield the rows that are left out, in their order."""
        left_out = (read.row for read in self._read(self._left_out.__contains__)) if self.held_count else ()
        return _quietly(HeldRow(row.resource, row.file, row.line, row.keys) for row in left_out)

    def is_held(self, key: Key) -> bool:
        """Whether a row with the key was left out."""
        return hash(key) in self._held

    def has(self, key: Key) -> bool:
        """Whether a row that can be used has the key."""
        return hash(key) in self._used

    def _is_used(self, line: int) -> bool:
        return line not in self._left_out

    def _read(self, wanted: Callable[[int], bool]) -> Iterator[Read]:
        """Yield the rows of the lines that are wanted; the others are found, but nothing is made of them."""
        if Doubt.UNREADABLE in self.doubts:
            return
        reader = RowReader(self.resource, self._source.name, self._today)
        for raw in self._source.rows():
            if not raw.blank and wanted(raw.line):
                yield reader.read(raw)

    def _checked(self, findings: Findings) -> Iterator[Read]:
        reader = RowReader(self.resource, self._source.name, self._today)
        for raw in self._source.rows():
            if raw.blank:
                findings.note(self.resource, self._source.name, raw.line, (("", NoteKind.BLANK_ROW),))
                continue
            read = reader.read(raw)
            if read.flaws:
                findings.refuse(self.resource, self._source.name, raw.line, read.flaws)
            if read.changes:
                findings.note(self.resource, self._source.name, raw.line, read.changes)
            yield read

    def _count(self, row: Row | HeldRow, keys: Sequence[int]) -> None:
        if isinstance(row, Row):
            self.count += 1
            self._used.update(keys)
            return
        self.held_count += 1
        self.unknown_rows += not keys
        self._held.update(keys)
        self._left_out.add(row.line)

    def _refuse_repeated(self, suspects: set[int], findings: Findings) -> None:
        """Leave out every row that has a key in common with another: nobody knows which of them is right."""
        lines: dict[Key, list[int]] = {}
        for read in self._read(lambda _: True):
            for key in read.row.keys:
                if hash(key) in suspects:
                    lines.setdefault(key, []).append(read.row.line)
        repeated = {key: found for key, found in lines.items() if len(found) > 1}
        for read in self._read({line for found in repeated.values() for line in found}.__contains__):
            flaws = [_repetition(key, repeated[key], read.row.line) for key in read.row.keys if key in repeated]
            findings.refuse(self.resource, self._source.name, read.row.line, flaws)
            if flaws and isinstance(read.row, Row):
                self.count -= 1
                self.held_count += 1
                self._left_out.add(read.row.line)
                self._held.update(map(hash, read.row.keys))
                self._used.difference_update(map(hash, read.row.keys))


def _quietly(rows: Iterable[T]) -> Iterator[T]:
    """Yield rows; an error on the way keeps none of them in its frames."""
    try:
        yield from rows
    except Exception as error:
        without_frames(error)
        raise


def _repetition(key: Key, lines: list[int], line: int) -> Flaw:
    other = lines[0] if line != lines[0] else lines[1]
    name = key.by if isinstance(key.by, str) else " and ".join(key.by)
    return Flaw(name, f"is the same as in line {other}", "keep one of them")
