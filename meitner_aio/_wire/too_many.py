"""What a 429 means: decided here, once for each; rate limiter and retries act on it. Pure."""

from __future__ import annotations

from msgspec import Struct

from .headers import LONGEST_WAIT, LimitHeaders

BUSY = 60.0
"""Seconds that any call waits for a server that asks for it and does not speak of the quota."""


class TooMany(Struct, frozen=True):
    """What a 429 means."""

    quota_spent: bool
    """Whether the quota is spent, for the end of which the rate limiter waits; else the server is busy."""
    wait: float | None
    """Seconds that the server asks to wait, and at most what anybody waits; None when it does not ask."""
    by_reset: bool
    """Whether it asks by RateLimit-Reset alone."""


def what_429_means(said: LimitHeaders, *, known: bool, remaining: int, assumed: bool, now: float) -> TooMany:
    """Return what a 429 means whose limit headers are `said`, at `now` in seconds since 1970.

    Where a quota is `known`, `remaining` is what it has left by now. Headers that show something left speak of no
    quota, and so does a Retry-After without them; a reset that stands alone does. A server that never told is taken at
    the quota that is `assumed`, if any is.
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

    `limited` says that it was a 429: how to behave towards the quota says nothing of a server that is busy.
    """
    return (wait or 0.0) > (patience if limited else max(patience, BUSY))
