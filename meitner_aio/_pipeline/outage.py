"""What keeps many pages from hammering a server that is down: one probe at a time, ever more rarely."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

_SUSPICIOUS = 3
"""Attempts that fail in a row, whoever makes them, before pages stop trying by themselves."""

_FIRST, _FACTOR, _LONGEST = 2.0, 3.0, 32.0
"""Seconds between a failure and the first probe, how the pause grows, and its end: ten minutes take twenty probes."""


class Outage:
    """What the calls of a client know together about a server that does not answer, and whose turn it is to ask."""

    __slots__ = ("_answers", "_failed_at", "_news", "_probes", "_turn", "_uniform", "failures")

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        """Draw with `uniform` how much longer each pause is: clients must not probe in step."""
        self._uniform = uniform
        self.failures = 0
        """Attempts that failed since the last one that was answered."""
        self._probes = 0
        self._answers = 0
        self._failed_at = 0.0
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def suspected(self) -> bool:
        """Whether attempts keep failing."""
        return self.failures >= _SUSPICIOUS

    @property
    def probing(self) -> bool:
        """Whether a call is waiting for the moment to probe, or doing so."""
        return self._turn.locked()

    def failed(self, now: float) -> None:
        """Take note of an attempt that failed `now`."""
        self.failures += 1
        self._failed_at = now

    def answered(self) -> bool:
        """Let all who wait go; return whether this ends an outage that was probed in vain."""
        over = self._probes > 1
        self.failures = self._probes = 0
        self._answers += 1
        self._news.set()
        self._news = asyncio.Event()
        return over

    async def probe(
        self,
        attempt: Callable[[], Awaitable[object]],
        emit: Callable[[float], None],
        not_before: float,
        until: float,
    ) -> bool | None:
        """Make an attempt: False when it was this caller's turn, True when somebody else was answered meanwhile.

        It starts at `not_before` at the earliest and before `until`, in the loop's time; None when it cannot. `emit`
        hears how many seconds it will take until then.
        """
        answers, now = self._answers, asyncio.get_running_loop().time
        patience = asyncio.timeout_at(until)
        try:
            async with patience, self._turn:
                if answers == self._answers:
                    leaves = max(not_before, self._failed_at + self._pause())
                    if leaves >= until:
                        return None
                    emit(max(0.0, leaves - now()))
                    await self._sleep(leaves - now())
                if answers == self._answers:
                    patience.reschedule(None)
                    self._probes += 1
                    await attempt()
                    return False
        except TimeoutError:
            if not patience.expired():
                raise
            return None
        if max(not_before, now()) >= until:
            return None
        emit(max(0.0, not_before - now()))
        await asyncio.sleep(max(0.0, not_before - now()))
        await attempt()
        return True

    def _pause(self) -> float:
        """Return the seconds between the last failure and the next probe."""
        pause = _LONGEST if self._probes > 2 else _FIRST * _FACTOR**self._probes
        return pause * self._uniform(1.0, 1.1)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but no longer than until somebody is answered."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
