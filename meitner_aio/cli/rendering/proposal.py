"""A proposal, and what carrying it out came to, as people and programs read them. Values are shown only when asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from ..._pipeline.server_limiter import Quota
from ...plain import to_dict
from ...reconcile import (
    Action,
    ActionKind,
    Change,
    Failure,
    Key,
    Proposal,
    ReconcileReport,
    Reference,
    Result,
)
from ...reconcile.planning._rendered import plan_table, remarks, table, ways_on
from ...records import Record
from .amounts import counted, duration
from .output import wrapped, write_json, write_table, write_text

_HIDDEN = "***"
_NAMED = 10
"""Failures that are told one by one."""

_NOT_DONE = {
    Result.CHANGED: "changed since the plan, and left as it is: plan again",
    Result.BLOCKED: "not done: each depends on a record whose action was not done",
    Result.HELD: "held back: the registry has at most half as many rows as in the last run",
    Result.FAILED: "failed",
}


def show_proposal(proposal: Proposal, quota: Quota | None, *, detailed: bool, values: bool) -> None:
    """Write a proposal to stdout: a table and what there is to say, before them a line an action where asked for."""
    plan = proposal.data
    if detailed:
        write_text(action_line(action, values=values) for action in plan.actions)
        write_text(f"held: {action_line(one.action, values=values)}" for one in plan.held)
        write_text(str(note) for note in plan.notes)
    _write_table(plan_table(plan))
    write_text([wrapped(remarks(plan, quota, "--details", **({"problems": len(plan.problems)} if detailed else {})))])
    write_text([wrapped(ways_on(plan, "--claim", "--accept-removals ", "--max-updates"))])


def _write_table(rows: list[list[str]]) -> None:
    write_table(rows, numbers=frozenset(range(1, len(rows[0]))))


def action_line(action: Action, *, values: bool) -> str:
    """Return what would be done to a record, in a line."""
    known = f" ({_key(action.key)})" if values and action.key is not None else ""
    changes = ", ".join(_changed(name, change, action.kind, values=values) for name, change in action.changes.items())
    return f"{action.kind.value} {action.resource} {_which(action)}{known}{f': {changes}' if changes else ''}" + (
        f"; {action.reason}" if action.reason else ""
    )


def _which(action: Action) -> str:
    return " ".join(filter(None, (action.id, f"of line {action.line}" if action.line else "")))


def _key(key: Key) -> str:
    return " and ".join(_shown(value) for value in key.values)


def _changed(name: str, change: Change, kind: ActionKind, *, values: bool) -> str:
    before, after = (_shown(one) if values else _HIDDEN for one in (change.before, change.after))
    return f"{name} {after}" if kind is ActionKind.CREATE else f"{name} {before} -> {after}"


def _shown(value: object) -> str:
    match value:
        case Reference():
            return f"{value.by}={value.value}"
        case Record():
            return ", ".join(f"{name} {_shown(one)}" for name, one in to_dict(value).items())
        case list():
            return f"[{', '.join(map(_shown, cast('list[object]', value)))}]"
        case str():
            return str(value).replace("\n", "\\n")
        case _:
            return msgspec.json.encode(value).decode().strip('"')


def write_result(proposal: Proposal, quota: Quota | None, report: ReconcileReport | None, *, values: bool) -> None:
    """Write a proposal, and what carrying it out came to, to stdout as JSON."""
    told = None if report is None else _report_facts(report)
    write_json({"plan": {**_plan_facts(proposal, values=values), "quota": quota}, "report": told})


def _plan_facts(proposal: Proposal, *, values: bool) -> dict[str, Any]:
    plan = proposal.data
    held = Counter(one.resource for one in plan.held)
    return {
        "resources": {
            name: {
                **proposal.counts[name],
                "held": held[name],
                "waiting": plan.waiting.get(name, 0),
                "unchanged": plan.unchanged.get(name, 0),
                "owned": plan.owned.get(name, 0),
                "rows": plan.row_counts.get(name, 0),
            }
            for name in plan.resources
        },
        "actions": [_action_facts(action, values=values) for action in plan.actions],
        "held": [
            {**_action_facts(one.action, values=values), "why": one.reason, "message": one.message} for one in plan.held
        ],
        "problems": plan.problems,
        "notes": plan.notes,
        "source": plan.source,
        "source_learnt": plan.is_source_learnt,
        "removals": proposal.removals,
        "requests": plan.requests,
        "settings": plan.settings,
    }


def _action_facts(action: Action, *, values: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": action.kind, "resource": action.resource, "id": action.id, "line": action.line}
    facts |= {"fields": [*action.changes], "reason": action.reason}
    if values:
        facts["key"] = None if action.key is None else _key(action.key)
        facts["changes"] = action.changes
    return facts


def show_report(report: ReconcileReport) -> None:
    """Write what was done to stdout: a table, and what was not done."""
    _write_table(table({name: kinds for name, kinds in report.counts.items() if any(kinds.values())}, {}))
    write_text([wrapped(_report_remarks(report))])


def _report_remarks(report: ReconcileReport) -> Iterator[str]:
    done = sum(sum(kinds.values()) for kinds in report.counts.values())
    already = report.results.get(Result.ALREADY_DONE, 0)
    so = f", {already:,} of them before this run" if already else ""
    spent = f"in {counted(report.requests, 'request')}, {duration(report.seconds)}"
    yield f"{counted(done, 'action')} done{so}, {spent}."
    for result, words in _NOT_DONE.items():
        count = report.results.get(result, 0)
        if count:
            yield f"{counted(count, 'action')} {words}."
    yield from (f"  {_failed(failure)}" for failure in report.failures[:_NAMED])
    if len(report.failures) > _NAMED:
        yield f"  and {len(report.failures) - _NAMED:,} more"


def _failed(failure: Failure) -> str:
    action = failure.action
    why = " ".join(f"{type(failure.error).__name__}: {failure.error}".split())
    return f"{action.kind.value} {action.resource} {_which(action)}: {why}"


def _report_facts(report: ReconcileReport) -> dict[str, Any]:
    return {
        "resources": report.counts,
        "results": report.results,
        "failures": [
            {
                **_action_facts(one.action, values=False),
                "result": one.result,
                "error": {"type": type(one.error).__name__, "message": str(one.error)},
            }
            for one in report.failures
        ],
        "source": report.source,
        "requests": report.requests,
        "seconds": round(report.seconds, 3),
        "ok": report.ok,
    }
