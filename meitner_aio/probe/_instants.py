"""Instants as a server writes them: how finely, in which zone, and how one is said in another. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

INSTANT = re.compile(
    r"(?P<second>[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.(?P<fraction>[0-9]{1,12}))?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)

_EARLIEST, _LATEST = 1900, 9000
"""Years outside which an instant stands for none."""

ELSEWHERE = timedelta(hours=2)
"""How far from UTC the same instant is said to see whether a filter heeds the zone."""


def moment(text: object) -> tuple[datetime, str] | None:
    """Return what instants are compared by, to the last digit; None for what is no instant."""
    found = INSTANT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    zone = (found["zone"] or "Z").upper()
    try:
        second = datetime.fromisoformat(found["second"] + ("+00:00" if zone == "Z" else zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if not _EARLIEST <= second.year < _LATEST:
        return None
    return second, (found["fraction"] or "").rstrip("0")


def spelled(instant: datetime, *, elsewhere: bool = False) -> str:
    """Return a whole second in UTC with `Z`, or in the zone that is two hours ahead of it."""
    zone = timezone(ELSEWHERE) if elsewhere else UTC
    return instant.astimezone(zone).replace(microsecond=0).isoformat().replace("+00:00", "Z")
