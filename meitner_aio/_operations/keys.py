"""Keys: the fields that identify a record, and how to search for them. Pure.

A key is a value that the server keeps unique (an identity number, a title within a school), or the record's id in
another system, which is not guaranteed to be unique, or the two ends of a placement, which several placements may share
over time. Servers normalise the text that they store, but perhaps not the text of a search: so a search asks for every
spelling that the server may have stored.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import product
from typing import Generic, Literal, TypeVar

from msgspec import UNSET, Struct

from .._wire.validation import is_id
from ..query import ExternalQuery, OneOf, one_of
from ..records import External, ExternalRequest, Kind, Record, fields
from .comparison import composed

KeyName = str | tuple[str, ...]
"""How a caller names a key: one field, or several that identify a record together."""

K = TypeVar("K", bound=KeyName)
R = TypeVar("R", bound=Record)


Several = tuple[K, K, *tuple[K, ...]]
"""How a caller names several keys, of which any may find the record."""


class Keys(Struct, Generic[K], frozen=True):
    """The keys of a resource. `K` is their exact type, so that type checkers refuse any other name."""

    names: tuple[K, ...]


SourceKey = Literal["source_id"]
SOURCE: SourceKey = "source_id"
"""The key of every record that can have an id in another system: `external.source_id`."""

SOURCE_KEYS: Keys[SourceKey] = Keys((SOURCE,))
"""The keys of a resource that has no other."""


class Key(Struct, frozen=True):
    """The values of a key, each in the spellings that a server may have stored, the likeliest first.

    Without values, nothing identifies the record.
    """

    spellings: dict[str, tuple[str, ...]]
    unique: bool = False
    """Whether the server refuses a second record with the same key."""
    several: bool = False
    """Whether several records may have the key over time."""
    recoverable: bool = True
    """Whether the values were written as servers are known to store them, so that no other spelling is possible."""

    @property
    def certain(self) -> bool:
        """Whether the key consists of digits and ids, which have no spellings but those searched for."""
        likeliest = [forms[0] for forms in self.spellings.values()]
        return all(is_id(text) or (text.isascii() and text.lower() == text.upper()) for text in likeliest)

    @property
    def identity(self) -> tuple[str, ...]:
        """A value that is equal for equal keys of the same fields, however they were written."""
        return tuple(forms[0] for forms in self.spellings.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that form the key."""
        return tuple(self.spellings)

    def __repr__(self) -> str:
        return f"Key({', '.join(self.spellings)})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [(name, "***") for name in self.spellings]


NO_KEY = Key({})


class Found(Generic[R]):
    """Records by their values in the fields of one or several keys."""

    def __init__(self, rows: Sequence[R], fields: Sequence[tuple[str, ...]]) -> None:
        """Sort records by the fields of each key."""
        self._rows = rows
        self._by: list[dict[tuple[str | None, ...], list[R]]] = []
        for names in fields:
            by: dict[tuple[str | None, ...], list[R]] = {}
            for row in rows:
                by.setdefault(values_in(row, names), []).append(row)
            self._by.append(by)

    def of(self, keys: Sequence[Key]) -> list[R]:
        """Return the records that have any of these keys, one for each of the fields, in any of its spellings."""
        rows = (
            row
            for key, by in zip(keys, self._by, strict=True)
            for spelled in product(*key.spellings.values())
            for row in by.get(spelled, ())
        )
        return list({id(row): row for row in rows}.values())

    def __len__(self) -> int:
        return len(self._rows)


def key_of(body: Record, names: tuple[str, ...], *, unique: bool = False, several: bool = False) -> Key:
    """Return the key that the named fields of a create form; the create must give all of them."""
    kinds = {field.name: field.kind for field in fields(type(body))}
    given = {name: str.__str__(_source_id(body) or "" if name == SOURCE else getattr(body, name)) for name in names}
    spelled = {name: _spellings(text, kinds.get(name)) for name, text in given.items()}
    recoverable = all(kinds.get(name) is Kind.UUID or spelled[name][0] == text for name, text in given.items())
    return Key(spelled, unique, several, recoverable)


def _spellings(text: str, kind: Kind | None) -> tuple[str, ...]:
    if kind is Kind.UUID:
        return (text.lower(),)
    trimmed = text.strip()
    return tuple(dict.fromkeys((composed(trimmed), text, trimmed, unicodedata.normalize("NFD", trimmed))))


def values_in(record: Record, names: tuple[str, ...]) -> tuple[str | None, ...]:
    """Return a record's values in the fields of a key, spelled as in `Key.spellings`."""
    kinds = {field.name: field.kind for field in fields(type(record))}
    values = [_source_id(record) if name == SOURCE else getattr(record, name) for name in names]
    return tuple(v.lower() if v and kinds.get(n) is Kind.UUID else v for n, v in zip(names, values, strict=True))


def _source_id(record: Record) -> str | None:
    external: External | ExternalRequest | None = getattr(record, "external", None)
    return None if external is None else external.source_id


def lost_key(body: Record, natural: tuple[str, ...], *, unique: bool) -> Key:
    """Return the key to look up a create whose answer was lost; `NO_KEY` if nothing identifies the record.

    `natural` names the fields of the resource's natural key, if it has one.
    """
    if natural and unique:
        return key_of(body, natural, unique=True)
    if getattr(body, "external", UNSET) is not UNSET:
        return key_of(body, (SOURCE,))
    return key_of(body, natural, several=True) if natural else NO_KEY


def conditions(keys: Sequence[Key]) -> dict[str, object]:
    """Return a search for the records that have one of these keys, which have the same fields, as keywords of a query.

    For several keys of several fields it finds other records, too: compare the result. Built anew each time, so that no
    frame of a traceback holds it.
    """
    asked: dict[str, str | OneOf[str]] = {}
    for name in keys[0].spellings:
        forms = dict.fromkeys(form for key in keys for form in key.spellings[name])
        asked[name] = one_of(*forms) if len(forms) > 1 else next(iter(forms))
    return {"external": ExternalQuery(source_id=asked[SOURCE])} if SOURCE in asked else {**asked}
