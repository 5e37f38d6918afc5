"""The journal: what a run is about to do, on the disk before any of it is sent, and what became of it. Blocking.

After a kill it tells which creates may have happened, and with which source ids. It holds hashes of keys and ids,
source ids that were made, and counts of rows: no value of a record, no credential. A line that was cut off by the end
of the process is not believed; one in the midst of others is damage, and refused.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from io import BufferedRandom
from pathlib import Path
from typing import Self, TypeAlias

import msgspec
from msgspec import Struct

from ..._pipeline.identity import Reader, Stamp, check
from ..._runtime.durable import put_private, sync, sync_folder
from ..._runtime.locks import hold
from ..._runtime.private_files import open_private
from ...errors import ConfigurationError, MeitnerError
from ..planning._actions import ActionKind
from ..planning._hashes import Hashes
from ._report import Result

_VERSION = 1
_ATTEMPTS = 100
_HEAD = b'{"type":"head"'
_REMEMBERED = (ActionKind.CREATE, ActionKind.RESTORE)
"""What takes more than to look at the record: a create that may show only later, and the first of two requests."""


class Intent(Struct, frozen=True, array_like=True):
    """What is about to be done to one record."""

    kind: ActionKind
    name: str
    """A keyed hash of the resource and the key that a create has, or of the record's id."""
    source_id: str | None = None
    """The one that a create writes, where it was made for it."""


class _Head(Struct, frozen=True, tag="head"):
    version: int
    directory: Stamp


class _Rows(Struct, frozen=True, tag="rows"):
    """Of the registry that was carried out last, by resource."""

    counts: dict[str, int]


class _Intents(Struct, frozen=True, tag="intents"):
    intents: tuple[Intent, ...]


class _Settled(Struct, frozen=True, tag="settled"):
    name: str
    result: Result


_Line: TypeAlias = _Head | _Rows | _Intents | _Settled
_decode = msgspec.json.Decoder(_Line).decode
_encode = msgspec.json.encode


class Journal:
    """The journal of one run, which nobody else uses until it is closed."""

    def __init__(self, file: BufferedRandom, path: Path, reader: Reader, release: Callable[[], None]) -> None:
        """Go on with an open file that is held until `release`, or begin it; see `open`."""
        self._file = file
        self._release = release
        self._path = path
        notes = _Notes.of(file, path)
        if notes.directory is not None:
            check(reader, notes.directory, str(path), "use another journal")
        file.seek(notes.end)
        file.truncate()
        self._directory = notes.directory or reader.stamp()
        self.hashes = Hashes(reader, self._directory.salt)
        """Of the names in it."""
        self.row_counts: Mapping[str, int] | None = notes.rows
        """By resource, rows of the registry that was carried out last; None when none was."""
        self.unsettled: Mapping[str, Intent] = notes.open
        """Creates and restores of an earlier run of which nobody knows whether they happened, by name."""
        self.created: Mapping[str, Intent] = notes.created
        """Creates of an earlier run that happened."""
        self._open: dict[str, Intent] = {}
        if notes.directory is None:
            self._add(_Head(_VERSION, self._directory))
            self._sync()
            sync_folder(path.parent)

    @classmethod
    def open(cls, path: Path, reader: Reader) -> Self:
        """Open the journal of a run, or begin one (0600).

        Raises `MeitnerError` while another run uses it, and when it is of another directory; `ConfigurationError` for
        what is no journal, or a damaged one, and for a file that others may write.
        """
        busy = f"another run uses {path}"
        for _ in range(_ATTEMPTS):
            file = os.fdopen(open_private(path, os.O_RDWR | os.O_CREAT), "r+b")
            with ExitStack() as undone:
                undone.callback(file.close)
                release = hold(file.fileno(), path.with_name(f".{path.name}.lock"), busy)
                undone.callback(release)
                if _is_still_there(file, path):
                    journal = cls(file, path, reader, release)
                    undone.pop_all()
                    return journal
        raise MeitnerError(busy)  # each time, another run put a new one in its place meanwhile

    def intend(self, intents: Iterable[Intent]) -> None:
        """Write down what is about to be sent, and return when the disk has it."""
        noted = tuple(intents)
        self._add(_Intents(noted))
        self._sync()
        self._open |= {one.name: one for one in noted if one.kind in _REMEMBERED}

    def settle(self, name: str, result: Result) -> None:
        """Write down what became of it. That this may be lost with the power does no harm: it is looked up then."""
        self._add(_Settled(name, result))
        self._open.pop(name, None)

    def keep(self, name: str) -> None:
        """Leave it to the next run to find out whether an action of an earlier one happened."""
        self._open[name] = self.unsettled[name]

    def finish(self, row_counts: Mapping[str, int]) -> None:
        """Put what the next run needs in the place of all that: counts of rows, and creates that nobody can tell of."""
        lines: list[_Line] = [_Head(_VERSION, self._directory), _Rows(dict(row_counts))]
        if self._open:
            lines.append(_Intents(tuple(self._open.values())))
        if sys.platform == "win32":  # no open file is replaced there
            self._file.close()
        put_private(self._path, b"".join(_encode(line) + b"\n" for line in lines))

    def close(self) -> None:
        """Close the file, and let others use it. May be called again."""
        release, self._release = self._release, lambda: None
        try:
            release()
        finally:
            self._file.close()

    def _add(self, line: _Line) -> None:
        self._file.write(_encode(line) + b"\n")
        self._file.flush()

    def _sync(self) -> None:
        sync(self._file.fileno())


def last_row_counts(path: str | os.PathLike[str], reader: Reader) -> Mapping[str, int] | None:
    """Return how many rows of each resource the registry had that was carried out last; None when none was. Blocking.

    Raises what `Journal.open` raises for a file that is there.
    """
    try:
        file = os.fdopen(open_private(path), "rb")
    except FileNotFoundError:
        return None
    with file:
        notes = _Notes.of(file, Path(path))
    if notes.directory is not None:
        check(reader, notes.directory, str(path), "use another journal")
    return notes.rows


class _Notes:
    """What the lines of a journal say."""

    def __init__(self) -> None:
        self.directory: Stamp | None = None
        self.rows: Mapping[str, int] | None = None
        self.open: dict[str, Intent] = {}
        self.created: dict[str, Intent] = {}
        self.end = 0
        """Bytes up to the end of the last line that is whole."""

    @classmethod
    def of(cls, file: Iterable[bytes], path: Path) -> Self:
        """Read a file from its beginning."""
        notes, broken = cls(), 0
        for number, line in enumerate(file, 1):
            if broken:
                raise ConfigurationError(f"{path} is damaged in line {broken}: restore it, or use another journal")
            try:
                said = _decode(line) if line.endswith(b"\n") else None
            except ValueError:  # msgspec's errors are ValueErrors
                said = None
            if notes.directory is None:
                notes._begin(said, line, path)
            if said is None:
                broken = number
                continue
            notes._enter(said)
            notes.end += len(line)
        return notes

    def _begin(self, said: _Line | None, line: bytes, path: Path) -> None:
        """Refuse a file of something else; a journal whose first line was cut off says nothing yet."""
        cut = not line.endswith(b"\n") and (line.startswith(_HEAD) or _HEAD.startswith(line))
        if not isinstance(said, _Head) and not cut:
            raise ConfigurationError(f"{path} is no journal of a registry: use another file")
        if isinstance(said, _Head) and said.version != _VERSION:
            raise ConfigurationError(f"{path} was written by another version of meitner_aio: use another journal")

    def _enter(self, said: _Line) -> None:
        if isinstance(said, _Head):
            self.directory = said.directory
        elif isinstance(said, _Rows):
            self.rows = said.counts
        elif isinstance(said, _Intents):
            self.open |= {one.name: one for one in said.intents if one.kind in _REMEMBERED}
        else:
            intent = self.open.pop(said.name, None)
            is_created = intent is not None and intent.kind is ActionKind.CREATE
            if intent is not None and is_created and said.result in (Result.DONE, Result.ALREADY_DONE):
                self.created[said.name] = intent


def _is_still_there(file: BufferedRandom, path: Path) -> bool:
    """Whether an open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
