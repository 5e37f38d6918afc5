"""Blocking calls in threads, whose errors lose the frames, for their locals hold rows; and waits for threads."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from .cleanup import finished
from .frames import without_frames

P = ParamSpec("P")
T = TypeVar("T")

_SLICE = 0.1
"""Seconds for which Ctrl-C may wait on Windows."""


async def threaded(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in a thread. A cancellation waits for its end: no file is closed while it is written."""
    running = asyncio.to_thread(call, *args, **kwargs)
    del call, args, kwargs  # a traceback would show the locals of this frame
    return await waited(running)


async def stoppable(call: Callable[[threading.Event], T]) -> T:
    """Run a long blocking call in a thread. A cancellation sets the event that it takes, and waits for its end."""
    stop = threading.Event()
    return await waited(asyncio.to_thread(call, stop), stop.set)


async def waited(running: Coroutine[Any, Any, T], interrupted: Callable[[], object] | None = None) -> T:
    """Wait for a call in a thread, however often this is cancelled; its error is raised without frames."""
    try:
        return await finished(running, interrupted)
    except BaseException as error:  # noqa: BLE001 - it is raised again
        without_frames(error)
        raise error.with_traceback(None)  # noqa: B904 - the same error, without its frames


def wait_for(ended: threading.Event) -> None:
    """Wait for another thread's event; Ctrl-C ends the wait.

    Windows does not interrupt a wait for a lock, so it is made of short ones there (from the documentation of
    `threading.Lock.acquire` and of `signal`; not run on that system).
    """
    while not ended.wait(_SLICE if sys.platform == "win32" else None):
        pass


def join(thread: threading.Thread) -> None:
    """Wait for the end of a thread; Ctrl-C ends the wait, on Windows as in `wait_for`."""
    while thread.is_alive():
        thread.join(_SLICE if sys.platform == "win32" else None)
