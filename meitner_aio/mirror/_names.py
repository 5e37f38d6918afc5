"""Which resources a mirror keeps. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..resources import RESOURCES, attribute_of
from ..resources.audit_events import AUDIT_EVENTS, NO_CHANGES

KEPT = tuple(name for name in RESOURCES if name != AUDIT_EVENTS)


def kept_names(given: Iterable[str] | None) -> tuple[str, ...]:
    """Return the attributes of the resources named, in their usual order; None names all that a mirror keeps.

    `student-placements` is `student_placements`. Raises `ValueError` for a name that no resource has.
    """
    if given is None:
        return KEPT
    names = {attribute_of(name) for name in ([given] if isinstance(given, str) else given)}
    if AUDIT_EVENTS in names:
        raise ValueError(NO_CHANGES)
    if not names:
        raise ValueError("resources names no resource; None asks for all of them")
    return tuple(name for name in KEPT if name in names)
