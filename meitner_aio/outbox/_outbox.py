"""Writes in the background: queued at once, sent with bounded concurrency, and all accounted for at the end."""

from __future__ import annotations

import asyncio
import warnings
from collections import deque
from collections.abc import Awaitable, Coroutine, Generator
from types import TracebackType
from typing import Any, Self
from weakref import finalize

from msgspec import Struct

from .._runtime.amounts import counted
from .._runtime.bulk_context import bulk_task
from .._runtime.cleanup import stopped
from .._wire.validation import check_whole
from ..errors import MeitnerError


class Failure(Struct, frozen=True):
    """A write that did not succeed: its index in the order of `put`, and its error."""

    index: int
    error: BaseException


class Outbox:
    """Sends coroutines in the background, started in the order of `put`, at most `concurrency` at a time.

    Leaving the block waits until all queued writes are sent, also when the block raised. A cancellation does not wait:
    writes in flight are cancelled and may have happened, and writes not yet started are not sent; `failures` lists both
    with `CancelledError`, and every write that failed with its error. If the process dies, unsent writes are lost:
    `meitner.outbox(journal=path)` keeps them.

    Without a block, writes are sent as long as the event loop runs. When it ends, as by a cancellation, those that are
    left are not; an outbox that is dropped with such writes, or with failures that no `flush()` waited for, warns of
    their number (`RuntimeWarning`).
    """

    def __init__(self, *, concurrency: int = 8, maxsize: int = 1000) -> None:
        """Send at most `concurrency` writes at a time; awaiting `put` waits while `maxsize` writes are queued."""
        self._concurrency = check_whole("concurrency", concurrency, 1)
        self._maxsize = check_whole("maxsize", maxsize, 1)
        self._waiting: _Waiting = deque()
        self._tasks: dict[asyncio.Task[object], int] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._count = 0
        self._closed = False
        self.sent = 0
        """Writes that succeeded."""
        self.failures: list[Failure] = []
        self._seen = [0]
        """How many failures there were when the caller last waited for them."""
        self._dropped = finalize(self, _warn, self._waiting, self._tasks, self.failures, self._seen)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._tasks)

    def __repr__(self) -> str:
        return f"<Outbox: {len(self)} to send, {self.sent} sent, {len(self.failures)} failed>"

    def put(self, write: Coroutine[Any, Any, object]) -> Awaitable[None]:
        """Queue a write, and return at once. Await the result to wait for room in the queue.

        Nothing is dropped: if you do not await, the queue grows. Raises `TypeError` unless `write` is a coroutine, and
        `MeitnerError` after the block has ended.
        """
        if not asyncio.iscoroutine(write):
            raise TypeError(f"put takes a coroutine, such as students.create(...), not {type(write).__name__}")
        if self._closed:
            write.close()
            raise MeitnerError("this outbox is closed: put writes inside its `async with` block")
        self._waiting.append((self._count, write))
        self._count += 1
        self._start()
        return _Room(self._room)

    def _start(self) -> None:
        """Start queued writes up to `concurrency`, and signal whether the queue has room."""
        while self._waiting and len(self._tasks) < self._concurrency:
            index, write = self._waiting.popleft()
            task = bulk_task(write)
            self._tasks[task] = index
            task.add_done_callback(self._ended)
        if len(self._waiting) < self._maxsize:
            self._room.set()
        else:
            self._room.clear()

    def _ended(self, task: asyncio.Task[object]) -> None:
        index = self._tasks.pop(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self.sent += 1
        else:
            self._failed(index, error)
        if _was_cancelled(task) and all(map(_was_cancelled, self._tasks)):  # the loop ends: nothing else is sent
            self._give_up()
        self._start()

    def _failed(self, index: int, error: BaseException) -> None:
        self.failures.append(Failure(index, error))

    async def flush(self) -> None:
        """Wait until every write that was put before this call has been sent or has failed."""
        end = self._count
        # Writes start in order: once no earlier write is in flight, none of them is queued either.
        while early := [task for task, index in self._tasks.items() if index < end]:
            await asyncio.wait(early)
        self._seen[0] = len(self.failures)

    def leave(self) -> None:
        """Take no more writes, and leave it to the caller to tell of those that were not sent."""
        self._closed = True
        self._dropped.detach()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        if kind is not None and not issubclass(kind, Exception):
            await self._abandon()
            return
        try:
            await self.flush()
        except asyncio.CancelledError:
            await self._abandon()
            raise

    async def _abandon(self) -> None:
        self._give_up()
        await stopped(*self._tasks)

    def _give_up(self) -> None:
        while self._waiting:
            index, write = self._waiting.popleft()
            write.close()
            self.failures.append(Failure(index, asyncio.CancelledError()))


_Waiting = deque[tuple[int, Coroutine[Any, Any, object]]]


def _was_cancelled(task: asyncio.Task[object]) -> bool:
    """Whether somebody asked a task to end, which a write whose own wait was cancelled was not."""
    return task.cancelling() > 0


def _warn(waiting: _Waiting, tasks: dict[asyncio.Task[object], int], failures: list[Failure], seen: list[int]) -> None:
    """Say how many writes of a dropped outbox nobody knows the end of, or knows to have failed."""
    unsent = len(waiting) + len(tasks)
    while waiting:
        waiting.popleft()[1].close()
    unsent += (failed := len(failures) - seen[0])
    if unsent:
        known = f", {failed:,} of them with an error in its failures" if failed else ""
        warnings.warn(
            f"an outbox was dropped outside its `async with` block: {counted(unsent, 'write')} may not have been sent"
            f"{known}",
            RuntimeWarning,
            stacklevel=2,
        )


class _Room:
    """An awaitable for room in the queue; unlike a coroutine, it may be left unawaited."""

    __slots__ = ("_event",)

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._event.wait().__await__()
