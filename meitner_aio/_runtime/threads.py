"""Blocking calls in threads. Their errors lose the frames, whose locals hold rows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from .cleanup import finished
from .frames import without_frames

P = ParamSpec("P")
T = TypeVar("T")


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
