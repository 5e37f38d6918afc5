"""Clean-ups that come to their end however often whoever waits for them is cancelled.

A cancellation may come more than once: a timeout within a timeout, a second Ctrl-C, and anyio, which cancels at every
turn of the loop until its scope is left. A clean-up that an `await` of its own can interrupt is half done then, and
nobody does the rest. Whoever waits here is deaf meanwhile, and cancelled afterwards: once, by the last one that came.
How many came stays counted in the task (`Task.cancelling`), so that each timeout and group above finds its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finished(
    work: Coroutine[Any, Any, T] | asyncio.Future[T], interrupted: Callable[[], object] | None = None
) -> T:
    """Wait until `work` has ended, in a task of its own, and return or raise what it came to.

    A cancellation is raised instead, but only then; `interrupted` is called as soon as the first one comes.
    """
    ending = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not ending.done():
        try:
            await asyncio.wait([ending])  # which, unlike `await ending`, hands no cancellation on
        except asyncio.CancelledError as error:
            if cancelled is None and interrupted is not None:
                interrupted()
            cancelled = error
    try:
        if cancelled is None:
            return ending.result()
        if not ending.cancelled():
            ending.exception()  # the cancellation is what its caller hears of
        raise cancelled
    finally:
        del cancelled  # its traceback leads here: the garbage collector need not come for it


async def stopped(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks once, and wait until all of them have ended; what they raise is nobody's any more."""
    for task in tasks:
        task.cancel()
    await finished(asyncio.gather(*tasks, return_exceptions=True))
