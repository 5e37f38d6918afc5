"""Whose turn it is: bounds how many tenants work at once, how many wait, and how many requests are in flight.

A tenant works, or waits for a while: for its quota, or before a retry. One that waits leaves its place to the next, and
goes on as soon as it can, so for a moment more may work than have a place; what they have in flight stays bounded.
Knows neither clients nor files.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from .._wire.validation import check_whole
from ..events import Event, QuotaWait, RetryScheduled

CONCURRENCY, CONNECTIONS = 8, 32
_WAITING = 4
"""So many times as many tenants as may work may be begun and waiting: each holds some memory."""
_LONG = 1.0
"""Seconds. A shorter wait leaves nobody else time to do anything."""


class Turns:
    """Places for tenants, taken in the order in which they were asked for."""

    def __init__(self, concurrency: int = CONCURRENCY, connections: int = CONNECTIONS) -> None:
        """Let so many tenants work at once, and so many requests be in flight over all of them."""
        check_whole("concurrency", concurrency, 1)
        check_whole("connections", connections, 1)
        self._places = concurrency
        self._most = concurrency * (1 + _WAITING)
        self._begun: set[Turn] = set()
        self._queue: deque[asyncio.Future[Turn]] = deque()
        self.sending = asyncio.Semaphore(connections)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[Turn, None]:
        """Wait for a place, and have it until the block ends."""
        asked = asyncio.get_running_loop().create_future()
        self._queue.append(asked)
        self.fill()
        try:
            turn = await asked
        except asyncio.CancelledError:
            if asked.done() and not asked.cancelled():
                self._leave(asked.result())
            raise
        try:
            yield turn
        finally:
            self._leave(turn)

    def _leave(self, turn: Turn) -> None:
        self._begun.discard(turn)
        self.fill()

    def fill(self) -> None:
        """Give places that are free to those that asked first."""
        working = sum(not turn.waiting for turn in self._begun)
        while self._queue and working < self._places and len(self._begun) < self._most:
            asked = self._queue.popleft()
            if not asked.done():
                turn = Turn(self)
                self._begun.add(turn)
                working += 1
                asked.set_result(turn)


class Turn:
    """The place of one tenant."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._until = 0.0
        self._under_way = 0
        self.waiting = False
        """Whether nothing is under way, and the next request only later."""

    def hear(self, event: Event) -> None:
        """Note how long a request waits."""
        if isinstance(event, QuotaWait | RetryScheduled) and event.delay >= _LONG:
            self._until = max(self._until, self._loop.time() + event.delay)
            self._judge()

    @asynccontextmanager
    async def gate(self) -> AsyncGenerator[None, None]:
        """Bound the requests in flight: one is sent in the block."""
        self._under_way += 1
        self.waiting = False
        try:
            async with self._turns.sending:
                yield
        finally:
            self._under_way -= 1
            self._judge()

    def _judge(self) -> None:
        self.waiting = not self._under_way and self._loop.time() < self._until
        if self.waiting:
            self._turns.fill()
