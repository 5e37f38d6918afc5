"""A row of a registry: what it says, what it refers to, and the keys that it is known by.

What a row says is what a `create` takes, but for ids of the directory: a `Reference` stands where one is to be found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from msgspec import UNSET, Struct

from ..._wire.validation import built, checked
from ...records import Record
from ._declared import Column, KeyName, declared
from ._problems import Flaw


class Reference(Struct, frozen=True):
    """A record that a row names by a key, because the directory gave it its id."""

    resources: tuple[str, ...]
    """Where it may be found: one resource, or several kinds of people."""
    by: str
    """`identity_number`, `source_id`, or what else such records have (a school's `unit_code`)."""
    value: str

    def __repr__(self) -> str:
        """Show what kind of record is meant; the value may be personal."""
        return f"Reference({' or '.join(self.resources)} by {self.by})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("resources", self.resources), ("by", self.by)]


class Key(Struct, frozen=True):
    """What a row is known by. A value is a text, or the reference that stands for an id."""

    by: KeyName
    values: tuple[str | Reference, ...]

    def __repr__(self) -> str:
        """Show what kind of key it is; the values may be personal."""
        return f"Key({self.by!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("by", self.by)]


class RawRow(NamedTuple):
    """A row as it was found: cells by column, and what was wrong with it before any cell was looked at."""

    line: int
    cells: Sequence[tuple[Column, object]] = ()
    flaws: tuple[Flaw, ...] = ()
    blank: bool = False
    """Whether there is no value in it at all: spreadsheets leave such rows behind."""


class HeldRow(Struct, frozen=True):
    """A row that is left out because something is wrong with it, and the keys of it that could be read.

    What has one of the keys is not missing from the registry. Without a key, it may be any record of the resource.
    """

    resource: str
    file: str
    line: int
    keys: tuple[Key, ...]


class Row(Struct, frozen=True):
    """A row whose every value fits."""

    resource: str
    file: str
    line: int
    fields: dict[str, Any]
    """The keywords of a `create`, personal data in the clear, with a `Reference` for each id that is not known."""
    keys: tuple[Key, ...]
    """What it is known by: its natural key, where such records have one, then its id in another system."""

    def __repr__(self) -> str:
        """Show where it stands, and nothing of what it says."""
        return f"Row({self.resource}, {self.file}:{self.line})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("resource", self.resource), ("place", f"{self.file}:{self.line}")]

    @property
    def references(self) -> tuple[Reference, ...]:
        """The records that it refers to by a key, each once."""
        return tuple(dict.fromkeys(_references(self.fields)))

    def body(self, resolve: Callable[[Reference], str]) -> Record:
        """Return the write that `create` takes, with the ids that `resolve` finds."""
        return body_of(self.resource, self.fields, resolve)


def keys_of(resource: str, given: dict[str, Any]) -> tuple[Key, ...]:
    """Return the keys that some fields hold, the natural one first."""
    known = declared(resource)
    found: list[Key] = []
    natural = tuple(map(given.get, known.natural))
    if natural and None not in natural:
        found.append(Key(known.key_names[0], cast("tuple[str | Reference, ...]", natural)))
    external = given.get("external")
    if external is not None:
        found.append(Key("source_id", (external.source_id,)))
    return tuple(found)


def _references(given: dict[str, Any]) -> Iterator[Reference]:
    for value in given.values():
        for item in cast("list[object]", value) if isinstance(value, list) else (value,):
            if isinstance(item, Reference):
                yield item


def body_of(resource: str, given: dict[str, Any], resolve: Callable[[Reference], str]) -> Record:
    """Return the write of some fields; `TypeError` or `ValueError` for what `create` would refuse."""
    known = {name: resolved(value, resolve) for name, value in given.items() if value is not UNSET}
    return checked(built(declared(resource).body, known))


def resolved(value: object, resolve: Callable[[Reference], str]) -> object:
    """Return a value of a row, with the ids that `resolve` finds in the place of references."""
    if isinstance(value, Reference):
        return resolve(value)
    if isinstance(value, list):
        return [resolved(item, resolve) for item in cast("list[object]", value)]
    return value
