"""Limits how many requests leave, and when; one limiter for each client.

Four limits, in this order: slots (requests in flight), the quota as `Admission` reads it from the headers of every
answer, what a store says that other hosts left of it, and a local bucket; the last two are optional. The headers are
enough for clients that share a credential to avoid 429; where there are none, only a store lets hosts share a quota.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable

from msgspec import Struct

from .._runtime.amounts import duration
from .._wire.messages import RawResponse, Request, Send
from ..errors import MeitnerError, QuotaExhausted
from ..events import OnEvent, QuotaWait
from .admission import Admission, QuotaPolicy, Wait
from .concurrency import FairSemaphore, Opens
from .server_limiter import Quota
from .shared_quota import SharedQuota
from .smoothing import Rate, Smoother, closed

_AT_ONCE = 0.001
"""Seconds: a shorter wait is skipped."""

_SINGLES, _BULK = 0, 1
"""The two lines: single calls go first."""


class _Waiter(Struct):
    """A request before the rate limiter, and whether its wait was reported."""

    request: Request
    on_event: OnEvent | None
    notified: bool = False


class RateLimiter:
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
        """Allow `concurrency` requests in flight. `wall` returns seconds since 1970, `uniform` draws the jitter."""
        self._semaphore: FairSemaphore[_Waiter] = FairSemaphore(concurrency, self._next_admission, self._entered)
        self._policy = policy or QuotaPolicy()
        self._admission = Admission(concurrency, self._policy, wall=wall, uniform=uniform)
        self._rate = rate
        self._smoother: Smoother | None = None
        self._shared: SharedQuota | None = None
        self._seen_at = 0.0

    @property
    def quota(self) -> Quota | None:
        """The quota by the last answers, or the assumed one if they state none; None before the first answer."""
        try:
            now = self._now()
        except RuntimeError:  # outside the loop: as of the last answer
            now = self._seen_at
        return self._admission.quota(now)

    def patience(self, request: Request) -> float:
        """Return how many seconds a request waits for the quota."""
        return self._policy.patience(request)

    def share(self, shared: SharedQuota) -> None:
        """Share the quota with other hosts."""
        self._shared = shared

    def admitting(self, send: Send, on_event: OnEvent | None = None) -> Send:
        """Return a `Send` that passes this rate limiter first, and reports its waits to `on_event`."""
        semaphore, admission, now = self._semaphore, self._admission, self._now

        async def admitted(request: Request) -> RawResponse:
            waiter, line = _Waiter(request, on_event), _BULK if request.bulk else _SINGLES
            admission.came(request, now())
            if not semaphore.enter(waiter, line):
                await self._wait(waiter, line)
            if self._shared is not None:
                await self._take(self._shared, waiter, line)
            try:
                if self._rate is not None:
                    request.attempt.left = False
                    await self._smooth(self._rate)
                request.attempt.left = True
                departure = admission.departs(now(), semaphore.held - 1)
                response = await send(request)
                self._seen_at = now()
                held = semaphore.held - 1
                response.too_many = admission.answered(request, response, departure, self._seen_at, held)
                self._adapt(response, self._seen_at)
                self._tell(response, held)
            except MeitnerError:
                admission.failed()
                raise
            except BaseException:
                if self._shared is not None and not request.attempt.left:
                    self._shared.give_back()
                raise
            finally:
                semaphore.leave()
            return response

        return admitted

    def close(self) -> None:
        """Refuse all requests, those that wait and later ones."""
        self._semaphore.close(closed)
        if self._smoother is not None:
            self._smoother.close()

    async def close_shared(self) -> None:
        """Let go of the store, after `close`."""
        if self._shared is not None:
            await self._shared.close()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _wait(self, waiter: _Waiter, line: int, *, first: bool = False) -> None:
        waiter.request.attempt.left = False
        self._semaphore.refuse_if_closed()
        # A request that would wait too long is refused before it joins the line.
        ahead = self._semaphore.waiting(line) if line == _SINGLES and not first else 0
        if isinstance(refusal := self._opens(waiter, ahead), QuotaExhausted):
            raise refusal
        await self._semaphore.wait(waiter, line, first=first)

    async def _take(self, shared: SharedQuota, waiter: _Waiter, line: int) -> None:
        """Take a request out of the shared quota; whoever gets none leaves its slot, and is the first in line again."""
        waiter.request.attempt.left = False
        while (bucket := self._admission.bucket()) is not None:
            try:
                taken = await shared.take(bucket, self._admission.left(self._now(), self._semaphore.held - 1))
            except BaseException:
                self._semaphore.leave()
                raise
            if taken:
                self._semaphore.admit()  # others may have waited for the answer
                break
            self._semaphore.leave()
            await self._wait(waiter, line, first=True)
        self._admission.spend(self._now())

    def _tell(self, response: RawResponse, in_flight: int) -> None:
        """Let other hosts know what an answer says of the quota."""
        if self._shared is None or (bucket := self._admission.bucket()) is None:
            return
        spent = response.too_many is not None and response.too_many.quota_spent
        self._shared.heard(bucket, self._admission.left(self._seen_at, in_flight), spent=spent)

    async def _smooth(self, rate: Rate) -> None:
        loop = asyncio.get_running_loop()
        if self._smoother is None or self._smoother.loop is not loop:
            self._smoother = Smoother(rate, loop)
        await self._smoother.wait()

    def _adapt(self, response: RawResponse, now: float) -> None:
        """Send fewer requests at a time when the server is busy, which a 503 shows, or a 429 not about the quota."""
        status, too_many = response.status, response.too_many
        if too_many is not None and too_many.quota_spent:
            return
        if status in (429, 503):
            self._semaphore.narrow(now)
        elif status < 500:
            self._semaphore.widen()

    def _entered(self, waiter: _Waiter) -> None:
        now = self._now()
        self._admission.entered(waiter.request, now)
        if self._shared is None:
            self._admission.spend(now)
        else:
            self._shared.entered(now)

    def _next_admission(self, waiter: _Waiter) -> Opens:
        return self._opens(waiter, 0)

    def _opens(self, waiter: _Waiter, ahead: int) -> Opens:
        """Return when a request may leave, or the error that refuses it; `ahead` wait before it."""
        now = self._now()
        wait = self._admission.wait_for(waiter.request, now, self._semaphore.held, ahead)
        if wait is None and self._shared is not None and (opens := self._shared.opens(now)):
            wait = Wait(opens, "closed" if self._shared.refused else "paced", "shared")
        if wait is None or wait.until - now <= _AT_ONCE:
            return 0.0
        if wait.until == math.inf:
            return math.inf
        delay = wait.until - now
        if wait.zone == "closed" and delay > self._policy.patience(waiter.request):
            return self._refusal(waiter.request, delay)
        self._emit(waiter, wait, delay)
        return wait.until

    def _refusal(self, request: Request, delay: float) -> QuotaExhausted:
        quota = self.quota
        return QuotaExhausted(
            f"the quota is spent: {request.method} {request.route} would wait {duration(delay)}",
            reset_at=quota.reset_at if quota else None,
            retry_after=delay,
            method=request.method,
            route=request.route,
        )

    def _emit(self, waiter: _Waiter, wait: Wait, delay: float) -> None:
        if waiter.on_event is None or waiter.notified:
            return
        quota = self.quota
        if quota is not None:
            waiter.notified = True
            waiter.on_event(QuotaWait(wait.zone, delay, quota.remaining, quota.reset_at, wait.reason))
