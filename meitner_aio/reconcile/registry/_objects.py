"""Cells of what is no table: mappings and records, objects inside objects, lists of them.

`{"student": {"identity_number": ...}}` is the column `student.identity_number`, and a list of such objects the list of
what they hold. An object that is null says nothing; a reference that is null is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from msgspec import UNSET

from ...records import Record
from ._declared import Column, Declared
from ._problems import Flaw
from ._rows import RawRow


def raw_row(line: int, item: object, known: Declared) -> RawRow:
    """Return the row that an object makes."""
    if isinstance(item, Record):
        # A record of the directory has more than a create takes: its id, and when it was changed.
        item = {name: value for name, value in _said(item).items() if name in known.fields}
        if isinstance(external := item.get("external"), Record):
            item["external"] = {name: value for name, value in _said(external).items() if name == "source_id"}
    if not isinstance(item, Mapping):
        return RawRow(line, (), (Flaw("", "is no object with names of fields"),))
    cells: list[tuple[Column, object]] = []
    flaws: list[Flaw] = []
    seen: set[str] = set()
    for name, value in _flat(cast("Mapping[object, object]", item)):
        found = _column(known, name, value)
        if isinstance(found, Flaw):
            flaws.append(found)
        elif found is None:
            continue
        elif found.name in seen:
            flaws.append(Flaw(found.name, "is said twice"))
        else:
            seen.add(found.name)
            cells.append((found, value))
    return RawRow(line, cells, tuple(flaws))


def _column(known: Declared, name: str, value: object) -> Column | Flaw | None:
    """Return the column of a name; None for an object that is null, unless it is a reference."""
    if value is None and name not in known.spellings:
        inside = [column for spelling, column in known.spellings.items() if spelling.startswith(f"{name}.")]
        if inside:
            return inside[0] if inside[0].by else None
    return known.column(name, "a name that it has")


def _said(record: Record) -> dict[str, Any]:
    return {name: value for name in record.__struct_fields__ if (value := getattr(record, name)) is not UNSET}


def _flat(item: Mapping[object, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in item.items():
        name = prefix + (key if isinstance(key, str) else "?")
        inner = _said(value) if isinstance(value, Record) else value
        if value is UNSET:
            continue
        if isinstance(inner, Mapping) and not prefix:
            yield from _flat(cast("Mapping[object, object]", inner), f"{name}.")
        elif _has_objects(value) and not prefix:
            yield from _gathered(cast("Sequence[object]", value), name)
        else:
            yield name, value


def _has_objects(value: object) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(one, Mapping) for one in cast("Sequence[object]", value))


def _gathered(items: Sequence[object], name: str) -> Iterator[tuple[str, object]]:
    """Yield the values that objects of a list have under each name; what is no object stands for the list itself."""
    found: dict[str, list[object]] = {}
    for item in items:
        if isinstance(item, Mapping):
            for key, value in _flat(cast("Mapping[object, object]", item), f"{name}."):
                found.setdefault(key, []).append(value)
        else:
            found.setdefault(name, []).append(item)
    yield from found.items()
