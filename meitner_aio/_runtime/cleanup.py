"""Clean-up that always runs to its end, however often the waiting task is cancelled.

A cancellation may come more than once: a timeout within a timeout, a second Ctrl-C, and anyio, which cancels at every
turn of the loop until its scope is left. An interrupted clean-up would stay half done. So a task that waits
here is cancelled only after the clean-up: once, by the last cancellation. `Task.cancelling` still counts all of them,
so that each timeout and group above recognises its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def finished(
    work: Coroutine[Any, Any, T] | asyncio.Future[T], interrupted: Callable[[], object] | None = None
) -> T:
    """Run `work` in a task of its own until it ends, and return its result or raise its error.

    A cancellation is raised only after `work` has ended; `interrupted` is called when the first one arrives.
    """
    ending = asyncio.ensure_future(work)
    await _ended([ending], interrupted)
    return ending.result()


async def stopped(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks once, and wait until all of them have ended; their errors are dropped."""
    for task in tasks:
        task.cancel()
    await _ended(tasks)
    _heard(tasks)


async def _ended(tasks: Sequence[asyncio.Future[Any]], interrupted: Callable[[], object] | None = None) -> None:
    """Wait for tasks without cancelling them; raise a cancellation afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while left := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError as error:
            if cancelled is None and interrupted is not None:
                interrupted()
            cancelled = error
    try:
        if cancelled is not None:
            _heard(tasks)
            raise cancelled
    finally:
        del cancelled  # its traceback refers to this frame: without the cycle no garbage collection is needed


def _heard(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Mark the exceptions of ended tasks as retrieved, so that asyncio logs none."""
    for task in tasks:
        if not task.cancelled():
            task.exception()
