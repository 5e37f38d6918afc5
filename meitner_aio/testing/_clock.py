"""A clock that passes only while everybody waits: hours of quota and backoff in milliseconds. Knows no test framework.

It works on asyncio's own event loops, by standing between a loop and its selector. What comes from outside the loop
(sockets, threads) knows nothing of virtual time: code under it talks to a sandbox in process.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

_TICK = 1e-9
"""Seconds that pass at every turn: a clock that stands still would never release who waits for a rounded rest."""

_OUTSIDE = 1.0
"""Real seconds that a thread may take before waiting for nothing else counts as waiting for ever."""


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
            raise ValueError("a clock advances by seconds, at least 0")
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
            raise RuntimeError("this clock is in use already")
        self._held = _Held(asyncio.get_running_loop(), lambda: self._passed, self.advance, self._shown)
        return self

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
        loop: Any,  # noqa: ANN401 - its selector is not public
        passed: Callable[[], float],
        advance: Callable[[float], None],
        shown: float,
    ) -> None:
        """Take a loop on to a clock of which seconds have `passed`; it sees at once those that were never `shown`."""
        if getattr(loop, "_selector", None) is None:
            raise RuntimeError(f"a virtual clock needs an event loop of asyncio's own, not {type(loop).__name__}")
        self._loop = loop
        self._passed = passed
        self._advance = advance
        self._selector: Any = loop._selector
        self._resolution = loop._clock_resolution
        self._real: Callable[[], float] = loop.time
        self._ahead: float = self._real() - shown
        loop._selector = self
        loop._clock_resolution = _TICK
        loop.time = self.time

    def time(self) -> float:
        """Return what the loop takes for the time."""
        return self._ahead + self._passed()

    def select(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - as the loop takes it
        """Return what is ready; let the time pass to the next timer where nothing is."""
        self._advance(max(_TICK, math.ulp(self.time())))
        ready = self._selector.select(_OUTSIDE if timeout is None else 0)
        if not ready and timeout is None:
            raise RuntimeError("nothing is ready and no timer is set: everything waits for something")
        if not ready and timeout:
            self._advance(timeout)
        return ready

    def release(self) -> None:
        """Give the loop its own clock back, set forward so that no time is seen twice."""
        real, gained = self._real, self.time() - self._real()
        self._loop._selector = self._selector
        self._loop._clock_resolution = self._resolution
        self._loop.time = lambda: real() + gained

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything else of a selector
        return getattr(self._selector, name)
