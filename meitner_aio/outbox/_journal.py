"""The journal of an outbox: writes that were put, which of them may have been sent, and which are over. Blocking.

It holds what was put, in the clear: personal data. Its file is readable by the owner alone, and goes when nothing is
left in it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Self, TypeAlias

import msgspec
from msgspec import Struct

from .._pipeline.identity import Reader
from .._pipeline.journals import Head, JournalFile, Kind

_LARGEST = 1 << 20
"""Bytes of a journal of which nothing is left to send that stay until it is closed."""
_NOTHING = msgspec.Raw(b"null")


class Entry(Struct, frozen=True, tag="put", omit_defaults=True):
    """A write, as it was put."""

    name: str
    resource: str
    operation: str
    id: str | None = None
    """Of the record; None for a create."""
    body: msgspec.Raw = _NOTHING
    """The fields, as they are sent."""

    def __repr__(self) -> str:
        return f"Entry({self.resource}.{self.operation})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("resource", self.resource), ("operation", self.operation)]


class _Head(Head, frozen=True, tag="outbox"):
    pass


class _Begun(Struct, frozen=True, tag="begun"):
    name: str
    at: float | None
    """Since when it may have been sent, in seconds since 1970; None takes that back: it certainly was not."""


class _Over(Struct, frozen=True, tag="over"):
    name: str


_Line: TypeAlias = Entry | _Begun | _Over
_KIND: Kind[_Line] = Kind(
    head=_Head,
    version=1,
    decode=msgspec.json.Decoder(_Head | _Line).decode,
    name="journal of an outbox",
    remedy="use another journal",
)


class WriteJournal:
    """An open journal, which nobody else uses until it is closed."""

    def __init__(self, file: JournalFile[_Line]) -> None:
        """Go on with an open file; see `open`."""
        self._file = file
        self.left: dict[str, Entry] = {}
        """What is not over, in the order in which it was put."""
        self.begun: dict[str, float] = {}
        """Those of them that may have been sent, and since when."""
        for line in file.found:
            self._enter(line)
        file.found.clear()

    @classmethod
    def open(cls, path: Path, reader: Reader) -> Self:
        """Open a journal, or begin one (0600). Raises what `JournalFile.open` raises."""
        return cls(JournalFile[_Line].open(path, _KIND, reader, f"another outbox uses {path}"))

    def put(self, resource: str, operation: str, id: str | None, body: bytes | None) -> Entry:
        """Write a write down. It survives the end of the process; a power cut after `sync`."""
        entry = Entry(os.urandom(8).hex(), resource, operation, id, _NOTHING if body is None else msgspec.Raw(body))
        self._add(entry)
        return entry

    def begin(self, entry: Entry) -> None:
        """Write down that it is about to be sent: to be synced before it is."""
        if entry.name not in self.begun:
            self._add(_Begun(entry.name, time.time()))

    def take_back(self, entry: Entry) -> None:
        """Write down that it certainly did not happen, and may be sent as if for the first time."""
        self._add(_Begun(entry.name, None))

    def settle(self, entry: Entry) -> None:
        """Write down that it is over. That this may be lost with the power does no harm: it is looked up then."""
        self._add(_Over(entry.name))
        if not self.left and self._file.size > _LARGEST:
            self._file.empty()

    def sync(self) -> None:
        """Return when the disk has all that was written down."""
        self._file.sync()

    def close(self) -> None:
        """Close the file, and remove it when nothing is left in it. May be called again."""
        try:
            if self.left:
                self._file.sync()
            else:
                self._file.remove()
        finally:
            self._file.close()

    def _add(self, line: _Line) -> None:
        self._file.add(line)
        self._enter(line)

    def _enter(self, line: _Line) -> None:
        if isinstance(line, Entry):
            self.left[line.name] = line
        elif isinstance(line, _Over):
            self.left.pop(line.name, None)
            self.begun.pop(line.name, None)
        elif line.at is None:
            self.begun.pop(line.name, None)
        else:
            self.begun.setdefault(line.name, line.at)
