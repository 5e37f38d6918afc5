"""SQLite files: the marks of ours, what lies beside them, and what SQLite refuses, in the words of who asks."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from ..errors import MeitnerError

EXPORT = int.from_bytes(b"Meit", "big")
"""Marks the database of an export (PRAGMA application_id)."""
MIRROR = int.from_bytes(b"MeiM", "big")
"""Marks that of a mirror: an export replaces its own, and no mirror."""
BESIDE = ("", "-journal", "-wal", "-shm")
"""What SQLite adds to the name of a file for the ones that it keeps beside it, and believes."""

OF_THE_DISK: Mapping[int, int | str] = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EACCES,
}
"""What the disk refuses, as the number of the error that it is for any file."""
_KIND = 0xFF
"""The part of SQLite's error codes that says what happened, not where."""


def code_of(error: sqlite3.Error) -> int:
    """Return what happened, as SQLite numbers it."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & _KIND


def refusal(path: Path, error: sqlite3.Error, known: Mapping[int, int | str], otherwise: str) -> Exception:
    """Return what to raise for an error of SQLite: the `OSError` or the words that are `known` for it, or others."""
    said = known.get(code_of(error), otherwise)
    return OSError(said, os.strerror(said), str(path)) if isinstance(said, int) else MeitnerError(f"{path} {said}")
