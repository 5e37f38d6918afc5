"""Which resources a caller means. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .._wire.validation import suggestion
from ..resources import RESOURCES


def resource_names(given: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the attributes of the resources named, each once, in the order given; all of them when none is named.

    `student-placements` is `student_placements`. Raises `ValueError` for a name that no resource has, with the
    closest one that exists.
    """
    names = dict.fromkeys([given] if isinstance(given, str) else given)
    return tuple(dict.fromkeys(map(_attribute, names))) or tuple(RESOURCES)


def _attribute(name: str) -> str:
    attribute = name.replace("-", "_")
    if attribute not in RESOURCES:
        raise ValueError(f"there is no resource {name!r}{suggestion(attribute, RESOURCES)}")
    return attribute
