"""Event loops whose seconds are shorter than real ones: hours of quota in seconds, with real sockets and processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class FastLoop(asyncio.SelectorEventLoop):
    """A loop on whose clock `speed` seconds pass in a real one. All processes of a machine see the same time."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        super().__init__()
        selector, select = self._selector, self._selector.select
        selector.select = lambda timeout=None: select(timeout and timeout / speed)

    def time(self) -> float:
        """Return the time, in seconds that are `speed` times shorter."""
        return time.monotonic() * self.speed


def fast_clock(speed: float) -> Callable[[], float]:
    """Return a clock in seconds since 1970, for what is asked by clients on such loops."""
    began, at = time.monotonic(), time.time()
    return lambda: at + (time.monotonic() - began) * speed
