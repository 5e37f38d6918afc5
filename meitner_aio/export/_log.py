"""`exports.log`: who took what out of the directory, a JSON line for each run that had the folder. Blocking.

Accounts, names of fields, counts, times, hashes: no row, no value of a condition, no credential. Lines are only ever
added, each by one call that no other writer comes between. A run that is killed outright leaves no line; the one that
goes on with it says that it `resumed`.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from .. import __version__
from .._runtime.durable import RawFile
from .._runtime.locks import hold
from .._runtime.private_files import open_private, read_private

LOG = "exports.log"
_PATIENCE = 30.0
"""Seconds for others to add their lines: each takes a moment."""


class Actor(Struct, frozen=True):
    """The user of the process, and the host."""

    user: str
    uid: int | None
    """None on Windows, which has none."""
    host: str
    version: str
    """Of the package."""

    @classmethod
    def here(cls) -> Self:
        """Return the account of this process, as the system knows it, whatever the environment says."""
        if sys.platform == "win32":
            return cls(os.getlogin(), None, socket.gethostname(), __version__)
        import pwd

        uid = os.getuid()
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:  # as in many a container
            name = str(uid)
        return cls(name, uid, socket.gethostname(), __version__)


class Taken(Struct, frozen=True):
    """What was taken of one resource."""

    resource: str
    fields: tuple[str, ...]
    rows: int
    """Rows that were read, whether or not they came into a file."""
    file: str | None = None
    """The file that was published; None when none was."""
    sha256: str | None = None
    level: str | None = None
    complete: bool = False


class ExportLine(Struct, frozen=True, tag_field="event", tag="export"):
    """One export."""

    began: datetime
    ended: datetime
    outcome: str
    """complete, partial, interrupted or failed."""
    error: str | None
    """The kind of the error that ended it; never its text."""
    by: Actor
    server: str | None
    format: str
    where: tuple[str, ...]
    """Names of the fields on which there were conditions."""
    since: bool
    limit: int | None
    resumed: bool
    pseudonymised: bool
    key: str | None
    """The fingerprint of the key of the pseudonyms."""
    resources: tuple[Taken, ...]
    to: str | None = None
    """The address of an object store; None for the folder of the log."""


class Gone(Struct, frozen=True):
    """A file that a purge removed."""

    file: str
    bytes: int


class PurgeLine(Struct, frozen=True, tag_field="event", tag="purge"):
    """One purge."""

    began: datetime
    ended: datetime
    outcome: str
    error: str | None
    by: Actor
    older_than: float
    """Seconds."""
    assured: bool
    """Whether what was overwritten is known to be overwritten on the disk itself."""
    removed: tuple[Gone, ...]


class _Published(Struct, frozen=True):
    """A line, as far as the files of a folder go."""

    event: str
    ended: datetime
    to: str | None = None
    resources: tuple[Taken, ...] = ()


def published(folder: Path) -> dict[str, tuple[datetime, str]]:
    """Return when exports last published each file of a folder, and its SHA-256, by the name of the file.

    Lines that are none are skipped. Raises `ConfigurationError` for a log that others may have written.
    """
    found: dict[str, tuple[datetime, str]] = {}
    decoder = msgspec.json.Decoder(_Published)
    try:
        lines = read_private(folder / LOG).splitlines()
    except FileNotFoundError:
        return found
    for text in lines:
        with suppress(ValueError):
            line = decoder.decode(text)
            if line.event == "export" and line.to is None:
                for one in line.resources:
                    if one.file is not None and one.sha256 is not None:
                        found[one.file] = (line.ended, one.sha256)
    return found


class Log:
    """The log of a folder, open for appending. It opens first: a run that cannot be logged does not begin."""

    def __init__(self, folder: Path) -> None:
        """Make or open it; what `open_private` raises where it may not be trusted."""
        self.began = datetime.now(UTC)
        self.by = Actor.here()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        self._path = folder / LOG
        self._file = RawFile(open_private(self._path, flags))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, line: ExportLine | PurgeLine) -> None:
        """Add a line, on the disk itself. A line that a full disk cut off before is ended first."""
        data = msgspec.json.encode(line) + b"\n"
        beside = self._path.with_name(f"{LOG}.lock")
        release = hold(self._file.fileno(), beside, f"others are writing to {self._path}", patience=_PATIENCE)
        try:
            size = self._file.seek(0, os.SEEK_END)
            if size:
                self._file.seek(size - 1)
                data = data if self._file.read(1) == b"\n" else b"\n" + data
            self._file.write(data)
            self._file.sync()
        finally:
            release()
