"""Finds the record that a row is about, among those of its resource. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ...records import DirectoryRecord
from ..registry._declared import ALSO_KNOWN_BY
from ..registry._problems import Flaw
from ..registry._rows import Row
from ._keys import NaturalKey, fixed_fields, natural_key_of, school_of, source_id_of, source_of, spelled
from ._references import Named, References


class Records:
    """The records of one resource, by what a row may know them by."""

    def __init__(self, resource: str, records: Iterable[DirectoryRecord], source: str | None) -> None:
        """Hold the records; those of `source` are ours."""
        self.resource = resource
        self.ours: dict[str, DirectoryRecord] = {}
        self.owned: Counter[str] = Counter()
        self._by_source_id: dict[str, list[DirectoryRecord]] = {}
        self._by_key: dict[NaturalKey, list[DirectoryRecord]] = {}
        self._strangers: dict[tuple[str, str], list[DirectoryRecord]] = {}
        key_of = natural_key_of(resource)
        for record in records:
            key = key_of(record)
            if key is not None:
                self._by_key.setdefault(key, []).append(record)
            if source is not None and source_of(record) == source:
                self._own(record)
            elif key is None:
                self._remember(record)

    def _own(self, record: DirectoryRecord) -> None:
        self.ours[record.id] = record
        self.owned[""] += 1
        school = school_of(record)
        if school is not None:
            self.owned[school] += 1
        own = source_id_of(record)
        if own is not None:
            self._by_source_id.setdefault(own, []).append(record)

    def _remember(self, record: DirectoryRecord) -> None:
        for name in ALSO_KNOWN_BY.get(self.resource, ()):
            value = getattr(record, name)
            if value is not None:
                self._strangers.setdefault((name, spelled(value)), []).append(record)

    def with_source_id(self, value: str | None) -> list[DirectoryRecord]:
        """Return those of our records that have a source id."""
        return [] if value is None else self._by_source_id.get(value, [])

    def with_keys(self, keys: Iterable[NaturalKey]) -> list[DirectoryRecord]:
        """Return the records that have one of some natural keys, whoever owns them."""
        return [record for key in keys for record in self._by_key.get(key, ())]

    def about(self, named: Named, references: References) -> list[DirectoryRecord]:
        """Return every record that a key of a row may mean."""
        return [*self.with_source_id(named.source_id), *self.with_keys(references.natural_keys(named.natural))]

    def made_by_others(self, row: Row) -> list[DirectoryRecord]:
        """Return records that are not ours and look like a row, of a resource that has no natural key."""
        names = ALSO_KNOWN_BY.get(self.resource, ())
        fixed = [name for name in fixed_fields(self.resource) if name in row.fields]
        for place, name in enumerate(names):
            value = row.fields.get(name)
            found: list[Any] = self._strangers.get((name, spelled(value)), []) if isinstance(value, str) else []
            alike = [
                one
                for one in found
                if all(getattr(one, same) == row.fields[same] for same in fixed)
                and all(_may_be_same(getattr(one, other), row.fields.get(other)) for other in names[:place])
            ]
            if alike:
                return alike
        return []


def _may_be_same(kept: str | None, said: str | None) -> bool:
    return kept is None or said is None or spelled(kept) == spelled(said)


class Match(NamedTuple):
    """The record that a row is about, None if there is none, or why that cannot be said."""

    record: DirectoryRecord | None = None
    flaw: Flaw | None = None
    about: Sequence[DirectoryRecord] = ()
    """Every record that a key of the row means."""


def match(row: Row, named: Named, key: NaturalKey | None, records: Records) -> Match:
    """Return the record that a row is about, with its natural key where such records have one."""
    own, keyed = records.with_source_id(named.source_id), records.with_keys(() if key is None else (key,))
    if len(own) > 1:
        return Match(flaw=Flaw("source_id", f"several {records.resource} of the source have it"))
    if len(keyed) > 1:
        return Match(flaw=Flaw(_key_name(named), f"several {records.resource} have it"))
    if own and keyed and own[0] is not keyed[0]:
        message = "names another record than source_id does"
        return Match(flaw=Flaw(_key_name(named), message, "correct one of them, in the registry or in Meitner"))
    if not own and key is None:
        keyed = records.made_by_others(row)
        if len(keyed) > 1:
            message = f"several {records.resource} of others look like it, and which one it is cannot be told"
            return Match(flaw=Flaw("source_id", message, "give the right one this source id, in Meitner"))
    about = own or keyed
    return Match(about[0] if about else None, about=about)


def _key_name(named: Named) -> str:
    key = named.natural
    return "" if key is None else key.by if isinstance(key.by, str) else " and ".join(key.by)
