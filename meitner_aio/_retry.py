"""When to send again, and when not. The only module that knows tenacity; never opens a connection itself.

What happens after a failed attempt is read from a table: kind of operation by kind of outcome. A create is never sent
again when the server may have processed it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING

from msgspec import Struct

from . import errors
from ._protocol import RawResponse, Request, Send, error_from, error_object, retry_after

if TYPE_CHECKING:
    from tenacity import RetryCallState
    from tenacity.wait import wait_base

RETRIED_STATUSES = frozenset({408, 409, 429, *range(500, 600)})
"""Statuses that may be retried when the policy does not say."""


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How often and how patiently to try again. Times are in seconds.

    Waits are drawn at random from 0 to `initial * exponent ** n`, capped at `maximum` (full jitter); a Retry-After
    header wins over them. No attempt starts later than `deadline` after the first.
    """

    max_retries: int = 2
    initial: float = 0.5
    maximum: float = 20.0
    exponent: float = 2.0
    statuses: Collection[int] = RETRIED_STATUSES
    deadline: float | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for numbers that make no policy."""
        if self.max_retries < 0 or self.initial < 0 or self.maximum < 0 or self.exponent < 1:
            raise ValueError("max_retries, initial and maximum must not be negative, exponent at least 1")
        if self.deadline is not None and self.deadline <= 0:
            raise ValueError("deadline must be positive")


Outcome = RawResponse | errors.APIConnectionError
"""What an attempt came to: an answer, or none."""

LONGEST_WAIT = 3605.0
"""Seconds: the hourly window and a little. Nothing that a server says makes a call wait longer."""

_UNSENT, _REFUSED, _LOST, _CONFLICT, _NO = "unsent", "refused", "lost", "conflict", "no"

_AGAIN, _RAISE, _AMBIGUOUS = "again", "raise", "ambiguous"

_ALWAYS = {_UNSENT: _AGAIN, _REFUSED: _AGAIN, _LOST: _AGAIN, _CONFLICT: _AGAIN, _NO: _RAISE}

TABLE: dict[str, dict[str, str]] = {
    "list": _ALWAYS,
    "get": _ALWAYS,
    "search": _ALWAYS,  # a read, although POST
    "update": _ALWAYS,  # sets fields: twice is as good as once
    "archive": _ALWAYS,
    "restore": _ALWAYS,
    "delete": _ALWAYS,  # a 404 after a lost answer is success, see `_settled`
    "create": _ALWAYS | {_LOST: _AMBIGUOUS},
    "token": _ALWAYS,
}
"""What to do, by operation and outcome."""


def outcome_kind(request: Request, outcome: Outcome) -> str:
    """Return whether the request was never sent, refused unprocessed, lost (maybe processed), or answered for good."""
    if isinstance(outcome, errors.APIConnectionError):
        return _LOST if outcome.sent else _UNSENT
    if outcome.status == 409:  # noqa: PLR2004
        return _CONFLICT
    if outcome.status in (408, 429):
        return _REFUSED
    if outcome.status == 503:  # noqa: PLR2004
        # A gateway's bare 503 says nothing about what happened behind it; the API's own says that it was too busy.
        said_no = retry_after(outcome.headers) is not None or error_object(outcome) is not None
        return _REFUSED if said_no or request.operation != "create" else _LOST
    return _LOST if outcome.status >= 500 else _NO  # noqa: PLR2004


class Retrying:
    """A `Send` that tries again by a policy, and raises what the last attempt came to."""

    def __init__(
        self, send: Send, policy: RetryPolicy, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Send through `send`; wait between attempts with `sleep`, in seconds."""
        self._next = send
        self._policy = policy
        self._sleep = sleep

    async def send(self, request: Request) -> RawResponse:
        """Return a successful answer; raise the error of the last failure."""
        started = time.monotonic()
        outcome = await self._attempt(request)
        attempts = 1
        if isinstance(outcome, errors.APIConnectionError) or outcome.status >= 300:  # noqa: PLR2004
            outcome, attempts = await self._again(request, outcome, started)
        if isinstance(outcome, errors.APIConnectionError):
            raise outcome
        outcome.attempts, outcome.elapsed = attempts, time.monotonic() - started
        if outcome.status >= 300:  # noqa: PLR2004
            raise error_from(request, outcome)
        return outcome

    async def _attempt(self, request: Request) -> Outcome:
        try:
            return await self._next(request)
        except errors.APIConnectionError as error:
            if error.attempts is not None:  # the token's: it was tried again already, and this request never left
                raise
            return error

    async def _again(self, request: Request, first: Outcome, started: float) -> tuple[Outcome, int]:
        """Return what further attempts come to, and how many there were in all."""
        import tenacity  # noqa: PLC0415 - most calls succeed at once and never need it

        made: list[Outcome] = []

        async def attempt() -> Outcome:
            outcome = _settled(request, await self._attempt(request), made) if made else first
            made.append(outcome)
            return outcome

        policy = self._policy
        stop: tenacity.stop.stop_base = tenacity.stop_after_attempt(policy.max_retries + 1)
        if policy.deadline is not None:
            stop |= tenacity.stop_before_delay(max(0.0, policy.deadline - (time.monotonic() - started)))
        # A controller of this call's own: one shared by concurrent calls mixes up their outcomes.
        await tenacity.AsyncRetrying(
            sleep=self._sleep,
            stop=stop,
            wait=_wait(tenacity.wait_random_exponential(policy.initial, policy.maximum, policy.exponent)),
            retry=tenacity.retry_if_result(lambda outcome: self._verdict(request, outcome) == _AGAIN),
            retry_error_callback=lambda _: None,
        )(attempt)
        outcome, attempts = made[-1], len(made)
        if self._verdict(request, outcome) == _AMBIGUOUS:
            raise _ambiguous(request, outcome, attempts)
        if isinstance(outcome, errors.APIConnectionError):
            outcome.method, outcome.route, outcome.attempts = request.method, request.route, attempts
        return outcome, attempts

    def _verdict(self, request: Request, outcome: Outcome) -> str:
        verdict = TABLE.get(request.operation, _ALWAYS)[outcome_kind(request, outcome)]
        if verdict == _AGAIN and isinstance(outcome, RawResponse) and outcome.status not in self._policy.statuses:
            return _RAISE
        return verdict


def _wait(backoff: wait_base) -> Callable[[RetryCallState], float]:
    """Return the wait before the next attempt, in seconds: what the server asks for, else the backoff."""

    def wait(state: RetryCallState) -> float:
        outcome: object = None if state.outcome is None else state.outcome.result()
        wish = retry_after(outcome.headers) if isinstance(outcome, RawResponse) else None
        return backoff(state) if wish is None else min(wish, LONGEST_WAIT)

    return wait


def _settled(request: Request, outcome: Outcome, made: list[Outcome]) -> Outcome:
    """Turn `not found` into success for a delete when an earlier attempt may have been processed."""
    if request.operation != "delete" or isinstance(outcome, errors.APIConnectionError) or outcome.status != 404:  # noqa: PLR2004
        return outcome
    maybe_done = any(outcome_kind(request, earlier) == _LOST for earlier in made)
    return RawResponse(204, outcome.headers, b"") if maybe_done else outcome


def _ambiguous(request: Request, outcome: Outcome, attempts: int) -> errors.AmbiguousWriteError:
    lost = outcome.status if isinstance(outcome, RawResponse) else type(outcome).__name__
    return errors.AmbiguousWriteError(
        f"{request.method} {request.route} may or may not have happened ({lost}); look it up before creating it again",
        request_id=outcome.request_id,
        method=request.method,
        route=request.route,
        attempts=attempts,
    )
