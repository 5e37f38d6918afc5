"""How many requests carrying out a plan takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from ._actions import Action, ActionKind

CHUNK = 25
"""Actions that are guarded by one search: those that follow each other and are of one resource and kind of guard."""


def estimate(actions: Iterable[Action]) -> int:
    """Return an estimate: a search for each chunk, and a request for each action, two for one that is restored."""
    total = 0
    for _, run in groupby(actions, key=lambda action: (action.resource, action.kind is ActionKind.CREATE)):
        chunk = list(run)
        total += -(-len(chunk) // CHUNK)
        total += sum(1 + bool(action.kind is ActionKind.RESTORE and action.changes) for action in chunk)
    return total
