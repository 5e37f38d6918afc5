"""Which actions are held back, and why: removals where something may be missing by mistake, and too many of anything.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from ..._runtime.amounts import counted
from ..registry._table import Doubt
from ._actions import Action, ActionKind, Held, HoldReason
from ._brakes import Brakes, Owned, tripped
from ._keys import PEOPLE


class Evidence(Struct, frozen=True, kw_only=True):
    """What speaks against calling something missing, by resource."""

    doubts: Mapping[str, Iterable[Doubt]]
    incomplete: Mapping[str, Iterable[str]]
    """The resources whose listings are not complete and would have to be."""
    shrunk: Mapping[str, tuple[int, int]]
    """Rows now and in the last run, where there are at most half as many."""
    strays: Mapping[tuple[str, str], int]
    """By resource and school (an empty text: any), rows that may be any record."""
    naming: Mapping[str, Mapping[str, int]] = {}
    """By resource of people, how many rows were left out of each resource that may name them."""


_DOUBTS = {
    Doubt.EMPTY: "the registry has no row of {}",
    Doubt.UNREADABLE: "the registry's file of {} could not be read",
    Doubt.UNKNOWN_ROWS: "the registry has rows of {} of which no key could be read: they may be any record",
}


class Decided(Struct, frozen=True):
    """Actions, and those that are held."""

    actions: tuple[Action, ...]
    held: tuple[Held, ...]


def decide(
    actions: list[Action],
    evidence: Evidence,
    owned: Owned,
    brakes: Brakes,
    *,
    accept_removals: int | None,
    people: Mapping[str, str],
) -> Decided:
    """Return which of some actions go on. `people` says whose the placements are that are to be deleted."""
    removals = sum(action.kind.is_removal for action in actions)
    accepted = accept_removals is not None and accept_removals == removals
    brake = tripped(actions, owned, brakes)
    kept: list[Action] = []
    held: list[Held] = []
    staying: dict[str, Held] = {}
    for action in actions:
        why = None
        if not (accepted and action.kind.is_removal):
            why = _doubt(action, evidence) if action.kind.is_removal else None
            share = brake.message(action)
            if why is None and share is not None:
                why = HoldReason.SHARE, share
            if why is None and action.kind is ActionKind.DELETE and action.resource in PEOPLE:
                behind = staying.get(str(action.id).lower())
                why = None if behind is None else (behind.reason, f"a placement stays: {behind.message}")
        if why is None:
            kept.append(action)
            continue
        held.append(Held(action, *why))
        if action.name in people:
            staying[people[action.name]] = held[-1]
    return Decided(tuple(kept), tuple(held))


def _doubt(action: Action, evidence: Evidence) -> tuple[HoldReason, str] | None:
    """Return why a record that no row names may not be missing."""
    resource = action.resource
    for doubt in sorted(evidence.doubts.get(resource, ())):
        return HoldReason(doubt.value), _DOUBTS[doubt].format(resource)
    for listed in sorted(evidence.incomplete.get(resource, ())):
        return HoldReason.INCOMPLETE, f"the listing of {listed} is not known to be complete"
    if resource in evidence.shrunk:
        now, before = evidence.shrunk[resource]
        return HoldReason.SHRUNK, f"the registry has {now:,} rows of {resource}, and had {before:,} in the last run"
    for referrer, count in evidence.naming.get(resource, {}).items() if action.kind is ActionKind.DELETE else ():
        return HoldReason.UNKNOWN_ROWS, f"{counted(count, 'row')} of {referrer} left out may name the record"
    strays = sum(evidence.strays.get((resource, school), 0) for school in {"", action.school_id or ""})
    if strays:
        rows = "a row" if strays == 1 else f"{strays:,} rows"
        return HoldReason.UNKNOWN_ROWS, f"{rows} of {resource} cannot be told to be about another record"
    return None
