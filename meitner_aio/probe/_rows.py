"""Answers from rows that other questions have read: how instants and empty values are written. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..records import fields
from ._findings import Determined, Undetermined
from ._instants import INSTANT
from ._pages import Row, meta
from ._scene import Scene, model

_UNITS = ("whole seconds", "milliseconds", "microseconds", "nanoseconds")

_ZONES = {"Z": "UTC", "z": "UTC", "": "without a zone"}


def resolution(scene: Scene) -> Determined:
    """Return the resolution of created_at and updated_at."""
    texts = [meta(row, key) for row in _rows(scene) for key in ("createdAt", "updatedAt")]
    found = [match for text in texts if isinstance(text, str) and (match := INSTANT.fullmatch(text))]
    if not found:
        raise Undetermined("no row says when it was created, in a way that can be read")
    finest = max(len((match["fraction"] or "").rstrip("0")) for match in found)
    unit = _UNITS[min(3, -(-finest // 3))]
    zones = sorted({_ZONES.get(zone := match["zone"] or "", zone) for match in found})
    digits = ", written with digits for more" if not finest and any(match["fraction"] for match in found) else ""
    return Determined(unit, f"{unit}{digits}, {' and '.join(zones)}; {len(found):,} looked at")


def never_changed(scene: Scene) -> Determined:
    """Say what `updatedAt` is on rows that nobody changed."""
    created = [row for row in _rows(scene) if isinstance(meta(row, "createdAt"), str)]
    null = sum(meta(row, "updatedAt") is None for row in created)
    same = sum(meta(row, "updatedAt") == meta(row, "createdAt") for row in created)
    if null:
        return Determined("null", f"null until the first change ({null:,} of {len(created):,} rows)")
    if same:
        return Determined("created_at", f"created_at until the first change ({same:,} of {len(created):,} rows)")
    raise Undetermined(f"each of {len(created):,} rows was changed, by what it says" if created else "no row tells")


def empty_lists(scene: Scene) -> Determined:
    """Say whether lists without elements come as `[]` or as null."""
    seen: dict[str, set[str]] = {"null": set(), "[]": set()}
    for name, rows in scene.rows.items():
        for field in fields(model(name)):
            values = [row[field.wire] for row in rows if field.many and field.wire in row]
            seen["null"] |= {f"{name}.{field.name}"} if None in values else set()
            seen["[]"] |= {f"{name}.{field.name}"} if [] in values else set()
    for found in scene.pages:
        if not found.rows:
            seen["null" if found.null else "[]"].add("empty pages")
    return _empty(seen)


def _empty(seen: Mapping[str, set[str]]) -> Determined:
    found = {how: ", ".join(sorted(where)) for how, where in seen.items() if where}
    if not found:
        raise Undetermined("no list without elements was seen")
    return Determined(" and ".join(found), "; ".join(f"{how}: {where}" for how, where in found.items()))


def _rows(scene: Scene) -> list[Row]:
    return [row for rows in scene.rows.values() for row in rows]
