"""A clock that jumps to the next timer when all tasks wait: hours of quota and backoff in milliseconds.

It works on asyncio's own event loops: it takes the place of a loop's selector. Sockets and threads stay on real time,
so code under it talks to a sandbox in process.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from selectors import BaseSelector, SelectorKey
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, cast

T = TypeVar("T")

Ready: TypeAlias = list[tuple[SelectorKey, int]]

_TICK = 1e-9
"""Seconds that pass at every turn: otherwise a timer that is due a rounding error later would never fire."""

_OUTSIDE = 1.0
"""Real seconds to wait for a thread, when no timer is set, before the loop counts as stuck."""


class VirtualClock:
    """A clock for tests of code that waits.

    ```python
    with clock:  # the running event loop is on this clock until the end of the block
        await asyncio.sleep(3600)  # returns at once
    assert clock.elapsed == 3600
    ```

    `run` does the same for a coroutine where no loop runs. `time` returns the seconds since 1970, from `start` on (now,
    when unset): give it to a sandbox, so that its hours pass too. A clock is for one block at a time; the next goes on
    where it stopped. Raises `RuntimeError` where everything waits and no timer is set, and for loops of other makers.
    """

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError("start must be aware: datetime(..., tzinfo=UTC)")
        self._start = (start or datetime.now(UTC)).timestamp()
        self._passed = 0.0
        self._shown = 0.0
        self._held: _Held | None = None

    @property
    def elapsed(self) -> float:
        """The seconds that have passed, to the millisecond."""
        return round(self._passed, 3)

    def time(self) -> float:
        """Return the seconds since 1970."""
        return self._start + self._passed

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once; what waits for them runs when the loop gets its turn, on this clock."""
        if not 0 <= seconds < math.inf:
            raise ValueError("seconds must be a number of at least 0: a clock does not go back")
        self._passed += seconds

    def run(self, main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
        """Run a coroutine to its end on this clock, in an event loop of its own."""
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop, debug=debug) as runner:
            return runner.run(self._within(main))

    async def _within(self, main: Coroutine[Any, Any, T]) -> T:
        with self:
            return await main

    def __enter__(self) -> Self:
        if self._held is not None:
            raise RuntimeError("this clock is in use already: leave its block first, or make another clock")
        self._hold(asyncio.get_running_loop())
        return self

    def _hold(self, loop: asyncio.AbstractEventLoop) -> None:
        self._held = _Held(loop, self._ready, lambda: self._passed, self.advance, self._shown)

    def _ready(self, selector: BaseSelector, timeout: float | None) -> Ready:
        """Return what is ready; wait in real time, for other threads, only where no timer is set."""
        return selector.select(_OUTSIDE if timeout is None else 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.release()
            self._shown = self._passed

    def __repr__(self) -> str:
        return f"<VirtualClock {self.now():%Y-%m-%d %H:%M:%S}, {self.elapsed} s after its start>"


class _Held:
    """An event loop on a virtual clock, which stands in for the loop's selector: there a loop passes its time."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ready: Callable[[BaseSelector, float | None], Ready],
        passed: Callable[[], float],
        advance: Callable[[float], None],
        shown: float,
    ) -> None:
        """Take a loop on to a clock of which seconds have `passed`; it sees at once those that were never `shown`."""
        selector = getattr(loop, "_selector", None)
        if selector is None:
            raise RuntimeError(f"a virtual clock needs an event loop of asyncio's own, not {type(loop).__name__}")
        self._loop = cast("Any", loop)  # its selector is not public
        self._ready = ready
        self._passed = passed
        self._advance = advance
        self._selector = cast("BaseSelector", selector)
        self._resolution = self._loop._clock_resolution
        self._real: Callable[[], float] = loop.time
        self._ahead = self._real() - shown
        self._loop._selector = self
        self._loop._clock_resolution = _TICK
        self._loop.time = self.time

    def time(self) -> float:
        """Return what the loop takes for the time."""
        return self._ahead + self._passed()

    def select(self, timeout: float | None = None) -> Ready:
        """Return what is ready; let the time pass to the next timer where nothing is."""
        self._advance(max(_TICK, math.ulp(self.time())))
        ready = self._ready(self._selector, timeout)
        if not ready and timeout is None:
            raise RuntimeError("no timer is set and every task waits: a deadlock, or a wait for a socket")
        if not ready and timeout:
            self._advance(timeout)
        return ready

    def release(self) -> None:
        """Give the loop its own clock back, set forward so that no time is seen twice."""
        real, gained = self._real, self.time() - self._real()
        self._loop._selector = self._selector
        self._loop._clock_resolution = self._resolution
        self._loop.time = lambda: real() + gained

    def __getattr__(self, name: str) -> object:  # everything else of a selector
        return getattr(self._selector, name)
