"""An event loop in a thread of its own, for synchronous code."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from .threads import join


class LoopThread:
    """A daemon thread that runs an event loop until `leave()`, or until the interpreter ends."""

    def __init__(self, name: str, at_end: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Start the thread; `leave()` runs `at_end` on the loop to completion, even after an interrupt."""
        self.loop = asyncio.new_event_loop()
        self._left = asyncio.Event()
        self._at_end = at_end
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)
        try:
            self.thread.start()
        except RuntimeError:  # the system allows no further thread
            self.loop.close()
            raise

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:  # at its end it cancels the remaining tasks
            runner.run(self._until_left())

    async def _until_left(self) -> None:
        await self._left.wait()
        with contextlib.suppress(Exception):  # a caller who needs the error runs it beforehand
            await self._at_end()

    def leave(self) -> None:
        """Stop the loop, and wait for the thread. May be called again after an interrupt."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self.loop.call_soon_threadsafe(self._left.set)
        join(self.thread)
