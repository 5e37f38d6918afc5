"""An event loop in a thread of its own, for synchronous code."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import WeakSet

from .threads import join

_PATIENCE = 5.0
"""Seconds that the end of the interpreter waits for a thread: what does not end by then is ended with it."""


class LoopThread:
    """A daemon thread that runs an event loop until `leave()`, or until the interpreter ends."""

    def __init__(self, name: str, at_end: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Start the thread; `leave()` runs `at_end` on the loop to completion, even after an interrupt."""
        self.loop = asyncio.new_event_loop()
        self.leaving = False
        self.ending = False
        """Whether the interpreter ends: who still waits for the loop is a daemon thread, and will be ended too."""
        self._pid = os.getpid()
        self._left = asyncio.Event()
        self._at_end = at_end
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)
        try:
            self.thread.start()
        except RuntimeError:  # the system allows no further thread
            self.loop.close()
            raise
        _running.add(self)

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:  # at its end it cancels the remaining tasks
            runner.run(self._until_left())

    async def _until_left(self) -> None:
        await self._left.wait()
        with contextlib.suppress(Exception):  # a caller who needs the error runs it beforehand
            await self._at_end()

    def leave(self) -> None:
        """Stop the loop, and wait for the thread. May be called again after an interrupt."""
        self.stop()
        join(self.thread)

    def stop(self) -> None:
        """Stop the loop without waiting, as the garbage collector must; in a forked process do nothing."""
        self.leaving = True
        if os.getpid() == self._pid:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self.loop.call_soon_threadsafe(self._left.set)


_running: WeakSet[LoopThread] = WeakSet()


@atexit.register
def _leave_all() -> None:
    rooms = list(_running)
    for room in rooms:
        room.ending = True
        room.stop()
    for room in rooms:
        room.thread.join(_PATIENCE)
