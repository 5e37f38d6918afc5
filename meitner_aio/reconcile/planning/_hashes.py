"""Keyed hashes of records, rows and keys: they tell whether two are the same, and nothing else to who lacks the key.

The key is made from a salt and who reads which server, so a proposal is checked by the same credential only. Records
between which `comparison` sees no difference have one hash.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import UNSET

from ..._operations.comparison import composed
from ..._pipeline.identity import Reader
from ..._wire.validation import is_id
from ...records import DirectoryRecord, Field, Kind, Record, fields
from ..registry._rows import Key, Reference, Row

_encode = msgspec.json.Encoder(order="deterministic").encode


class Hashes:
    """Hashes of one proposal or journal."""

    def __init__(self, reader: Reader, salt: str | None = None) -> None:
        """Derive the key from a salt (a new one unless given) and who reads what. Blocking, some ten milliseconds."""
        self.salt = salt or os.urandom(16).hex()
        self._key = bytes.fromhex(reader.stamp(f"{self.salt} reconcile").digest)

    def of_record(self, record: DirectoryRecord) -> str:
        """Hash every field of a record but `meta`."""
        return self._hash("record", _plain(record))

    def of_row(self, row: Row) -> str:
        """Hash what a row says, references and all."""
        return self._hash(f"row {row.resource}", row.fields)

    def of_key(self, resource: str, key: Key) -> str:
        """Hash a key of a resource."""
        return self._hash(f"key {resource}", [key.by, key.values])

    def of_id(self, resource: str, record_id: str) -> str:
        """Hash an id of a resource."""
        return self._hash(f"id {resource}", record_id.lower())

    def of_reference(self, reference: Reference) -> str:
        """Hash a reference."""
        return self._hash("reference", reference)

    def _hash(self, what: str, value: object) -> str:
        return blake2b(what.encode() + b"\0" + _encode(value), digest_size=16, key=self._key).hexdigest()


Plainly = Callable[[Any], object]


@cache
def _readers(record: type[Record]) -> tuple[tuple[str, Plainly], ...]:
    return tuple((field.name, _reader(field)) for field in fields(record) if field.name != "meta")


def _reader(field: Field) -> Plainly:
    if field.kind is Kind.OBJECT:
        return _object
    if field.many:
        return _list
    return _text if field.kind in (Kind.TEXT, Kind.UUID) else _as_it_is


def _plain(record: Record) -> dict[str, object]:
    return {
        name: None if (value := getattr(record, name)) is UNSET else read(value)
        for name, read in _readers(type(record))
    }


def _object(value: Record | None) -> object:
    """Return what an object says: one of nulls is none."""
    said = {} if value is None else _plain(value)
    return said if any(inner is not None for inner in said.values()) else None


def _list(value: list[str]) -> object:
    """Return a list without its order."""
    return sorted(item.lower() if is_id(item) else item for item in value)


def _text(value: str | None) -> object:
    if value is None:
        return None
    return value.lower() if is_id(value) else composed(value)


def _as_it_is(value: object) -> object:
    return value
