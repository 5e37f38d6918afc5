"""Numbers and times as people read them: rows, bytes, durations, instants, quotas. Pure."""

from __future__ import annotations

from datetime import datetime, tzinfo

from ..._pipeline.server_limiter import Quota
from ..._runtime.amounts import counted, duration

__all__ = ["amount_left", "counted", "duration", "quota_left", "size", "stamp"]


def size(count: int) -> str:
    """Return a number of bytes as people read it: 999 B, 1.2 kB, 34.5 MB."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:  # a kilo
            break
        amount, unit = amount / 1000, larger
    return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"


def stamp(at: datetime, zone: tzinfo | None = None) -> str:
    """Return an instant by the clock of this machine, with the name of its zone."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def quota_left(quota: Quota | None, zone: tzinfo | None = None) -> str:
    """Return what is left of the hourly quota, and until when, by the clock of this machine; nothing when unknown."""
    return "" if quota is None else f"quota: {amount_left(quota, zone)}"


def amount_left(quota: Quota, zone: tzinfo | None = None, *, until: str = " until ") -> str:
    """Return what is left of the hourly quota, and until when, by the clock of this machine."""
    reset = quota.reset_at.astimezone(zone).strftime("%H:%M %Z")
    return f"{quota.remaining:,} of {counted(quota.limit, 'request')} left{until}{reset}"
