"""The client without asyncio: an event loop in a thread of its own, and two ways to use it. Has no calls of the API."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Generator, Iterable
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar
from weakref import finalize

from ._listing.listing import Listing
from ._runtime.loop_thread import LoopThread
from ._runtime.threads import wait_for
from .errors import MeitnerError
from .portal_outbox import PortalOutbox

if TYPE_CHECKING:
    from .client import Meitner

T = TypeVar("T")

_PATIENCE = 10.0
"""Seconds to wait for cancelled work to end."""


class Portal:
    """Runs the coroutines of a client in code without an event loop, or beside a loop that already runs (a notebook).

    ```python
    with Portal(Meitner()) as portal:
        for student in portal.iterate(portal.meitner.students.list()):
            print(student.id)
    ```

    The loop runs in a thread that starts with the first call and ends with `close()`, with the interpreter, or soon
    after the portal was dropped: keep it for as long as it is used. Several threads may share a portal. The client
    belongs to the portal's loop, and is closed with it.
    """

    def __init__(self, meitner: Meitner) -> None:
        self.meitner = meitner
        self._lock = threading.RLock()
        self._room: LoopThread | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<Portal to {self.meitner!r}>"

    def __enter__(self) -> Self:
        if self._closed:
            raise MeitnerError("this portal is closed")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, work: Awaitable[T]) -> T:
        """Run a coroutine, or any other awaitable, to its end; return its result or raise its error.

        An interrupt (Ctrl-C) cancels it. Raises `MeitnerError` when the portal is closed, and on the portal's own loop,
        where it would wait for itself. Raises `TypeError` for a listing, whose first page could be taken for all rows.
        """
        if isinstance(work, Listing):
            raise TypeError(
                "portal.run(listing) would give one page: use `for row in portal.iterate(listing)`, or "
                "portal.run(listing.all()); next(portal.iterate(listing.pages())) is the first page"
            )
        call = _Call(work)
        if self._inside:
            call.abandon()
            raise MeitnerError("this is the portal's own event loop: use await here, not portal.run()")
        try:
            self._begin(call)
            wait_for(call.ended)
        except BaseException:  # a KeyboardInterrupt, or whatever else a signal handler raises
            call.abandon()
            raise
        if call.cancelled and self._closed:
            raise MeitnerError("this portal was closed during the call")
        return call.result()

    def iterate(self, rows: AsyncIterable[T]) -> Generator[T, None, None]:
        """Yield the rows of a listing, or the items of any other async iterable, one by one.

        Nothing is requested before the first row is taken, and then no further ahead than the listing's `concurrency`
        allows. However the loop ends, by itself, by `break` or by an error, all its work in flight is stopped.
        """
        source = _batches(rows)
        try:
            while (batch := self.run(_next(source))) is not None:
                yield from batch
        finally:
            self._finish(source)

    def outbox(
        self, *, concurrency: int = 8, maxsize: int = 1000, journal: str | os.PathLike[str] | None = None
    ) -> PortalOutbox:
        """Return an outbox for writes that nobody waits for; leaving its `with` block sends what is left.

        At most `concurrency` writes are in flight; `put` waits while `maxsize` writes are queued, and with a `journal`
        until the disk has the write: see `Meitner.outbox`.
        """
        if journal is None:
            return PortalOutbox(self.run, self.meitner.outbox(concurrency=concurrency, maxsize=maxsize))
        kept = self.meitner.outbox(concurrency=concurrency, maxsize=maxsize, journal=journal)
        return PortalOutbox(self.run, kept)

    def close(self) -> None:
        """Close the client, cancel the calls in flight, and wait until the thread has ended.

        May be called again, for example after an interrupt (Ctrl-C) has ended the wait. Raises `MeitnerError` on the
        portal's own loop.
        """
        if self._inside:
            raise MeitnerError("this is the portal's own event loop: call portal.close() from another thread")
        try:
            if not self._closed and (self._room is None or not self._room.leaving):
                self.run(self.meitner.close())
        finally:
            with self._lock:
                self._closed = True
                room = self._room
            if room is not None:
                room.leave()

    @property
    def _inside(self) -> bool:
        return self._room is not None and self._room.thread is threading.current_thread()

    def _begin(self, call: _Call[Any]) -> None:
        with self._lock:  # so that close() also waits for a call that begins just before it
            if self._closed or (self._room is not None and self._room.leaving):
                raise MeitnerError("this portal is closed")
            if self._room is None:
                self._room = LoopThread("meitner_aio.Portal", self.meitner.close)
                finalize(self, self._room.stop).atexit = False  # the thread is waited for, then
            if not self._room.thread.is_alive():
                raise MeitnerError("a forked process does not have the portal's thread: make another portal there")
            call.begin(self._room)

    def _finish(self, source: AsyncGenerator[object, None]) -> None:
        """Stop an iteration; the garbage collector may call this in any thread, and while the interpreter ends."""
        if sys.is_finalizing() or self._closed:
            return
        call = _Call(source.aclose())
        try:
            self._begin(call)
        except MeitnerError:
            call.abandon()
        else:
            if not self._inside:
                call.ended.wait(_PATIENCE)


class _Call(Generic[T]):
    """An awaitable that runs on another thread's loop. Any thread may wait for `ended`."""

    def __init__(self, work: Awaitable[T]) -> None:
        self._work = work
        self._room: LoopThread | None = None
        self._task: asyncio.Task[None] | None = None
        self._value: T | None = None
        self._error: BaseException | None = None
        self.ended = threading.Event()

    def begin(self, room: LoopThread) -> None:
        """Start on the loop of a thread."""
        self._room = room
        room.loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        self._task = asyncio.create_task(self._done())
        self._task.add_done_callback(self._end)

    async def _done(self) -> None:
        try:
            self._value = await self._work
        except BaseException as error:  # noqa: BLE001 - SystemExit must end the caller, not the loop
            self._error = error

    def _end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # before it began
            self._error = asyncio.CancelledError()
            self._discard()
        if self._room is None or not self._room.ending:  # else the waiting thread would tell of an error that is none
            self.ended.set()

    def _discard(self) -> None:
        if asyncio.iscoroutine(self._work):
            self._work.close()

    @property
    def cancelled(self) -> bool:
        """Whether it ended by being cancelled."""
        return isinstance(self._error, asyncio.CancelledError)

    def abandon(self) -> None:
        """Cancel it, and wait for its end, but no longer than `_PATIENCE`."""
        if self._room is None:
            self._discard()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
                self._room.loop.call_soon_threadsafe(self._cancel)
            self.ended.wait(_PATIENCE)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def result(self) -> T:
        """Return its result, or raise its error."""
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback refers to this frame: without the cycle no garbage collection is needed
        return self._value  # type: ignore[return-value]  # None is the result, then


async def _next(source: AsyncGenerator[T, None]) -> T | None:
    # Called on the portal's loop, which then closes the generator at its end if nobody else does.
    return await anext(source, None)


async def _batches(rows: AsyncIterable[T]) -> AsyncGenerator[Iterable[T], None]:
    """Yield rows in batches, those of a listing page by page: switching threads costs more than a row."""
    if isinstance(rows, Listing):
        async with aclosing(rows.pages()) as pages:
            async for page in pages:
                yield page
        return
    source = aiter(rows)
    try:
        async for row in source:
            yield (row,)
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()
