"""Pages fetched ahead of a reader: concurrently, in order, and no further ahead than allowed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from .._runtime.cleanup import stopped
from .._wire.decoding import DecodedPage
from ..errors import ResponseValidationError
from .source import PageRequest, Source

T = TypeVar("T")

_NARROW = 2
"""Requests in flight while the processor limits a read of large pages: more would only fill its cache."""

_LARGE = 500
"""Rows from which on a page is large: about half a megabyte."""

ROWS = 5000
"""Rows that may be in flight or wait to be taken, about three megabytes: five of the largest pages, or as many small
ones as `concurrency` allows."""

_FEWEST = 2
"""Pages that may be ahead, however large: the server prepares one while the other is decoded."""


class Idle:
    """Measures whether this thread was busy, or waited for the network, since this was made."""

    __slots__ = ("_cpu", "_now")

    def __init__(self) -> None:
        self._now = time.monotonic()
        self._cpu = time.thread_time()

    def busy(self) -> bool:
        """Whether most of the time was spent computing."""
        return time.thread_time() - self._cpu > (time.monotonic() - self._now) / 2


class Prefetcher(Generic[T]):
    """Pages fetched ahead: at most `concurrency` requests in flight, and twice as many pages that wait to be taken.

    Of large pages there are fewer: together they hold at most `ROWS` rows, or are `_FEWEST`. Beside them there is the
    page that is being delivered.
    """

    def __init__(
        self,
        source: Source[T],
        first: PageRequest,
        concurrency: int,
        *,
        busy: bool = False,
        early: bool = False,
    ) -> None:
        """Fetch from the request `first` on; `busy` says that the one before took more computing than waiting.

        `early` says that there was none before.
        """
        self._source = source
        self._pattern = first._replace(bulk=True, first=False)
        self._offset = first.offset
        """Where the next page begins."""
        self._early = early
        self._most = max(_FEWEST, ROWS // first.limit)
        self._concurrency = concurrency
        self._narrow = min(_NARROW, concurrency) if first.limit >= _LARGE else concurrency
        self._width = self._narrow if busy else concurrency
        self._total = 0
        self._ended = False
        self._borrowed = 0
        self._unsent = False
        self._flying: set[asyncio.Task[Callable[[], DecodedPage[T]]]] = set()
        self._tasks: deque[tuple[PageRequest, asyncio.Task[Callable[[], DecodedPage[T]]]]] = deque()

    def reach(self, total: int) -> None:
        """Fetch pages up to the offset `total`."""
        self._total = total
        self._issue()

    @property
    def untaken(self) -> int:
        """Requests whose pages were not taken yet."""
        return len(self._tasks)

    @property
    def ended(self) -> bool:
        """Whether nothing more will be asked for."""
        return self._ended

    def end(self) -> None:
        """Ask for nothing more: there are no further rows."""
        self._ended = True

    async def beside(self, ask: PageRequest) -> DecodedPage[T]:
        """Fetch a page out of order, in place of another one, so that the limit of requests in flight holds."""
        self._borrowed += 1
        try:
            while len(self._flying) + self._borrowed > self._width:
                await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
                self._flying = {task for task in self._flying if not task.done()}
            return await self._source.fetch(ask._replace(bulk=True, first=False, upcoming=self._upcoming))
        finally:
            self._borrowed -= 1
            self._issue()

    def _issue(self) -> None:
        if self._ended:
            return
        tasks, width = self._tasks, self._width
        room, most = width - self._borrowed, min(2 * width, self._most)
        while self._offset < self._total and len(self._flying) < room and len(tasks) < most:
            offset, self._offset = self._offset, self._offset + self._pattern.limit
            ask = self._pattern._replace(offset=offset, upcoming=self._upcoming, early=self._early)
            if self._early and not tasks:
                ask = ask._replace(first=True)
            task = asyncio.create_task(self._source.fetch_raw(ask))
            self._flying.add(task)
            self._unsent = True
            tasks.append((ask, task))
            task.add_done_callback(self._landed)

    @property
    def _upcoming(self) -> int:
        """Pages not asked for yet."""
        return max(0, -(-(self._total - self._offset) // self._pattern.limit))

    def _landed(self, task: asyncio.Task[Callable[[], DecodedPage[T]]]) -> None:
        self._flying.discard(task)
        if task.cancelled() or task.exception() is not None:
            self._ended = True  # nothing after a failure will be read
        self._issue()

    async def next(self) -> tuple[PageRequest, DecodedPage[T], int] | None:
        """Return the next request in order, its page, and how many answers it took; None at the end.

        An error is raised when its page is next.
        """
        if self._unsent:
            # Send the new requests before decoding keeps the processor busy: the server works meanwhile.
            self._unsent = False
            await asyncio.sleep(0)
        if not self._tasks:
            return None
        ask, task = self._tasks[0]
        if not task.done():
            await self._arrival(task)
        read = await task
        self._early = False
        self._tasks.popleft()
        self._flying.discard(task)  # a task is done before its callbacks run
        try:
            return ask, read(), 1  # decoded only when taken: the rows are then in the processor's cache
        except ResponseValidationError:
            pass
        return ask, await self._source.fetch(ask._replace(upcoming=None)), 2

    async def _arrival(self, task: asyncio.Task[Callable[[], DecodedPage[T]]]) -> None:
        if self._narrow == self._concurrency:
            await asyncio.wait([task])
            return
        waiting = Idle()
        await asyncio.wait([task])
        self._width = self._narrow if waiting.busy() else self._concurrency

    async def stop(self) -> None:
        """Cancel the requests in flight, and wait until they have ended."""
        self._ended = True
        await stopped(*(task for _, task in self._tasks))
