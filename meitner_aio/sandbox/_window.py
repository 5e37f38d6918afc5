"""The hourly quota: a fixed window that opens with its first request, and the headers that tell of it."""

from __future__ import annotations

from collections.abc import Callable

from ._answers import Refusal

HOUR = 3600.0
"""Seconds that a window of the API lasts."""


class Window:
    """Counts requests against `quota` in `seconds`, by `clock` in seconds since 1970."""

    def __init__(self, quota: int, clock: Callable[[], float], seconds: float = HOUR) -> None:
        self._quota = quota
        self._clock = clock
        self._seconds = seconds
        self._spent = 0
        self._ends_at: float | None = None

    def _turn(self) -> float:
        """Return when the window ends; open a new one when it has."""
        now = self._clock()
        if self._ends_at is None or now >= self._ends_at:
            self._ends_at = now + self._seconds
            self._spent = 0
        return self._ends_at

    def spend(self) -> None:
        """Count a request; 429 when none is left."""
        self._turn()
        if self._spent >= self._quota:
            raise Refusal(429, "the quota of the hour is spent")
        self._spent += 1

    def headers(self) -> dict[str, str]:
        """Return the state of the window as the API tells it: RateLimit-Reset is epoch milliseconds."""
        reset = self._turn()
        return {
            "RateLimit-Limit": str(self._quota),
            "RateLimit-Remaining": str(self._quota - self._spent),
            "RateLimit-Reset": str(round(reset * 1000)),
        }
