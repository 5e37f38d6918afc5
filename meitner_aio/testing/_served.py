"""A sandbox that is served when somebody asks for its address, from an event loop of its own in a thread.

So it serves tests of any kind: asynchronous ones under any plugin and mode, and plain ones whose code brings its own
loops, threads or processes.
"""

from __future__ import annotations

import asyncio

from .._runtime.loop_thread import LoopThread
from ..sandbox import Sandbox

_PATIENCE = 10.0
"""Seconds that starting may take."""


class ServedSandbox(Sandbox):
    """A sandbox whose `url` is always there; `stop` ends what that began."""

    _room: LoopThread | None = None

    @property
    def url(self) -> str:
        """The base URL of the API, which is served from now on."""
        if self._url is None:
            self._room = self._room or LoopThread("meitner sandbox", self.close)
            asyncio.run_coroutine_threadsafe(self.start(), self._room.loop).result(_PATIENCE)
        return super().url

    def stop(self) -> None:
        """Serve no longer. May be called again."""
        if self._room is not None:
            self._room.leave()
            self._room = None
