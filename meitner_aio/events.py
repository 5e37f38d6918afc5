"""What a client tells about its work, for metrics and progress: small facts, never bodies, headers or personal data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct


class Event(Struct, frozen=True):
    """The base of every event."""


class RequestSent(Event, frozen=True):
    """An attempt is about to leave; the first is attempt 1."""

    method: str
    route: str
    attempt: int


class ResponseReceived(Event, frozen=True):
    """An answer arrived, whatever its status, `elapsed` seconds after its attempt left."""

    method: str
    route: str
    status: int
    elapsed: float
    attempt: int
    request_id: str | None = None


class RetryScheduled(Event, frozen=True):
    """An attempt failed with `reason` (a status or the kind of error); the next leaves after `delay` seconds."""

    method: str
    route: str
    reason: str
    delay: float
    attempt: int


class QuotaWait(Event, frozen=True):
    """A request waits `delay` seconds for the quota, which is `zone` paced or closed, for a `reason`.

    spent: a window has nothing left. refilling: a bucket has nothing left. shared: others send, too. reserved: what is
    left is kept for single calls. probing: it is asked whether there is a window or a bucket. refused: an answer was
    429. assumed: answers say nothing, and what the documentation allows is used up.
    """

    zone: str
    delay: float
    remaining: int
    reset_at: datetime | None
    reason: str = ""


OnEvent = Callable[[Event], object]
"""Is called with every event, in the event loop; what it returns is ignored, what it raises is logged."""
