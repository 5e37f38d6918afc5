"""What the rows of a resource were: by which a full reading tells what changed and what is gone. Pure.

24 bytes a row: its id, which a deletion has to name, and a keyed hash of what it says. In a checkpoint they are
enciphered with a key that is made from a salt and who reads which server: to anybody else they say how many rows there
were. Each salt serves one text, so no key stream is used twice.
"""

from __future__ import annotations

from bisect import bisect_left
from hashlib import blake2b, shake_256
from uuid import UUID

import msgspec

from .._wire.validation import is_id
from ..records import DirectoryRecord

_ID, _SIZE = 16, 24

_encode = msgspec.json.Encoder().encode


def cipher(rows: bytes, key: bytes, resource: str) -> bytes:
    """Encipher what is in the clear, and the other way round."""
    stream = shake_256(key + resource.encode()).digest(len(rows))
    mixed = int.from_bytes(rows, "big") ^ int.from_bytes(stream, "big")
    return mixed.to_bytes(len(rows), "big")


class Comparison:
    """A reading of all rows, row by row, against what they were."""

    def __init__(self, key: bytes, old: bytes = b"", old_key: bytes = b"") -> None:
        """Compare with `old` digests, made with a key of theirs; new ones are made with `key`."""
        self._key, self._old, self._old_key = key, old, old_key
        self._count = len(old) // _SIZE
        self._seen = bytearray(self._count)
        self._new = bytearray()

    def differs(self, row: DirectoryRecord) -> bool:
        """Enter a row; whether it is new or not what it was. One whose id is no UUID is always told."""
        if not is_id(row.id):
            return True
        text, name = _encode(row), UUID(row.id).bytes
        self._new += name + _hash(text, self._key)
        place = self._place(name)
        if place is None:
            return True
        self._seen[place] = 1
        start = place * _SIZE + _ID
        return self._old[start : start + _SIZE - _ID] != _hash(text, self._old_key)

    def vanished(self) -> list[str]:
        """Return the ids of rows that were there and have not been entered."""
        return [str(UUID(bytes=self._name(place))) for place in range(self._count) if not self._seen[place]]

    def rows(self) -> bytes:
        """Return the digests of the rows entered, in the order of their ids. Blocking."""
        new = self._new
        return b"".join(sorted(bytes(new[start : start + _SIZE]) for start in range(0, len(new), _SIZE)))

    def _name(self, place: int) -> bytes:
        return self._old[place * _SIZE : place * _SIZE + _ID]

    def _place(self, name: bytes) -> int | None:
        place = bisect_left(range(self._count), name, key=self._name)
        return place if place < self._count and self._name(place) == name else None


def _hash(text: bytes, key: bytes) -> bytes:
    return blake2b(text, digest_size=_SIZE - _ID, key=key).digest()
