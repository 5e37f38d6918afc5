"""Writes that will never succeed as they are, in a file of their own: for a person to look at. Blocking.

One JSON object a line, with the write and why it was given up. The file holds personal data in the clear, and is
readable by the owner alone. Nothing reads it but `put`, which adds no write twice.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from .._runtime.durable import RawFile, sync_folder
from .._runtime.private_files import open_private
from ..errors import APIStatusError, MeitnerError
from ._journal import Entry


class _Aside(Struct, frozen=True):
    name: str
    at: datetime
    error: str
    status: int | None
    message: str
    may_have_happened: bool
    resource: str
    operation: str
    id: str | None
    body: msgspec.Raw


class _Named(Struct, frozen=True):
    name: str


class Aside:
    """The file beside a journal. Whoever holds the journal is the only one to write it."""

    def __init__(self, journal: Path) -> None:
        """Make no file yet."""
        self.path = journal.with_name(f"{journal.name}.refused")

    def put(self, entry: Entry, error: MeitnerError, *, may_have_happened: bool) -> None:
        """Add a write, and return when the disk has it. One that is in the file already is not added again.

        For one thread at a time: what is there is read first.
        """
        line = _Aside(
            name=entry.name,
            at=datetime.now(UTC),
            error=type(error).__name__,
            status=error.status_code if isinstance(error, APIStatusError) else None,
            message=str(error),
            may_have_happened=may_have_happened,
            resource=entry.resource,
            operation=entry.operation,
            id=entry.id,
            body=entry.body,
        )
        with RawFile(open_private(self.path, os.O_RDWR | os.O_CREAT)) as file:
            said = file.readall()
            if entry.name in _names(said):
                return
            # A line that a kill cut off is kept apart; its write is still in the journal, and is added anew.
            file.write((b"\n" if said and not said.endswith(b"\n") else b"") + msgspec.json.encode(line) + b"\n")
            file.sync()
        sync_folder(self.path.parent)

    def count(self) -> int:
        """Return how many writes are in the file."""
        try:
            with RawFile(open_private(self.path, os.O_RDWR)) as file:
                return len(_names(file.readall()))
        except FileNotFoundError:
            return 0


def _names(said: bytes) -> set[str]:
    names: set[str] = set()
    for line in said.splitlines():
        try:
            names.add(msgspec.json.decode(line, type=_Named).name)
        except ValueError:  # msgspec's errors are ValueErrors
            continue
    return names
