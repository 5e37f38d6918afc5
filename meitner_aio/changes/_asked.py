"""What a caller asks changes of: names, times and limits, checked before any I/O. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from .._operations.operations import operations
from .._operations.resource import model_of
from .._wire.validation import check_instant, check_seconds
from ..resources import RESOURCES, attribute_of
from ..resources.audit_events import AUDIT_EVENTS, NO_CHANGES, AuditEventResource
from ._checkpoint import Checkpoint, parse

_FIRST = ("schools", "units", "employees", "guardians", "students", "groups")
"""Resources that others refer to, before those that refer to them; the others follow in their own order."""


class Asked(NamedTuple):
    """What is asked for. Times are in seconds, and since 1970."""

    since: float | None
    """None asks for everything."""
    checkpoint: Checkpoint | None
    foreign: bool
    """Whether a checkpoint was given that another version made."""
    resources: tuple[str, ...]
    lookback: float
    grades_every: float | None
    retention: float


def asked(
    since: object,
    resources: Iterable[str] | None,
    lookback: object,
    grades_every: object,
    retention: object,
) -> Asked:
    """Return what `meitner.changes` was called with; `TypeError` or `ValueError` for what means nothing."""
    checkpoint = parse(since) if isinstance(since, str) else None
    if isinstance(since, datetime):
        check_instant(since, "since")
        at: float | None = since.astimezone(UTC).timestamp()
    elif since is None or isinstance(since, str):
        at = None if checkpoint is None else checkpoint.at
    else:
        raise TypeError(f"since must be a checkpoint, an aware datetime or None, not {type(since).__name__}")
    return Asked(
        at,
        checkpoint,
        isinstance(since, str) and checkpoint is None,
        names(resources),
        _seconds("lookback", lookback),
        None if grades_every is None else _seconds("grades_every", grades_every),
        _seconds("retention", retention),
    )


def _seconds(name: str, value: object) -> float:
    return check_seconds(name, value.total_seconds() if isinstance(value, timedelta) else value)


def names(given: Iterable[str] | None) -> tuple[str, ...]:
    """Return the attributes of the resources named, each once, in the order in which they are told.

    `student-placements` is `student_placements`; None names all that have records of their own.
    """
    if given is None:
        chosen = {name for name in RESOURCES if name != AUDIT_EVENTS}
    else:
        chosen = {_attribute(name) for name in ([given] if isinstance(given, str) else given)}
    if not chosen:
        raise ValueError("resources names no resource; None asks for all of them")
    others = sorted((name for name in RESOURCES if name not in _FIRST), key=lambda name: not searchable(name))
    return tuple(name for name in (*_FIRST, *others) if name in chosen)


def _attribute(name: str) -> str:
    attribute = attribute_of(name)
    if attribute == AUDIT_EVENTS:
        raise ValueError(NO_CHANGES)
    return attribute


def searchable(attribute: str) -> bool:
    """Whether a resource can be asked for what changed; the others are read in full."""
    return "search" in operations(RESOURCES[attribute])


def event_name(attribute: str) -> AuditEventResource | None:
    """Return what audit events call a resource; None when its deletions leave none."""
    name = AuditEventResource(model_of(RESOURCES[attribute]).__name__)
    return name if name.known else None
