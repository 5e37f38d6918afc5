"""Which resources a mirror keeps. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..resources import RESOURCES, attribute_of

_EVENTS = "audit_events"
"""They do not change: they are where deletions are read from."""
KEPT = tuple(name for name in RESOURCES if name != _EVENTS)


def kept_names(given: Iterable[str] | None) -> tuple[str, ...]:
    """Return the attributes of the resources named, in their usual order; None names all that a mirror keeps.

    `student-placements` is `student_placements`. Raises `ValueError` for a name that no resource has.
    """
    if given is None:
        return KEPT
    names = {attribute_of(name) for name in ([given] if isinstance(given, str) else given)}
    if _EVENTS in names:
        raise ValueError("audit_events are not kept in a mirror: they do not change; list or search them")
    if not names:
        raise ValueError("resources names no resource; None asks for all of them")
    return tuple(name for name in KEPT if name in names)
