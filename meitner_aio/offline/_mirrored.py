"""A mirror in the place of the directory: the sandbox's own answers, from rows that SQL finds. For reading only."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast, overload
from urllib.parse import parse_qs

from msgspec.structs import replace

from .._runtime.threads import threaded
from .._wire.decoding import PART
from .._wire.messages import Headers, RawResponse, Request
from .._wire.validation import plausible
from ..errors import ConfigurationError, MeitnerError
from ..records import DirectoryRecord
from ..resources import RESOURCES
from ..sandbox.faults import Faults
from ..sandbox.frozen import reads
from ..sandbox.http.answers import Refusal
from ..sandbox.http.app import App
from ..sandbox.http.auth import Credentials
from ..sandbox.http.dialect import Dialect
from ..sandbox.http.paging import Paging
from ..sandbox.http.quota import HOUR, Unlimited
from ..sandbox.http.reading import read_object
from ..sandbox.store.directory import Directory, decoded
from ..sandbox.store.filters import compile_filter
from ._answers import away, marked, unwritten
from ._file import open_to_read, plainly
from ._records import Reader
from ._where import Where, where

_PLAIN = Dialect(unknown="refuse")
"""As for a folder: a condition that goes unheard would find everything."""
_SETTLED = 600.0
"""Seconds after its last change at which the directory says that it is, when clocks do not say later: nothing can
follow a row in the state of a file."""
_KEPT = 8
"""Results of searches that SQL does not decide alone."""
_FOLLOWED = 256
"""Listings of which is known in which state of the file they began."""
_CREATED = "SELECT max(meta_created_at), max(meta_updated_at) FROM"


class Mirrored:
    """Answers lists, searches and gets from a mirror: a transport without a network.

    Every answer is of one state of the file, whatever is written meanwhile. A listing whose pages are of several is
    `unverified`, as is one of a resource that was never read to its end.
    """

    identity = b""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raise `ConfigurationError` for a file that holds no mirror."""
        self._path = Path(path)
        try:
            self._database = open_to_read(self._path)
        except OSError as error:
            raise ConfigurationError(f"offline: {path} cannot be read: {error.strerror}") from None
        if self._database is None:
            raise ConfigurationError(f"offline: {path} holds no mirror yet: sync it first")
        self._stored = Stored(self._database)
        self._turn = asyncio.Lock()
        self._began: OrderedDict[tuple[str, bytes], int] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Mirrored {self._path}>"

    @property
    def since(self) -> datetime | None:
        """When the last run began that brought the mirror to what the directory was."""
        with plainly(self._path):
            found = self._connected().execute("SELECT last_success FROM meitner_aio_mirror").fetchone()
        return None if found is None or found[0] is None else datetime.fromisoformat(found[0])

    def _connected(self) -> sqlite3.Connection:
        if self._database is None:
            raise MeitnerError(f"{self._path} is closed")
        return self._database

    async def send(self, request: Request) -> RawResponse:
        """Answer a read.

        Raises `APIConnectionError` for a write and for a resource that the mirror does not keep.
        """
        attribute = reads(request)
        if attribute is None:
            raise unwritten(request, "a mirror is read-only")
        async with self._turn:
            return await threaded(self._answer, attribute, request)

    async def close(self) -> None:
        """Close the file."""
        async with self._turn:
            database, self._database = self._database, None
            if database is not None:
                await threaded(database.close)

    def _answer(self, attribute: str, request: Request) -> RawResponse:
        database = self._connected()
        with plainly(self._path):
            database.execute("BEGIN")
            try:
                self._stored.look()
                if attribute and attribute not in self._stored.whole:
                    raise away(request, f"the mirror {self._path} keeps no {attribute}")
                if attribute in self._stored.foreign:
                    raise MeitnerError(
                        f"offline: {attribute} in {self._path} are of another version of meitner_aio: sync it first"
                    )
                response = marked(_ended(self._stored.send(request)))
            finally:
                database.execute("ROLLBACK")
        if (attribute and not self._stored.whole[attribute]) or self._moved(request):
            return replace(response, headers=Headers({**response.headers, PART: "1"}))
        return response

    def _moved(self, request: Request) -> bool:
        """Whether this is a later page of a listing that began in another state of the file."""
        key, version = (request.path, request.body or b""), self._stored.version
        if parse_qs(request.query).get("offset", ["0"]) == ["0"]:
            self._began[key] = version
            self._began.move_to_end(key)
            if len(self._began) > _FOLLOWED:
                self._began.popitem(last=False)
        return self._began.get(key, version) != version


def _ended(answering: Coroutine[Any, Any, RawResponse]) -> RawResponse:
    """Return what a coroutine comes to that waits for nothing."""
    try:
        answering.send(None)
    except StopIteration as end:
        return cast("RawResponse", end.value)
    answering.close()
    raise RuntimeError("the sandbox waited for something")


class Stored(Directory):
    """The tables of a mirror, as the sandbox knows a directory. Blocking; within a transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._settled = 0.0
        super().__init__({}, order="created", seed=0, clock=self._time, dialect=_PLAIN)
        self.whole: dict[str, bool] = {}
        """The resources that there are, and whether they were ever read to their end."""
        self.foreign: set[str] = set()
        """Those of them whose columns are of another version of this package."""
        self.version = 0
        self._database = database
        self._readers: dict[str, Reader] = {}
        self._searches: OrderedDict[tuple[str, bytes], list[DirectoryRecord]] = OrderedDict()
        app = App(
            self,
            Credentials(None, HOUR, self._time),
            Unlimited(),
            Faults((), 0),
            paging=Paging(),
            dialect=_PLAIN,
            latency=0.0,
            clock=self._time,
        )
        app.received = deque(maxlen=0)
        self.send: Callable[[Request], Coroutine[Any, Any, RawResponse]] = app.send
        """Answers a request, as the sandbox does."""

    def _time(self) -> float:
        return max(time.time(), self._settled)

    def look(self) -> None:
        """Notice that the file was written to."""
        ((version,),) = self._database.execute("PRAGMA data_version")
        if self.whole and version == self.version:
            return
        self.version = version
        self._searches.clear()
        query = "SELECT resource, checkpoint IS NOT NULL, columns FROM meitner_aio_resources"
        found = [row for row in self._database.execute(query) if row[0] in RESOURCES]
        self.whole = {name: bool(whole) for name, whole, _ in found}
        self.foreign = {name for name, _, has in found if not self._reader(name).fits(has)}
        latest = [text for name in self.whole for text in self._database.execute(f'{_CREATED} "{name}"').fetchone()]
        times = (datetime.fromisoformat(text) for text in latest if text is not None)
        self._settled = max((at.timestamp() + _SETTLED for at in times if plausible(at)), default=0.0)

    def rows(self, attribute: str) -> list[Any]:
        """Return every record of a resource, in the order of creation: read as far as it is looked at."""
        return cast("list[Any]", _Selected(self, attribute, Where()))

    def get(self, attribute: str, record_id: str) -> Any:
        """Return the record with this id; 404 when there is none."""
        found = self.selected(attribute, Where("id = ?", (record_id,)))
        if not found:
            model: Any = RESOURCES[attribute]
            raise Refusal(404, f"{model.model.__name__} {record_id} does not exist")
        return found[0]

    def search(self, attribute: str, body: bytes) -> list[Any]:
        """Return the records that a search's body asks for, in order; 400 when it makes no sense."""
        super().search(attribute, body)  # of no rows at all: refuses what makes no sense
        resource: Any = RESOURCES[attribute]
        filter = read_object(decoded(body)["filter"], "filter")
        condition = where(resource.model, filter, _PLAIN)
        if condition.exact:
            return cast("list[Any]", _Selected(self, attribute, condition))
        key = (attribute, body)
        if key not in self._searches:
            test, _ids = compile_filter(resource.model, filter, _PLAIN)
            self._searches[key] = [row for row in self.selected(attribute, condition) if test(row)]
            if len(self._searches) > _KEPT:
                self._searches.popitem(last=False)
        return self._searches[key]

    def count(self, attribute: str, condition: Where) -> int:
        """Return how many rows fit."""
        query = f'SELECT count(*) FROM "{attribute}" WHERE {condition.sql}'
        return int(self._database.execute(query, condition.values).fetchone()[0])

    def selected(self, attribute: str, condition: Where, offset: int = 0, limit: int = -1) -> list[DirectoryRecord]:
        """Return the rows that fit, as created; those created in the same second as they came."""
        reader = self._reader(attribute)
        query = f"{reader.select(attribute)} WHERE {condition.sql} ORDER BY meta_created_at, rowid LIMIT ? OFFSET ?"
        values = (attribute, *condition.values, limit, offset)
        return [reader.record(row, blank) for blank, *row in self._database.execute(query, values)]

    def _reader(self, attribute: str) -> Reader:
        if attribute not in self._readers:
            resource: Any = RESOURCES[attribute]
            self._readers[attribute] = Reader(resource.model)
        return self._readers[attribute]


class _Selected(Sequence[DirectoryRecord]):
    """Rows that fit a condition, as a list that reads what is taken of it."""

    def __init__(self, stored: Stored, attribute: str, condition: Where) -> None:
        self._stored, self._attribute, self._condition = stored, attribute, condition

    def __len__(self) -> int:
        return self._stored.count(self._attribute, self._condition)

    @overload
    def __getitem__(self, index: int) -> DirectoryRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[DirectoryRecord]: ...
    def __getitem__(self, index: int | slice) -> DirectoryRecord | list[DirectoryRecord]:
        if not isinstance(index, slice):
            return self._stored.selected(self._attribute, self._condition, index, 1)[0]
        return self._stored.selected(self._attribute, self._condition, index.start, index.stop - index.start)
