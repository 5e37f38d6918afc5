"""How many requests may leave, and when: the line before the wire, one for each client.

Three bounds, in this order: slots (requests in flight), the quota as `Admission` judges it from the headers of every
answer, and a local bucket that smooths. Answers alone keep several clients that share a credential clear of 429.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable

from msgspec import Struct

from .._wire.messages import RawResponse, Request, Send
from ..errors import MeitnerError, QuotaExhausted
from ..events import OnEvent, QuotaWait
from .admission import Admission, QuotaPolicy, Wait
from .concurrency import Opens, Slots
from .limiter import Quota
from .smoothing import Rate, Smoother, closed

_AT_ONCE = 0.001
"""Seconds: a shorter wait is none."""

_SINGLES, _BULK = 0, 1
"""The two lines: single calls go first."""


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
        self._slots: Slots[_Visitor] = Slots(concurrency, self._door, self._entered)
        self._policy = policy or QuotaPolicy()
        self._admission = Admission(concurrency, self._policy, wall=wall, uniform=uniform)
        self._rate = rate
        self._smoother: Smoother | None = None
        self._seen_at = 0.0

    @property
    def quota(self) -> Quota | None:
        """The quota as the last answers told it; what is assumed when they say nothing; None before the first."""
        try:
            now = self._now()
        except RuntimeError:  # outside the loop, when it was last looked at
            now = self._seen_at
        return self._admission.quota(now)

    def patience(self, request: Request) -> float:
        """Return how many seconds a request waits for the quota."""
        return self._policy.patience(request)

    def admitting(self, send: Send, on_event: OnEvent | None = None) -> Send:
        """Return a `Send` that passes this gate first, and tells `on_event` of its waits."""
        slots, admission, now = self._slots, self._admission, self._now

        async def admitted(request: Request) -> RawResponse:
            visitor, line = _Visitor(request, on_event), _BULK if request.bulk else _SINGLES
            admission.came(request, now())
            if not slots.enter(visitor, line):
                request.hold(held=True)
                await self._wait(visitor, line)
            try:
                if self._rate is not None:
                    request.hold(held=True)
                    await self._smooth(self._rate)
                request.hold(held=False)
                departure = admission.departs(now(), slots.held - 1)
                response = await send(request)
                self._seen_at = now()
                spent = admission.answered(request, response, departure, self._seen_at, slots.held - 1)
                self._judge(response, self._seen_at, spent=spent)
            except MeitnerError:
                admission.failed()
                raise
            finally:
                slots.leave()
            return response

        return admitted

    def close(self) -> None:
        """Refuse whoever waits and whoever comes."""
        self._slots.close(closed)
        if self._smoother is not None:
            self._smoother.close()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _wait(self, visitor: _Visitor, line: int) -> None:
        self._slots.refuse_if_closed()
        # Who would wait too long need not stand in line for that.
        ahead = self._slots.waiting(line) if line == _SINGLES else 0
        if isinstance(refusal := self._opens(visitor, ahead), QuotaExhausted):
            raise refusal
        await self._slots.wait(visitor, line)

    async def _smooth(self, rate: Rate) -> None:
        loop = asyncio.get_running_loop()
        if self._smoother is None or self._smoother.loop is not loop:
            self._smoother = Smoother(rate, loop)
        await self._smoother.wait()

    def _judge(self, response: RawResponse, now: float, *, spent: bool) -> None:
        """Mark a 429 of the quota; any other, and a 503, says that the server is busy: fewer requests at a time."""
        response.quota_spent = spent
        if response.status == 503 or (response.status == 429 and not spent):
            self._slots.narrow(now)
        elif response.status < 500 and not spent:
            self._slots.widen()

    def _entered(self, visitor: _Visitor) -> None:
        self._admission.entered(visitor.request, self._now())

    def _door(self, visitor: _Visitor) -> Opens:
        return self._opens(visitor, 0)

    def _opens(self, visitor: _Visitor, ahead: int) -> Opens:
        """Return when a request may leave, or why it does not wait until then; `ahead` stand before it."""
        now = self._now()
        wait = self._admission.wait_for(visitor.request, now, self._slots.held, ahead)
        if wait is None or wait.until - now <= _AT_ONCE:
            return 0.0
        if wait.until == math.inf:
            return math.inf
        delay = wait.until - now
        if wait.zone == "closed" and delay > self._policy.patience(visitor.request):
            return self._refusal(visitor.request, delay)
        self._tell(visitor, wait, delay)
        return wait.until

    def _refusal(self, request: Request, delay: float) -> QuotaExhausted:
        quota = self.quota
        return QuotaExhausted(
            f"the quota is spent: {request.method} {request.route} would wait {delay:.0f} seconds",
            reset_at=quota.reset_at if quota else None,
            method=request.method,
            route=request.route,
        )

    def _tell(self, visitor: _Visitor, wait: Wait, delay: float) -> None:
        if visitor.on_event is None or visitor.told:
            return
        quota = self.quota
        if quota is not None:
            visitor.told = True
            visitor.on_event(QuotaWait(wait.zone, delay, quota.remaining, quota.reset_at, wait.reason))
