"""Blocking calls beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def threaded(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in a thread. A cancellation waits for it: nobody closes a file while it is written."""
    return await _finished(asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs)))


async def stoppable(call: Callable[[threading.Event], T]) -> T:
    """Run a long blocking call in a thread. A cancellation sets the event that it is given, and waits for it."""
    stop = threading.Event()
    return await _finished(asyncio.ensure_future(asyncio.to_thread(call, stop)), stop)


async def _finished(running: asyncio.Future[T], stop: threading.Event | None = None) -> T:
    try:
        return await asyncio.shield(running)
    except OSError as error:
        raise error.with_traceback(None)  # noqa: B904 - the frames that wrote hold rows, which no crash report may show
    except asyncio.CancelledError:
        if stop is not None:
            stop.set()
        await asyncio.gather(running, return_exceptions=True)
        raise
