"""A command that runs again and again until somebody stops it. Knows neither what a run does nor what is told of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress

from .._runtime.signals import ENDS, handled
from ._schedule import Schedule


class Stop:
    """Whether somebody wants the service to end: once, after the run under way; twice, at once."""

    def __init__(self, on_request: Callable[[], object] = lambda: None) -> None:
        """Stop what the current task does; `on_request` is called at the first request."""
        self._task = asyncio.current_task()
        self._event = asyncio.Event()
        self._on_request = on_request
        self.at_once = False

    @property
    def requested(self) -> bool:
        """Whether the run under way is the last."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask for the end."""
        if not self.requested:
            self._event.set()
            self._on_request()
            return
        self.at_once = True
        if self._task is not None:
            self._task.cancel()

    async def before(self, at: float) -> bool:
        """Wait until a time of the event loop's clock, or until a stop is requested; whether it was."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(at):
                await self._event.wait()
        return self.requested


@contextmanager
def stoppable(stop: Stop) -> Generator[None]:
    """Let SIGTERM and Ctrl-C in the block request a stop; one that ends it at once is a `KeyboardInterrupt`."""
    # A shell lets programs in the background ignore SIGINT, which they go on doing.
    typed = () if signal.getsignal(signal.SIGINT) == signal.SIG_IGN else (signal.SIGINT,)
    with handled((*ENDS, *typed), stop.request):
        try:
            yield
        except asyncio.CancelledError as cancelled:
            if stop.at_once:
                raise KeyboardInterrupt from cancelled
            raise


async def serve(run: Callable[[], Awaitable[object]], schedule: Schedule, stop: Stop) -> None:
    """Run at every time of a schedule until a stop is requested. What a run raises ends the service."""
    clock = asyncio.get_running_loop().time
    while not await stop.before(schedule.next(clock())):
        await run()
