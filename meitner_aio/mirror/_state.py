"""How far a mirror is: whose it is, which resources were read up to which checkpoint. Blocking; within a transaction.

Checkpoints are texts of `meitner.changes`. Resources that were read in one run share one, so that one run follows all.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import astuple

from .. import __version__
from .._pipeline.identity import Reader, Stamp, check
from .._runtime.sqlite_files import MIRROR
from ..errors import MeitnerError
from ..export.formats.sqlite import STAMP
from ..offline import VERSION, newer
from ._table import Table

_TABLES = (
    f"{STAMP} (server TEXT, salt TEXT, digest TEXT)",
    "meitner_aio_mirror (written_by TEXT, last_success TEXT, erase INTEGER)",
    "meitner_aio_checkpoints (number INTEGER PRIMARY KEY, text TEXT)",
    "meitner_aio_resources (resource TEXT PRIMARY KEY, columns TEXT, checkpoint INTEGER, mismatches INTEGER)",
    "meitner_aio_blank (resource TEXT, id TEXT, fields TEXT, PRIMARY KEY (resource, id)) WITHOUT ROWID",
    "tombstones (resource TEXT, id TEXT, at TEXT, PRIMARY KEY (resource, id)) WITHOUT ROWID",
    "changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, resource TEXT, id TEXT, kind TEXT, at TEXT)",
)


def instant(moment: datetime) -> str:
    """Return an instant as the tables keep it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


class State:
    """What a mirror says of itself."""

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database = database
        self._path = path

    def admit(self, reader: Reader) -> None:
        """Make the tables where there are none; `MeitnerError` unless the mirror is of the directory that is read."""
        for table in _TABLES:
            self._database.execute(f"CREATE TABLE IF NOT EXISTS main.{table}")
        self._database.execute(f"PRAGMA main.application_id = {MIRROR}")
        self._database.execute(f"PRAGMA main.user_version = {VERSION}")
        if not self._database.execute("SELECT 1 FROM meitner_aio_mirror").fetchone():
            self._database.execute("INSERT INTO meitner_aio_mirror VALUES (?, NULL, 0)", [__version__])
        found = self._database.execute(f"SELECT server, salt, digest FROM {STAMP}").fetchone()
        if found is None:
            self._database.execute(f"INSERT INTO {STAMP} VALUES (?, ?, ?)", astuple(reader.stamp()))
            return
        check(reader, Stamp(*map(str, found)), str(self._path), "use another file")

    def fit(self, table: Table) -> None:
        """Bring a table to the columns of this version. One whose columns change is read anew by the next run.

        Raises `MeitnerError` where a later version wrote the file.
        """
        query = "SELECT columns FROM meitner_aio_resources WHERE resource = ?"
        row = self._database.execute(query, [table.name]).fetchone()
        columns = json.dumps(table.declared)
        if row is None:
            table.create()
            values = [table.name, columns]
            self._database.execute("INSERT INTO meitner_aio_resources VALUES (?, ?, NULL, 0)", values)
        elif row[0] != columns:
            self._migrate(table, json.loads(row[0]))
            table.create()
            set_ = "UPDATE meitner_aio_resources SET columns = ?, checkpoint = NULL WHERE resource = ?"
            self._database.execute(set_, [columns, table.name])

    def _migrate(self, table: Table, had: Mapping[str, str]) -> None:
        gone = [name for name in had if name not in table.declared]
        other = [name for name, kind in table.declared.items() if had.get(name, kind) != kind]
        if (gone or other) and self._is_newer():
            raise newer(self._path)
        if other:
            raise MeitnerError(
                f"{self._path}: {table.name} has columns of another type ({', '.join(other)}) in this version of "
                "meitner_aio; use a new file"
            )
        for name in gone:
            table.drop(name)
        for name in table.declared:
            if name not in had:
                table.add(name)

    def _is_newer(self) -> bool:
        ((written_by,),) = self._database.execute("SELECT written_by FROM meitner_aio_mirror")
        return _numbers(written_by) > _numbers(__version__)

    # -- checkpoints

    def plan(self, names: Iterable[str], *, full: bool) -> dict[str | None, list[str]]:
        """Return which resources to follow from which checkpoint; None is to read them in full."""
        known = dict(
            self._database.execute(
                "SELECT resource, text FROM meitner_aio_resources JOIN meitner_aio_checkpoints ON checkpoint = number"
            )
        )
        plan: dict[str | None, list[str]] = {}
        for name in names:
            plan.setdefault(None if full else known.get(name), []).append(name)
        return plan

    def keep(self, checkpoint: str, names: Iterable[str]) -> None:
        """Go on from a checkpoint next time, as to these resources."""
        number = self._database.execute("INSERT INTO meitner_aio_checkpoints VALUES (NULL, ?)", [checkpoint]).lastrowid
        values = [(number, name) for name in names]
        self._database.executemany("UPDATE meitner_aio_resources SET checkpoint = ? WHERE resource = ?", values)
        used = "SELECT checkpoint FROM meitner_aio_resources WHERE checkpoint IS NOT NULL"
        self._database.execute(f"DELETE FROM meitner_aio_checkpoints WHERE number NOT IN ({used})")

    def succeeded(self, at: str) -> None:
        """Note that a run came to its end."""
        self._database.execute("UPDATE meitner_aio_mirror SET last_success = ?", [at])

    def written(self, *, erase: bool) -> None:
        """Note which version wrote the file, and whether it may still hold what was in it before."""
        query = "UPDATE meitner_aio_mirror SET written_by = ?, erase = max(erase, ?)"
        self._database.execute(query, [__version__, int(erase)])

    # -- comparisons of totals

    def held(self, names: Iterable[str]) -> list[str]:
        """Return those of the resources that were read in full once."""
        query = "SELECT resource FROM meitner_aio_resources WHERE checkpoint IS NOT NULL"
        known = {name for (name,) in self._database.execute(query)}
        return [name for name in names if name in known]

    def mismatched(self, name: str) -> int:
        """Note that a total did not fit, and return how often in a row."""
        query = "UPDATE meitner_aio_resources SET mismatches = mismatches + 1 WHERE resource = ?"
        self._database.execute(query, [name])
        query = "SELECT mismatches FROM meitner_aio_resources WHERE resource = ?"
        return int(self._database.execute(query, [name]).fetchone()[0])

    def matched(self, name: str) -> None:
        """Note that a total fitted, or that a resource was read in full."""
        self._database.execute("UPDATE meitner_aio_resources SET mismatches = 0 WHERE resource = ?", [name])


def _numbers(version: object) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", str(version))))
