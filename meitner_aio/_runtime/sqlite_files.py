"""SQLite files: application ids, the files that SQLite keeps beside them, and how SQLite's errors are reported."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from ..errors import MeitnerError

EXPORT = int.from_bytes(b"Meit", "big")
"""The application id (PRAGMA application_id) of an export's database."""
MIRROR = int.from_bytes(b"MeiM", "big")
"""The application id of a mirror: an export never replaces one."""
BESIDE = ("", "-journal", "-wal", "-shm")
"""The endings of a database file and of those that SQLite keeps beside it, and trusts."""

OF_THE_DISK: Mapping[int, int | str] = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EACCES,
}
"""SQLite's codes for errors of the disk, with the `errno` that any other file would give."""
_KIND = 0xFF
"""The bits of SQLite's error codes that say what happened, not where."""


def code_of(error: sqlite3.Error) -> int:
    """Return what happened, as SQLite's primary result code."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & _KIND


def refusal(path: Path, error: sqlite3.Error, known: Mapping[int, int | str], otherwise: str) -> Exception:
    """Return the error to raise for one of SQLite's: an `OSError` for an `errno` in `known`, else a `MeitnerError`."""
    said = known.get(code_of(error), otherwise)
    return OSError(said, os.strerror(said), str(path)) if isinstance(said, int) else MeitnerError(f"{path} {said}")


def prepare(database: sqlite3.Connection) -> None:
    """Let a connection overwrite what it deletes, sort in memory, and sync to the disk itself.

    The last is F_FULLFSYNC, which SQLite uses on macOS and ignores elsewhere (https://www.sqlite.org/pragma.html).
    """
    for setting in ("secure_delete = ON", "temp_store = MEMORY", "fullfsync = ON", "checkpoint_fullfsync = ON"):
        database.execute(f"PRAGMA {setting}")
