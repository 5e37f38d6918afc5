"""How much retrying a client may do altogether: when everything fails, retries must not double the load."""

from __future__ import annotations

from .outage import Outage

FULL = 500
_TRANSIENT, _THROTTLE = 14, 5
"""What a retry costs after a failure, and after a 429: an outage adds 35 attempts to any number of calls."""


class RetryBudget:
    """A bucket of tokens shared by all calls of a client: retries take, successes give back."""

    __slots__ = ("outage", "tokens")

    def __init__(self) -> None:
        self.tokens = FULL
        self.outage = Outage()

    def take(self, *, throttled: bool) -> int | None:
        """Take what a retry costs and return it; None when not enough is left."""
        cost = _THROTTLE if throttled else _TRANSIENT
        if self.tokens < cost:
            return None
        self.tokens -= cost
        return cost

    def give_back(self, cost: int) -> None:
        """Give back what a retry took that was never made."""
        self.tokens = min(FULL, self.tokens + cost)

    def succeeded(self, cost: int = 0) -> None:
        """Give back what the retry that succeeded took, or a token for a success at the first attempt."""
        if self.tokens < FULL:
            self.give_back(cost or 1)

    def refill(self) -> None:
        """Fill up to half: an outage is over."""
        self.tokens = max(self.tokens, FULL // 2)
