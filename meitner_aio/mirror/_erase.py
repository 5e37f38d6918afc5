"""What was deleted or changed goes from the file itself, too. Blocking; outside a transaction.

`secure_delete` overwrites what is deleted where it is. But SQLite moves rows from page to page to balance its trees,
and leaves copies in the gaps of pages that are in use. Those are looked through after each run that changed or deleted
a row, and the file is written anew where one holds text. Neither takes more memory for a larger file, as VACUUM would:
it keeps a second file in memory, for none with rows may lie in a folder for everybody.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from .._runtime.durable import remove
from .._runtime.private_files import open_private
from ..errors import MeitnerError
from ..offline import plainly
from ._database import impatient
from ._pages import has_gaps

_log = logging.getLogger("meitner_aio.mirror")

_PAGES = 64
"""Pages of the new file that are taken at a time."""


def empty_log(database: sqlite3.Connection, path: Path) -> bool:
    """Empty the write-ahead log, whose pages may be of before, or of a run that never ended. Whether that was done."""
    with plainly(path):
        busy, *_ = database.execute("PRAGMA main.wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def clear(database: sqlite3.Connection, path: Path) -> None:
    """Remove what a run that was killed may have left beside the file; wait for no other run."""
    with impatient(database):
        empty_log(database, path)
    remove(_anew(path))


def erase(database: sqlite3.Connection, path: Path) -> None:
    """Leave nothing in the file, and beside it, but what its tables hold. What fails is tried again by the next run."""
    emptied = empty_log(database, path)
    if emptied:
        try:
            with plainly(path):
                if _is_due(database) and not _is_clean(database, path):
                    _rewrite(database, path)
        except (MeitnerError, OSError) as error:
            _log.warning("%s may hold what was deleted until it is written to again: %s", path, error)
        emptied = empty_log(database, path)
    if not emptied:
        _log.warning("%s-wal may hold what was deleted for as long as another program reads %s", path, path.name)


def _is_due(database: sqlite3.Connection) -> bool:
    if not database.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'meitner_aio_mirror'").fetchone():
        return False  # nothing was ever in it
    found = database.execute("SELECT erase FROM meitner_aio_mirror").fetchone()
    return found is not None and bool(found[0])


def _is_clean(database: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing is left in gaps; that is noted then. `MeitnerError` when another run wrote meanwhile."""
    database.execute("BEGIN")
    try:
        database.execute("SELECT erase FROM meitner_aio_mirror").fetchone()  # from here on, the file stays as it is
        if Path(f"{path}-wal").stat().st_size:
            raise _other_run(path)
        clean = not has_gaps(path)
        if clean:
            database.execute("UPDATE meitner_aio_mirror SET erase = 0")
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")
    return clean


def _rewrite(database: sqlite3.Connection, path: Path) -> None:
    """Write the file anew, in one transaction, from a copy beside it that has no gaps."""
    copy = _anew(path)
    remove(copy)
    os.close(open_private(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            check = _unchanged(other, path)
            database.execute("VACUUM main INTO ?", [str(copy)])
            with closing(
                sqlite3.connect(f"{copy.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
            ) as anew:
                anew.execute("PRAGMA journal_mode = OFF")
                anew.execute("UPDATE meitner_aio_mirror SET erase = 0")
                ((pages,),) = anew.execute("PRAGMA page_count")
                anew.backup(database, pages=min(_PAGES, pages - 1), progress=check)
    finally:
        remove(copy)


def _unchanged(other: sqlite3.Connection, path: Path) -> Callable[[int, int, int], None]:
    """Return what raises `MeitnerError`, at each step of a backup, when another run wrote since now.

    The first step takes the lock for writing, and only the last one changes what others read.
    """

    def version() -> int:
        return int(other.execute("PRAGMA data_version").fetchone()[0])

    before = version()

    def check(status: int, _remaining: int, _pages: int) -> None:
        if status == sqlite3.SQLITE_BUSY or (status != sqlite3.SQLITE_DONE and version() != before):
            raise _other_run(path)

    return check


def _anew(path: Path) -> Path:
    return Path(f"{path}-anew")


def _other_run(path: Path) -> MeitnerError:
    return MeitnerError(f"{path} is being written by another run")
