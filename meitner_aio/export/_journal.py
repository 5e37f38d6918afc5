"""The journal of an export: what another run needs to resume it. Blocking.

Offsets, counts, checksums, ids of rows that could not be read: no row, no credential. A line is added at each
checkpoint, once its rows are on the disk; a line that was cut off by the end of the process is not
believed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Self, TypeAlias

import msgspec
from msgspec import Struct, field

from .._pipeline.identity import Stamp
from .._runtime.durable import RawFile
from .._runtime.private_files import open_private, read_private
from ..errors import ConfigurationError, MeitnerError
from ._files import Folder
from ._report import InvalidRow

_VERSION = 2
_LINE = 1 << 16
"""Bytes of a first line at most."""

LONGEST = 86_400.0
"""Seconds after its beginning in which an export can be continued: files do not mix days, and deletions leave events
that a server keeps for some time only."""


class Choices(Struct, frozen=True):
    """What was asked for: an export is continued by asking for the same."""

    format: str
    fields: tuple[str, ...] | None
    where: str
    """A hash of the conditions: their values may be personal."""
    since: str | None
    limit: int | None
    page_size: int | None
    key: str | None = None
    """The fingerprint of the key of the pseudonyms that the rows bear; None for rows as they are."""
    dialect: str | None = None
    """Of a csv."""

    @property
    def verbatim(self) -> bool:
        """Whether the spool becomes the file as it is, unless rows were deleted meanwhile."""
        return self.format == "ndjson" and self.fields is None


class PageCheckpoint(Struct, frozen=True, array_like=True):
    """An answer that was read, and where in the spool its rows end."""

    offset: int
    limit: int
    """As the server reported it."""
    total: int
    size: int
    """Rows that the answer held."""
    rows: int
    """Those among them that had not arrived before, and are in the spool."""
    end: int
    """Bytes of the spool up to their end."""
    crc: int
    """CRC-32 of those bytes."""
    date: float | None
    """The server's time when it was asked for, in seconds since 1970."""
    invalid: tuple[InvalidRow, ...] = ()
    """Those among them that broke the contract, and were left out."""


class ReadSummary(Struct, frozen=True):
    """What is known of a resource that was read to its end."""

    rows: int
    total: int
    requests: int
    complete: bool
    level: str
    seconds: float
    gone: tuple[int, ...]
    """Places in the spool, from 0, of rows that were found deleted afterwards."""
    end: int
    crc: int
    sha256: str | None
    """Of the spool, where it may become the file."""
    invalid: tuple[InvalidRow, ...] = ()
    """Rows that broke the contract, and were left out."""


class _Head(Struct, frozen=True, tag="head"):
    version: int
    resource: str
    began: float
    choices: Choices
    directory: Stamp | None = None


class _Pages(Struct, frozen=True, tag="pages"):
    marks: list[PageCheckpoint]


class _Read(Struct, frozen=True, tag="read"):
    summary: ReadSummary = field(name="facts")


class _Kept(Struct, frozen=True, tag="kept"):
    pass


_Line: TypeAlias = _Head | _Pages | _Read | _Kept
_decode = msgspec.json.Decoder(_Line).decode
_encode = msgspec.json.encode


class Journal:
    """The notes about one resource. Nothing is written before there is something to continue from."""

    def __init__(self, folder: Folder, resource: str, choices: Choices, directory: Stamp | None = None) -> None:
        self.resource = resource
        self.choices = choices
        self.directory = directory
        """Which directory it is of."""
        self.marks: list[PageCheckpoint] = []
        self.summary: ReadSummary | None = None
        """Set when the resource was read to its end."""
        self.kept = False
        """Whether its file is in place."""
        self.begun = False
        """Whether there are notes on the disk."""
        self._began = time.time()
        self._folder = folder
        self._file: RawFile | None = None

    @classmethod
    def left(cls, folder: Folder, resource: str) -> Self | None:
        """Return the journal of an interrupted export; None when there is none to resume.

        `ConfigurationError` when others may have written it.
        """
        try:
            lines = read_private(folder.path / _name(resource)).splitlines()
        except FileNotFoundError:
            return None
        believed = _believed(lines)
        head = believed[0] if believed else None
        if not isinstance(head, _Head) or (head.version, head.resource) != (_VERSION, resource):
            return None
        if abs(time.time() - head.began) > LONGEST:
            return None
        journal = cls(folder, resource, head.choices, head.directory)
        journal._began = head.began
        for line in believed[1:]:
            journal._enter(line)
        return journal

    def _enter(self, line: _Line) -> None:
        if isinstance(line, _Pages):
            self.marks += line.marks
        elif isinstance(line, _Read):
            self.summary = line.summary
        elif isinstance(line, _Kept):
            self.kept = True

    def afresh(self) -> Journal:
        """Return an empty journal for the same export."""
        return Journal(self._folder, self.resource, self.choices, self.directory)

    def begin_again(self, marks: list[PageCheckpoint], summary: ReadSummary | None) -> None:
        """Rewrite the journal with the checkpoints that were verified."""
        self.marks, self.summary, self.kept = marks, summary, False
        self._write_all()

    def checkpoint(self, marks: list[PageCheckpoint]) -> None:
        """Note answers whose rows are on the disk."""
        self.marks += marks
        self._add(_Pages(marks))

    def finish(self, marks: list[PageCheckpoint], summary: ReadSummary) -> None:
        """Note the last answers, and that the resource was read to its end."""
        self.marks += marks
        self.summary = summary
        self._add(_Pages(marks), _Read(summary))

    def keep(self) -> None:
        """Note that the file is in place; should a power cut undo this, it is put there again."""
        self.kept = True
        if self._file is not None:
            self._file.write(_encode(_Kept()) + b"\n")

    def _add(self, *lines: _Line) -> None:
        if self._file is None:
            self._write_all()
        else:
            self._file.write(b"".join(_encode(line) + b"\n" for line in lines))
            self._file.sync()

    def _write_all(self) -> None:
        self.close()
        head = _Head(_VERSION, self.resource, self._began, self.choices, self.directory)
        lines: list[_Line] = [head, _Pages(self.marks)]
        if self.summary is not None:
            lines.append(_Read(self.summary))
        self._folder.put(_name(self.resource), b"".join(_encode(line) + b"\n" for line in lines))
        self.begun = True
        self._file = self._folder.reopen(_name(self.resource))
        self._file.seek(0, 2)

    def close(self) -> None:
        """Close the file; it stays."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _believed(lines: list[bytes]) -> list[_Line]:
    """Return the lines up to the first that is not whole."""
    believed: list[_Line] = []
    for line in lines:
        try:
            believed.append(_decode(line))
        except ValueError:  # msgspec's errors are ValueErrors
            break
    return believed


def is_journal(path: Path, resource: str) -> bool:
    """Whether a file is a journal of a resource, of whichever version, by its first line."""
    try:
        with os.fdopen(open_private(path), "rb") as file:
            head = _decode(file.readline(_LINE))
    except (FileNotFoundError, ConfigurationError, ValueError):  # msgspec's errors are ValueErrors
        return False
    return isinstance(head, _Head) and head.resource == resource


def _name(resource: str) -> str:
    return f"{resource}.journal"


def left_in(folder: Folder, resources: Iterable[str]) -> dict[str, Journal]:
    """Return the notes that an interrupted export left, by the name of the resource."""
    found = {name: Journal.left(folder, name) for name in resources}
    return {name: journal for name, journal in found.items() if journal is not None}


def is_kept(folder: str | os.PathLike[str], resources: Iterable[str]) -> bool:
    """Whether a folder holds what an interrupted export had read, so that another can go on with it."""
    return any(journal.marks or journal.summary for journal in left_in(Folder(folder), resources).values())


def since_then(folder: str | os.PathLike[str], resources: Iterable[str], since: datetime) -> datetime:
    """Return what a `since` that moves with the clock meant when the export began that is to be continued.

    "Seven days ago" is later by as much as has passed since then, at most a day; `since` when there is no such export.
    """
    for resource in resources:
        journal = Journal.left(Folder(folder), resource)
        if journal is not None and journal.choices.since is not None:
            then = datetime.fromisoformat(journal.choices.since)
            if 0 <= (since - then).total_seconds() <= LONGEST:
                return then
    return since


def check_choices(journal: Journal, choices: Choices) -> None:
    """Raise `MeitnerError` unless the interrupted export was asked for in the same way."""
    names = [name for name in Choices.__struct_fields__ if getattr(journal.choices, name) != getattr(choices, name)]
    if names:
        if "format" not in names:
            names = ["dialect of CSV (excel=True, --excel)" if name == "dialect" else name for name in names]
        what = ", ".join(name for name in names if name != "dialect")
        raise MeitnerError(
            f"the interrupted export of {journal.resource} had another {what}; "
            "resume it as it was begun, or start afresh without resume"
        )
