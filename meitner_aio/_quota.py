"""How many requests may leave, and when. The only module that knows aiolimiter.

Three bounds, in this order: slots (requests in flight), the hourly window as the server's headers tell it, and a local
bucket that smooths. The window has three zones: free while more than a quarter is left, paced so that the rest lasts
to its end, closed when none is left. Answers alone keep several processes that share a credential clear of 429: what
others spend shows in what remains.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from ._headers import retry_after
from ._protocol import RawResponse, Request, Send
from ._slots import Slots
from ._window import Quota, Window
from .errors import MeitnerError, QuotaExhausted
from .events import OnEvent, QuotaWait


class Rate(Struct, frozen=True):
    """A local smoother: at most `burst` requests at once, refilled at `per_second`."""

    per_second: float
    burst: float = 1.0

    def __post_init__(self) -> None:
        """Raise `ValueError` for numbers that make no rate."""
        if not (0 < self.per_second < math.inf and 1 <= self.burst < math.inf):
            raise ValueError("per_second must be positive and burst at least 1, both finite")


class QuotaPolicy(Struct, frozen=True, kw_only=True):
    """How to behave towards the hourly quota.

    `reserve` requests of every window are left to others. `max_wait` is how many seconds a request may wait for a new
    window; unset, a page of a listing waits as long as it takes and any other call a minute. A request that would wait
    longer raises `QuotaExhausted` at once; with `on_exhausted="raise"` none waits for a new window.
    """

    reserve: int = 0
    max_wait: float | None = None
    on_exhausted: Literal["wait", "raise"] = "wait"

    def __post_init__(self) -> None:
        """Raise `ValueError` for what makes no policy."""
        if self.reserve < 0 or not (self.max_wait is None or self.max_wait >= 0):
            raise ValueError("reserve and max_wait must not be negative")
        if self.on_exhausted not in ("wait", "raise"):
            raise ValueError('on_exhausted must be "wait" or "raise"')


FREE_ABOVE = 0.25
"""Share of the usable limit above which requests are not paced."""

LONGEST_PACE = 3.0
"""Seconds between paced requests at most: at 5,000 an hour the last quarter needs 2.9."""

_PATIENCE = 60.0
"""Seconds that a call other than a page of a listing waits for a new window when the policy does not say."""

AFTER_RESET = 1.0, 5.0
"""Seconds to wait after a window's end, and the random seconds on top: clients must not return all at once."""

_AT_ONCE = 0.001
"""Seconds: a shorter wait is none."""


class _Visitor(Struct):
    """A request before the gate, and whether the user was told that it waits."""

    request: Request
    on_event: OnEvent | None
    told: bool = False


class Gate:
    """Lets requests through to the next `Send`. One for each client, shared by its copies."""

    def __init__(
        self,
        concurrency: int,
        rate: Rate | None = None,
        policy: QuotaPolicy | None = None,
        *,
        wall: Callable[[], float] = time.time,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Allow `concurrency` requests in flight. `wall` tells seconds since 1970, `uniform` draws the jitter."""
        self._slots: Slots[_Visitor] = Slots(concurrency, self._door)
        self._rate = rate
        self._smoother: _Smoother | None = None
        self._policy = policy or QuotaPolicy()
        self._uniform = uniform
        self._window = Window(wall)
        self._opening = 1
        self._paced_at = self._reopens_at = -math.inf

    @property
    def quota(self) -> Quota | None:
        """The window as the last answers told it."""
        return self._window.quota()

    def admitting(self, send: Send, on_event: OnEvent | None = None) -> Send:
        """Return a `Send` that passes this gate first, and tells `on_event` of its waits."""
        slots, observe = self._slots, self._observe

        async def admitted(request: Request) -> RawResponse:
            if not slots.enter():
                request.hold(held=True)
                await self._wait(_Visitor(request, on_event))
            try:
                if self._rate is not None:
                    request.hold(held=True)
                    await self._smooth(self._rate)
                request.hold(held=False)
                response = await send(request)
                observe(response)
            except MeitnerError:
                self._start_slowly(self._now())
                raise
            finally:
                slots.leave()
            return response

        return admitted

    def close(self) -> None:
        """Refuse whoever waits and whoever comes."""
        self._reopens_at = -math.inf
        self._slots.close(_closed)
        if self._smoother is not None:
            self._smoother.close()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _wait(self, visitor: _Visitor) -> None:
        if self._reopens_at - self._now() > _AT_ONCE and (refusal := self._refusal(visitor)):
            raise refusal
        await self._slots.wait(visitor)

    async def _smooth(self, rate: Rate) -> None:
        loop = asyncio.get_running_loop()
        if self._smoother is None or self._smoother.loop is not loop:
            self._smoother = _Smoother(rate, loop)
        await self._smoother.wait()

    def _observe(self, response: RawResponse) -> None:
        now, status, window = self._now(), response.status, self._window
        told = window.observe(response.headers, now)
        if status == 429 and told and (wish := retry_after(response.headers)) is not None:
            self._heed(now + wish)
        self._start_slowly(now)
        if status in (429, 503):
            if not (status == 429 and told and window.remaining == 0):
                self._slots.narrow(now)  # not the hourly quota: the server is busy
        elif status < 500:
            self._slots.widen()

    def _heed(self, until: float) -> None:
        """Retry-After wins over the end of a spent window that is later: the next request asks how things are then."""
        if self._window.remaining == 0 and until < self._window.ends:
            self._window.ends = self._reopens_at = until
            self._slots.send_away(self._refusal)

    def _start_slowly(self, now: float) -> None:
        """While nothing is known: one request, then two, four; once anything is, start with one the next time."""
        self._opening = 1 if now < self._window.ends else min(self._opening + 1, self._slots.widest)

    def _door(self) -> float:
        """Return when the next request may leave, by the loop's clock: 0.0 is now, infinity after the next answer."""
        now = self._now()
        if self._reopens_at - now > _AT_ONCE:
            return self._reopens_at
        window, held, reserve = self._window, self._slots.held, self._policy.reserve
        if now >= window.ends:
            return 0.0 if held < self._opening else math.inf
        spare = window.spare(held, reserve)
        if spare > FREE_ABOVE * (window.limit - reserve):
            return 0.0
        if spare > 0:
            return self._paced(now, (window.ends - now) / spare * window.share)
        # The answers under way may leave something.
        return math.inf if held else self._shut()

    def _paced(self, now: float, pause: float) -> float:
        due = self._paced_at + min(pause, LONGEST_PACE)
        if due - now <= _AT_ONCE:
            self._paced_at = now
            return 0.0
        if (visitor := self._slots.first) is not None:
            self._tell(visitor, "paced", due - now)
        return due

    def _shut(self) -> float:
        least, more = AFTER_RESET
        self._reopens_at = self._window.ends + least + self._uniform(0.0, more)
        self._slots.send_away(self._refusal)
        return self._reopens_at

    def _refusal(self, visitor: _Visitor) -> QuotaExhausted | None:
        """Return why a request does not wait for the next window, or tell that it does."""
        delay, request, quota = self._reopens_at - self._now(), visitor.request, self.quota
        if delay <= _patience(self._policy, request):
            self._tell(visitor, "closed", delay)
            return None
        return QuotaExhausted(
            f"the hourly quota is spent: {request.method} {request.route} would wait {delay:.0f} seconds",
            reset_at=quota.reset_at if quota else None,
            method=request.method,
            route=request.route,
        )

    def _tell(self, visitor: _Visitor, zone: str, delay: float) -> None:
        quota = self.quota
        if visitor.on_event is not None and quota is not None and not visitor.told:
            visitor.told = True
            visitor.on_event(QuotaWait(zone, delay, quota.remaining, quota.reset_at))


def _patience(policy: QuotaPolicy, request: Request) -> float:
    """Return how many seconds a request waits for a new window."""
    if policy.on_exhausted == "raise":
        return 0.0
    if policy.max_wait is not None:
        return policy.max_wait
    return math.inf if request.bulk else _PATIENCE


class _Smoother:
    """The bucket of one event loop, and the line before it: the bucket alone lets latecomers overtake."""

    def __init__(self, rate: Rate, loop: asyncio.AbstractEventLoop) -> None:
        from aiolimiter import AsyncLimiter  # noqa: PLC0415 - only clients with a rate need it

        self.loop = loop
        self._bucket = AsyncLimiter(rate.burst, rate.burst / rate.per_second)
        self._turn = asyncio.Lock()
        self._waiting: set[asyncio.Timeout] = set()

    async def wait(self) -> None:
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
        raise _closed()

    def close(self) -> None:
        while self._waiting:
            self._waiting.pop().reschedule(self.loop.time())


def _closed() -> MeitnerError:
    return MeitnerError("this client is closed")
