"""How many requests carrying out a plan takes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..applying._guard import CHUNK, PLACEMENTS_OF
from ..applying._phases import phases
from ._actions import Action, ActionKind


def estimate(actions: Sequence[Action]) -> int:
    """Return an estimate: a search for each chunk, and a request for each action, two for one that is restored.

    Before people are deleted, another search for each chunk asks for their placements.
    """
    searches = sum(
        -(-len(phase.places) // CHUNK) * (2 if phase.deletes and phase.resource in PLACEMENTS_OF else 1)
        for phase in phases(actions)
    )
    return searches + sum(2 if action.kind is ActionKind.RESTORE and action.changes else 1 for action in actions)
