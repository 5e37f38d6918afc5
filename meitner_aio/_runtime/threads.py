"""Blocking calls beside the event loop. Errors lose their frames there, whose locals hold rows."""

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
    """Run a blocking call in a thread. A cancellation waits for it: nobody closes a file while it is written."""
    running = asyncio.to_thread(call, *args, **kwargs)
    del call, args, kwargs  # a traceback would show the locals of this frame
    return await waited(running)


async def stoppable(call: Callable[[threading.Event], T]) -> T:
    """Run a long blocking call in a thread. A cancellation sets the event that it is given, and waits for it."""
    stop = threading.Event()
    return await waited(asyncio.to_thread(call, stop), stop.set)


async def waited(running: Coroutine[Any, Any, T], interrupted: Callable[[], object] | None = None) -> T:
    """Wait for what runs in a thread, however often this is cancelled, and raise what it raises without its frames."""
    try:
        return await finished(running, interrupted)
    except BaseException as error:  # noqa: BLE001 - it is raised again
        without_frames(error)
        raise error.with_traceback(None)  # noqa: B904 - the same error, without its frames
