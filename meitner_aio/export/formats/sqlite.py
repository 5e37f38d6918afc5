"""One SQLite file, a table a resource, which several writers share. Knows the columns of a record, not what they mean.

Records gather in a database beside the file, without keys, locks or journal; `close` moves them over in one
transaction, so that a reader sees all of them or what was there before, whatever ends the writing. `id` is the primary
key; ids of other records and identity numbers have indexes; instants, dates and lists are text (`json_each` opens a
list), booleans 0 or 1. A table is replaced whole, indexes and triggers that somebody added to it included, or its rows
are updated by their ids. Rows without ids have no key, and their table is always replaced.

SQLite opens files by name, so each has passed `check_file` before: in a folder that others cannot write to, nobody can
put another in its place. That goes for the journals beside it, too, which SQLite believes. What is deleted is
overwritten, and what is sorted stays in memory: no free page, and no temporary folder, holds anybody.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from msgspec.structs import astuple

from ..._pipeline.identity import Stamp
from ..._runtime.durable import remove
from ..._runtime.private_files import check_file, open_private
from ..._runtime.sqlite_files import BESIDE, EXPORT, OF_THE_DISK, prepare, refusal
from ...errors import MeitnerError
from ...records import Kind
from .columns import Column, Rows, Table

STAMP = "meitner_aio"
"""The table of one row that says which directory the others are of."""
_PATIENCE = 30.0
"""Seconds that another program may hold the file."""
_CACHE = 1 << 14
"""KiB of the file that are kept in memory while its keys are built, which come in no order."""
_STAGED = 1 << 16
"""Bytes of a page of the database beside the file: it is written and read from end to end."""
_FREE = "meitner_aio_free"
"""A table that is there for no longer than it takes to overwrite the free pages."""
_AT_ONCE = 100_000
"""Pages in one value: SQLite holds no more than 1,000,000,000 bytes in one."""
_log = logging.getLogger("meitner_aio.export")
STRICT = " STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
"""How a table is declared whose cells keep their types, where SQLite can."""

_moving = Lock()
"""One writer of this process at a time: SQLite's own waiting is to try again, which is not fair."""


class SqliteWriter:
    """Writes records to a table. Blocking; not for two threads at a time, though several writers may share the file."""

    def __init__(self, path: Path, rows: Rows, *, table: str, replace: bool, directory: Stamp | None = None) -> None:
        """Begin beside the file; `MeitnerError` when it is another program's. `replace`: these are all the rows."""
        self._keyed = any(column.name == "id" for column in rows.columns)
        self._path, self._table, self._directory = path, table, directory
        self._replace = replace or not self._keyed
        self.held: Table | None = None
        self._rows = rows
        _examine(path, writes=True)
        self._staged = path.with_name(f"{path.name}.{table}.part")
        remove(self._staged)  # what a killed export left
        os.close(open_private(self._staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        self._staging = _connected(self._staged, check_same_thread=False)
        self._staging.execute(f"PRAGMA page_size = {_STAGED}")
        self._staging.execute("PRAGMA journal_mode = OFF")
        self._staging.execute("PRAGMA synchronous = OFF")
        self._staging.execute(f"CREATE TABLE records ({_listed(rows.columns)})")
        self._staging.execute("BEGIN")

    def write(self, lines: bytes) -> None:
        """Add the records of whole lines. `MeitnerError` for an integer that SQLite cannot hold."""
        insert = f"INSERT INTO records VALUES ({', '.join('?' * len(self._rows.columns))})"
        with _plainly(self._path, self._table):
            for batch in self._rows.batches(lines):
                self._staging.executemany(insert, zip(*map(cells, self._rows.columns, batch), strict=True))

    def close(self) -> None:
        """Put the records into the table, at once and on the disk itself."""
        with _plainly(self._path, self._table):
            self._staging.execute("COMMIT")
            self._staging.close()
            with _moving:
                self._move()
        remove(self._staged)

    def abort(self) -> None:
        """Forget the records, unless they are in the table; the file stays as it is."""
        self._staging.close()
        remove(self._staged)

    def _move(self) -> None:
        fresh = not _is_there(self._path, writes=True)
        if fresh:
            os.close(open_private(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            with closing(_connected(self._path)) as database:
                database.execute(f"PRAGMA cache_size = -{_CACHE}")
                database.execute("ATTACH ? AS staged", (str(self._staged),))
                database.execute("BEGIN IMMEDIATE")
                before = 0 if self._replace else self._count(database)
                for statement in self._statements(database):
                    database.execute(statement)
                _put_stamp(database, self._directory)
                if self._replace:
                    _overwrite_free(database)
                self.held = Table(self._count(database), others=before > 0)
                database.execute("COMMIT")
                _empty_log(database, self._path)
        except BaseException:
            if fresh:
                remove(self._path)
            raise

    def _count(self, database: sqlite3.Connection) -> int:
        """Return how many rows the table has; 0 where there is none."""
        if not database.execute("SELECT 1 FROM pragma_table_info(?, 'main')", [self._table]).fetchone():
            return 0
        ((rows,),) = database.execute(f"SELECT count(*) FROM main.{quoted(self._table)}")
        return int(rows)

    def _statements(self, database: sqlite3.Connection) -> Iterator[str]:
        """Yield what moves the records, each to be run before the next is asked for."""
        table, columns = quoted(self._table), self._rows.columns
        declared = {column.name: f"{quoted(column.name)} {sql_type(column)}" for column in columns}
        if self._replace:
            yield f"DROP TABLE IF EXISTS main.{table}"
        yield f"CREATE TABLE IF NOT EXISTS main.{table} ({', '.join(declared.values())}){STRICT}"
        known = {name for (name,) in database.execute("SELECT name FROM pragma_table_info(?, 'main')", [self._table])}
        for declaration in [declaration for name, declaration in declared.items() if name not in known]:
            yield f"ALTER TABLE main.{table} ADD COLUMN {declaration}"
        names = _listed(columns)
        updates = ", ".join(f"{name} = excluded.{name}" for name in map(quoted, declared))
        by_id = f" ON CONFLICT (id) DO UPDATE SET {updates}" if self._keyed else ""
        yield f"INSERT INTO main.{table} ({names}) SELECT {names} FROM staged.records WHERE true{by_id}"
        for column in columns:
            if indexed(column):
                index = quoted(f"{self._table}_{column.name}")
                yield f"CREATE INDEX IF NOT EXISTS main.{index} ON {table} ({quoted(column.name)})"
        yield f"PRAGMA main.application_id = {EXPORT}"


def _put_stamp(database: sqlite3.Connection, directory: Stamp | None) -> None:
    """Say in the file which directory it is of."""
    if directory is None:
        return
    database.execute(f"CREATE TABLE IF NOT EXISTS main.{STAMP} (server TEXT, salt TEXT, digest TEXT)")
    database.execute(f"DELETE FROM main.{STAMP}")
    database.execute(f"INSERT INTO main.{STAMP} VALUES (?, ?, ?)", astuple(directory))


def _overwrite_free(database: sqlite3.Connection) -> None:
    """Put zeros into the free pages, which may hold rows that another program deleted, or a version of before.

    A value of so many pages takes them all, and gives them back when its table goes: the file does not grow.
    """
    pages = _number(database, "PRAGMA main.freelist_count")
    if not pages:
        return
    size = _number(database, "PRAGMA main.page_size") - 4  # each page of a large value names the next
    database.execute(f"CREATE TABLE main.{_FREE} (zeros BLOB)")
    while pages := _number(database, "PRAGMA main.freelist_count"):
        zeros = min(pages, _AT_ONCE, 1_000_000_000 // size - 1) * size
        database.execute(f"INSERT INTO main.{_FREE} VALUES (zeroblob(?))", [zeros])
    database.execute(f"DROP TABLE main.{_FREE}")


def _empty_log(database: sqlite3.Connection, path: Path) -> None:
    """Empty the write-ahead log, where somebody turned one on: it holds pages of before."""
    busy = _number(database, "PRAGMA main.wal_checkpoint(TRUNCATE)")
    if busy:
        _log.warning("%s-wal may hold deleted rows for as long as another program reads %s", path, path.name)


def _number(database: sqlite3.Connection, query: str) -> int:
    return int(database.execute(query).fetchone()[0])


class Held(NamedTuple):
    """What a file of ours holds."""

    tables: frozenset[str]
    directory: Stamp | None


def held(path: Path) -> Held:
    """Return the tables of a file and which directory it is of; `MeitnerError` when it is another program's."""
    if not _examine(path):
        return Held(frozenset(), None)
    with _plainly(path, ""), closing(_connected(path)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        found = database.execute(f"SELECT server, salt, digest FROM {STAMP}").fetchone() if STAMP in tables else None
    return Held(frozenset(tables - {STAMP}), None if found is None else Stamp(*map(str, found)))


def _connected(path: Path, *, check_same_thread: bool = True) -> sqlite3.Connection:
    """Open a file that has passed the checks of `private_files`."""
    database: sqlite3.Connection = sqlite3.connect(
        path, timeout=_PATIENCE, isolation_level=None, check_same_thread=check_same_thread
    )
    prepare(database)
    return database


def _is_there(path: Path, *, writes: bool) -> bool:
    """Whether there is a database. `ConfigurationError` where others may have made it, or what is beside it."""
    there, *_ = [check_file(f"{path}{suffix}", writes=writes) for suffix in BESIDE]
    return there


def _examine(path: Path, *, writes: bool = False) -> bool:
    """Whether there is a file; refuse one that cannot be written, or is not ours, before anything is read for it."""
    if not _is_there(path, writes=writes):
        return False
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    with _plainly(path, ""), closing(_connected(path)) as database:
        database.execute("BEGIN")  # another writer may be making the first table
        ((tables,),) = database.execute("SELECT count(*) FROM sqlite_master")
        ((application,),) = database.execute("PRAGMA application_id")
    if tables and application != EXPORT:
        raise MeitnerError(f"{path} is another program's database; export to another folder")
    return True


@contextmanager
def _plainly(path: Path, table: str) -> Generator[None, None, None]:
    """Say what SQLite refuses as this package says it; a full disk is one whatever the format."""
    try:
        yield
    except OverflowError:
        raise MeitnerError(f"{path.name}: an integer in {table} does not fit 64 bits") from None
    except sqlite3.Error as error:
        raise refusal(path, error, _REFUSALS, f"cannot be written: {error}") from None


_REFUSALS = {
    **OF_THE_DISK,
    sqlite3.SQLITE_BUSY: "is in use by another program",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database; export to another folder",
    sqlite3.SQLITE_CORRUPT: "is a damaged SQLite database; export to another folder",
}

_NUMBERS = {True: 1, False: 0}


def cells(column: Column, values: list[Any]) -> list[Any]:
    """Return the cells of a column as SQLite keeps them."""
    # sqlite3 takes three times as long to find out that a bool is an integer.
    return list(map(_NUMBERS.get, values)) if column.kind is Kind.BOOLEAN else values


def sql_type(column: Column) -> str:
    """Return how a column is declared."""
    if column.name == "id":
        return "TEXT PRIMARY KEY"
    return "INTEGER" if column.kind in (Kind.BOOLEAN, Kind.INTEGER) else "TEXT"


def _listed(columns: Sequence[Column]) -> str:
    return ", ".join(quoted(column.name) for column in columns)


def indexed(column: Column) -> bool:
    """Whether rows are looked up by a column: ids of other records, and identity numbers."""
    return column.name.endswith("_id") or column.name == "identity_number"


def quoted(name: str) -> str:
    """Return the name of a table, column or index as SQL takes it."""
    return f'"{name}"'
