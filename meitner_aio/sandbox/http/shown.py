"""What the page of requests shows of a request: what was asked and what came of it, no values. Pure.

The data may be a user's own. So there are no bodies, headers and values of a query but numbers of pages, and of a path
nothing that may be a person's number or address.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import islice
from typing import TypedDict
from urllib.parse import unquote

from ..faults import Fault, label
from .received import ReceivedRequest

_MASK = "***"
_LONGEST = 200
"""Characters of a path, or of a query, that are shown."""

_MOST = 20
"""Conditions of a query that are shown."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TELLING = re.compile(r"@|(?:\d[-+ ]?){6}")
"""What an address has, or the number of a person."""
_QUOTED = re.compile(r"'.*'|\".*\"", re.DOTALL)
_PAGES = ("limit", "offset")
_NUMBER = re.compile(r"[0-9]{1,6}")
_NAME = re.compile(r"[A-Za-z][A-Za-z_.\[\]]{0,39}")


class ShownRequest(TypedDict):
    """A request, as the page has it; `/requests.json` is documented as a list of these."""

    number: int
    time: str
    """ISO 8601, in UTC, by the clock of the sandbox."""
    method: str
    path: str
    query: str
    operation: str
    status: int
    """0 when no answer reaches the client."""
    milliseconds: float | None
    """None while it goes on."""
    fault: str
    remaining: int | None
    problem: str


class ShownFault(TypedDict):
    """A fault that may strike."""

    fault: str
    times: int | None
    """How often it may still strike; None is without end."""
    probability: float
    operations: list[str]


def shown_fault(one: Fault, left: int | None) -> ShownFault:
    """Return a fault as it is shown."""
    return {
        "fault": label(one),
        "times": left,
        "probability": one.probability,
        "operations": sorted(one.operations),
    }


def shown(one: ReceivedRequest, number: int) -> ShownRequest:
    """Return a request as it is shown, with its number."""
    return {
        "number": number,
        "time": datetime.fromtimestamp(one.at, UTC).isoformat(timespec="milliseconds"),
        "method": one.method[:20],
        "path": _masked(one.path, "/"),
        "query": _query(one.query),
        "operation": one.operation,
        "status": one.status,
        "milliseconds": None if one.seconds is None else round(one.seconds * 1000, 1),
        "fault": "" if one.fault is None else label(one.fault),
        "remaining": one.remaining,
        "problem": _masked(_QUOTED.sub(_MASK, one.problem), " "),
    }


def _masked(text: str, between: str) -> str:
    """Return the parts of a text that are ids, or no more than words."""
    return between.join(_MASK if _tells(part) else part for part in _short(text).split(between))


def _tells(part: str) -> bool:
    return not _UUID.fullmatch(part) and _TELLING.search(unquote(part)) is not None


def _query(query: dict[str, str]) -> str:
    return _short("&".join(_condition(name, value) for name, value in islice(query.items(), _MOST)))


def _condition(name: str, value: str) -> str:
    safe = name in _PAGES and _NUMBER.fullmatch(value)
    return f"{name if _NAME.fullmatch(name) else _MASK}={value if safe else _MASK}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
