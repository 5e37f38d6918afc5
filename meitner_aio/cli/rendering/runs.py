"""Runs of `sync` as people and programs read them: a line, a table, what is held, JSON. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

from ...errors import TooManyDeletions
from .._runs import KINDS, Ran
from .amounts import counted, duration, stamp

_CHANGES = ("inserted", "updated", "deleted")
_INCOMPLETE = "not all was shown to be read, so the next run reads it again"


def run_line(ran: Ran, accept: str, zone: tzinfo | None = None) -> str:
    """Return the line of a log about a run; `accept` is what to type where deletions are held."""
    return f"{stamp(ran.at, zone)}  {_ended(ran, accept)}"


def _ended(ran: Ran, accept: str) -> str:
    spent = f"in {counted(ran.sent, 'request')}, {duration(ran.seconds)}"
    if isinstance(ran.error, TooManyDeletions):
        many = ", ".join(held_rows(ran.error))
        return f"held {spent}: {many} would be deleted, so nothing was changed; if they are really gone: {accept}"
    if ran.error is not None:
        why = " ".join(f"{type(ran.error).__name__}: {ran.error}".split())
        return f"failed {spent}: {why}; the next run tries again"
    return "; ".join((f"{changes(ran)} {spent}", *_remarks(ran)))


def changes(ran: Ran) -> str:
    """Return what changed, in words."""
    counts = ((kind, ran.count(kind)) for kind in _CHANGES)
    return ", ".join(f"{count:,} {kind}" for kind, count in counts if count) or "nothing changed"


def _remarks(ran: Ran) -> Iterator[str]:
    if ran.read_anew:
        yield f"{counted(len(ran.read_anew), 'resource')} read in full"
    yield from _repaired(ran)
    if not ran.complete:
        yield _INCOMPLETE


def _repaired(ran: Ran) -> Iterator[str]:
    if ran.mismatches:
        found = ", ".join(f"{name} {rows:+,}" for name, rows in ran.mismatches.items())
        yield f"the directory differed by {found}, which is repaired"


def held_rows(error: TooManyDeletions) -> list[str]:
    """Return how many rows of each resource would go: `137 of 412 students`."""
    return [f"{count:,} of {error.rows.get(name, count):,} {name}" for name, count in error.deletions.items()]


def held(error: TooManyDeletions, to: str, accept: str) -> list[str]:
    """Return lines for whoever has to decide whether deletions are meant."""
    total = counted(sum(error.deletions.values()), "record")
    return [
        f"{to} was left as it is: Meitner no longer has {total} of it, more than usually go at once.",
        *(f"  {rows} would be deleted" for rows in held_rows(error)),
        f"If they are really gone, run again: {accept}",
        "If you do not know, look into Meitner first: an import or a right that is missing looks the same from here.",
    ]


def accepting(words: Sequence[str], error: Exception | None) -> str:
    """Return the command that accepts what was held, from the words of the one that held it."""
    total = sum(error.deletions.values()) if isinstance(error, TooManyDeletions) else 0
    return f"meitner-aio {shlex.join([*words, '--accept-deletions', str(total)])}"


def table(ran: Ran, rows_in_file: Mapping[str, int]) -> list[list[str]]:
    """Return a row for each resource, and one for all: what changed, and how many rows the file has now."""
    rows = [["resource", *_CHANGES, "in file", "requests", "read"]]
    for name in ran.names:
        counts = (*(ran.count(kind, name) for kind in _CHANGES), rows_in_file.get(name, 0), ran.requests.get(name, 0))
        rows.append([name, *(f"{count:,}" for count in counts), "full" if name in ran.read_anew else ""])
    # Deletions are read from audit events, which the file has no table of.
    others = {name: count for name, count in ran.requests.items() if name not in ran.names}
    rows += ([name, *[""] * (len(_CHANGES) + 1), f"{count:,}", ""] for name, count in others.items())
    totals = (*(ran.count(kind) for kind in _CHANGES), sum(rows_in_file.get(name, 0) for name in ran.names), ran.sent)
    return [*rows, ["all", *(f"{total:,}" for total in totals), ""]]


def table_note(ran: Ran, to: str) -> str:
    """Return what stands below the table."""
    state = f"{to} is true as of {stamp(ran.at)}" if ran.complete else f"{to} may not be all: {_INCOMPLETE}"
    return "; ".join((state, *_repaired(ran)))


def facts(ran: Ran, rows: Mapping[str, int]) -> dict[str, Any]:
    """Return a run as JSON tells it, with the rows that the file has."""
    told: dict[str, Any] = {"at": ran.at.astimezone(UTC), "seconds": round(ran.seconds, 3), "complete": ran.complete}
    told |= {"rows": sum(rows.values()), **{kind: ran.count(kind) for kind in KINDS}, "requests": ran.sent}
    told["resources"] = {name: _facts(ran, name) | {"rows": rows.get(name, 0)} for name in ran.names}
    told |= {"read_anew": ran.read_anew, "mismatches": ran.mismatches}
    if isinstance(ran.error, TooManyDeletions):
        told["held"] = {"deletions": dict(ran.error.deletions), "rows": dict(ran.error.rows)}
    if ran.error is not None:
        told["error"] = {"type": type(ran.error).__name__, "message": str(ran.error)}
    return told


def _facts(ran: Ran, name: str) -> dict[str, int]:
    return {kind: ran.count(kind, name) for kind in KINDS} | {"requests": ran.requests.get(name, 0)}
