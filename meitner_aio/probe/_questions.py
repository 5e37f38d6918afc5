"""The open questions about a server, each answered with as few reads as possible. Larger ones have their own files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from .._wire.headers import server_time
from ..records import fields
from ._findings import Determined, Undetermined
from ._instants import ELSEWHERE, moment, spelled
from ._pages import Page, meta
from ._scene import SMALL, Scene, model, searchable

LARGE, HUGE = 1000, 5000
"""Rows to ask for: what an export asks for first, and what nobody needs."""

_SMALLER = (500, 200, 100)
"""What is asked for where `LARGE` is refused."""

_EPOCH = "1970-01-01T00:00:00Z"


async def largest_page(scene: Scene) -> Determined:
    """Say how many rows a page may have: given, clamped or refused."""
    name, given, short = _longest(scene), 0, ""
    for limit in (LARGE, HUGE):
        try:
            found = await scene.list_page(name, limit=limit)
        except Undetermined as reason:
            if not given and reason.refused:
                return await _smaller(scene, name, reason.refused)
            if not given:
                raise
            how = f"refused ({reason.refused})" if reason.refused else f"not given ({reason})"
            return Determined(str(given), f"{given:,} rows: {limit:,} are {how}{short}")
        given, short = found.limit, _short(found)
        if given < limit:
            return Determined(str(given), f"{given:,} rows: {limit:,} are clamped to that{short}")
    return Determined(str(given), f"{given:,} rows or more: any limit is taken{short}")


def _longest(scene: Scene) -> str:
    """Return the resource to read large pages of: without personal data where that has more rows than a large page."""
    names = sorted(scene.first, key=scene.total, reverse=True)
    impersonal = [name for name in names if not any(field.personal for field in fields(model(name)))]
    enough = [name for name in (*impersonal, *names) if scene.total(name) > LARGE]
    for name in (*enough, *impersonal, *names):
        return name
    raise Undetermined("no resource may be read")


async def _smaller(scene: Scene, name: str, status: int) -> Determined:
    for limit in _SMALLER:
        try:
            given = min(limit, (await scene.list_page(name, limit=limit)).limit)
        except Undetermined:
            continue
        return Determined(str(given), f"{given:,} rows at least: {LARGE:,} are refused ({status})")
    raise Undetermined(f"{LARGE:,} rows are refused ({status}), and so are {_SMALLER[-1]}")


def _short(found: Page) -> str:
    """Return what a page leaves open, or does not keep."""
    if len(found.rows) < min(found.limit, found.total):
        return f", yet {len(found.rows):,} came"
    return "" if found.total >= found.limit else f" (unproven: the longest list has {found.total:,})"


async def zones(scene: Scene) -> Determined:
    """Say whether a filter heeds the zone of an instant, by one between whose two readings a row was created."""
    name = _dated(scene)
    created = sorted(found[0] for row in scene.rows[name] if (found := moment(meta(row, "createdAt"))))
    cut = created[len(created) // 2] - ELSEWHERE / 2
    here = await _created_by(scene, name, spelled(cut))
    try:
        there = await _created_by(scene, name, spelled(cut, elsewhere=True))
    except Undetermined as reason:
        if reason.refused is None:
            raise
        return Determined("refused", f"an offset is refused ({reason.refused}): only Z is taken")
    if here >= scene.total(name):
        raise Undetermined(f"{name}: a bound on created_at leaves out no row")
    if there == here:
        return Determined("heeded", "heeded: Z and +02:00 find the same rows")
    if there == await _created_by(scene, name, spelled(cut + ELSEWHERE)):
        return Determined("dropped", "dropped: 10:00+02:00 is taken for 10:00 UTC")
    raise Undetermined(f"{here:,} rows with Z, {there:,} with +02:00: neither heeded nor dropped")


def _dated(scene: Scene) -> str:
    """Return the resource of whose creation times most are known, among those that can be searched."""
    known = {
        name: sum(moment(meta(row, "createdAt")) is not None for row in rows)
        for name, rows in scene.rows.items()
        if searchable(name)
    }
    name = max(known, key=known.__getitem__, default="")
    if not known.get(name):
        raise Undetermined("no row that can be searched for says when it was created")
    return name


async def _created_by(scene: Scene, name: str, instant: str) -> int:
    """Return how many rows were created until an instant. Such a count does not grow meanwhile."""
    return await scene.count(name, "smallerOrEqual", "meta.createdAt", instant)


async def nulls_in_ranges(scene: Scene) -> Determined:
    """Say whether a bound on a field leaves out the rows where it is null."""
    name = _dated(scene)
    null = await scene.count(name, "null", "meta.updatedAt", value=True)
    if not null:
        raise Undetermined(f"{name}: on no row is updated_at null")
    within, total = await scene.count(name, "greaterOrEqual", "meta.updatedAt", _EPOCH), scene.total(name)
    if within == total:
        return Determined("found", "found: updated_at >= 1970 finds the rows where it is null, too")
    if within + null == total:
        return Determined("left out", f"left out: updated_at >= 1970 finds {within:,} of {total:,}")
    raise Undetermined(f"{within:,} in range and {null:,} null do not add up to {total:,} {name}")


async def archived(scene: Scene) -> Determined:
    """Say whether a list has the archived placements."""
    name = "student_placements"
    if name not in scene.first:
        raise Undetermined(f"{name} may not be read")
    if any(row.get("archivedAt") is not None for row in scene.listed[name]):
        return Determined("listed", "archived placements are listed")
    hidden = await scene.count(name, "notNull", "archivedAt", value=True)
    if not hidden:
        raise Undetermined("no placement is archived, or neither list nor search shows those that are")
    others, total = await scene.count(name, "null", "archivedAt", value=True), scene.total(name)
    if total == hidden + others:
        return Determined("listed", f"archived placements are listed: {hidden:,} of {total:,}")
    if total == others:
        return Determined("searched", f"archived placements are not listed, only found: {hidden:,} of them")
    raise Undetermined(f"{hidden:,} archived and {others:,} others do not add up to {total:,} listed")


async def audit_retention(scene: Scene) -> Determined:
    """Say how old the oldest audit event is: events are kept for so long at least."""
    name = "audit_events"
    if name not in scene.first:
        raise Undetermined("they may not be read")
    total = scene.total(name)
    if not total:
        raise Undetermined("there are none: nothing tells how long they are kept")
    last = await scene.list_page(name, limit=SMALL, offset=total - 1)
    rows = (*scene.first[name].rows, *last.rows)
    oldest = min((found[0] for row in rows if (found := moment(row.get("timestamp")))), default=None)
    if oldest is None:
        raise Undetermined("none of them says when it happened")
    days = max(timedelta(), _now(scene) - oldest).days
    if await scene.count(name, "smallerThan", "timestamp", spelled(oldest)):
        return Determined(str(days), f"kept for {days:,} days at least; the oldest is at neither end of the list")
    return Determined(str(days), f"the oldest of {total:,} is {days:,} days old: kept so long at least")


def _now(scene: Scene) -> datetime:
    date = server_time(scene.asker.answers[-1].headers)
    return datetime.now(UTC) if date is None else datetime.fromtimestamp(date, UTC)
