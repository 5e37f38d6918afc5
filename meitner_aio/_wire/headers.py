"""What the headers of an answer say about time and quota. Pure; whatever makes no sense counts as not said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

LONGEST_WAIT = 3605.0
"""Seconds: the hourly window and a little. Nothing that a server says makes anything wait longer."""

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


@lru_cache(maxsize=4)  # answers of the same second say the same, and parsing costs as much as all the rest
def _epoch(date: str) -> float | None:
    try:
        instant = parsedate_to_datetime(date)
        # One without a zone, or with -0000, is UTC too (RFC 9110, 5.6.7), not the local time of this machine.
        seconds = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):  # what it raises for junk differs between Pythons
        return None
    return seconds if 0 <= seconds <= _LATEST else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for; a date is taken against the answer's own Date header."""
    requested_delay = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(requested_delay):
        return float(requested_delay)
    until, now = _epoch(requested_delay), server_time(headers)
    return None if until is None or now is None else max(0.0, until - now)


def reset_epoch(headers: Mapping[str, str], now: float) -> float | None:
    """Return when the hourly window ends, in seconds since 1970.

    The API documents epoch milliseconds, sent as a string; gateways are known to say epoch seconds or a delta.
    """
    reset = number(headers, "RateLimit-Reset")
    if reset is None or reset > _LATEST * 1000:
        return None
    if reset > _LATEST:
        return reset / 1000
    if reset >= _EARLIEST:
        return float(reset)
    return now + reset if reset <= _LONGEST_DELTA else None


class Limits(NamedTuple):
    """What the three rate-limit headers of an answer say."""

    limit: int
    """Requests an hour, at least 1."""
    remaining: int
    reset: float
    """RateLimit-Reset in seconds since 1970, by the server's clock; what it means differs between limiters."""
    date: float | None
    """The answer's own Date in seconds since 1970."""


def limits(headers: Mapping[str, str], now: float = 0.0) -> Limits | None:
    """Return the limit headers of an answer, or None unless all three make sense.

    `now` is the time of the answer in seconds since 1970 where it has no Date, for a RateLimit-Reset that is a delta.
    """
    remaining = number(headers, "RateLimit-Remaining")
    if remaining is None:
        return None
    limit, date = number(headers, "RateLimit-Limit"), server_time(headers)
    reset = reset_epoch(headers, now if date is None else date)
    return Limits(limit, remaining, reset, date) if limit and reset is not None else None


def wait_asked(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a 429 asks to wait: by Retry-After, else until RateLimit-Reset.

    The latter only where it stands alone. Beside the other limit headers it may be when a bucket is full again, and
    sooner is soon enough. `now` is the time in seconds since 1970, for an answer without a Date.
    """
    asked = retry_after(headers)
    if asked is not None or number(headers, "RateLimit-Remaining") or limits(headers) is not None:
        return asked
    date = server_time(headers)
    here = now if date is None else date
    reset = reset_epoch(headers, here)
    return None if reset is None or reset <= here else reset - here


def reset_at(headers: Mapping[str, str]) -> datetime | None:
    """Return when the hourly window ends, by the server's clock."""
    now = server_time(headers)
    reset = reset_epoch(headers, 0.0 if now is None else now)
    return None if reset is None or reset < _EARLIEST else datetime.fromtimestamp(reset, UTC)
