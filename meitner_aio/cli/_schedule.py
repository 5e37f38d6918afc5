"""When the runs of a service begin. Pure: knows times, of a clock that never goes back, and neither waits nor runs."""

from __future__ import annotations

import math
from collections.abc import Callable

_JITTER = 0.1
"""The part of the interval by which a run may begin earlier or later, so that many services do not ask all at once."""


class Schedule:
    """The first run begins at once, the others every so many seconds from then on, each a little earlier or later.

    A run that takes longer than the interval misses the times that pass meanwhile: nothing is made up for.
    """

    def __init__(self, every: float, chance: Callable[[], float]) -> None:
        """Take the interval in seconds; `chance` gives a number from -1 to 1 for each run."""
        self._every = every
        self._chance = chance
        self._first: float | None = None
        self._number = 0

    def next(self, now: float) -> float:
        """Return when the next run begins, never before `now`. To be asked once for each run."""
        if self._first is None:
            self._first = now
            return now
        self._number = max(self._number + 1, math.ceil((now - self._first) / self._every))
        due = self._first + self._number * self._every
        moved = due + self._chance() * _JITTER * self._every
        return moved if moved >= now else max(due, now)
