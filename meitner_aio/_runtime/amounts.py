"""Numbers as people read them, in whatever tells of them. Pure."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Return `1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time as people say it: under 1 s, 45 s, 2 min 5 s, 3 h 20 min."""
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    larger, lesser, per = ("min", "s", 60) if whole < 3600 else ("h", "min", 3600)
    count, rest = divmod(whole, per)
    rest //= per // 60
    return f"{count} {larger} {rest} {lesser}" if rest else f"{count} {larger}"
