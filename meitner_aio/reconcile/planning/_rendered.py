"""A proposal as people read it: how many records of each resource, what is held back and why. Holds no value of any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..._pipeline.server_limiter import Quota
from ..._runtime.amounts import counted, duration
from ..registry._problems import Problem
from ._actions import ActionKind, Held, HoldReason
from ._plan import Plan

Counts = Mapping[str, Mapping[ActionKind, int]]
"""By resource and kind."""

_MOST = 5
"""Problems that are told one by one."""


def rendered(plan: Plan, quota: Quota | None) -> str:
    """Return a table and what there is to say of it, in lines."""
    rows = plan_table(plan)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_aligned(cells, widths)).rstrip() for cells in rows]
    return "\n".join(
        (*lines, *remarks(plan, quota, "problems"), *ways_on(plan, "claim=True", "accept_removals=", "Brakes(update=)"))
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    yield cells[0].ljust(widths[0])
    yield from (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))


def plan_table(plan: Plan) -> list[list[str]]:
    """Return a row for each resource of a plan, and one that names the columns: those that have a number in them."""
    counts = {name: Counter(one.kind for one in plan.actions if one.resource == name) for name in plan.resources}
    others = {
        "held": Counter(one.resource for one in plan.held),
        "waiting": plan.waiting,
        "unchanged": plan.unchanged,
    }
    return table(counts, others)


def table(counts: Counts, others: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    """Return a row for each resource, and one that names the columns: kinds, then `others` (by name, by resource)."""
    columns: dict[str, Mapping[str, int]] = {
        kind.value: {name: found.get(kind, 0) for name, found in counts.items()} for kind in ActionKind
    }
    columns = {name: column for name, column in (columns | {**others}).items() if any(column.values())}
    rows = ([name, *(f"{column.get(name, 0):,}" for column in columns.values())] for name in counts)
    return [["resource", *columns], *rows]


def remarks(plan: Plan, quota: Quota | None, more: str, problems: int = _MOST) -> Iterator[str]:
    """Yield what there is to say of a plan, a sentence or two a line, and the first of its problems.

    `more` is what shows the others, in the caller's spelling.
    """
    if not (plan.actions or plan.held or plan.problems):
        agrees = "The directory agrees with the registry: there is" if plan.row_counts else "There is"
        yield f"{agrees} nothing to do."
    yield from held_back(plan.held)
    if sum(plan.waiting.values()):
        yield "Waiting until it is time: placements within their grace or retention, people who have placements."
    yield from _told(plan.problems, problems, more)
    odd = Counter[str]()
    for note in plan.notes:
        if note.kind.is_warning:
            odd[note.kind.value.replace("_", " ")] += note.count
    if odd:
        yield f"Unusual values, used as they are: {_many(odd)}."
    yield _ownership(plan)
    if plan.actions:
        yield _cost(plan.requests, quota)


def ways_on(plan: Plan, claim: str, accept: str, update: str) -> Iterator[str]:
    """Yield how to let go what is held, if it is meant, in the caller's spelling of the options."""
    if any(one.reason is HoldReason.UNOWNED for one in plan.held):
        yield f"To take over records that nobody owns: {claim}"
    if any(one.kind.is_removal for one in plan.held):
        yield f"To carry out all removals, held ones included: {accept}{plan.removals}"
    if any(one.kind is ActionKind.UPDATE and one.reason is HoldReason.SHARE for one in plan.held):
        yield f"To allow more updates: {update}"


def held_back(held: Iterable[Held]) -> Iterator[str]:
    """Yield a line for each resource and reason."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for one in held:
        groups.setdefault((one.resource, one.message), Counter())[one.kind.value] += 1
    for (resource, message), kinds in groups.items():
        yield f"Held: {resource}, {_many(kinds)}: {message}."


def _many(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _told(problems: Sequence[Problem], most: int, more: str) -> Iterator[str]:
    if not problems:
        return
    yield f"{counted(len(problems), 'problem')}; rows with a problem are left out, and do not count as missing:"
    yield from (f"  {problem}" for problem in problems[:most])
    if len(problems) > most:
        yield f"  and {len(problems) - most:,} more: {more}"


def _ownership(plan: Plan) -> str:
    if plan.source is None:
        return "Source: not known yet, so no record in the directory counts as missing."
    how = ", as its source ids say" if plan.is_source_learnt else ""
    records = counted(sum(plan.owned.values()), "record")
    return f"Source: {plan.source!r}{how}; it owns {records}, and no others are changed."


def _cost(requests: int, quota: Quota | None) -> str:
    many = f"About {counted(requests, 'request')}"
    if quota is None:
        return f"{many}."
    if requests <= quota.remaining:
        return f"{many}: the hourly quota has {quota.remaining:,} of {quota.limit:,} left."
    return f"{many}, {duration(requests * 3600 / quota.limit)} at {quota.limit:,} an hour."
