"""Parses the headers about time and quota. Pure; a value that makes no sense counts as missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from msgspec import Struct

LONGEST_WAIT = 3605.0
"""Seconds: an hour and a little. Nothing waits longer, whatever a server says."""

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_LONGEST_NUMBER = 15
_EARLIEST, _LATEST = 10**9, 10**11
"""Seconds since 1970, in the years 2001 and 5138: instants outside are junk, and larger numbers milliseconds."""
_LONGEST_DELTA = 10**7


def number(headers: Mapping[str, str], name: str) -> int | None:
    """Return a header that is a whole number."""
    text = headers.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        text = text.strip()
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= _LONGEST_NUMBER else None


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type in lower case, without parameters; empty when there is none."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()[:60]


def server_time(headers: Mapping[str, str]) -> float | None:
    """Return the Date of an answer in seconds since 1970."""
    return _epoch(headers.get("Date", ""))


@lru_cache(maxsize=4)  # answers of the same second have the same Date, and parsing it costs as much as all the rest
def _epoch(date: str) -> float | None:
    try:
        instant = parsedate_to_datetime(date)
        # One without a zone, or with -0000, is UTC too (RFC 9110, 5.6.7), not the local time of this machine.
        seconds = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):  # what it raises for junk differs between Pythons
        return None
    return seconds if 0 <= seconds <= _LATEST else None


def reset_epoch(headers: Mapping[str, str], now: float) -> float | None:
    """Return RateLimit-Reset in seconds since 1970; a delta counts from `now`."""
    seconds, delta = _reset(headers)
    return now + seconds if delta else seconds or None


def _reset(headers: Mapping[str, str]) -> tuple[float, bool]:
    """Return RateLimit-Reset in seconds, and whether it is a delta; `0.0, False` if it is missing.

    The API documents epoch milliseconds, sent as a string. Gateways are known to send epoch seconds or a delta.
    """
    reset = number(headers, "RateLimit-Reset")
    if reset is None or reset > _LATEST * 1000:
        return 0.0, False
    if reset > _LATEST:
        return reset / 1000, False
    if reset >= _EARLIEST:
        return float(reset), False
    return (float(reset), True) if reset <= _LONGEST_DELTA else (0.0, False)


def _delay(text: str, date: float | None) -> float | None:
    """Return the seconds of a Retry-After; a date in it is compared with the answer's own Date."""
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until = _epoch(text)
    return None if until is None or date is None else max(0.0, until - date)


class LimitHeaders(Struct, frozen=True):
    """What the headers of an answer say about time and quota."""

    limit: int = 0
    """Requests an hour; 0 unless all three limit headers make sense."""
    remaining: int = 0
    """RateLimit-Remaining; 0 if it is missing."""
    reset: float = 0.0
    """RateLimit-Reset in seconds since 1970, or a `delta`; what it means differs between limiters."""
    date: float | None = None
    """The answer's own Date in seconds since 1970."""
    retry_after: float | None = None
    """Seconds that Retry-After asks for."""
    delta: bool = False
    """Whether `reset` counts from the time of the answer."""

    def ends(self, now: float) -> float:
        """Return RateLimit-Reset in seconds since 1970; 0.0 if it is missing.

        `now` is the time of the answer in seconds since 1970, for a delta in an answer without a Date.
        """
        if not self.delta:
            return self.reset
        return (now if self.date is None else self.date) + self.reset

    def wait(self, now: float) -> float | None:
        """Return the seconds that a 429 asks to wait: by Retry-After, else until RateLimit-Reset.

        The latter only if it stands alone: with the other limit headers it may be the time when a bucket is full again,
        which is later than needed. `now` is as in `ends`.
        """
        if self.retry_after is not None or self.remaining or self.limit:
            return self.retry_after
        wait = self.ends(now) - (now if self.date is None else self.date)
        return wait if wait > 0 else None

    @property
    def reset_at(self) -> datetime | None:
        """The instant that RateLimit-Reset names, by the server's clock; None for a delta without a Date."""
        ends = self.ends(0.0)
        return None if ends < _EARLIEST else datetime.fromtimestamp(ends, UTC)


def limit_headers(headers: Mapping[str, str]) -> LimitHeaders:
    """Parse the headers of an answer that concern time and quota."""
    remaining, limit, date = number(headers, "RateLimit-Remaining"), 0, server_time(headers)
    reset, delta = _reset(headers)
    if remaining is not None and (reset or delta):
        limit = number(headers, "RateLimit-Limit") or 0
    asked = headers.get("Retry-After")
    return LimitHeaders(limit, remaining or 0, reset, date, None if asked is None else _delay(asked, date), delta)
