"""An event loop in a thread of its own, for code that has none."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class LoopThread:
    """A thread in which an event loop runs until it is left, or until the interpreter ends: it is a daemon."""

    def __init__(self, name: str, at_end: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Start the thread; `at_end` runs on the loop when it is left, to its end, also after an interrupt."""
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
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:  # at its end it cancels what is left
            runner.run(self._until_left())

    async def _until_left(self) -> None:
        await self._left.wait()
        with contextlib.suppress(Exception):  # a caller who needs its error closes beforehand
            await self._at_end()

    def leave(self) -> None:
        """End the loop, and wait for the thread. May be called again after an interrupt."""
        with contextlib.suppress(RuntimeError):  # somebody else left first, and the loop is closed
            self.loop.call_soon_threadsafe(self._left.set)
        self.thread.join()
