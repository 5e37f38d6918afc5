"""The one thread in which a database is used: SQLite blocks, and a connection is for one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from .._runtime.threads import waited
from ..errors import MeitnerError

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs calls one after the other. It has no thread before the first."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._ended = False

    def _running(self) -> ThreadPoolExecutor:
        if self._ended:
            raise MeitnerError("the mirror was closed while it was in use: nothing of this run is in it")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="meitner-mirror")
        return self._executor

    async def do(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a call returns. A cancellation waits for it."""
        running = self._do(partial(call, *args, **kwargs))
        del call, args, kwargs  # this frame is shown by what is raised through it
        return await waited(running)

    async def _do(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._running(), call)

    def end(self, last: Callable[[], object]) -> None:
        """Run a last call behind all others, and end the thread. Blocking."""
        self._ended = True
        if self._executor is not None:
            executor, self._executor = self._executor, None
            executor.submit(last).result()
            executor.shutdown()
