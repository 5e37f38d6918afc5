"""Erases all that a mirror says of one record. Blocking; within a transaction."""

from __future__ import annotations

import sqlite3

from ..export.formats.sqlite import quoted
from ._names import KEPT
from ._table import IS_SPELLED

_BESIDE = ("meitner_aio_blank", "tombstones", "changes")


def forget(database: sqlite3.Connection, id_: str) -> int:
    """Delete the rows, tombstones and feed entries of an id, in every resource; return how many rows that were."""
    tables = {name for (name,) in database.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")}
    rows = 0
    for name in tables.intersection(KEPT):
        rows += database.execute(f"DELETE FROM main.{quoted(name)} WHERE {IS_SPELLED}", [id_]).rowcount
    for name in tables.intersection(_BESIDE):
        database.execute(f"DELETE FROM main.{name} WHERE {IS_SPELLED}", [id_])
    if "meitner_aio_mirror" in tables:
        database.execute("UPDATE main.meitner_aio_mirror SET erase = 1")
    return rows
