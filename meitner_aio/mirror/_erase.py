"""What was deleted or changed goes from the file itself, too. Blocking; outside a transaction.

`secure_delete` overwrites what is deleted where it is. But SQLite moves rows from page to page to balance its trees,
and leaves copies in the gaps of pages that are in use. Those are looked through after each run that changed or deleted
a row, and the file is written anew where one holds text: a tenth of a second for ten megabytes.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from pathlib import Path

from ..errors import MeitnerError
from ..offline import plainly

_log = logging.getLogger("meitner_aio.mirror")

_HEADERS = {2: 12, 5: 12, 10: 8, 13: 8}
"""The kinds of pages of a tree, by their first byte, and how long their headers are."""
_TEXT = re.compile(rb"[\x20-\xff]{3}")
"""What might be text. Pointers, sizes and other marks of a tree that are left in gaps are not."""
_FILE_HEADER = 100
"""Bytes before the header of the first page."""


def empty_log(database: sqlite3.Connection, path: Path) -> bool:
    """Empty the write-ahead log, whose pages may be of before, or of a run that never ended. Whether that was done."""
    with plainly(path):
        busy, *_ = database.execute("PRAGMA main.wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def erase(database: sqlite3.Connection, path: Path) -> None:
    """Leave nothing in the file, and beside it, but what its tables hold. What fails is tried again by the next run."""
    try:
        with plainly(path):
            if _is_due(database):
                _rewrite(database)
    except (MeitnerError, OSError) as error:
        _log.warning("%s may hold what was deleted until it is written to again: %s", path, error)
    if not empty_log(database, path):
        _log.warning("%s-wal may hold what was deleted for as long as another program reads %s", path, path.name)


def _is_due(database: sqlite3.Connection) -> bool:
    if not database.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'meitner_aio_mirror'").fetchone():
        return False  # nothing was ever in it
    found = database.execute("SELECT erase FROM meitner_aio_mirror").fetchone()
    return found is not None and bool(found[0])


def _rewrite(database: sqlite3.Connection) -> None:
    if has_gaps(database.serialize()):
        database.execute("VACUUM")
    database.execute("UPDATE meitner_aio_mirror SET erase = 0")


def has_gaps(file: bytes) -> bool:
    """Whether the unused part of a page holds text. `file` is a whole database."""
    size = int.from_bytes(file[16:18], "big")
    size = 65536 if size == 1 else size
    view = memoryview(file)
    return any(_is_dirty(view[at : at + size], _FILE_HEADER if at == 0 else 0) for at in range(0, len(file), size))


def _is_dirty(page: memoryview, start: int) -> bool:
    """Whether there is text between the pointers to a page's cells and the first of these."""
    header = _HEADERS.get(page[start])
    if header is None:
        return False
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    end = int.from_bytes(page[start + 5 : start + 7], "big") or 65536
    return _TEXT.search(page[start + header + 2 * cells : end]) is not None
