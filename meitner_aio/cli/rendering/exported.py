"""What an export came to, for people: a table with how each resource was proven, and lines on what may be lacking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from ...export import Report, ResourceReport
from .amounts import counted, duration, size, stamp
from .output import write_table

_NAMED = 5
"""Rows that are named, of those that were left out."""

_ALL, _MATCHING = "all rows proven", "all that match, proven"
_DOUBTFUL = "rows may be missing"
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "repaired": "proven at second reading",
        "stable": "counted twice, the same",
        "consistent": "nothing moved, no proof",
        "unverified": _DOUBTFUL,
        "unfinished": "not read to its end",
    }
)
"""Levels of completeness, but for `certified` and `limited`, for who never heard of them."""


def write_summary(report: Report, to: str) -> None:
    """Write what an export to a folder or a store came to, to stdout."""
    sizes = {one.file: one.bytes for one in report.resources}
    shared = len(sizes) < len(report.resources)  # a database is the file of all
    rows = [["resource", "rows", "size", "time", "completeness"]]
    rows += (
        [one.resource, f"{one.rows:,}", "" if shared else size(one.bytes), duration(one.seconds), proof(one)]
        for one in report.resources
    )
    told = "complete" if report.complete else "incomplete"
    rows.append(["all", f"{report.rows:,}", size(sum(sizes.values())), duration(report.seconds), told])
    styles = {row[-1]: "yellow" for row, one in zip(rows[1:], report.resources, strict=False) if not one.as_asked}
    write_table(
        rows,
        numbers=frozenset({1, 2, 3}),
        wrapped=frozenset({4}),
        styles=styles | ({} if report.complete else {told: "yellow"}),
        note="\n".join(_notes(report, to)),
    )


def proof(one: ResourceReport) -> str:
    """Return how the rows of a resource were shown to be all, in words that need no manual."""
    if one.invalid:
        return f"{counted(len(one.invalid), 'row')} left out"
    if one.updated is not None:
        return f"{one.updated:,} rows updated"
    if one.limited:
        return f"first {one.rows:,} of {one.total:,}"
    if one.level == "certified":
        return _MATCHING if one.where or one.since is not None else _ALL
    lacks = f": the server has {one.total:,}" if one.rows < one.total else ""
    return _WORDS[one.level] + ("" if one.complete else lacks)


def _notes(report: Report, to: str) -> Iterator[str]:
    ended = max((one.exported_at for one in report.resources), default=None)
    yield f"in {to}{'' if ended is None else f', done at {stamp(ended)}'}, described by manifest.json"
    since = {one.since for one in report.resources if one.since is not None}
    if since:
        yield f"only what was created or changed since {stamp(since.pop())}"


def doubts(one: ResourceReport) -> Iterator[str]:
    """Yield why a resource may be incomplete, and what to do."""
    if one.invalid:
        rows = ", ".join(f"{row.id} ({row.field})" if row.field else row.id for row in one.invalid[:_NAMED])
        more = f" and {len(one.invalid) - _NAMED:,} more" if len(one.invalid) > _NAMED else ""
        count = counted(len(one.invalid), "row")
        yield f"lacks {count} that the API's contract does not allow: {rows}{more}; manifest.json names them"
    if one.updated is not None:
        new = f"{one.updated:,} of {one.rows:,} are new"
        yield f"keeps rows that this export did not see, perhaps deleted ones: {new}; a whole export replaces them"
    elif not (one.as_asked or one.invalid):
        rows = f"{one.rows:,} of {counted(one.total, 'row')}"
        yield f"may lack rows: {rows} read, {one.level}; another export may read them all"
