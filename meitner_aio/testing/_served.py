"""A sandbox that is served when somebody asks for its address, from an event loop of its own in a thread.

So it serves tests of any kind: asynchronous ones under any plugin and mode, and plain ones whose code brings its own
loops, threads or processes.
"""

from __future__ import annotations

import asyncio
import threading

from ..sandbox import Sandbox

_PATIENCE = 10.0
"""Seconds that starting and stopping may take."""


class ServedSandbox(Sandbox):
    """A sandbox whose `url` is always there; `stop` ends what that began."""

    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL of the API, which is served from now on."""
        if self._url is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="meitner sandbox", daemon=True)
            self._thread.start()
            asyncio.run_coroutine_threadsafe(self.start(), self._loop).result(_PATIENCE)
        return super().url

    def stop(self) -> None:
        """Serve no longer. May be called again."""
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is None or thread is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(self.close(), loop).result(_PATIENCE)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_PATIENCE)
            loop.close()
