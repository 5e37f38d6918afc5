"""Writes that nobody waits for: queued at once, sent with bounded concurrency, and all accounted for at the end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Coroutine, Generator
from types import TracebackType
from typing import Any, Self

from msgspec import Struct

from ._runtime.bulk_context import bulk_task
from ._runtime.cleanup import stopped
from ._wire.validation import check_whole
from .errors import MeitnerError


class Failure(Struct, frozen=True):
    """A write that did not succeed: its place in the order of `put`, and its error."""

    index: int
    error: BaseException


class Outbox:
    """Sends coroutines in the background, begun in the order of `put`, at most `concurrency` at a time.

    Leaving the block sends all that was put, also when the block raised: what was put was promised. A cancellation
    does not wait: writes under way are cancelled and may have happened, writes not begun are not sent, and `failures`
    lists both with `CancelledError`, as it lists whatever failed with its error. When the process dies, what was not
    sent is gone: keep your own list for that.
    """

    def __init__(self, *, concurrency: int = 8, maxsize: int = 1000) -> None:
        """Let `concurrency` writes be under way at most; with `maxsize` waiting, `put` asks to slow down."""
        self._concurrency = check_whole("concurrency", concurrency, 1)
        self._maxsize = check_whole("maxsize", maxsize, 1)
        self._waiting: deque[tuple[int, Coroutine[Any, Any, Any]]] = deque()
        self._tasks: dict[asyncio.Task[Any], int] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._count = 0
        self._closed = False
        self.sent = 0
        """Writes that succeeded."""
        self.failures: list[Failure] = []

    def __len__(self) -> int:
        return len(self._waiting) + len(self._tasks)

    def __repr__(self) -> str:
        return f"<Outbox: {len(self)} to send, {self.sent} sent, {len(self.failures)} failed>"

    def put(self, write: Coroutine[Any, Any, Any]) -> Awaitable[None]:
        """Queue a write, and return at once. Awaiting what is returned waits for room, so as not to outrun the server.

        Nothing is ever dropped: without awaiting, the queue grows. Raises `MeitnerError` after the outbox was left.
        """
        if not asyncio.iscoroutine(write):
            raise TypeError(f"put takes a coroutine, such as students.create(...), not {type(write).__name__}")
        if self._closed:
            write.close()
            raise MeitnerError("this outbox was left; nothing can be put into it any more")
        self._waiting.append((self._count, write))
        self._count += 1
        self._start()
        return _Room(self._room)

    def _start(self) -> None:
        """Begin what may begin, and say whether there is room."""
        while self._waiting and len(self._tasks) < self._concurrency:
            index, write = self._waiting.popleft()
            task = bulk_task(write)
            self._tasks[task] = index
            task.add_done_callback(self._ended)
        if len(self._waiting) < self._maxsize:
            self._room.set()
        else:
            self._room.clear()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        index = self._tasks.pop(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self.sent += 1
        else:
            self.failures.append(Failure(index, error))
        self._start()

    async def flush(self) -> None:
        """Wait until everything that was put before has been sent or has failed."""
        end = self._count
        # What waits follows what is under way, so that nothing early waits once nothing early is under way.
        while early := [task for task, index in self._tasks.items() if index < end]:
            await asyncio.wait(early)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if kind is not None and not issubclass(kind, Exception):
            await self._abandon()
            return
        try:
            await self.flush()
        except asyncio.CancelledError:
            await self._abandon()
            raise

    async def _abandon(self) -> None:
        while self._waiting:
            index, write = self._waiting.popleft()
            write.close()
            self.failures.append(Failure(index, asyncio.CancelledError()))
        await stopped(*self._tasks)


class _Room:
    """Is awaited for room in the queue; costs nothing when it is not."""

    __slots__ = ("_event",)

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._event.wait().__await__()
