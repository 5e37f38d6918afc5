"""What a 429 means: decided here, once for each; rate limiter and retries act on it. Pure."""

from __future__ import annotations

from msgspec import Struct

from .headers import LONGEST_WAIT, LimitHeaders

BUSY = 60.0
"""Seconds that any call waits if the server asks for it, and not because of the quota."""


class TooMany(Struct, frozen=True):
    """What a 429 means."""

    quota_spent: bool
    """Whether the quota is spent: then the rate limiter waits for it. Else the server is busy."""
    wait: float | None
    """Seconds that the server asks to wait, at most `LONGEST_WAIT`; None if it does not ask."""
    by_reset: bool
    """Whether it asks by RateLimit-Reset alone."""


def what_429_means(said: LimitHeaders, *, known: bool, remaining: int, assumed: bool, now: float) -> TooMany:
    """Return what a 429 with the limit headers `said` means, at `now` in seconds since 1970.

    If a quota is `known`, `remaining` is what is left of it by now. The server is busy if limit headers show that
    something is left, or if there is a Retry-After without them; a RateLimit-Reset that stands alone means a spent
    quota. If no answer ever stated a quota, it is spent if one is `assumed`.
    """
    asked, by_reset = said.wait(now), said.retry_after is None
    if said.limit:
        spent = remaining <= 1
    elif known:
        spent = by_reset and asked is not None
    else:
        spent = assumed
    return TooMany(spent, None if asked is None else min(asked, LONGEST_WAIT), by_reset)


def is_beyond(wait: float | None, patience: float, *, limited: bool) -> bool:
    """Whether a server asks to wait longer than a call has patience for.

    `limited` says that it was a 429. Patience for the quota does not bound the wait for a server that is busy.
    """
    return (wait or 0.0) > (patience if limited else max(patience, BUSY))
