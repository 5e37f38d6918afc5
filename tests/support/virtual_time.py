"""An event loop whose clock jumps to the next timer when nothing is ready: hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import inspect
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Selector(selectors.DefaultSelector):
    """Looks whether anything is ready, and moves the clock where nothing is."""

    now = 0.0

    def poll(self, seconds: float = 0.0) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready within so many real seconds."""
        return super().select(seconds)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += 1e-9  # a clock that stands still would never release who waits for the last bit of a rounded sum
        ready = self.poll() if timeout is None or timeout > 0 else super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing is ready and no timer is set: everything waits for something")
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual seconds, from 0."""

    def __init__(self, selector: Selector | None = None) -> None:
        self._virtual = selector or Selector()
        super().__init__(self._virtual)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._virtual.now

    def advance(self, seconds: float) -> None:
        """Move the clock without letting anything run."""
        self._virtual.now += seconds


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine to its end on virtual time; for days of traffic, asyncio's debug mode takes too long."""
    with asyncio.Runner(loop_factory=VirtualLoop, debug=debug) as runner:
        return runner.run(main)


def testing(make: Callable[[], Any]) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Return what makes a test of a coroutine function, whose first argument is made for it; no task may be left."""

    def on_virtual_time(main: Callable[..., Any]) -> Callable[..., None]:
        def test(**given: Any) -> None:
            async def whole() -> None:
                await main(make(), **given)
                assert asyncio.all_tasks() == {asyncio.current_task()}

            run(whole())

        test.__doc__, test.__name__ = main.__doc__, main.__name__
        _, *parameters = inspect.signature(main).parameters.values()
        test.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return test

    return on_virtual_time
