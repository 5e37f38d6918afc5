"""Local token buckets: one that smooths requests, and one for a server that states no quota.

The only module that knows aiolimiter, whose bucket is the vendor's: tokens refilled at a constant rate.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from .._wire.validation import check_number
from ..errors import MeitnerError
from .server_limiter import HOUR

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

_LONGEST_PROBE = 120.0
"""Most seconds between two probes of a server that refuses and states no quota."""

_NO_BUCKET = 60.0
"""Seconds of refusals that rule out a bucket: it would have refilled."""

LATER = 1.0, 5.0
"""Seconds to wait after the end of a window, and the most random seconds added: clients must not return all at once."""


class Rate(Struct, frozen=True):
    """A local smoother: at most `burst` requests at once, refilled at `per_second`."""

    per_second: float
    burst: float = 1.0

    def __post_init__(self) -> None:
        """Raise `TypeError` for what is no number, and `ValueError` for numbers out of range."""
        check_number("per_second", self.per_second)
        check_number("burst", self.burst)
        if not (0 < self.per_second < math.inf and 1 <= self.burst < math.inf):
            raise ValueError("per_second must be positive and burst at least 1, both finite")


def _bucket(burst: float, seconds: float) -> AsyncLimiter:
    from aiolimiter import AsyncLimiter

    return AsyncLimiter(burst, seconds)


class Smoother:
    """The bucket of one event loop, and a line before it: the bucket alone lets later requests overtake."""

    def __init__(self, rate: Rate, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._bucket = _bucket(rate.burst, rate.burst / rate.per_second)
        self._turn = asyncio.Lock()
        self._waiting: set[asyncio.Timeout] = set()

    async def wait(self) -> None:
        """Take a token, in order of arrival; raises `MeitnerError` if the client is closed meanwhile."""
        try:
            async with asyncio.timeout(None) as end:
                self._waiting.add(end)
                try:
                    async with self._turn:
                        return await self._bucket.acquire()
                finally:
                    self._waiting.discard(end)
        except TimeoutError:
            pass
        raise closed()

    def close(self) -> None:
        """Refuse all requests that wait."""
        while self._waiting:
            self._waiting.pop().reschedule(self.loop.time())


class AssumedQuota:
    """The quota of a server whose answers state none: the documented bucket, until a 429 shows otherwise.

    After a refusal the bucket is empty, and one caller probes, at growing intervals. Refusals that last longer than a
    bucket could be empty mean a window that is spent: the next one begins with the first success, and lasts an hour.
    Shorter refusals mean that the bucket is smaller than assumed or, if it was assumed to be empty, slower.
    """

    def __init__(self, per_hour: float, uniform: Callable[[float, float], float]) -> None:
        """Assume `per_hour` requests an hour; infinity assumes no quota."""
        self._documented = self._per_hour = self._burst = per_hour
        self._uniform = uniform
        self._bucket: AsyncLimiter | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refusals = 0
        self._refused_at = self._began_at = self._probe_at = -math.inf
        self._had = 0.0
        self._since: tuple[float, int] | None = None
        self._opened_at = -math.inf
        self._window: float | None = None
        """Requests of a window, once one was seen to end; infinity until another one was seen from its beginning."""
        self._served = 0

    @property
    def limit(self) -> int:
        """Requests an hour, as far as they are known."""
        return int(min(self._per_hour, 2**53 if self._window is None else self._window))

    @property
    def burst(self) -> int:
        """Requests that the bucket holds when it is full."""
        return int(min(self._burst, 2**53 if self._window is None else self._window))

    @property
    def probing(self) -> bool:
        """Whether the last answer was a refusal: one caller probes, the others wait for its answer."""
        return self._refusals > 0

    def ends(self, now: float) -> float:
        """Return when the present window ends; a minute from now if none is known."""
        return now + 60.0 if self._window is None else self._opened_at + HOUR

    def opens(self, now: float, ahead: int = 0) -> float:
        """Return when a request with `ahead` others before it may leave; 0.0 is now."""
        if self._per_hour == math.inf or (self._refusals and now >= self._probe_at):
            return 0.0
        if now < self._probe_at:
            return self._probe_at
        if self._window is not None:
            if self._served < self._window or now >= self._opened_at + HOUR:
                return 0.0
            self._probe_at = self._next_window()
            return self._probe_at
        # One token is kept: requests do not arrive at the intervals at which they left.
        if self._usual().has_capacity(min(2.0, self._burst)):
            return 0.0
        return now + (ahead + 0.25) * HOUR / self._per_hour

    def left(self, now: float) -> int:
        """Return how many requests may leave at once."""
        if self.opens(now) > now:
            return 0
        if self._window is not None:
            return int(max(1, min(self._window, self._per_hour) - self._served))
        if self._per_hour == math.inf:
            return 2**53
        return self._tokens()

    def _tokens(self) -> int:
        bucket, low, high = self._usual(), 0, int(self._burst)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if bucket.has_capacity(middle) else (low, middle - 1)
        return low

    def spend(self, now: float) -> None:
        """Take a token for a request that leaves."""
        if self._per_hour == math.inf:
            return
        if now >= self._opened_at + HOUR:
            self._opened_at, self._served = now, 0
        began, count = self._since or (now, 0)
        self._since = began, count + 1
        self._served += 1
        if not self.probing and self._window is None and self._usual().has_capacity():
            _at_once(self._usual().acquire())

    def refused(self, now: float, sent_at: float, wait: float | None, *, by_reset: bool = False) -> None:
        """Learn from a 429 to a request sent at `sent_at`, which may ask to `wait`, in seconds.

        `by_reset` says that it did so by RateLimit-Reset alone, which never shortens a pause.
        """
        if self._per_hour == math.inf or (self._refusals and sent_at <= self._refused_at):
            return  # what was in flight together is refused together
        if not self._refusals:
            self._began_at = now
            self._had = 0.0 if self._window is not None else self.left(now)
        self._refusals += 1
        self._refused_at = now
        self._served -= self._served > 0
        if wait is None and self._is_spent(now):
            self._window = float(max(1, self._served))
            self._probe_at = self._next_window()
            return
        # The first wait that the server asks for is kept to; repeated ones cannot shorten the pauses.
        doublings = min(self._refusals - (1 if wait is None or by_reset else 2), 20)
        pause = min(2 * HOUR / self._documented * 2.0**doublings, _LONGEST_PROBE) if doublings >= 0 else 0.0
        jitter = self._uniform(1.0, 1.1)
        if by_reset and wait is not None:
            self._probe_at = now + max(pause * jitter, self._later(wait))
        else:
            self._probe_at = now + max(wait or 0.0, pause) * jitter

    def succeeded(self, now: float) -> None:
        """Learn from any other answer."""
        if not self._refusals:
            if now - self._refused_at >= HOUR and (self._per_hour, self._burst) != (self._documented,) * 2:
                self._refused_at = now
                self._replace(self._per_hour * 1.1, self._burst * 1.1, holding=self._tokens())
            return
        lasted, self._refusals = now - self._began_at, 0
        if lasted >= _NO_BUCKET:
            again = None if self._window is None else max(self._window, min(self._documented, 1.05 * self._window))
            self._window = math.inf if again is None else again
            self._opened_at, self._served = now, 1
        else:
            self._window = None
            self._shrink()

    def _shrink(self) -> None:
        """Assume less, after refusals that did not last."""
        began, count = self._since or (self._refused_at, 1)
        if self._had > 2:
            burst = count - 1 - (self._refused_at - began) * self._per_hour / HOUR
            self._replace(self._per_hour, min(self._burst, burst))
        else:
            self._replace(self._per_hour * 0.8, self._burst)

    def _is_spent(self, now: float) -> bool:
        """Whether a second refusal in a row shows that a window, seen from its beginning, is spent."""
        if self._window is None or self._refusals < 2 or now >= self._opened_at + HOUR:
            return False
        return self._served >= min(self._window, self._documented) / 2

    def _next_window(self) -> float:
        return self._later(self._opened_at + HOUR)

    def _later(self, end: float) -> float:
        least, more = LATER
        return end + least + self._uniform(0.0, more)

    def _usual(self) -> AsyncLimiter:
        loop = asyncio.get_running_loop()
        if self._bucket is None or self._loop is not loop:
            self._bucket, self._loop = _bucket(self._burst, self._burst * HOUR / self._per_hour), loop
        return self._bucket

    def _replace(self, per_hour: float, burst: float, holding: int = 0) -> None:
        """Use another bucket that holds so many tokens: aiolimiter's cannot be changed."""
        self._per_hour = min(self._documented, max(1.0, per_hour))
        self._burst = min(self._documented, max(4.0, burst))
        self._bucket, self._since = None, None
        if holding < self._burst:
            _at_once(self._usual().acquire(self._burst - holding))


def _at_once(taking: Coroutine[Any, Any, None]) -> None:
    """Take tokens that a bucket is known to hold, without yielding to the loop."""
    with suppress(StopIteration):
        taking.send(None)


def closed() -> MeitnerError:
    """Return the error of a call through a closed client."""
    return MeitnerError("this client is closed")
