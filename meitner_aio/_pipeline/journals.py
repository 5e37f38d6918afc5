"""Journals: append-only files of JSON lines, of one directory, that one process writes at a time. Blocking.

What is written down survives the end of the process, and what was synced a power cut. A line that was cut off by either
is not believed; one in the midst of others is damage, and refused. What the lines say is the business of who writes
them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self, TypeVar

import msgspec
from msgspec import Struct

from .._runtime.durable import RawFile, put_private, remove, sync_folder
from .._runtime.locks import hold
from .._runtime.private_files import open_private
from ..errors import ConfigurationError, MeitnerError
from .identity import Reader, Stamp, check

Line = TypeVar("Line")

_ATTEMPTS = 100
_encode = msgspec.json.encode


class Head(Struct, frozen=True):
    """The first line: whose journal it is. Each kind of journal has a tag of its own."""

    version: int
    directory: Stamp


class Kind(NamedTuple, Generic[Line]):
    """What tells a kind of journals from others."""

    head: type[Head]
    version: int
    decode: Callable[[bytes], Head | Line]
    name: str
    """For people: "journal of a registry"."""
    remedy: str
    """What to do when it is of another directory, or of another version."""


class Content(Generic[Line]):
    """What a file says."""

    def __init__(self, file: Iterable[bytes], path: Path, kind: Kind[Line]) -> None:
        """Read a file from its beginning; raise `ConfigurationError` for damage and for what is no such journal."""
        self.directory: Stamp | None = None
        self.lines: list[Line] = []
        self.end = 0
        """Bytes up to the end of the last line that is whole."""
        broken = 0
        for number, line in enumerate(file, 1):
            if broken:
                raise ConfigurationError(f"{path} is damaged in line {broken}: restore it, or {kind.remedy}")
            try:
                said = kind.decode(line) if line.endswith(b"\n") else None
            except ValueError:  # msgspec's errors are ValueErrors
                said = None
            if self.directory is None:
                _begun(said, line, path, kind)
            if said is None:
                broken = number
                continue
            if isinstance(said, Head):
                self.directory = said.directory
            else:
                self.lines.append(said)
            self.end += len(line)

    def check(self, reader: Reader, path: Path, kind: Kind[Line]) -> None:
        """Raise `MeitnerError` when it is of another directory than the reader's."""
        if self.directory is not None:
            check(reader, self.directory, str(path), kind.remedy)


def _begun(said: object, line: bytes, path: Path, kind: Kind[Any]) -> None:
    """Refuse a file of something else; a journal whose first line was cut off says nothing yet."""
    beginning = b'{"type":' + _encode(kind.head.__struct_config__.tag)
    cut = not line.endswith(b"\n") and (line.startswith(beginning) or beginning.startswith(line))
    if not isinstance(said, Head) and not cut:
        raise ConfigurationError(f"{path} is no {kind.name}: use another file")
    if isinstance(said, Head) and said.version != kind.version:
        raise ConfigurationError(f"{path} was written by another version of meitner_aio: {kind.remedy}")


class JournalFile(Generic[Line]):
    """An open journal, which nobody else uses until it is closed."""

    def __init__(
        self, file: RawFile, path: Path, kind: Kind[Line], reader: Reader, release: Callable[[], None]
    ) -> None:
        """Go on with an open file that is held until `release`, or begin it; see `open`."""
        self._file = file
        self._path = path
        self._kind = kind
        self._release = release
        with open(file.fileno(), "rb", closefd=False) as reading:
            content: Content[Line] = Content(reading, path, kind)
        content.check(reader, path, kind)
        self.directory = content.directory or reader.stamp()
        self.found = content.lines
        """What it said when it was opened."""
        self.size = content.end
        """Bytes in it."""
        self._head_size = len(_line(self._head))
        self._is_broken = False
        file.seek(content.end)
        file.truncate()
        if content.directory is None:
            self.add(self._head)
            self.sync()
            sync_folder(path.parent)

    @classmethod
    def open(cls, path: Path, kind: Kind[Line], reader: Reader, busy: str) -> Self:
        """Open a journal, or begin one (0600).

        Raises `MeitnerError`, which begins with the sentence `busy`, while another process uses it, and when it is of
        another directory; `ConfigurationError` for what is no such journal, or a damaged one, and for a file that
        others may write.
        """
        for _ in range(_ATTEMPTS):
            file = RawFile(open_private(path, os.O_RDWR | os.O_CREAT))
            with ExitStack() as undone:
                undone.callback(file.close)
                release = hold(file.fileno(), path.with_name(f".{path.name}.lock"), busy)
                undone.callback(release)
                if _is_still_there(file, path):
                    journal = cls(file, path, kind, reader, release)
                    undone.pop_all()
                    return journal
        raise MeitnerError(busy)  # each time, another process put a new one in its place meanwhile

    @property
    def _head(self) -> Head:
        return self._kind.head(self._kind.version, self.directory)

    def add(self, line: Head | Line) -> None:
        """Write a line down. It survives the end of the process; a power cut only after `sync`."""
        self._refuse_if_broken()
        data = _line(line)
        try:
            self._file.write(data)
        except BaseException:
            self._cut(self.size)  # nothing may follow a line that is not whole
            raise
        self.size += len(data)

    def _refuse_if_broken(self) -> None:
        if self._is_broken:
            raise MeitnerError(f"{self._path} could not be written before: nothing follows what is in it")

    def sync(self) -> None:
        """Return when the disk has what was added. After an error nothing is taken any more: see `durable`."""
        self._refuse_if_broken()
        try:
            self._file.sync()
        except OSError:
            self._is_broken = True
            raise

    def empty(self) -> None:
        """Forget every line but the head."""
        self._cut(self._head_size)

    def _cut(self, size: int) -> None:
        try:
            self._file.truncate(size)
            self._file.seek(size)
        except OSError:
            self._is_broken = True
            raise
        self.size = size

    def replace(self, lines: Iterable[Line]) -> None:
        """Put a journal with these lines in its place. Nothing can be added to this one afterwards."""
        if sys.platform == "win32":  # no open file is replaced there
            self._file.close()
        put_private(self._path, b"".join([_line(self._head), *map(_line, lines)]))

    def remove(self) -> None:
        """Remove the file. Nothing can be added to it afterwards."""
        if sys.platform == "win32":  # as above
            self._file.close()
        remove(self._path)
        sync_folder(self._path.parent)

    def close(self) -> None:
        """Close the file, and let others use it. May be called again."""
        release, self._release = self._release, _nothing
        try:
            release()
        finally:
            self._file.close()


def _line(line: object) -> bytes:
    return _encode(line) + b"\n"


def _nothing() -> None: ...


def _is_still_there(file: RawFile, path: Path) -> bool:
    """Whether an open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
