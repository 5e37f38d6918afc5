"""Which resources a mirror keeps. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .._wire.validation import suggestion
from ..resources import RESOURCES

_EVENTS = "audit_events"
"""They do not change: they are where deletions are read from."""
KEPT = tuple(name for name in RESOURCES if name != _EVENTS)


def kept_names(given: Iterable[str] | None) -> tuple[str, ...]:
    """Return the attributes of the resources named, in their usual order; None names all that a mirror keeps.

    `student-placements` is `student_placements`. Raises `ValueError` for a name that no resource has.
    """
    if given is None:
        return KEPT
    names = {name.replace("-", "_") for name in ([given] if isinstance(given, str) else given)}
    for name in names:
        if name == _EVENTS:
            raise ValueError("audit_events are not kept in a mirror: they do not change; list or search them")
        if name not in RESOURCES:
            raise ValueError(f"there is no resource {name!r}{suggestion(name, KEPT)}")
    if not names:
        raise ValueError("resources names no resource; None asks for all of them")
    return tuple(name for name in KEPT if name in names)
