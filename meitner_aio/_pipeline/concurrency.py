"""A semaphore with two lines, each served in order of arrival. Does not know what waits in them."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_CALM = 1.0
"""Seconds within which refusals count once: requests in flight together are refused together."""

_IN_A_ROW = 3
"""How many may enter from the first line in a row while the second line is not empty."""

Opens = float | Exception
"""When a waiter may enter, on the loop's clock: 0.0 is now, infinity after the next `admit`. Or the error for it."""


class FairSemaphore(Generic[T]):
    """At most `width` holders at a time, each after its admission.

    `next_admission(waiter)` returns when that waiter may enter, or the error that refuses it; `entered` is called for
    each that enters. The first line goes first: while its first waiter waits for admission, the second line waits too.
    """

    __slots__ = (
        "_alarm",
        "_alarm_at",
        "_closed",
        "_entered",
        "_in_a_row",
        "_lines",
        "_narrowed",
        "_next_admission",
        "_served",
        "held",
        "widest",
        "width",
    )

    def __init__(
        self, width: int, next_admission: Callable[[T], Opens], entered: Callable[[T], object] = lambda _: None
    ) -> None:
        """Raise `ValueError` for a width below 1."""
        if width < 1:
            raise ValueError("the number of slots must be at least 1")
        self.width = self.widest = width
        self.held = 0
        self._served = 0
        self._narrowed = -math.inf
        self._next_admission = next_admission
        self._entered = entered
        self._in_a_row = 0
        self._lines: tuple[OrderedDict[asyncio.Future[Exception | None], T], ...] = (OrderedDict(), OrderedDict())
        self._alarm: asyncio.Handle | None = None
        self._alarm_at = math.inf
        self._closed: Callable[[], Exception] | None = None

    def waiting(self, line: int) -> int:
        """Return how many wait in a line."""
        return len(self._lines[line])

    def enter(self, waiter: T, line: int = 0) -> bool:
        """Take a slot at once; False if others wait, no slot is free, or the waiter may not enter yet."""
        if self._lines[0] or (line and self._lines[1]) or self.held >= self.width or self._closed:
            return False
        if self._next_admission(waiter) != 0.0:
            return False
        self._take(waiter)
        return True

    def _take(self, waiter: T) -> None:
        self.held += 1
        self._entered(waiter)

    async def wait(self, waiter: T, line: int = 0, *, first: bool = False) -> None:
        """Take a slot after earlier waiters, or before them as the `first`; raises the error that refuses this one."""
        self.refuse_if_closed()
        turn = asyncio.get_running_loop().create_future()
        self._lines[line][turn] = waiter
        if first:
            self._lines[line].move_to_end(turn, last=False)
        if self.held < self.width:
            self.admit()
        try:
            refusal = await turn
        except asyncio.CancelledError:
            self._lines[line].pop(turn, None)
            if not turn.cancelled() and turn.result() is None:
                self.held -= 1  # the slot came together with the cancellation
            self.admit()
            raise
        if refusal is None and self._closed:
            self.held -= 1  # closed after the slot was given
            refusal = self._closed()
        if refusal is not None:
            raise refusal

    def refuse_if_closed(self) -> None:
        """Raise the error of `close`, once closed."""
        if self._closed:
            raise self._closed()

    def leave(self) -> None:
        """Give a slot back."""
        self.held -= 1
        if self._lines[0] or self._lines[1]:
            self.admit()

    def narrow(self, now: float) -> None:
        """Halve the width, at most once a second; the present holders may finish."""
        if now - self._narrowed >= _CALM:
            self._narrowed, self._served = now, 0
            self.width = max(1, self.width // 2)

    def widen(self) -> None:
        """Count a success; after as many as the width, widen by one, up to the initial width."""
        if self.width < self.widest:
            self._served += 1
            if self._served >= self.width:
                self._served = 0
                self.width += 1

    def admit(self) -> None:
        """Let in all waiters that may enter by now, and set the alarm for the next."""
        singles, bulk = self._lines
        opens = 0.0
        while self.held < self.width and (singles or bulk):
            first = 0 if singles and not (bulk and self._in_a_row >= _IN_A_ROW) else 1
            opens = self._admit_from(first)
            if opens and first and singles:
                opens = min(opens, self._admit_from(0))
            if opens:
                break
        self._set_alarm(opens or math.inf)  # while all slots are held, `leave` lets the next one in

    def _admit_from(self, number: int) -> float:
        """Let in or refuse the first of a line, and return 0.0; else return when it may enter."""
        line = self._lines[number]
        turn, waiter = next(iter(line.items()))
        if turn.done():  # cancelled, but still in line
            del line[turn]
            return 0.0
        opens = self._next_admission(waiter)
        if isinstance(opens, Exception):
            del line[turn]
            turn.set_result(opens)
        elif opens:
            return opens
        else:
            del line[turn]
            self._in_a_row = 0 if number or not self._lines[1] else self._in_a_row + 1
            self._take(waiter)
            turn.set_result(None)
        return 0.0

    def close(self, why: Callable[[], Exception]) -> None:
        """Refuse all waiters, present and future."""
        self._closed = why
        for line in self._lines:
            while line:
                turn, _ = line.popitem(last=False)
                if not turn.done():
                    turn.set_result(why())
        self._set_alarm(math.inf)

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            if self._alarm_at == at:  # uvloop's handles of what is due at once have no time
                return
            self._alarm.cancel()
            self._alarm = None
        if at < math.inf:
            self._alarm, self._alarm_at = asyncio.get_running_loop().call_at(at, self._rung), at

    def _rung(self) -> None:
        self._alarm = None
        self.admit()

    def __repr__(self) -> str:
        return f"FairSemaphore({self.held} of {self.width} held, {self.waiting(0) + self.waiting(1)} waiting)"
