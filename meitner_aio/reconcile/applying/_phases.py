"""In which order actions are carried out: what others refer to comes first, and goes last. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..planning._actions import Action, ActionKind
from ..planning._keys import ORDER

_REMOVED = ("groups", "employee_placements", "student_placements", "guardians", "students", "employees")
"""With a student go its placements, and lists of guardians and groups change."""

_KEPT = (ActionKind.CLAIM, ActionKind.UPDATE, ActionKind.RESTORE)


class Phase(NamedTuple):
    """Actions that do not depend on each other, on records of one resource: either all are creates, or none is."""

    resource: str
    kinds: tuple[ActionKind, ...]
    places: tuple[int, ...]
    """Where the actions are in the plan, in its order."""

    @property
    def creates(self) -> bool:
        """Whether records come to be that have no id yet."""
        return ActionKind.CREATE in self.kinds

    @property
    def deletes(self) -> bool:
        """Whether records go for good."""
        return ActionKind.DELETE in self.kinds

    @property
    def removes(self) -> bool:
        """Whether no row of the registry is carried out."""
        return self.kinds[0].is_removal


def phases(actions: Sequence[Action]) -> list[Phase]:
    """Return the phases in their order; `ValueError` for an action that has no place among them."""
    places: dict[tuple[str, ActionKind], list[int]] = {}
    for place, action in enumerate(actions):
        places.setdefault((action.resource, action.kind), []).append(place)
    found: list[Phase] = []
    for resource, kinds in _order():
        members = sorted(place for kind in kinds for place in places.pop((resource, kind), ()))
        if members:
            found.append(Phase(resource, kinds, tuple(members)))
    for resource, kind in places:
        raise ValueError(f"a plan cannot {kind.value} {resource}")
    return found


def _order() -> Iterator[tuple[str, tuple[ActionKind, ...]]]:
    # A title or an address that a record gives up may be what a new one is to have: creates come second.
    for resource in ORDER:
        yield resource, _KEPT
        yield resource, (ActionKind.CREATE,)
    for kind in (ActionKind.END, ActionKind.ARCHIVE, ActionKind.DELETE):
        for resource in _REMOVED:
            yield resource, (kind,)
