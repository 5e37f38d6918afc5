"""The quota: which requests are refused, and what the headers of an answer say of it.

The vendor documents a bucket that refills; the example in the API's OpenAPI document shows a fixed window. Neither says
what RateLimit-Reset means under a bucket, nor whether the headers count the request that they answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, Protocol

from ..._wire.validation import check_seconds, check_whole
from ..store.choices import check_choice
from .answers import Refusal

LimiterKind = Literal["bucket", "window", "none"]
"""A bucket that refills all the time, a fixed window that opens with its first request, or no limit."""

Reset = Literal["full", "next", "hour", "top"]
"""What RateLimit-Reset means under a bucket: when it is full again, when the next token comes, one window from now, or
the end of the clock's own window (the top of the hour)."""

HeaderCount = Literal["now", "late", "none"]
"""What the headers count: this request too, only those before it, or there are no headers."""

HOUR = 3600.0
"""Seconds of a window of the API; also those in which a bucket refills from empty by its whole quota."""

_ROUNDING = 1e-6
"""Of a token: what rounding of the clock may cost a client that comes exactly at the time of RateLimit-Reset."""


class Limiter(Protocol):
    """Counts requests against a quota."""

    def spend(self) -> None:
        """Count a request; 429 when none is left."""

    def headers(self) -> dict[str, str]:
        """Return what an answer says of the quota now."""
        ...


class Unlimited:
    """No limit, and no headers."""

    def spend(self) -> None:
        """Let a request pass."""

    def headers(self) -> dict[str, str]:
        """Return nothing."""
        return {}


class FixedWindow:
    """`quota` requests in a window of `seconds` that opens with its first request, by `clock` in seconds since 1970."""

    def __init__(self, quota: int, seconds: float, clock: Callable[[], float]) -> None:
        self._quota = quota
        self._seconds = seconds
        self._clock = clock
        self._spent = 0
        self._ends_at: float | None = None

    def _turn(self) -> float:
        """Return when the window ends; open a new one when it has."""
        now = self._clock()
        if self._ends_at is None or now >= self._ends_at:
            self._ends_at = now + self._seconds
            self._spent = 0
        return self._ends_at

    def spend(self) -> None:
        """Count a request; 429 when the window has none left."""
        self._turn()
        if self._spent >= self._quota:
            raise Refusal(429, "the quota of the hour is spent")
        self._spent += 1

    def headers(self) -> dict[str, str]:
        """Return what is left of the window, and when it ends."""
        ends_at = self._turn()
        return _headers(self._quota, self._quota - self._spent, ends_at)


class Bucket:
    """A bucket of `burst` tokens, full at the start, into which `quota` tokens flow in `seconds`, by `clock`.

    In any time T it serves at most `burst` + T * `quota` / `seconds` requests. A clock that is set back refills nothing
    until it has caught up.
    """

    def __init__(
        self, quota: int, seconds: float, clock: Callable[[], float], *, burst: int | None = None, reset: Reset = "full"
    ) -> None:
        self._quota = quota
        self._seconds = seconds
        self._clock = clock
        self._size = quota if burst is None else burst
        self._meaning = reset
        self._tokens = float(self._size)
        self._at = clock()

    def _refill(self) -> None:
        now = max(self._clock(), self._at)
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._quota / self._seconds)
        self._at = now

    def spend(self) -> None:
        """Take a token; 429 when there is no whole one."""
        self._refill()
        if self._tokens < 1 - _ROUNDING:
            raise Refusal(429, "the quota is spent for now: it refills all the time")
        self._tokens -= 1  # a little below 0 at most, so that what rounding gave is taken back

    def headers(self) -> dict[str, str]:
        """Return the whole tokens that are left, and what Reset means here."""
        self._refill()
        whole = max(0, math.floor(self._tokens + _ROUNDING))
        return _headers(self._quota, whole, self._reset(whole))

    def _reset(self, whole: int) -> float:
        if self._meaning == "hour":
            return self._at + self._seconds
        if self._meaning == "top":
            return (self._at // self._seconds + 1) * self._seconds
        goal = self._size if self._meaning == "full" else min(whole + 1, self._size)
        return self._at + (goal - self._tokens) * self._seconds / self._quota


class Silent:
    """A limiter without headers."""

    def __init__(self, limiter: Limiter) -> None:
        self.spend = limiter.spend

    def headers(self) -> dict[str, str]:
        """Return nothing."""
        return {}


class Late:
    """A limiter whose headers do not count the request that is answered: they are made before it is counted."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._before: dict[str, str] | None = None

    def spend(self) -> None:
        """Count a request, and keep the headers from before it."""
        self._before = self._limiter.headers()
        self._limiter.spend()

    def headers(self) -> dict[str, str]:
        """Return the headers from before the request that is answered; the present ones where none was counted."""
        before, self._before = self._before, None
        return self._limiter.headers() if before is None else before


def new_limiter(
    kind: LimiterKind,
    quota: int,
    seconds: float,
    clock: Callable[[], float],
    *,
    burst: int | None,
    reset: Reset,
    counted: HeaderCount,
) -> Limiter:
    """Return the limiter of a kind, whose headers count as `counted` says; `ValueError` for an unknown choice."""
    for name, choice, choices in (
        ("limiter", kind, LimiterKind),
        ("reset", reset, Reset),
        ("headers", counted, HeaderCount),
    ):
        check_choice(name, choice, choices)
    check_whole("quota", quota, 1)
    check_seconds("window", seconds, 1)
    if burst is not None:
        check_whole("burst", burst, 1)
        if kind != "bucket":
            raise ValueError("burst must be left out: only a bucket has one")
    if kind == "none":
        return Unlimited()
    made: Limiter = (
        Bucket(quota, seconds, clock, burst=burst, reset=reset)
        if kind == "bucket"
        else FixedWindow(quota, seconds, clock)
    )
    if counted == "none":
        return Silent(made)
    return Late(made) if counted == "late" else made


def _headers(quota: int, remaining: int, reset: float) -> dict[str, str]:
    """Return the three headers; Reset is epoch milliseconds, rounded up so that nobody who waits for it is early."""
    return {
        "RateLimit-Limit": str(quota),
        "RateLimit-Remaining": str(remaining),
        "RateLimit-Reset": str(math.ceil(round(reset * 1000, 3))),
    }
