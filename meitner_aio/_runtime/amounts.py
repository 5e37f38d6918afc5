"""Numbers as people read them, in whatever tells of them. Pure."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Return `1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def duration(seconds: float) -> str:
    """Return a time as people say it: under 1 s, 45 s, 2 min 5 s, 3 h 20 min, 5 days 2 h."""
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    larger, per, lesser, unit = ("min", _MINUTE, "s", 1)
    if whole >= 2 * _DAY:
        larger, per, lesser, unit = ("days", _DAY, "h", _HOUR)
    elif whole >= _HOUR:
        larger, per, lesser, unit = ("h", _HOUR, "min", _MINUTE)
    rest = whole % per // unit
    return f"{whole // per} {larger}" + (f" {rest} {lesser}" if rest else "")
