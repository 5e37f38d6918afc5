"""Retries: when to send again, and when not. The only module that knows tenacity; opens no connection itself.

What happens after a failed attempt is read from a table: kind of operation by kind of outcome. A create is never sent
again when the server may have processed it. A budget bounds the retries of a whole client; pages of a listing may
outlast an outage by probing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from .. import errors
from .._wire.headers import LONGEST_WAIT
from .._wire.messages import Attempt, RawResponse, Request, Send, value_of
from .._wire.too_many import is_beyond
from ..events import OnEvent, RequestSent, ResponseReceived, RetryScheduled
from .retry_budget import RetryBudget
from .retry_policy import Decision, Outcome, Retries, RetryPolicy, alive, is_outcome

if TYPE_CHECKING:
    from tenacity.wait import wait_base


class Retrying:
    """A `Send` that retries by a policy, and raises the error of the last attempt."""

    def __init__(
        self,
        send: Send,
        policy: RetryPolicy,
        budget: RetryBudget | None = None,
        *,
        on_event: OnEvent | None = None,
        patience: Callable[[Request], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Send through `send`; wait between attempts with `sleep`, in seconds.

        A request that the server asks to wait longer than its `patience`, in seconds, fails at once.
        """
        self._next = send
        self._policy = policy
        self._budget = budget or RetryBudget()
        self._outage = self._budget.outage
        self._on_event = on_event
        self._patience = patience
        self._sleep = sleep

    async def send(self, request: Request) -> RawResponse:
        """Return a successful answer that was read; raise the error of the last failure."""
        now, deadline = asyncio.get_running_loop().time, self._policy.deadline
        started = now()
        ends = None if deadline is None else started + deadline
        outcome = await self._attempt(request, 1, ends)
        if isinstance(outcome, RawResponse) and outcome.status < 300:
            self._budget.succeeded()
            response = outcome
        else:
            retries = Retries(request, outcome, self._policy, self._budget, ends)
            if retries.decision is Decision.AGAIN:
                await self._further(retries, started, ends)
            response = retries.result()
        response.elapsed = now() - started
        return response

    async def _attempt(self, request: Request, attempt: int, ends: float | None) -> Outcome:
        """Make one attempt and return its outcome; raise an error that no further attempt can change."""
        outcome: Outcome
        try:
            if ends is None and self._on_event is None:
                outcome = await self._next(request)
            else:
                outcome = await self._observed(request, attempt, ends)
            if outcome.status < 300:
                value_of(request, outcome)
        except errors.MeitnerError as error:
            if not is_outcome(request, error, self._policy):
                if error.attempts is None and error.route in (None, request.route):
                    error.attempts = attempt - isinstance(error, errors.QuotaExhausted)  # which never left
                raise
            outcome = error
        else:
            if outcome.status < 300 and not self._outage.failures:
                return outcome
        self._note(outcome)
        return outcome

    def _note(self, outcome: Outcome) -> None:
        """Record for all calls of the client whether the server answers."""
        there = alive(outcome)
        if there is False:
            self._outage.failed(asyncio.get_running_loop().time())
        elif there and self._outage.failures and self._outage.answered():
            self._budget.refill()

    async def _observed(self, request: Request, attempt: int, ends: float | None) -> RawResponse:
        emit, now = self._on_event, asyncio.get_running_loop().time
        if emit is not None:
            emit(RequestSent(request.method, request.route, attempt))
        sent = now()
        if ends is None:
            response = await self._next(request)
        else:
            response = await self._until(ends, request)
        if emit is not None:
            took, named = now() - sent, response.request_id
            named = errors.mask(named) if named else None  # from the server: it may hold anything
            emit(ResponseReceived(request.method, request.route, response.status, took, attempt, named))
        return response

    async def _further(self, retries: Retries, started: float, ends: float | None) -> None:
        try:
            await self._retry(retries, started, ends)
            if retries.request.bulk and self._policy.outage:
                await self._outlast(retries, started, ends)
        finally:
            retries.forgo()

    async def _again(self, retries: Retries, ends: float | None) -> None:
        """Make a further attempt, unless the deadline has passed."""
        if ends is not None and asyncio.get_running_loop().time() >= ends:
            return retries.give_up()
        retries.spend()
        try:
            retries.add(await self._attempt(retries.request, retries.made + 1, ends))
        except errors.QuotaExhausted:
            if not retries.throttled:
                raise
            retries.give_up()  # the server's 429 says more

    def _gives_way(self, request: Request) -> bool:
        """Whether attempts in quick succession would hammer a server that is down."""
        if request.operation == "token":
            return self._outage.probing  # it is part of the probe
        return request.bulk and self._policy.outage > 0 and self._outage.suspected

    async def _retry(self, retries: Retries, started: float, ends: float | None) -> None:
        """Retry with backoff, as every call does."""
        schedule, now = _Schedule(self._policy, retries.request, started), asyncio.get_running_loop().time
        while retries.decision is Decision.AGAIN and not self._gives_way(retries.request):
            late, delay = schedule.next(now(), retries.requested_delay())
            if late or retries.counted > self._policy.max_retries or self._is_too_long(retries):
                return
            if not retries.affordable():
                return
            self._emit(retries, delay)
            await self._sleep(delay)
            if not self._gives_way(retries.request):  # others may have failed meanwhile
                await self._again(retries, ends)

    async def _outlast(self, retries: Retries, started: float, ends: float | None) -> None:
        """Retry through an outage, by probes, as bulk does."""
        now, until, vain = asyncio.get_running_loop().time, started + self._policy.outage, 0
        while retries.decision is Decision.AGAIN and not self._is_too_long(retries):
            # Others may be answered while this page is not: it must not retry after each of their answers.
            pause = max(2.0 ** min(vain, 5), retries.requested_delay() or 0.0)
            released = await self._outage.probe(
                partial(self._again, retries, ends),
                partial(self._emit, retries),
                now() + pause,
                until if ends is None else min(until, ends),
            )
            if released is None:
                return
            vain += released

    def _is_too_long(self, retries: Retries) -> bool:
        """Whether the server asks to wait longer than the caller will."""
        if self._patience is None:
            return False
        return is_beyond(retries.requested_delay(), self._patience(retries.request), limited=retries.limited)

    def _emit(self, retries: Retries, delay: float) -> None:
        if self._on_event is not None:
            request = retries.request
            self._on_event(RetryScheduled(request.method, request.route, retries.reason, delay, retries.made))

    async def _until(self, ends: float, request: Request) -> RawResponse:
        attempt, deadline = Attempt(), asyncio.timeout_at(ends)
        try:
            async with deadline:
                return await self._next(replace(request, attempt=attempt))
        except TimeoutError:
            if not deadline.expired():
                raise
        raise errors.APITimeoutError(
            "the deadline of the call passed before an answer arrived: give it more time",
            reason=errors.ConnectionReason.DEADLINE,
            sent=attempt.left,
        )


def retrying(
    send: Send,
    policy: RetryPolicy,
    budget: RetryBudget,
    on_event: OnEvent | None,
    patience: Callable[[Request], float] | None,
) -> Send:
    """Stage of the pipeline: retry by a policy."""
    return Retrying(send, policy, budget, on_event=on_event, patience=patience).send


class _Schedule:
    """When the retries of one call start: tenacity's waits, and its stop at a deadline.

    tenacity keeps a state for each call: a shared one would mix up concurrent calls.
    """

    def __init__(self, policy: RetryPolicy, request: Request, started: float) -> None:
        import tenacity

        self._wait = _backoff(policy, steady=request.operation == "token")
        self._stop = tenacity.stop_never if policy.deadline is None else tenacity.stop_before_delay(policy.deadline)
        self._state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
        self._state.start_time = started
        self._state.attempt_number = 0

    def next(self, now: float, requested_delay: float | None) -> tuple[bool, float]:
        """Return whether the next attempt would start too late, and after how many seconds it starts."""
        state = self._state
        state.attempt_number += 1
        state.outcome_timestamp = now
        wait = self._wait if requested_delay is None else _spread(requested_delay)
        state.upcoming_sleep = wait(state)
        return self._stop(state), state.upcoming_sleep


def _spread(requested_delay: float) -> wait_base:
    """Return a wait that ends up to a second after the requested delay: clients must not all return at once."""
    import tenacity

    spread = min(1.0, requested_delay / 10, max(0.0, LONGEST_WAIT - requested_delay))
    return tenacity.wait_fixed(requested_delay) + tenacity.wait_random(0.0, spread)


def _backoff(policy: RetryPolicy, *, steady: bool) -> wait_base:
    """Return the backoff; with `steady` only half of each wait is random, so that retries span a least time."""
    import tenacity

    if not steady:
        return tenacity.wait_random_exponential(policy.initial, policy.maximum, policy.exponent)
    half = (policy.initial / 2, policy.maximum / 2, policy.exponent)
    return tenacity.wait_exponential(*half) + tenacity.wait_random_exponential(*half)
