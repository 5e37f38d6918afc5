"""What tells a record from all others, as a search can ask for it. Pure.

A key is what the server keeps unique (an identity number, a title within a school), or the record's id in another
system, of which nobody promises that it is unique, or the two ends of a placement, which may share several over time.
Servers tidy text, and nobody says whether a search does, too: it is asked for in every spelling they may have kept.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar

from msgspec import UNSET, Struct

from .._wire.validation import is_id
from ..query import ExternalQuery, one_of
from ..records import External, ExternalRequest, Kind, Record, fields
from .comparison import composed

KeyName = str | tuple[str, ...]
"""How a caller names a key: a field, or several that tell records apart together."""

K = TypeVar("K", bound=KeyName)


class Keys(Struct, Generic[K], frozen=True):
    """The keys of a resource. That they are of exactly one type is what lets checkers refuse any other name."""

    names: tuple[K, ...]


SourceKey = Literal["source_id"]
SOURCE: SourceKey = "source_id"
"""The key of every record that can have an id in another system: `external.source_id`."""

SOURCE_KEYS: Keys[SourceKey] = Keys((SOURCE,))
"""The keys of what has no other."""


class Key(Struct, frozen=True):
    """The values of a key, each in the spellings that a server may have kept, the likeliest first.

    Without values, nothing tells the record from others.
    """

    spellings: dict[str, tuple[str, ...]]
    unique: bool = False
    """Whether the server refuses a second record with it."""
    several: bool = False
    """Whether records may share it over time."""
    recoverable: bool = True
    """Whether it was written as servers are known to keep it, so that they keep it in no other way."""

    @property
    def certain(self) -> bool:
        """Whether it is made of digits and ids, of which there are no other spellings than those asked for."""
        likeliest = [forms[0] for forms in self.spellings.values()]
        return all(is_id(text) or (text.isascii() and text.lower() == text.upper()) for text in likeliest)

    @property
    def identity(self) -> tuple[str, ...]:
        """What is the same for the same key, however it was spelled."""
        return tuple(forms[0] for forms in self.spellings.values())

    def __repr__(self) -> str:
        return f"Key({', '.join(self.spellings)})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [(name, "***") for name in self.spellings]


NO_KEY = Key({})


def key_of(body: Record, names: tuple[str, ...], *, unique: bool = False, several: bool = False) -> Key:
    """Return the key that a create has in the fields named, all of which it must give."""
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
    """Return the values that a record has in the fields of a key, as `Key.spellings` would spell them."""
    kinds = {field.name: field.kind for field in fields(type(record))}
    values = [_source_id(record) if name == SOURCE else getattr(record, name) for name in names]
    return tuple(v.lower() if v and kinds.get(n) is Kind.UUID else v for n, v in zip(names, values, strict=True))


def _source_id(record: Record) -> str | None:
    external: External | ExternalRequest | None = getattr(record, "external", None)
    return None if external is None else external.source_id


def lost_key(body: Record, natural: tuple[str, ...], *, unique: bool) -> Key:
    """Return the key by which a create is looked up whose answer was lost; `NO_KEY` when nothing tells it from others.

    `natural` names the fields that every such record is known by, if there are any.
    """
    if natural and unique:
        return key_of(body, natural, unique=True)
    if getattr(body, "external", UNSET) is not UNSET:
        return key_of(body, (SOURCE,))
    return key_of(body, natural, several=True) if natural else NO_KEY


def conditions(keys: Sequence[Key]) -> dict[str, Any]:
    """Return the search for the records that have one of some keys of the same fields, as the keywords of a query.

    Of several keys of several fields it finds more: who asked compares. Made anew each time, so that no frame holds it.
    """
    asked: dict[str, Any] = {}
    for name in keys[0].spellings:
        forms = dict.fromkeys(form for key in keys for form in key.spellings[name])
        asked[name] = one_of(*forms) if len(forms) > 1 else next(iter(forms))
    return {"external": ExternalQuery(**asked)} if SOURCE in asked else asked
