"""A line before a door: first come, first served, a bounded number inside. Knows nothing of what it lets through."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_CALM = 1.0
"""Seconds: what was in flight together is refused together, and counts once."""


class Slots(Generic[T]):
    """At most `width` holders at a time, and nobody enters while the door is shut.

    `door()` says when it opens, on the loop's clock: 0.0 is now, and lets one in; infinity is when `admit` is called
    again. Everybody who waits is woken once, to enter or to be sent away.
    """

    __slots__ = ("_alarm", "_alarm_at", "_closed", "_door", "_line", "_narrowed", "_served", "held", "widest", "width")

    def __init__(self, width: int, door: Callable[[], float]) -> None:
        """Raise `ValueError` for a width that lets nobody through."""
        if width < 1:
            raise ValueError("the number of slots must be at least 1")
        self.width = self.widest = width
        self.held = 0
        self._served = 0
        self._narrowed = -math.inf
        self._door = door
        self._line: OrderedDict[asyncio.Future[Exception | None], T] = OrderedDict()
        self._alarm: asyncio.Handle | None = None
        self._alarm_at = math.inf
        self._closed: Callable[[], Exception] | None = None

    @property
    def first(self) -> T | None:
        """Who has waited longest."""
        return next(iter(self._line.values()), None)

    def enter(self) -> bool:
        """Take a slot at once; False when others wait, none is free or the door is shut."""
        if self._line or self.held >= self.width or self._closed or self._door():
            return False
        self.held += 1
        return True

    async def wait(self, visitor: T) -> None:
        """Take a slot after those who came earlier; raises what sent the visitor away."""
        if self._closed:
            raise self._closed()
        turn = asyncio.get_running_loop().create_future()
        self._line[turn] = visitor
        if self.held < self.width:
            self.admit()
        try:
            refusal = await turn
        except asyncio.CancelledError:
            self._line.pop(turn, None)
            if not turn.cancelled() and turn.result() is None:
                self.held -= 1  # the slot came together with the cancellation
            self.admit()
            raise
        if refusal is None and self._closed:
            self.held -= 1  # closed between the turn and this moment
            refusal = self._closed()
        if refusal is not None:
            raise refusal

    def leave(self) -> None:
        """Give a slot back."""
        self.held -= 1
        if self._line:
            self.admit()

    def narrow(self, now: float) -> None:
        """Halve the width, at most once a second; the present holders may finish."""
        if now - self._narrowed >= _CALM:
            self._narrowed, self._served = now, 0
            self.width = max(1, self.width // 2)

    def widen(self) -> None:
        """Count a success; as many of them as the width make it wider by one, up to what it was at first."""
        if self.width < self.widest:
            self._served += 1
            if self._served >= self.width:
                self._served = 0
                self.width += 1

    def admit(self) -> None:
        """Let in from the line whoever may enter by now, and set the alarm for the next."""
        opens = math.inf
        while self._line and self.held < self.width:
            turn = next(iter(self._line))
            if turn.done():  # cancelled, and not gone yet
                del self._line[turn]
                continue
            opens = self._door()
            if opens:
                break
            del self._line[turn]
            self.held += 1
            turn.set_result(None)
        self._set_alarm(opens if self._line else math.inf)

    def send_away(self, why: Callable[[T], Exception | None]) -> None:
        """Let those leave the line for whom `why` returns an error."""
        for turn, visitor in list(self._line.items()):
            refusal = why(visitor)
            if refusal is not None:
                del self._line[turn]
                if not turn.done():
                    turn.set_result(refusal)

    def close(self, why: Callable[[], Exception]) -> None:
        """Send away everybody who waits, and everybody who comes."""
        self._closed = why
        self.send_away(lambda _: why())
        self._set_alarm(math.inf)

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            if self._alarm_at == at:  # uvloop's handles of what is due at once do not tell when
                return
            self._alarm.cancel()
            self._alarm = None
        if at < math.inf:
            self._alarm, self._alarm_at = asyncio.get_running_loop().call_at(at, self._rung), at

    def _rung(self) -> None:
        self._alarm = None
        self.admit()

    def __repr__(self) -> str:
        return f"Slots({self.held} of {self.width} held, {len(self._line)} waiting)"
