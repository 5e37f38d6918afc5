"""Log lines of a client: INFO for the end of a call, DEBUG for every attempt. Knows events only.

A line holds methods, route templates, statuses, times and request ids: events hold no secret and no personal data, so
lines hold none either.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .._runtime.amounts import duration
from ..errors import ConfigurationError
from ..events import Event, OnEvent, QuotaWait, RequestSent, ResponseReceived, RetryScheduled

Log = logging.Logger | logging.LoggerAdapter[Any]

LOG = logging.getLogger("meitner_aio")
"""Where a client writes unless it is given a logger of its own."""
LOG.addHandler(logging.NullHandler())


class CallEnded(Event, frozen=True):
    """A call ended with an `outcome`: a status, an error, or both. For the log only: the caller has the result."""

    method: str
    route: str
    outcome: str
    elapsed: float
    attempts: int | None
    request_id: str | None


def _after(seconds: float) -> str:
    return f"after {seconds * 1000:.0f} ms"


def _named(request_id: str | None) -> str:
    return f" (request {request_id})" if request_id else ""


def _sent(event: RequestSent) -> str:
    return f"{event.method} {event.route}: attempt {event.attempt} leaves"


def _received(event: ResponseReceived) -> str:
    answered = f"attempt {event.attempt} was answered {event.status} {_after(event.elapsed)}"
    return f"{event.method} {event.route}: {answered}{_named(event.request_id)}"


def _scheduled(event: RetryScheduled) -> str:
    return f"{event.method} {event.route}: attempt {event.attempt} failed ({event.reason}), next in {event.delay:.3f} s"


def _waits(event: QuotaWait) -> str:
    why = f"{event.zone} ({event.reason})" if event.reason else event.zone
    return f"a request waits {duration(event.delay)} for the quota: {why}, {event.remaining} left"


def _ended(event: CallEnded) -> str:
    attempts = "" if event.attempts is None else f" in {event.attempts} attempt{'s' * (event.attempts != 1)}"
    return f"{event.method} {event.route}: {event.outcome} {_after(event.elapsed)}{attempts}{_named(event.request_id)}"


_LINES: dict[type[Event], tuple[int, Callable[[Any], str]]] = {
    RequestSent: (logging.DEBUG, _sent),
    ResponseReceived: (logging.DEBUG, _received),
    RetryScheduled: (logging.DEBUG, _scheduled),
    QuotaWait: (logging.INFO, _waits),  # it may last an hour, and no other line explains it
    CallEnded: (logging.INFO, _ended),
}
"""How each event is written, and at which level."""


def listener(log: Log, on_event: OnEvent | None = None) -> OnEvent:
    """Return a callback that logs events and passes all but `CallEnded` to `on_event`; neither can break a call."""
    after = None if on_event is None else harmless(on_event, log)

    def emit(event: Event) -> None:
        level, line = _LINES[type(event)]
        with suppress(Exception):  # a filter of the user's may raise
            if log.isEnabledFor(level):
                log.log(level, "%s", line(event), extra={"meitner": event})
        if after is not None and type(event) is not CallEnded:
            after(event)

    return emit


def harmless(on_event: OnEvent, log: Log) -> OnEvent:
    """Return a callback that cannot break a call: what it raises is logged."""

    def emit(event: Event) -> None:
        try:
            on_event(event)
        except Exception:
            log.exception("on_event failed")

    return emit


class _ToStderr(logging.Handler):
    """Writes to the present `sys.stderr`, unless a handler of the application does."""

    def emit(self, record: logging.LogRecord) -> None:
        stderr = sys.stderr
        for handler in logging.getLogger().handlers:
            if getattr(handler, "stream", None) is stderr and record.levelno >= handler.level:
                return
        try:
            stderr.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 - as every handler of the standard library
            self.handleError(record)


_to_stderr = _ToStderr()
_to_stderr.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO}
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


def switch_on() -> None:
    """Show the log of this package on stderr as MEITNER_LOG or MEITNER_DEBUG says; a second call changes nothing.

    Raises `ConfigurationError` for an unknown value.
    """
    level = _asked()
    if level is not None and _to_stderr not in LOG.handlers:
        LOG.addHandler(_to_stderr)
        LOG.setLevel(level)


def _asked() -> int | None:
    name, debug = (os.environ.get(f"MEITNER_{what}", "").strip().lower() for what in ("LOG", "DEBUG"))
    if name and name not in _LEVELS:
        raise ConfigurationError("MEITNER_LOG must be debug or info")
    if debug not in _YES + _NO:
        raise ConfigurationError("MEITNER_DEBUG must be true or false")
    return _LEVELS["debug" if debug in _YES and not name else name] if name or debug in _YES else None
