"""What may follow a failed attempt, as data: a policy, and a table of operations by outcomes. Pure: nothing is sent."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import cast

from msgspec import Struct

from .. import errors
from .._wire.headers import LONGEST_WAIT
from .._wire.messages import RawResponse, Request, error_from, error_object
from .._wire.validation import check_boolean, check_number, check_seconds, check_whole
from ..records import ErrorCode
from .retry_budget import RetryBudget

RETRIED_STATUSES = frozenset({408, 409, 429, *range(500, 600)})
"""Statuses that are retried unless the policy says otherwise."""


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How often and for how long to retry. Times are in seconds.

    Waits are drawn at random from 0 to `initial * exponent ** n`, capped at `maximum` (full jitter); a Retry-After
    header takes their place. `deadline` bounds one request with all its attempts, waits and turns in line: what is
    under way then is given up. A listing has one for each page. Bulk (a page of a listing, a write of `*_many` or of an
    outbox) waits through an `outage` of so many seconds by occasional probes, where any other call gives up; in bulk,
    an attempt that fails for want of quota does not count.

    With `connection_errors=False` an `APIConnectionError`, a timeout too, is raised at once: nothing is repeated, no
    smaller page asked for, no outage waited through. A create that was lost is looked up, and not sent again.
    """

    max_retries: int = 2
    initial: float = 0.5
    maximum: float = 20.0
    exponent: float = 2.0
    statuses: Collection[int] = RETRIED_STATUSES
    deadline: float | None = None
    outage: float = 0.0
    connection_errors: bool = True

    def __post_init__(self) -> None:
        """Raise `TypeError` for values of another type, and `ValueError` for numbers out of range."""
        check_whole("max_retries", self.max_retries, 0)
        check_seconds("initial", self.initial)
        check_seconds("maximum", self.maximum)
        check_number("outage", self.outage)
        if not check_number("exponent", self.exponent, 1.0) < math.inf:
            raise ValueError("exponent must be finite")
        if self.deadline is not None and not check_number("deadline", self.deadline) > 0:
            raise ValueError("deadline must be positive")
        check_boolean(self.connection_errors, "connection_errors")
        _check_statuses(self.statuses)


def _check_statuses(statuses: object) -> None:
    if isinstance(statuses, str | bytes) or not isinstance(statuses, Collection):
        raise TypeError(f"statuses must be a collection of int, not {type(statuses).__name__}")
    for status in cast("Collection[object]", statuses):
        if not 100 <= check_whole("statuses", status) <= 599:
            raise ValueError("statuses must lie within 100 to 599")


Outcome = RawResponse | errors.MeitnerError
"""The outcome of an attempt: an answer, or the error for none or for one that breaks the contract."""

UNSENT, REFUSED, LOST, GARBLED, CONFLICT, FINAL = "unsent", "refused", "lost", "garbled", "conflict", "final"
"""Never sent; refused unprocessed; maybe processed; a success that cannot be decoded; 409; a final answer."""


class Decision(Enum):
    """What follows an attempt."""

    AGAIN = auto()
    RAISE = auto()
    AMBIGUOUS = auto()
    """Raise `AmbiguousWriteError`: the write may have happened, and the caller can look it up."""


_SAFE = {
    UNSENT: Decision.AGAIN,
    REFUSED: Decision.AGAIN,
    LOST: Decision.AGAIN,
    GARBLED: Decision.AGAIN,
    CONFLICT: Decision.AGAIN,
    FINAL: Decision.RAISE,
}
_ONCE = _SAFE | {LOST: Decision.AMBIGUOUS, GARBLED: Decision.AMBIGUOUS}

TABLE: dict[str, dict[str, Decision]] = {
    "list": _SAFE,
    "get": _SAFE,
    "search": _SAFE,  # a read, although POST
    "update": _SAFE,  # sets fields: idempotent
    "archive": _SAFE,
    "restore": _SAFE,
    "delete": _SAFE,  # 404 after a lost answer is success, see `Retries`
    "create": _ONCE,
    "token": _SAFE,
    "repeatable": _SAFE,  # declared so
    "other read": _SAFE,
    "other write": _ONCE,  # it may not be idempotent
}
"""What to do after an attempt, by operation and outcome. Any other operation is judged by its method."""


def row(request: Request) -> Mapping[str, Decision]:
    """Return the row of the table for a request."""
    known = TABLE.get(request.operation)
    return known or TABLE["other read" if request.method.upper() in ("GET", "HEAD") else "other write"]


def once(request: Request) -> bool:
    """Whether a request must not reach the directory twice."""
    return row(request)[LOST] is Decision.AMBIGUOUS


def outcome_kind(outcome: Outcome) -> str:
    """Return the kind of an outcome, as the table names it."""
    if isinstance(outcome, errors.ResponseValidationError):
        return GARBLED
    if not isinstance(outcome, RawResponse):
        return LOST if isinstance(outcome, errors.APIConnectionError) and outcome.sent else UNSENT
    if outcome.status == 409:
        return CONFLICT
    if outcome.status in (408, 429) or (outcome.status == 503 and _said_no(outcome)):
        return REFUSED
    return LOST if outcome.status >= 500 else FINAL


def _said_no(outcome: RawResponse) -> bool:
    """Whether a 503 says that nothing was processed: a gateway's bare one does not."""
    data = error_object(outcome)
    return outcome.limits.retry_after is not None or (data is not None and data.code is ErrorCode.RATE_LIMITED)


_FINAL_REASONS = frozenset({errors.ConnectionReason.UNTRUSTED, errors.ConnectionReason.OFFLINE})
"""Reasons for which another attempt would fail, too."""


def is_final(error: errors.MeitnerError) -> bool:
    """Whether no answer came, for a reason that does not pass, or for which nothing is to be repeated."""
    return isinstance(error, errors.APIConnectionError) and (error.reason in _FINAL_REASONS or not error.repeatable)


def is_outcome(request: Request, error: errors.MeitnerError, policy: RetryPolicy) -> bool:
    """Whether an error is an outcome that another attempt may change."""
    if error.route not in (None, request.route):
        # The token's: it was retried already, and this request never left. In bulk a wait that is known may still
        # help, and so may waiting through an outage.
        if request.bulk and isinstance(error, errors.RateLimitError) and error.retry_after is not None:
            return True
        down = (errors.APIConnectionError, errors.InternalServerError, errors.RateLimitError)
        return request.bulk and policy.outage > 0 and isinstance(error, down)
    if isinstance(error, errors.APIConnectionError):
        return not (is_final(error) or (policy.connection_errors and _asks_for_less(request, error)))
    return isinstance(error, errors.ResponseValidationError)


def _asks_for_less(request: Request, error: errors.APIConnectionError) -> bool:
    """Whether a smaller page will be asked for, because this one took too long; a deadline leaves no time for one."""
    timed_out = isinstance(error, errors.APITimeoutError) and error.reason is not errors.ConnectionReason.DEADLINE
    return timed_out and request.shrinks


def went_stale(outcome: Outcome) -> bool:
    """Whether a connection broke that the server may have closed while it was idle: the server may be up."""
    return isinstance(outcome, errors.APIConnectionError) and outcome.stale


def alive(outcome: Outcome) -> bool | None:
    """Whether the server is up; None if the outcome does not say."""
    throttled = isinstance(outcome, RawResponse) and outcome.status == 429
    if throttled or isinstance(outcome, errors.RateLimitError) or went_stale(outcome):
        return None
    kind = outcome_kind(outcome)
    return None if kind == GARBLED else kind in (FINAL, CONFLICT)


def _of_quota(outcome: Outcome) -> bool:
    """Whether an attempt failed for want of quota: then the rate limiter or the server says how long to wait."""
    if isinstance(outcome, RawResponse):
        return outcome.too_many is not None and outcome.too_many.quota_spent
    return isinstance(outcome, errors.RateLimitError) and outcome.retry_after is not None


_RENEWALS = 3
"""Most new tokens for one call: each may expire while the call waits in a long line."""


class Retries:
    """The attempts of one call, and what may follow them."""

    def __init__(
        self, request: Request, first: Outcome, policy: RetryPolicy, budget: RetryBudget, ends: float | None = None
    ) -> None:
        self.request = request
        self.made = 0
        """Requests that left."""
        self.counted = 0
        """Attempts that count against `max_retries`. Not counted are, in bulk, those for which the quota was spent;
        those with a token that was refused and replaced; and one on a stale connection, if the next attempt is
        answered."""
        self._ends = ends
        self._row = row(request)
        self._policy = policy
        self._budget = budget
        self._held = self._cost = self._odd = 0
        self._lost = self._spent = self._stale = self._excused = self._broke = self._given_up = False
        self._renewals = 0
        self._renewed = False
        self.add(first)

    def add(self, outcome: Outcome) -> None:
        """Record the outcome of an attempt."""
        self.made += max(1, outcome.attempts) if isinstance(outcome, RawResponse) else 1
        if self._stale and not self._excused and isinstance(outcome, RawResponse):
            self._excused = True
            self.counted -= 1
        self._stale = went_stale(outcome)
        self.last = outcome = self._settled(outcome)
        self.kind = outcome_kind(outcome)
        self._lost |= self.kind in (LOST, GARBLED)
        renewed = isinstance(outcome, RawResponse) and outcome.renewed
        self._renewals += renewed
        self._renewed = renewed and self._renewals <= _RENEWALS
        self._odd += not self._renewed and self.kind in (GARBLED, CONFLICT, FINAL)  # no outage: waiting does not help
        self._spent = _of_quota(outcome)
        self.counted += not self._renewed and not (self._spent and self.request.bulk)
        self._broke = False

    def _settled(self, outcome: Outcome) -> Outcome:
        """Return an attempt's outcome: 404 is success for a delete that may have been processed before."""
        if self.request.operation != "delete" or not isinstance(outcome, RawResponse):
            return outcome
        self._lost |= outcome.attempts > 1  # the transport sent it again by itself
        return RawResponse(204, outcome.headers, b"") if outcome.status == 404 and self._lost else outcome

    @property
    def decision(self) -> Decision:
        """What follows the last attempt: what the table says, within the limits of the policy."""
        decision, outcome = self._row[self.kind], self.last
        if self._renewed and not self._given_up:
            return Decision.AGAIN
        if isinstance(outcome, RawResponse) and decision is not Decision.AMBIGUOUS:
            decision = (
                Decision.AGAIN if outcome.status >= 400 and outcome.status in self._policy.statuses else Decision.RAISE
            )
        if decision is Decision.AGAIN and self._unrepeated:
            return Decision.RAISE
        if decision is Decision.AGAIN and (self._given_up or self._odd > self._policy.max_retries):
            return Decision.RAISE
        return decision

    @property
    def _unrepeated(self) -> bool:
        """Whether no answer came, and the policy repeats nothing for that."""
        return not self._policy.connection_errors and isinstance(self.last, errors.APIConnectionError)

    @property
    def reason(self) -> str:
        """Why the last attempt failed: a status, or the name of the error."""
        return str(self.last.status) if isinstance(self.last, RawResponse) else type(self.last).__name__

    @property
    def throttled(self) -> bool:
        """Whether the last answer was 429."""
        return isinstance(self.last, RawResponse) and self.last.status == 429

    @property
    def limited(self) -> bool:
        """Whether the last answer was 429, of the API or of the token endpoint."""
        return self.throttled or isinstance(self.last, errors.RateLimitError)

    def give_up(self) -> None:
        """Make no further attempt, whatever the table says."""
        self._given_up = True

    def requested_delay(self) -> float | None:
        """Return the seconds that the server asks to wait, if it does."""
        if isinstance(self.last, RawResponse):
            limits, too_many = self.last.limits, self.last.too_many
            if too_many is not None:
                requested_delay = too_many.wait
            else:  # of a token endpoint, which has no rate limiter
                requested_delay = limits.wait(time.time()) if self.throttled else limits.retry_after
        elif self._stale:
            requested_delay = 0.0  # the next connection is a new one: there is nothing to wait for
        else:
            requested_delay = self.last.retry_after if isinstance(self.last, errors.RateLimitError) else None
        if requested_delay is not None:
            return min(requested_delay, LONGEST_WAIT)
        return 0.0 if self._spent or self._renewed else None  # the rate limiter waits for the quota

    def affordable(self) -> bool:
        """Take the cost of the next retry from the budget; False if not enough is left."""
        cost = 0 if self._spent or self._renewed else self._budget.take(throttled=self.throttled)
        self._broke = cost is None
        self._held = cost or 0
        return not self._broke

    def spend(self) -> None:
        """Spend the cost that was taken: the retry leaves."""
        self._cost, self._held = self._held, 0

    def forgo(self) -> None:
        """Give back the cost of a retry that never left."""
        self._budget.give_back(self._held)
        self._held = 0

    def result(self) -> RawResponse:
        """Return the successful answer, or raise the error of the last failure."""
        outcome = self.last
        if isinstance(outcome, RawResponse) and outcome.status < 300:
            outcome.attempts = self.made
            self._budget.succeeded(self._cost)
            return outcome
        raise self._error(outcome)

    def _error(self, outcome: Outcome) -> errors.MeitnerError:
        if self.decision is Decision.AMBIGUOUS:
            return self._ambiguous(outcome)
        if isinstance(outcome, RawResponse):
            outcome.attempts = self.made
            error: errors.MeitnerError = error_from(self.request, outcome)
        else:
            error = outcome
            if error.route in (None, self.request.route):  # else it is the token's, which has its own facts
                error.method, error.route, error.attempts = self.request.method, self.request.route, self.made
        error.retry_budget_exhausted = self._broke
        if isinstance(error, errors.APIConnectionError):
            error.repeatable = not self._unrepeated
        return error

    def _ambiguous(self, outcome: Outcome) -> errors.AmbiguousWriteError:
        method, route = self.request.method, self.request.route
        return errors.AmbiguousWriteError(
            f"{method} {route} may or may not have happened ({self.reason}); look it up before creating it again",
            deadline=self._ends,
            max_sends=1 if self._unrepeated else 1 + self._policy.max_retries,
            request_id=outcome.request_id,
            method=method,
            route=route,
            attempts=self.made,
        )
