"""Which ids were seen before, for rows in any order. Pure.

Rows in the strict order of their creation need no lookup: each is younger (or older) than all before it, so it is new.
Their ids are only noted. The first row out of order turns the notes into a set, and from then on every row is looked
up. Very long listings are looked up from the start, in a table that is allocated at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import gt, lt

from msgspec import msgpack

from .creation import CreationTimes

_SHORT = 200_000
"""Rows up to which ids are noted (38 bytes each) or kept in a set (about 80); longer listings use a table (8 to 32)."""

_LONGEST = 4_000_000
"""Rows for which memory is allocated in advance at most: a server may report any total."""

_MASK = 2**64 - 1

_pack = msgpack.Encoder().encode
_unpack = msgpack.Decoder(list[str]).decode


class _Notes:
    """Ids of rows that arrived in the strict order of their creation."""

    __slots__ = ("_follows", "_last", "_packed")

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._last: datetime | None = None
        self._follows: Callable[[datetime, datetime], bool] | None = None

    def take(self, ids: Sequence[str], created: CreationTimes) -> bool:
        """Note the rows of a page that continues the order; return False if it does not."""
        last, (stamps, *_, within) = self._last, created
        follows = self._follows
        if last is not None:
            follows = follows or (lt if last < stamps[0] else gt)
            if not follows(last, stamps[0]):
                return False
        if len(stamps) > 1:
            follows = follows or within
            if within is None or within is not follows:
                return False
        self._packed.append(_pack(ids))
        self._last, self._follows = stamps[-1], follows
        return True

    def keys(self) -> list[int]:
        """Return the hashes of all ids noted."""
        return [hash(id_) for packed in self._packed for id_ in _unpack(packed)]


class _Table:
    """Hashes in an open-addressed table, allocated at once, so that memory stays flat while rows arrive."""

    __slots__ = ("_count", "_slots")

    def __init__(self, expected: int) -> None:
        self._slots = array("Q", bytes(8 << (min(expected, _LONGEST) * 3 // 2).bit_length()))
        self._count = 0

    def fresh(self, keys: Sequence[int]) -> list[int]:
        """Add hashes, and return the positions of those that are new."""
        while (self._count + len(keys)) * 4 > len(self._slots) * 3:
            self._grow()
        slots, mask = self._slots, len(self._slots) - 1
        new: list[int] = []
        for place, key in enumerate(keys):
            mark = key & _MASK or 1  # 0 marks an empty slot
            slot = mark & mask
            while (found := slots[slot]) and found != mark:
                slot = (slot + 1) & mask
            if not found:
                slots[slot] = mark
                new.append(place)
        self._count += len(new)
        return new

    def _grow(self) -> None:
        old = [key for key in self._slots if key]
        self._slots, self._count = array("Q", bytes(2 * 8 * len(self._slots))), 0
        self.fresh(old)

    def __contains__(self, key: int) -> bool:
        slots, mask = self._slots, len(self._slots) - 1
        mark = key & _MASK or 1
        slot = mark & mask
        while (found := slots[slot]) and found != mark:
            slot = (slot + 1) & mask
        return bool(found)


class _Set:
    """Hashes in a set."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: set[int] = set()

    def fresh(self, keys: Sequence[int]) -> list[int] | None:
        """Add hashes, and return the positions of those that are new, or None if all are."""
        known, before = self._keys, len(self._keys)
        if known.isdisjoint(keys):
            known.update(keys)
            if len(known) - before == len(keys):
                return None
            known.difference_update(keys)
        new: list[int] = []
        for place, key in enumerate(keys):
            if key not in known:
                known.add(key)
                new.append(place)
        return new

    def __contains__(self, key: int) -> bool:
        return key in self._keys


class Distinct:
    """Tells new ids from those seen before, by 64-bit hash where the order does not decide.

    Two of a million ids share a hash once in forty million reads. The later one then counts as a duplicate and the read
    as incomplete; a row is never taken to be new by mistake.
    """

    __slots__ = ("_keys", "_notes")

    def __init__(self, expected: int = 0) -> None:
        """Allocate memory for so many ids."""
        short = expected <= _SHORT
        self._notes = _Notes() if short else None
        self._keys = _Set() if short else _Table(expected)

    def fresh(self, ids: Sequence[str], created: CreationTimes | None) -> list[int] | None:
        """Remember the ids of a page; return the positions of those that are new, or None if all are."""
        if not ids:
            return None
        if self._notes is not None:
            if created is not None and self._notes.take(ids, created):
                return None
            self._look_up()
        new = self._keys.fresh(list(map(hash, ids)))
        return None if new is not None and len(new) == len(ids) else new

    def _look_up(self) -> None:
        if self._notes is not None:
            notes, self._notes = self._notes, None
            self._keys.fresh(notes.keys())

    def __contains__(self, id: str) -> bool:
        self._look_up()
        return hash(id) in self._keys
