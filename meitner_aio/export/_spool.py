"""The rows of a resource as they were read, a line each, with a journal beside them. Blocking.

The spool is where every format begins: it can be cut off at a checkpoint and continued, which a Parquet file cannot.
"""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .._runtime.durable import RawFile
from .._runtime.private_files import open_private
from .._wire.decoding import DecodedPage, Identified
from ..records import Pagination, Record
from ._files import Folder
from ._journal import Journal, PageCheckpoint, ReadSummary
from ._leftovers import forget
from ._source import Answered

T = TypeVar("T", bound=Record)

PAGES = 25
"""Answers after which there is a checkpoint: another run asks for no more than these and those in flight again."""

SECONDS = 2.0
"""Seconds after which there is one at the next page."""

_CHUNK = 4 << 20

encode_lines = msgspec.json.Encoder().encode_lines


class Spool:
    """Rows on their way to a file, in `<resource>.part`."""

    def __init__(self, folder: Folder, journal: Journal) -> None:
        """Prepare a spool; nothing is touched before `open`."""
        self.journal = journal
        self.size = self.crc = 0
        """Bytes, and their CRC-32."""
        self._hash = hashlib.sha256()
        self._hashed = journal.choices.verbatim  # else another file is made of it, and the CRC-32 is enough
        self._folder = folder
        self._name = part_name(journal.resource)
        self._file: RawFile | None = None
        self._pending: list[PageCheckpoint] = []
        self._checked = time.monotonic()
        self._broken = False

    def open(self) -> None:
        """Open the spool after the journal's last checkpoint; empty when there is none."""
        if self.journal.marks or self.journal.summary:
            try:
                self._file = self._folder.reopen(self._name)
            except FileNotFoundError:
                self.journal = self.journal.afresh()
        if self._file is not None:
            self._believe(self._file)
        else:
            forget(self._folder, self.journal.resource)
            self._file = self._folder.create(self._name)

    def _believe(self, file: RawFile) -> None:
        """Keep the rows whose checksums are right, and no more."""
        good: list[PageCheckpoint] = []
        for mark in self.journal.marks:
            if not self._proven(mark.end, mark.crc):
                break
            good.append(mark)
        summary = self.journal.summary
        if summary is None and os.fstat(file.fileno()).st_nlink == 1:
            file.truncate(self.size)
            file.sync()
        elif summary is None or len(good) < len(self.journal.marks) or not self._proven(summary.end, summary.crc):
            # The file may have its final name already (a link): it must not be truncated.
            good, summary, self.size, self.crc, self._hash = [], None, 0, 0, hashlib.sha256()
            file.close()
            self._file = file = self._folder.create(self._name)
        self.journal.begin_again(good, summary)
        file.seek(0, os.SEEK_END)

    def _proven(self, end: int, crc: int) -> bool:
        """Whether the bytes up to `end` have the checksum; they are counted if they have."""
        found, digest = self.crc, self._hash.copy()
        for start in range(self.size, end, _CHUNK):
            data = self.read(start, min(end, start + _CHUNK))
            found = zlib.crc32(data, found)
            if self._hashed:
                digest.update(data)
        if found != crc or end > self._path.stat().st_size:
            return False
        self.size, self.crc, self._hash = end, crc, digest
        return True

    def append(self, rows: list[Any], answer: Pagination) -> None:
        """Add rows; those of an `Answered` can be read from here again, should the export be interrupted."""
        data = encode_lines(rows)
        self._raw.write(data)
        if self._hashed:
            self._hash.update(data)
        self.size += len(data)
        self.crc = zlib.crc32(data, self.crc)
        if isinstance(answer, Answered):
            self._pending.append(_mark(answer, len(rows), self))
            if len(self._pending) >= PAGES or time.monotonic() - self._checked >= SECONDS:
                self.checkpoint()

    def checkpoint(self) -> None:
        """Sync what was read, and note it in the journal. After a failed write the last checkpoint stands."""
        if not self._pending or self._broken:
            return
        self._broken = True
        self._raw.sync()
        self.journal.checkpoint(self._pending)
        self._broken = False
        self._pending = []
        self._checked = time.monotonic()

    def finish(self, summary: ReadSummary) -> None:
        """Note that all was read."""
        self._broken = True
        self._raw.sync()
        self.journal.finish(self._pending, summary)
        self._pending = []

    @property
    def _raw(self) -> RawFile:
        if self._file is None:
            raise ValueError(f"the spool {self._path} is not open")
        return self._file

    @property
    def _path(self) -> Path:
        return self._folder.path / self._name

    @property
    def rows(self) -> int:
        """Rows up to the journal's last checkpoint."""
        return sum(mark.rows for mark in self.journal.marks)

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the spool, in hexadecimal digits; None where another file is made of it."""
        return self._hash.hexdigest() if self._hashed else None

    def read(self, start: int, end: int) -> bytes:
        """Return bytes of the spool; fewer where it ends."""
        with os.fdopen(open_private(self._path), "rb") as file:  # its own handle: rows may be added meanwhile
            file.seek(start)
            return file.read(end - start)

    def replay(self, model: type[T]) -> Iterator[DecodedPage[T]]:
        """Yield the answers of the journal, as far as they matter: a row that had arrived before is not in here.

        For the books of a read any other that was seen will do in its place, and so the first is.
        """
        decode = msgspec.json.Decoder(model).decode_lines
        start, first = 0, b""
        for mark in self.journal.marks:
            lines = self.read(start, mark.end)
            first = first or lines[: lines.find(b"\n") + 1]
            pagination = Pagination(offset=mark.offset, limit=mark.limit, total=mark.total)
            names, wrong = (tuple(getattr(row, part) for row in mark.invalid) for part in ("id", "field"))
            rows = decode(lines + first * (mark.size - mark.rows - len(names)))
            yield DecodedPage(rows, pagination, names, mark.date, wrong=wrong)
            start = mark.end

    def chunks(self) -> Iterator[bytes]:
        """Yield whole lines, about four megabytes at a time."""
        rest = b""
        for start in range(0, self.size, _CHUNK):
            data = rest + self.read(start, min(self.size, start + _CHUNK))
            cut = data.rfind(b"\n") + 1
            if cut:
                yield data[:cut]
            rest = data[cut:]

    def places(self, ids: frozenset[str]) -> tuple[int, ...]:
        """Return which lines hold the records with these ids."""
        if not ids:
            return ()
        found = (id_ for chunk in self.chunks() for id_ in _ids(chunk))
        return tuple(place for place, one in enumerate(found) if one.id in ids)

    def discard(self) -> None:
        """Remove the rows: they are in place, under another name."""
        self.journal.keep()
        self.close()
        self._folder.remove(self._name)

    def close(self) -> None:
        """Close the files; remove rows without a journal, which cannot be resumed. May be called again."""
        if self._file is not None:
            self._file.close()
            if not self.journal.begun:
                self._folder.remove(self._name)
        self.journal.close()


def _mark(answer: Answered, rows: int, spool: Spool) -> PageCheckpoint:
    page = answer.offset, answer.limit, answer.total, answer.size, rows
    return PageCheckpoint(*page, spool.size, spool.crc, answer.date, answer.invalid)


_ids = msgspec.json.Decoder(Identified).decode_lines


def part_name(resource: str) -> str:
    """Return the name of a spool in its folder."""
    return f"{resource}.part"
