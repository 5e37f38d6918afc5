"""Event loops on the virtual clock of `meitner_aio.testing`: hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from selectors import BaseSelector, SelectorKey
from typing import Any, TypeVar

from meitner_aio.testing import VirtualClock

T = TypeVar("T")


class Clock(VirtualClock):
    """A virtual clock that waits for nothing in real time."""

    def _ready(self, selector: BaseSelector, timeout: float | None) -> list[tuple[SelectorKey, int]]:
        del timeout
        return selector.select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual seconds, from 0."""

    def __init__(self, clock: type[VirtualClock] = Clock) -> None:
        super().__init__()
        self.clock = clock(datetime.fromtimestamp(0, UTC))
        self.clock._hold(self)

    def time(self) -> float:
        """Return where the clock of the loop begins."""
        return 0.0

    def advance(self, seconds: float) -> None:
        """Move the clock without letting anything run."""
        self.clock.advance(seconds)


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
