"""An outbox for code without an event loop: writes put from any thread, sent on a portal's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from .errors import MeitnerError

if TYPE_CHECKING:
    from .outbox import Failure, Outbox

T = TypeVar("T")


class _Run(Protocol):
    def __call__(self, work: Awaitable[T], /) -> T: ...


class PortalOutbox:
    """Sends coroutines in the background: `with portal.outbox() as outbox: outbox.put(portal.meitner...)`.

    Several threads may put writes. Leaving the block waits until all are sent, also when the block raised. An interrupt
    (Ctrl-C) does not wait: writes in flight are cancelled and may have happened, and writes not yet started are not
    sent; `failures` lists both with `CancelledError`, and a note on the interrupt says how many they are.
    """

    def __init__(self, run: _Run, outbox: Outbox) -> None:
        self._run = run
        self._outbox = outbox
        self._open = False
        self._lost = 0
        """Writes whose `put` was interrupted before they were queued."""

    def __len__(self) -> int:
        return len(self._outbox)

    def __repr__(self) -> str:
        return f"<PortalOutbox: {len(self)} to send, {self.sent} sent, {len(self.failures)} failed>"

    @property
    def sent(self) -> int:
        """Writes that succeeded."""
        return self._outbox.sent

    @property
    def failures(self) -> list[Failure]:
        """Writes that did not, by their index in the order of `put`, each with its error."""
        return self._outbox.failures

    def put(self, write: Coroutine[Any, Any, object]) -> None:
        """Queue a write; while `maxsize` writes are queued, wait for room.

        Raises `TypeError` unless `write` is a coroutine, and `MeitnerError` outside of the block and on the portal's
        own loop.
        """
        queued: list[bool] = []
        try:
            self._run(self._put(write, queued))
        except BaseException as error:
            if not queued and asyncio.iscoroutine(write):
                write.close()
                self._lost += not isinstance(error, Exception)
            raise

    async def _put(self, write: Coroutine[Any, Any, object], queued: list[bool]) -> None:
        if not self._open:
            raise MeitnerError("put writes inside the outbox's `with` block, which sends what is left at its end")
        room = self._outbox.put(write)
        queued.append(True)
        await room

    def flush(self) -> None:
        """Wait until every write that was put before this call has been sent or has failed."""
        self._run(self._outbox.flush())

    def __enter__(self) -> Self:
        """Open its journal, where it has one; raises what entering that outbox raises."""
        from .outbox import KeptOutbox

        if isinstance(self._outbox, KeptOutbox):
            self._run(self._outbox.__aenter__())
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        try:
            self._run(self._outbox.__aexit__(kind, error, trace))
        except BaseException as end:
            self._outbox.leave()  # the portal may be closed, and then nothing ran
            self._tell(end)
            raise
        if error is not None:
            self._tell(error)

    def _tell(self, end: BaseException) -> None:
        """Add a note to what ended the block early, if any write is not known to have been sent or refused."""
        cancelled = sum(isinstance(one.error, asyncio.CancelledError) for one in self.failures)
        if open_ := cancelled + len(self) + self._lost:
            total = self.sent + len(self.failures) + len(self) + self._lost
            end.add_note(
                f"{open_} of the {total} writes of an outbox were not sent, or may not have happened: its `failures` "
                "lists them by their index"
            )
