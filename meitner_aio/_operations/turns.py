"""Turns: work with a name in common is done one after the other, in the order in which it came. Knows no work."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from types import TracebackType
from weakref import WeakValueDictionary


class Turns:
    """Gives turns. What has several names waits for the latest of each at once, so that nothing waits in a circle."""

    def __init__(self) -> None:
        self._latest: WeakValueDictionary[Hashable, Turn] = WeakValueDictionary()

    def take(self, names: Iterable[Hashable]) -> Turn:
        """Return a turn for an `async with` block, after those taken earlier with any of these names."""
        names = tuple(names)
        turn = Turn([before for name in names if (before := self._latest.get(name)) is not None])
        self._latest.update(dict.fromkeys(names, turn))
        return turn


class Turn:
    """One turn: entering the block waits for those before it."""

    def __init__(self, before: list[Turn]) -> None:
        self.before = before
        """Those that it still waits for."""
        self.over = asyncio.Event()

    async def __aenter__(self) -> None:
        seen = set[Turn]()  # many may lead to the same one: each is looked at once
        try:
            while self.before:
                # One that was cancelled while it waited is over, but those before it may not be.
                earlier = self.before[-1]
                await earlier.over.wait()
                self.before[-1:] = [] if earlier in seen else earlier.before
                seen.add(earlier)
        except BaseException:
            self.over.set()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
