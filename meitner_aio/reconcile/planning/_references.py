"""Finds what a row refers to: by the keys of the records that there are, and of those that the plan creates. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import NamedTuple, cast

from ...records import DirectoryRecord
from ...resources._references import REFERENCES
from ..registry._declared import ALSO_KNOWN_BY, declared
from ..registry._rows import HeldRow, Key, Reference, Row
from ._keys import NaturalKey, source_id_of, source_of, spelled

PENDING = "@"
"""What a target begins with that is created by the plan; the name of the action follows."""


class Index:
    """The records of one resource, by the keys that references name them by. Holds ids and keys, and no record."""

    def __init__(self, resource: str) -> None:
        """Know no record yet."""
        natural = declared(resource).natural
        self._fields = (*(natural if len(natural) == 1 else ()), *ALSO_KNOWN_BY.get(resource, ()))
        self._unique = frozenset((*natural, "source_id"))
        self._shared = [name for name in self._fields if name not in self._unique]
        self._found: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in self._fields}
        self._of_source: dict[str | None, dict[str, tuple[str, ...]]] = {}
        self._rows: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in (*self._fields, "source_id")}
        self._left_out: set[tuple[str, str]] = set()
        self.ids: set[str] = set()
        self.source: str | None = None
        """The source whose ids a registry has, once that is known."""

    def add(self, record: DirectoryRecord) -> None:
        """Add a record of the directory."""
        record_id = record.id.lower()
        self.ids.add(record_id)
        for name in self._fields:
            value = getattr(record, name)
            if value is not None:
                _put(self._found[name], spelled(value), record_id)
        source_id = source_id_of(record)
        if source_id is not None:
            _put(self._of_source.setdefault(source_of(record), {}), source_id, record_id)

    def name(self, row: Row | HeldRow, known: Named, target: str) -> None:
        """Note that a row is about a record: it is known by all keys of the row then."""
        for by, value in known.texts:
            if by in self._rows:
                _put(self._rows[by], value, target)
        if isinstance(row, Row):
            for name in self._shared:
                said = row.fields.get(name)
                if isinstance(said, str):
                    _put(self._rows[name], spelled(said), target)

    def leave_out(self, known: Named) -> None:
        """Note that a row that is known by some keys is left out."""
        self._left_out.update(known.texts)

    def has_left_out(self, by: str, value: str) -> bool:
        """Whether a row with a key was left out."""
        return (by, spelled(value)) in self._left_out

    def find(self, by: str, value: str) -> tuple[str, ...]:
        """Return the records that a key may mean: what the registry says of it counts more than what others have."""
        value = spelled(value)
        named = self._rows.get(by, {}).get(value, ())
        if by == "source_id":
            return named or self._with_source_id(value)
        found = self._found.get(by, {}).get(value, ())
        return named or found if by in self._unique else tuple(dict.fromkeys((*named, *found)))

    def _with_source_id(self, value: str) -> tuple[str, ...]:
        ours = () if self.source is None else self._of_source.get(self.source, {}).get(value, ())
        return ours or tuple({found: None for index in self._of_source.values() for found in index.get(value, ())})


def _put(index: dict[str, tuple[str, ...]], value: str, record_id: str) -> None:
    there = index.get(value)
    if there is None:
        index[value] = (record_id,)
    elif record_id not in there:
        index[value] = (*there, record_id)


class Unresolved(NamedTuple):
    """A reference that does not lead to exactly one record."""

    field: str
    """As a column of a registry."""
    reference: Reference | None
    """None where a row names an id that nobody has."""
    targets: tuple[str, ...]
    """Several, or none."""


class References:
    """The indexes of every resource that was read."""

    def __init__(self, resources: Iterable[str]) -> None:
        """Know no record yet."""
        self.indexes: Mapping[str, Index] = {resource: Index(resource) for resource in resources}

    def is_left_out(self, reference: Reference) -> bool:
        """Whether a reference means a row that was left out."""
        found = (self.indexes.get(home) for home in reference.resources)
        return any(index.has_left_out(reference.by, reference.value) for index in found if index is not None)

    def targets(self, reference: Reference) -> tuple[str, ...]:
        """Return what a reference may lead to: ids, and `@` with the name of an action."""
        homes = reference.resources
        if len(homes) == 1:
            index = self.indexes.get(homes[0])
            return () if index is None else index.find(reference.by, reference.value)
        found: dict[str, None] = {}
        for home in homes:
            index = self.indexes.get(home)
            if index is not None:
                found |= dict.fromkeys(index.find(reference.by, reference.value))
        return tuple(found)

    def resolved(self, row: Row, found: dict[Reference, str]) -> Unresolved | None:
        """Enter into `found` where the references of a row lead; return the first that leads nowhere, or anywhere."""
        for name in _referring(row):
            value = row.fields[name]
            many = isinstance(value, list)
            for item in cast("list[object]", value) if many else (value,):
                if isinstance(item, Reference):
                    targets = self.targets(item)
                    if len(targets) != 1:
                        return Unresolved(_column(name, item.by, many=many), item, targets)
                    found[item] = targets[0]
        return None

    def missing_id(self, row: Row, incomplete: frozenset[str]) -> Unresolved | None:
        """Return the first id of a row that no record has; None where that cannot be known."""
        for name in _referring(row):
            value = row.fields[name]
            homes = REFERENCES[name]
            if isinstance(value, Reference) or any(home not in self.indexes or home in incomplete for home in homes):
                continue
            for item in cast("list[object]", value) if isinstance(value, list) else (value,):
                if isinstance(item, str) and not any(item.lower() in self.indexes[home].ids for home in homes):
                    return Unresolved(name, None, ())
        return None

    def natural_keys(self, key: Key | None) -> Iterator[NaturalKey]:
        """Yield every natural key that a key of a row may mean: several, where a reference in it may."""
        if key is None:
            return
        found: list[tuple[str, ...]] = [()]
        for value in key.values:
            choices = self.targets(value) if isinstance(value, Reference) else (spelled(value),)
            found = [(*before, choice) for before in found for choice in choices]
        yield from found


@cache
def referring_fields(resource: str) -> frozenset[str]:
    """Return the fields of a resource that name records."""
    return frozenset(REFERENCES) & declared(resource).fields.keys()


def _referring(row: Row) -> Iterator[str]:
    """Yield the fields of a row that name records, in the order of the row."""
    names = referring_fields(row.resource)
    return (name for name in row.fields if name in names)


def _column(field: str, by: str, *, many: bool) -> str:
    return f"{field.removesuffix('_ids')}s.{by}" if many else f"{field.removesuffix('_id')}.{by}"


class Named(NamedTuple):
    """What a row is known by, looked up once."""

    keys: tuple[Key, ...]
    natural: Key | None
    source_id: str | None
    """Spelled as it is compared."""
    texts: tuple[tuple[str, str], ...]
    """The keys that are one field with a text, which is spelled as it is compared."""

    def natural_key(self, found: Mapping[Reference, str]) -> NaturalKey | None:
        """Return the natural key, where it is known where the references in it lead."""
        if self.natural is None:
            return None
        return tuple(found[one] if isinstance(one, Reference) else spelled(one) for one in self.natural.values)


def named(row: Row | HeldRow) -> Named:
    """Return what a row is known by."""
    natural: Key | None = None
    source_id: str | None = None
    texts: list[tuple[str, str]] = []
    for key in row.keys:
        first = key.values[0]
        if isinstance(key.by, str) and isinstance(first, str):
            texts.append((key.by, spelled(first)))
        if key.by == "source_id":
            source_id = texts[-1][1]
        else:
            natural = key
    return Named(row.keys, natural, source_id, tuple(texts))
