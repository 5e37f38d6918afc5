"""Clean-ups that come to their end however often whoever waits for them is cancelled.

A cancellation may come more than once: a timeout within a timeout, a second Ctrl-C, and anyio, which cancels at every
turn of the loop until its scope is left. A clean-up that an `await` of its own can interrupt is half done then, and
nobody does the rest. Whoever waits here is deaf meanwhile, and cancelled afterwards: once, by the last one that came.
How many came stays counted in the task (`Task.cancelling`), so that each timeout and group above finds its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def finished(
    work: Coroutine[Any, Any, T] | asyncio.Future[T], interrupted: Callable[[], object] | None = None
) -> T:
    """Wait until `work` has ended, in a task of its own, and return or raise what it came to.

    A cancellation is raised instead, but only then; `interrupted` is called as soon as the first one comes.
    """
    ending = asyncio.ensure_future(work)
    await _ended([ending], interrupted)
    return ending.result()


async def stopped(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks once, and wait until all of them have ended; what they raise is nobody's any more."""
    for task in tasks:
        task.cancel()
    await _ended(tasks)
    _heard(tasks)


async def _ended(tasks: Sequence[asyncio.Future[Any]], interrupted: Callable[[], object] | None = None) -> None:
    """Wait for tasks, without handing a cancellation on to them; then raise it."""
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
        del cancelled  # its traceback leads here: the garbage collector need not come for it


def _heard(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Mark the exceptions of ended tasks as retrieved, so that asyncio logs none."""
    for task in tasks:
        if not task.cancelled():
            task.exception()
