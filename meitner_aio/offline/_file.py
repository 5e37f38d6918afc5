"""The file of a mirror, as whoever reads it knows it: told from other databases, opened so that nothing is written.

SQLite opens files by name and believes what lies beside them, so all of it passes the checks of `private_files` first.
Blocking; knows no event loop.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from .._runtime.private_files import check_file, check_folder
from .._runtime.sqlite_files import BESIDE, EXPORT, MIRROR, OF_THE_DISK, code_of, refusal
from ..errors import ConfigurationError, MeitnerError

VERSION = 1
"""Of the tables that say how far the mirror is."""
PATIENCE = 10.0
"""Seconds that another connection may hold what takes a moment."""


def open_to_read(path: Path) -> sqlite3.Connection | None:
    """Return a connection that cannot write, for any thread; None where there is no mirror yet.

    Raises `ConfigurationError` for what is no mirror, and where others may have written.
    """
    check_folder(path.parent)
    there, *_ = [check_file(f"{path}{suffix}") for suffix in BESIDE]
    if not there:
        return None
    with plainly(path):
        try:
            return _opened(path)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) not in _UNSETTLED:
                raise
        _settle(path)
        return _opened(path)


def _opened(path: Path) -> sqlite3.Connection | None:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    database = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA temp_store = MEMORY")
        if examine(database, path):
            return database
    except BaseException:
        database.close()
        raise
    database.close()
    return None


_UNSETTLED = (sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY)
"""A writer was killed, and SQLite has to undo what it began, which a connection for reading cannot do."""


def _settle(path: Path) -> None:
    """Let SQLite undo what a killed writer began: opening the file for writing, and reading, does it."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=PATIENCE)) as database:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()


def examine(database: sqlite3.Connection, path: Path) -> bool:
    """Whether a database has anything in it; `ConfigurationError` when that is no mirror which this version knows."""
    database.execute("BEGIN")  # another process may be making the first table
    ((tables,),) = database.execute("SELECT count(*) FROM sqlite_master")
    ((application,),) = database.execute("PRAGMA application_id")
    ((version,),) = database.execute("PRAGMA user_version")
    database.execute("COMMIT")
    if not tables:
        return False
    if application == EXPORT:
        raise ConfigurationError(f"{path} is an export, and no mirror: use another file")
    if application != MIRROR:
        raise ConfigurationError(f"{path} is another program's database, and no mirror: use another file")
    if version > VERSION:
        raise newer(path)
    return True


def newer(path: Path) -> ConfigurationError:
    """Return what to raise for a file that a later version wrote."""
    return ConfigurationError(
        f"{path} was written by a newer version of meitner_aio: update this one, or use a new file"
    )


@contextmanager
def plainly(path: Path) -> Generator[None, None, None]:
    """Say what SQLite refuses as this package says it. Nothing of a row is in it."""
    try:
        yield
    except OverflowError:
        raise MeitnerError(f"{path.name}: an integer does not fit 64 bits") from None
    except sqlite3.Error as error:
        otherwise = f"cannot be used: {type(error).__name__} {code_of(error)}"
        raise refusal(path, error, _REFUSALS, otherwise) from None


_REFUSALS = {
    **OF_THE_DISK,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_BUSY: "is being written by another run: wait until it has ended",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database: use another file",
    sqlite3.SQLITE_CORRUPT: "is a damaged database; move it away, and the next run makes a new one",
}
