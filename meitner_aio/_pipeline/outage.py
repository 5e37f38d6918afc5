"""Keeps many pages from hammering a server that is down: one probe at a time, at growing intervals."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

_SUSPICIOUS = 3
"""Failed attempts in a row, of any calls, after which pages stop retrying on their own."""

_FIRST, _FACTOR, _LONGEST = 2.0, 3.0, 32.0
"""Seconds before the first probe, factor by which pauses grow, and longest pause: ten minutes take twenty probes."""


class Outage:
    """What the calls of a client share about a server that does not answer, and which call probes it next."""

    __slots__ = ("_answers", "_failed_at", "_news", "_probes", "_turn", "_uniform", "failures")

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        """Draw the jitter of each pause with `uniform`: clients must not probe in step."""
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
        """Whether a call is probing, or waits to do so."""
        return self._turn.locked()

    def failed(self, now: float) -> None:
        """Note an attempt that failed `now`."""
        self.failures += 1
        self._failed_at = now

    def answered(self) -> bool:
        """Release all calls that wait; return whether this ends an outage that took more than one probe."""
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
        """Make an attempt; return False if it was the probe, True if another call was answered first.

        It starts at `not_before` at the earliest and before `until`, in the loop's time; None if it cannot. `emit` is
        called with the seconds until then.
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
        """Sleep, but only until another call is answered."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
