"""The hourly window as the server's headers tell it: pure arithmetic on what every answer carries.

Times are seconds of a monotonic clock. The server's clock is only ever compared with itself (RateLimit-Reset with the
Date of the same answer), so neither skew nor a step of the local clock moves anything.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from ._headers import LONGEST_WAIT, number, reset_epoch, server_time

_SHORTEST = 1.0
"""Seconds that an answer is believed, even when the end of its window has passed."""

_SAME = 1.0
"""Seconds by which the ends of one window may differ: Date tells whole seconds."""

_SHARES = 32
"""No more clients than this are believed to share a window."""

_MEMORY = 64
"""Answers over which the share of others is averaged."""


class Quota(Struct, frozen=True):
    """The hourly quota, as the last answers told it."""

    limit: int
    remaining: int
    reset_at: datetime


class Window:
    """What is known of the present window, until it ends."""

    __slots__ = ("_ahead", "_answers", "_began", "_lost", "_reset", "_wall", "_words", "ends", "limit", "remaining")

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """Read `wall`, in seconds since 1970, once and only when answers carry no Date."""
        self._wall = wall
        self._ahead: float | None = None
        self._words: tuple[str | None, str | None] | None = None
        self._began = self._reset = -math.inf
        self._lost = 1.0
        self._answers = 0
        self.limit: int = 0
        self.remaining: int = 0
        self.ends = -math.inf

    @property
    def share(self) -> float:
        """How many requests the window loses for each of ours: 3.0 when two others are as busy as we are."""
        return min(max(self._lost, 1.0), _SHARES)

    def quota(self) -> Quota | None:
        """Return the window as a user sees it; None before the first answer that tells of one."""
        if self.limit < 1:
            return None
        return Quota(self.limit, self.remaining, datetime.fromtimestamp(self._reset, UTC))

    def observe(self, headers: Mapping[str, str], now: float) -> bool:
        """Learn from an answer received `now`; return whether it told anything."""
        remaining = number(headers, "RateLimit-Remaining")
        if remaining is None:
            return False
        words = headers.get("RateLimit-Limit"), headers.get("RateLimit-Reset")
        if words != self._words or now >= self.ends:
            return self._read(headers, words, remaining, now)
        self._spend(remaining)  # most answers tell nothing else that is new
        return True

    def _read(
        self, headers: Mapping[str, str], words: tuple[str | None, str | None], remaining: int, now: float
    ) -> bool:
        """Learn from an answer with other words than the last.

        Answers may arrive out of order. The present window goes on; one that had ended when it began is history; any
        other is what the server now says.
        """
        limit, here = number(headers, "RateLimit-Limit"), self._server_time(headers, now)
        told = reset_epoch(headers, here)
        if not limit or told is None:
            return False
        reset = min(told, here + LONGEST_WAIT)
        running = now < self.ends
        if running and limit == self.limit and abs(reset - self._reset) <= _SAME:
            self._spend(remaining)
        elif not running or reset > self._began + _SAME:
            self._began, self._reset, self.ends = here, reset, now + max(reset - here, _SHORTEST)
            self.limit, self.remaining = limit, min(remaining, limit)
            # Words that mean an instant, whenever they are said, need not be read again.
            self._words = words if reset_epoch(headers, 0.0) == reset else None
        return True

    def _server_time(self, headers: Mapping[str, str], now: float) -> float:
        date = server_time(headers)
        if date is not None:
            self._ahead = date - now
        elif self._ahead is None:
            self._ahead = self._wall() - now
        return now + self._ahead

    def _spend(self, remaining: int) -> None:
        """Enter an answer about the present window: what others spend shows in what remains."""
        if self._answers < _MEMORY:
            self._answers += 1
        lost = self.remaining - remaining
        if lost > 0:
            self.remaining = remaining
        else:
            lost = 0
        self._lost += (lost - self._lost) / (self._answers + 1)

    def spare(self, in_flight: int, reserve: int) -> int:
        """Return how many more requests may leave, those of the others who share the window allowed for."""
        others = math.ceil(self._lost - 1.25) if self._lost > 1.25 else 0
        return self.remaining - reserve - in_flight - min(others, _SHARES) * (in_flight + 2)
