"""One state of a mirror, read record by record while runs go on. Blocking."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, overload

from .._operations.resource import Resource, model_of
from ..changes import Deleted
from ..errors import MeitnerError
from ..offline import plainly
from ..offline._records import Reader
from ..records import DirectoryRecord
from ..resources import LISTED, RESOURCES, attribute_of
from ._database import reading

T = TypeVar("T", bound=DirectoryRecord)


class MirrorState:
    """What a mirror held when it was opened: all that is read from it belongs together, whatever is written meanwhile.

    Resources are given as tables (`Students`) or by name. Rows are read as they are asked for, so that memory does not
    grow with them. It may be used in any thread, in one at a time.
    """

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        """Read from a connection in a transaction."""
        self._database, self._path = database, path

    @overload
    def records(self, resource: type[Resource[T]]) -> Iterator[T]: ...
    @overload
    def records(self, resource: str) -> Iterator[DirectoryRecord]: ...
    def records(self, resource: type[Resource[Any]] | str) -> Iterator[Any]:
        """Yield every record of a resource, those that are archived as well, as created.

        Raises `MeitnerError` for a resource that was never read to its end: its rows would pass for all.
        """
        name = _name(resource)
        reader = Reader(model_of(RESOURCES[name]))
        with plainly(self._path):
            query = "SELECT columns FROM meitner_aio_resources WHERE resource = ? AND checkpoint IS NOT NULL"
            found = self._database.execute(query, [name]).fetchone()
            if found is None:
                raise MeitnerError(f"{self._path} does not have all {name}: sync them first")
            if not reader.fits(found[0]):
                raise MeitnerError(f"{name} in {self._path} are of another version of meitner_aio: sync them first")
            for blank, *row in self._database.execute(f"{reader.select(name)} ORDER BY meta_created_at, rowid", [name]):
                yield reader.record(row, blank)

    def deleted(self, resource: type[Resource[Any]] | str) -> Iterator[Deleted]:
        """Yield what is gone of a resource since it was read first, by id."""
        name = _name(resource)
        query = "SELECT id, at FROM tombstones WHERE resource = ? ORDER BY id"
        with plainly(self._path):
            for id_, at in self._database.execute(query, [name]):
                yield Deleted(name, id_, datetime.fromisoformat(at))


def _name(resource: type[Resource[Any]] | str) -> str:
    if isinstance(resource, str):
        return attribute_of(resource)
    return attribute_of(next(name for name, kind in LISTED.items() if kind is resource))


@contextmanager
def opened(path: Path) -> Generator[MirrorState, None, None]:
    """Give the last whole state of a mirror; `MeitnerError` where there is none yet."""
    with reading(path) as database:
        if database is None:
            raise MeitnerError(f"{path} holds no mirror yet: sync it first")
        database.execute("BEGIN")
        database.execute("SELECT count(*) FROM meitner_aio_mirror").fetchone()  # from here on, it stays as it is
        yield MirrorState(database, path)
