"""Pacing for a scarce quota: the share of this client, and how much of the quota single calls need.

Pure arithmetic; times are seconds of a monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_GROWS, _SHRINKS = 0.03, 0.85
"""Additive increase, multiplicative decrease: clients that see the same signal converge to equal shares."""

_SMALLEST, _LARGEST = 1 / 32, 1.25
"""Bounds of a share: no client starves, and none grows without limit while others pause."""

_MEMORY = 600.0
"""Seconds over which single calls are averaged; after as many without one, there are none."""


class FairShare:
    """The part of a common rate that this client takes, and when its next request is due."""

    __slots__ = ("_paced_at", "_shrunk_at", "_uniform", "part")

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        """Draw the jitter of each pause with `uniform`: clients that wait together must not wake together."""
        self._uniform = uniform
        self._paced_at = self._shrunk_at = -math.inf
        self.part = 1.0
        """1.0 is the whole rate."""

    def begin(self, part: float) -> None:
        """Set the share."""
        self.part = min(max(part, _SMALLEST), _LARGEST)

    def grow(self) -> None:
        """Take a little more: the last answer showed that there is enough."""
        self.part = min(self.part + _GROWS, _LARGEST)

    def halve(self) -> None:
        """Halve the share: all clients together sent too much."""
        self.part = max(self.part / 2, _SMALLEST)

    def shrink(self, now: float, rate: float) -> None:
        """Take less, at most once in 1.5 intervals between requests; all clients together send `rate` a second."""
        if now - self._shrunk_at >= 1.5 / (rate * self.part):
            self._shrunk_at = now
            self.part = max(self.part * _SHRINKS, _SMALLEST)

    def due(self, rate: float) -> float:
        """Return when the next request may leave, where all clients together may send `rate` a second."""
        return self._paced_at + 1 / (rate * self.part)

    def sent(self, now: float) -> None:
        """Note that a request leaves; the next pause is up to a tenth longer or shorter than an even one."""
        late = self._uniform(-0.1, 0.1)
        self._paced_at = now + late * (now - self._paced_at) if now - self._paced_at < _MEMORY else now


class SingleCalls:
    """The rate of single calls, as an average over about ten minutes."""

    __slots__ = ("_began", "_last", "_weight")

    def __init__(self) -> None:
        self._began = self._last = -math.inf
        self._weight = 0.0

    def came(self, now: float) -> None:
        """Note a single call."""
        if not self.recent(now):
            self._began, self._weight = now, 0.0
        else:
            self._weight *= math.exp((self._last - now) / _MEMORY)
        self._weight += 1.0
        self._last = now

    def recent(self, now: float) -> bool:
        """Whether one came within ten minutes."""
        return now - self._last < _MEMORY

    def rate(self, now: float) -> float:
        """Return single calls a second; 0.0 until there are two: one alone has no rate."""
        if not self.recent(now) or now - self._began < 1.0:
            return 0.0
        first = math.exp((self._began - now) / _MEMORY)
        weight = self._weight * math.exp((self._last - now) / _MEMORY)
        return max(0.0, weight - first) / (_MEMORY * (1 - first))

    def need(self, now: float, seconds: float) -> float:
        """Return how many requests to keep for single calls in the next `seconds`: those expected, and a margin."""
        if not self.recent(now):
            return 0.0
        expected = self.rate(now) * max(0.0, seconds)
        return 3.0 + 1.05 * expected + 2 * math.sqrt(expected)
