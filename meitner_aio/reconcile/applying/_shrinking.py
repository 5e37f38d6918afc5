"""Whether a registry shrank since it was carried out last, and what the next one is compared with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from ..planning._actions import HoldReason

if TYPE_CHECKING:
    from ..planning._plan import Plan

_DOUBTS = (HoldReason.SHRUNK, HoldReason.EMPTY, HoldReason.UNREADABLE, HoldReason.UNKNOWN_ROWS)
"""Why rows are too few to say anything of what is missing."""


def is_shrunk(rows: int, before: int) -> bool:
    """Whether there are at most half of the rows that there were."""
    return 2 * rows <= before > 0


def shrunk(plan: Plan, before: Mapping[str, int] | None) -> frozenset[str]:
    """Return the resources whose removals are held, for their rows are at most half of those `before`.

    None where the plan was compared with them already, or where a person accepted exactly its removals.
    """
    if before is None or plan.has_last_run or plan.settings.accept_removals == plan.removals:
        return frozenset()
    counts = plan.row_counts
    return frozenset(name for name, count in before.items() if name in counts and is_shrunk(counts[name], count))


def row_counts(plan: Plan, before: Mapping[str, int] | None, held: AbstractSet[str]) -> Mapping[str, int]:
    """Return what the next run compares its rows with.

    That stays as it was `before` for resources whose removals are held for want of rows, and for those without any:
    else one night of half a file would let the next one end the rest.
    """
    doubted = {one.action.resource for one in plan.held if one.action.kind.is_removal and one.reason in _DOUBTS}
    counts = {name: count for name, count in plan.row_counts.items() if count and name not in held | doubted}
    return {**plan.row_counts, **(before or {}), **counts}
