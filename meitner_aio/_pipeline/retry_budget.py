"""A budget for all retries of a client: when everything fails, retries must not double the load."""

from __future__ import annotations

from .outage import Outage

FULL = 500
_TRANSIENT, _THROTTLE = 14, 5
"""Cost of a retry after a failure, and after a 429: an outage adds 35 attempts to any number of calls."""


class RetryBudget:
    """A bucket of tokens shared by all calls of a client: retries take, successes give back."""

    __slots__ = ("outage", "tokens")

    def __init__(self) -> None:
        self.tokens = FULL
        self.outage = Outage()

    def take(self, *, throttled: bool) -> int | None:
        """Take the cost of a retry and return it; None if not enough is left."""
        cost = _THROTTLE if throttled else _TRANSIENT
        if self.tokens < cost:
            return None
        self.tokens -= cost
        return cost

    def give_back(self, cost: int) -> None:
        """Give back the cost of a retry that was not made."""
        self.tokens = min(FULL, self.tokens + cost)

    def succeeded(self, cost: int = 0) -> None:
        """Give back the cost of the retry that succeeded, or a token for a success at the first attempt."""
        if self.tokens < FULL:
            self.give_back(cost or 1)

    def refill(self) -> None:
        """Fill up to half, after an outage."""
        self.tokens = max(self.tokens, FULL // 2)
