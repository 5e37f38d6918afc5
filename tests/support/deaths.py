"""Runs that die at a chosen step: from then on nothing reaches the directory, and nothing the journal.

A step is a line of the journal, a request that is about to be carried out, or its answer. As after `kill -9`, what the
directory was asked for before is done; with `late`, only some time after the next run began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from meitner_aio._pipeline import journals
from meitner_aio.sandbox import Sandbox


class Death:
    """Kills what runs in the block at its so-manieth step; 0 is never. `torn` leaves half of the last line."""

    def __init__(self, at: int, *, late: float = 0.0, torn: bool = False) -> None:
        self.at = at
        self.steps = 0
        self.dead = asyncio.Event()
        self._late = late
        self._torn = torn
        self._has_died = False
        self._late_ones: list[asyncio.Future[Any]] = []

    def step(self) -> bool:
        """Count a step, and say whether it is the last."""
        self.steps += 1
        if self.steps == self.at:
            self.dead.set()
        return self.steps == self.at

    @contextmanager
    def watching(self, sandbox: Sandbox) -> Iterator[None]:
        """Stand between a run and its directory, and between it and its journal."""
        app, send, add, finish = sandbox.app, sandbox.app.send, journals.JournalFile.add, journals.put_private

        async def sent(request: Any) -> Any:
            if self.dead.is_set() or self.step():
                if self._late and not self._has_died:
                    asyncio.get_running_loop().call_later(self._late, self._carry_out, send, request)
                self._has_died = True
                await asyncio.Future()
            answer = await send(request)
            if self.dead.is_set() or self.step():
                await asyncio.Future()
            return answer

        def added(journal: Any, line: Any) -> None:
            if self.dead.is_set() or self.step():
                if self._torn and not self._has_died:
                    data = journals._line(line)
                    journal._file.write(data[: len(data) // 2])
                self._has_died = True
                raise OSError("dead")
            add(journal, line)

        def finished(path: Any, data: bytes) -> None:
            if self.dead.is_set() or self.step():
                raise OSError("dead")
            finish(path, data)

        app.send = sent  # type: ignore[method-assign]
        journals.JournalFile.add, journals.put_private = added, finished  # type: ignore[method-assign]
        try:
            yield
        finally:
            app.send = send  # type: ignore[method-assign]
            journals.JournalFile.add, journals.put_private = add, finish  # type: ignore[method-assign]

    async def of(self, run: Callable[[], Awaitable[Any]]) -> bool:
        """Run until the death, or the end; whether it died."""
        running, dying = asyncio.ensure_future(run()), asyncio.ensure_future(self.dead.wait())
        await asyncio.wait([running, dying], return_when=asyncio.FIRST_COMPLETED)
        for task in (running, dying):
            task.cancel()
        if not self.dead.is_set():
            await running
        with suppress(asyncio.CancelledError, OSError):
            await running
        with suppress(asyncio.CancelledError):
            await dying
        return self.dead.is_set()

    def _carry_out(self, send: Callable[[Any], Awaitable[Any]], request: Any) -> None:
        self._late_ones.append(asyncio.ensure_future(send(request)))
