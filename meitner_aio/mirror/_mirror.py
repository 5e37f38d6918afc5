"""A mirror as a caller has it: `sync` follows, `verify` compares, `feed` and `read` tell, `forget` erases."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from .._pipeline.identity import Reader, reader_of
from ..client import Meitner
from ..errors import MeitnerError
from ..offline import plainly
from ._brakes import Brakes
from ._database import begin, open_to_write
from ._erase import clear, empty_log, erase
from ._feed import FeedEntry, entries, last_success
from ._follow import Following
from ._forget import forget
from ._names import kept_names
from ._reading import MirrorState, opened
from ._report import SyncReport, VerifyReport
from ._run import Run
from ._verify import Comparison
from ._worker import Worker


class Mirror:
    """A directory in an SQLite file.

    ```python
    with Mirror("directory.sqlite") as mirror:
        report = await mirror.sync(meitner)
    ```

    Tables are those of the SQLite export. Each run is one transaction: whatever ends it, the file holds the state of
    the last one that came to its end, and other processes read that meanwhile. One run at a time writes.

    Rows are written in a thread of its own; `feed`, `read`, `last_success` and `age` read in the caller's, which takes
    little. `clock` tells the seconds since 1970.
    """

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time) -> None:
        """Nothing is opened before it is needed."""
        self._path = Path(path)
        self._clock = clock
        self._worker = Worker()
        self._database: sqlite3.Connection | None = None
        self._running = False
        self._closed = False

    # -- runs

    async def sync(
        self,
        meitner: Meitner,
        resources: Iterable[str] | None = None,
        *,
        full: bool = False,
        max_deletions: float = 0.2,
        accept_deletions: int = 0,
        lookback: float = 600.0,
        grades_every: float | timedelta | None = None,
    ) -> SyncReport:
        """Bring the file to what the directory is now; the first time, and with `full`, everything is read.

        `resources` are names, all with records by default. `lookback` and `grades_every` are those of
        `meitner.changes`. Changes that cannot be followed any more are made up for by reading everything.

        A run that would delete more than the share `max_deletions` of a resource, and at least 10 rows, raises
        `TooManyDeletions` and changes nothing; `accept_deletions` allows so many in this run. Where the directory has
        no row of a resource any more, that has to be allowed, too. Raises `MeitnerError` at once when another run is
        writing, or when the file is of another directory.
        """
        names, brakes = kept_names(resources), Brakes.checked(max_deletions, accept_deletions)
        async with self._run(meitner, names) as run:
            following = Following(meitner, run, self._worker, lookback=lookback, grades_every=grades_every)
            await following.follow(names, full=full)
            await self._worker.do(run.finish, following.whole, brakes)
            if following.complete:
                await self._worker.do(run.succeeded)
            return following.report()

    async def verify(
        self,
        meitner: Meitner,
        resources: Iterable[str] | None = None,
        *,
        max_deletions: float = 0.2,
        accept_deletions: int = 0,
    ) -> VerifyReport:
        """Compare how many rows the directory and the file have, one request a resource, and repair what differs.

        Resources whose numbers differ are followed first, as `sync` does, and counted again: what was created and
        deleted since is no mismatch. Where one is, is found by counting halves of the time of creation; that part is
        read again. What cannot be searched, and what differs for the second time in a row, is read in full. Resources
        that were never read are left out. Raises what `sync` raises.
        """
        names, brakes = kept_names(resources), Brakes.checked(max_deletions, accept_deletions)
        async with self._run(meitner, names) as run:
            comparison = Comparison(meitner, run, self._worker)
            await comparison.compare(await self._worker.do(run.state.held, names))
            await self._worker.do(run.finish, comparison.whole, brakes)
            return comparison.report()

    @asynccontextmanager
    async def _run(self, meitner: Meitner, names: Iterable[str]) -> AsyncGenerator[Run, None]:
        """Give a run that is committed at the end of the block, and rolled back by what is raised in it."""
        with self._alone():
            reader = await reader_of(meitner)
            if reader is None:
                raise TypeError("a mirror is read through a Meitner client, which says of which directory it is")
            run = await self._worker.do(self._begun, tuple(names), reader)
            try:
                yield run
                await self._worker.do(run.commit)
            except BaseException:
                await self._worker.do(self._rolled_back)
                raise
            await self._worker.do(self._erased)

    def _begun(self, names: tuple[str, ...], reader: Reader) -> Run:
        database = self._opened()
        run = Run(database, self._path, datetime.fromtimestamp(self._clock(), UTC))
        run.begin(names, reader)
        return run

    def _rolled_back(self) -> None:
        database = self._opened()
        if database.in_transaction:
            database.execute("ROLLBACK")
        empty_log(database, self._path)

    def _erased(self) -> None:
        erase(self._opened(), self._path)

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = open_to_write(self._path)
            clear(self._database, self._path)
        return self._database

    @contextmanager
    def _alone(self) -> Generator[None, None, None]:
        if self._closed:
            raise MeitnerError(f"the mirror {self._path} is closed")
        if self._running:
            raise MeitnerError(f"{self._path} is being written by another run: wait until it has ended")
        self._running = True
        try:
            yield
        finally:
            self._running = False

    # -- reads, and the end

    def feed(self, after: int = 0) -> Iterator[FeedEntry]:
        """Yield what happened to rows behind the entry `after`, in order: its `seq` is where to go on next time."""
        return entries(self._path, after)

    def read(self) -> AbstractContextManager[MirrorState]:
        """Open the last whole state of the file, to read records from it; a run that goes on changes nothing of it.

        Leave it soon: what runs delete meanwhile stays in the log beside the file until then. `MeitnerError` before
        the first run has ended.

        ```python
        with mirror.read() as state:
            for student in state.records(Students):
                ...
        ```
        """
        return opened(self._path)

    @property
    def last_success(self) -> datetime | None:
        """When the last run began that came to its end; None before the first."""
        return last_success(self._path)

    @property
    def age(self) -> timedelta | None:
        """How long ago that was; None before the first."""
        success = self.last_success
        return None if success is None else datetime.fromtimestamp(self._clock(), UTC) - success

    async def forget(self, record_id: str) -> int:
        """Erase what the file says of a record, wherever: its row, its tombstone, its entries in the feed.

        Return how many rows that were. Others still name its id where they refer to it. What is still in the directory
        comes back when it changes, or when everything is read: delete it there first.
        """
        with self._alone():
            rows = await self._worker.do(self._forgotten, record_id)
            await self._worker.do(self._erased)
            return rows

    def _forgotten(self, record_id: str) -> int:
        database = self._opened()
        begin(database, self._path)
        try:
            with plainly(self._path):
                rows = forget(database, record_id)
                database.execute("COMMIT")
        except BaseException:
            self._rolled_back()
            raise
        return rows

    def close(self) -> None:
        """Close the file; a run that is under way changes nothing. May be called again."""
        self._closed = True
        self._worker.end(self._shut)

    def _shut(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    async def aclose(self) -> None:
        """Close the file: the same as `close`."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a mirror has a file open and cannot be pickled; make another of the same path")

    def __repr__(self) -> str:
        return f"<Mirror {self._path}{' (closed)' if self._closed else ''}>"
