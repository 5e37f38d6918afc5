"""The file of a mirror, opened to be written. Blocking; knows no event loop.

The write-ahead log lets other processes read the last whole state while the next one is written.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from .._runtime.private_files import check_file, make_folder, open_private
from .._runtime.sqlite_files import BESIDE, prepare
from ..errors import MeitnerError
from ..offline import PATIENCE, examine, open_to_read, plainly

_CACHE = 1 << 14
"""KiB of the file in memory; what is written beyond that waits in the log."""


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open a mirror, or make an empty file (0600) that becomes one.

    Raises `ConfigurationError` for what is no mirror, and where others may have written.
    """
    make_folder(path.parent)
    there, *_ = [check_file(f"{path}{suffix}", writes=True) for suffix in BESIDE]
    if not there:
        os.close(open_private(path, os.O_WRONLY | os.O_CREAT))
    with plainly(path):
        database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        try:
            prepare(database)
            database.execute(f"PRAGMA cache_size = -{_CACHE}")
            examine(database, path)
            _keep_log(database, path)
        except BaseException:
            database.close()
            raise
    return database


def _keep_log(database: sqlite3.Connection, path: Path) -> None:
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise MeitnerError(f"{path} is where SQLite cannot keep a write-ahead log; use a local disk")


@contextmanager
def reading(path: Path) -> Generator[sqlite3.Connection | None, None, None]:
    """Give a connection that cannot write; None where there is no mirror yet."""
    database = open_to_read(path)
    if database is None:
        yield None
        return
    with plainly(path), closing(database):
        yield database


def begin(database: sqlite3.Connection, path: Path) -> None:
    """Begin to write; `MeitnerError` at once when somebody else does."""
    with impatient(database), plainly(path):
        database.execute("BEGIN IMMEDIATE")


@contextmanager
def impatient(database: sqlite3.Connection) -> Generator[None, None, None]:
    """Let what is locked by another connection fail at once in the block."""
    database.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        database.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
