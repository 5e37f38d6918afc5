"""An event loop that cancels a given task at a given turn, once or at several turns in a row; or as anyio does.

The cancellation of a task comes from outside it, between two turns of the loop, as that of a timeout or a group does.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from fault_server import SocketLoop

Ways = int | Literal["anyio"]
"""How often to cancel, at one turn after the other; anyio does at every turn, until its scope is left."""

EVERY_WAY: tuple[Ways, ...] = (1, 2, 3, 4, 5, "anyio")


def in_every_way(*ways: Ways) -> list[Any]:
    """Return what a test is tried with: between two turns and every turn nothing was ever found, so that they are slow."""
    return [pytest.param(way, marks=pytest.mark.slow) if way in (3, 4, 5) else way for way in ways]


class _Turning(asyncio.SelectorEventLoop):
    """Cancels a task after a given number of turns."""

    def __init__(self, *selector: Any) -> None:
        super().__init__(*selector)
        self._left = 0
        self._times = 0
        self._victim: asyncio.Task[Any] | None = None
        self._scope: anyio.CancelScope | None = None
        self.complaints: list[Any] = []
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    def _run_once(self) -> None:
        if self._victim is not None and not self._victim.done():
            self._left -= 1
            if self._left == 0 and self._scope is not None:
                self._scope.cancel()
            elif -self._times < self._left <= 0:
                self._victim.cancel()
        super()._run_once()  # type: ignore[misc]

    async def cancelled(self, turn: int, doing: Coroutine[Any, Any, Any], way: Ways = 1) -> bool:
        """Run something and cancel it from a turn on; whether it came that far."""
        if way == "anyio":
            return await self._left_early(turn, doing)
        self._left, self._times, self._victim = turn, way, asyncio.ensure_future(doing)
        await asyncio.wait([self._victim])
        victim, self._victim = self._victim, None
        if not victim.cancelled():
            victim.result()
        return victim.cancelled()

    async def _left_early(self, turn: int, doing: Coroutine[Any, Any, Any]) -> bool:
        self._scope = anyio.CancelScope()

        async def within(scope: anyio.CancelScope) -> bool:
            with scope:
                await doing
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            return scope.cancelled_caught

        self._left, self._times, self._victim = turn, 0, asyncio.ensure_future(within(self._scope))
        try:
            return bool(await self._victim)
        finally:
            self._victim = self._scope = None


class Turns(_Turning, SocketLoop):
    """On virtual seconds, without threads."""


class TurnsWithThreads(_Turning):
    """On real seconds."""


def turns() -> _Turning:
    """Return the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Turning)
    return loop


async def alone() -> None:
    """Assert that no task is left but those that serve, one for each connection still open."""
    for _ in range(5):
        await asyncio.sleep(0)
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert all("_serve" in repr(task) or "_accept_connection2" in repr(task) for task in rest), rest


def files() -> int:
    """Return how many files and sockets this process has open, where the system says."""
    handles = Path("/proc/self/fd")
    return len(list(handles.iterdir())) if handles.is_dir() else 0


@contextmanager
def no_file_left() -> Iterator[None]:
    """Assert that the block leaves no file or socket open; a server in another thread gets a moment to notice."""
    gc.collect()
    before = files()
    yield
    gc.collect()
    end = time.monotonic() + 5.0
    while files() > before and time.monotonic() < end:
        time.sleep(0.001)
    assert files() == before
