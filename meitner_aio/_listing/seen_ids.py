"""Which ids were seen before, for rows in any order. Pure.

A row that comes twice was created at one time. So a page can only repeat rows of pages whose creation times overlap its
own: none, where rows come in the order of their creation, or those of the page before, where rows of one instant lie on
both sides of a boundary. Their ids are only noted. The first page that overlaps others moves the notes to where ids are
looked up, in short steps.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from msgspec import msgpack

from .creation import CreationTimes
from .steps import Steps, at_once

K = TypeVar("K", int, str)

_SHORT = 200_000
"""Rows up to which ids are looked up in a set (about 80 bytes each); longer listings use a table (8 to 32)."""

_WHOLE = 100_000
"""Rows up to which ids are noted as they are (38 bytes each): that computes nothing. Of more rows, hashes (9 bytes
each); with each page that comes then, one that was noted before becomes hashes too."""

_LONGEST = 4_000_000
"""Rows for which memory is allocated in advance at most: a server may report any total."""

STEP = 2048
"""Rows that one step moves at most, beside those of a page: two or three milliseconds."""

_BLOCK = 1 << 17
"""Slots that one step allocates: a megabyte."""

_MASK = 2**64 - 1

_pack = msgpack.Encoder().encode
_unpack_ids = msgpack.Decoder(list[str]).decode
_unpack_hashes = msgpack.Decoder(list[int]).decode


def _packed(values: Sequence[object]) -> bytes:
    """Return values in little memory: the encoder's own result has room for half as much again."""
    return bytes(memoryview(_pack(values)))


class _Notes:
    """Ids of rows that needed no look-up."""

    __slots__ = ("_hashes", "_ids", "rows")

    def __init__(self) -> None:
        self._ids: list[bytes] = []
        self._hashes: list[bytes] = []
        self.rows = 0

    def add(self, ids: Sequence[str]) -> None:
        """Note the ids of a page."""
        if not ids:
            return
        if self.rows < _WHOLE:
            self._ids.append(_packed(ids))
        else:
            self._hashes.append(_packed(list(map(hash, ids))))
            if self._ids:
                self._hashes.append(_packed(list(map(hash, _unpack_ids(self._ids.pop())))))
        self.rows += len(ids)

    def last(self) -> list[int]:
        """Return the hashes of a page that is noted: the next to be forgotten."""
        return _unpack_hashes(self._hashes[-1]) if self._hashes else list(map(hash, _unpack_ids(self._ids[-1])))

    def forget(self, rows: int) -> None:
        """Forget that page, which is of so many rows."""
        (self._hashes or self._ids).pop()
        self.rows -= rows


class _Table:
    """Hashes in an open-addressed table, so that memory stays flat while rows arrive."""

    __slots__ = ("_count", "_slots")

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 << 10))
        self._count = 0

    def room(self, rows: int) -> Steps[None]:
        """Allocate memory for so many rows more, in steps; nothing changes before the last."""
        if (self._count + rows) * 4 <= len(self._slots) * 3:
            return
        size = 1 << ((self._count + rows) * 3 // 2).bit_length()
        old, slots = self._slots, array("Q")
        while len(slots) < size:
            slots.frombytes(bytes(8 * min(_BLOCK, size - len(slots))))
            yield
        for start in range(0, len(old), STEP):
            _enter(slots, [mark for mark in old[start : start + STEP] if mark])
            yield
        self._slots = slots

    def fresh(self, keys: Sequence[int]) -> list[int] | None:
        """Add hashes, and return the positions of those that are new."""
        at_once(self.room(len(keys)))
        new = _enter(self._slots, keys)
        self._count += len(new)
        return new

    def __contains__(self, key: int) -> bool:
        slots, mask = self._slots, len(self._slots) - 1
        mark = key & _MASK or 1
        slot = mark & mask
        while (found := slots[slot]) and found != mark:
            slot = (slot + 1) & mask
        return bool(found)


def _enter(slots: array[int], keys: Iterable[int]) -> list[int]:
    """Add hashes to the slots of a table, and return the positions of those that were not there."""
    mask = len(slots) - 1
    new: list[int] = []
    for place, key in enumerate(keys):
        mark = key & _MASK or 1  # 0 marks an empty slot
        slot = mark & mask
        while (found := slots[slot]) and found != mark:
            slot = (slot + 1) & mask
        if not found:
            slots[slot] = mark
            new.append(place)
    return new


class _Set:
    """Hashes in a set."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: set[int] = set()

    def room(self, rows: int) -> Steps[None]:
        """Do nothing: a set grows by itself."""
        del rows
        yield from ()

    def fresh(self, keys: Sequence[int]) -> list[int] | None:
        """Add hashes, and return the positions of those that are new, or None if all are."""
        known, before = self._keys, len(self._keys)
        if known.isdisjoint(keys):
            known.update(keys)
            if len(known) - before == len(keys):
                return None
            known.difference_update(keys)
        return _first(keys, known)

    def __contains__(self, key: int) -> bool:
        return key in self._keys


class _Span(NamedTuple):
    """The creation times of some pages, from the earliest to the latest."""

    earliest: datetime
    latest: datetime

    def apart(self, created: CreationTimes) -> bool:
        """Whether all rows of a page were created before, or all after."""
        return created.earliest > self.latest or created.latest < self.earliest

    def joined(self, other: _Span) -> _Span:
        """Return the span of both."""
        return _Span(min(self.earliest, other.earliest), max(self.latest, other.latest))


class Distinct:
    """Tells new ids from those seen before, by 64-bit hash where the order does not decide.

    Two of a million ids share a hash once in forty million reads. The later one then counts as a duplicate and the read
    as incomplete; a row is never taken to be new by mistake.
    """

    __slots__ = ("_dated", "_expected", "_keys", "_last", "_last_ids", "_notes", "_past")

    def __init__(self, expected: int = 0) -> None:
        """Expect so many ids; memory is allocated when they have to be looked up."""
        self._expected = min(expected, _LONGEST)
        self._notes = _Notes()
        self._keys: _Set | _Table | None = None
        self._dated = True
        """Whether every page so far had creation times: one without may repeat, and be repeated by, any row."""
        self._past: _Span | None = None
        """All pages before the last."""
        self._last: _Span | None = None
        self._last_ids: Sequence[str] = ()

    def preparing(self, created: CreationTimes | None = None, rows: int = 0) -> Steps[None]:
        """Do what `fresh` needs to look up a page of so many rows, in short steps; without a page, what `in` needs.

        May be left at any step. What is not prepared, `fresh` and `in` do at once.
        """
        if self._candidates(created) is None:
            yield from self._gathering(rows)

    def fresh(self, ids: Sequence[str], created: CreationTimes | None) -> list[int] | None:
        """Remember the ids of a page; return the positions of those that are new, or None if all are."""
        if not ids:
            return None
        candidates = self._candidates(created)
        self._advance(ids, created)
        if candidates is None:
            new = self._gathered(len(ids)).fresh(list(map(hash, ids)))
        else:
            new = _new(ids, candidates, distinct=created is not None and created.follows is not None)
            self._notes.add(ids if new is None else [ids[place] for place in new])
        return None if new is not None and len(new) == len(ids) else new

    def _candidates(self, created: CreationTimes | None) -> Sequence[str] | None:
        """Return the ids of earlier pages that a page may repeat; None if they may be any."""
        if created is None or not self._dated or not (self._past is None or self._past.apart(created)):
            return None
        return () if self._last is None or self._last.apart(created) else self._last_ids

    def _advance(self, ids: Sequence[str], created: CreationTimes | None) -> None:
        if created is None:
            self._dated, self._last_ids = False, ()
            return
        if self._last is not None:
            self._past = self._last if self._past is None else self._past.joined(self._last)
        self._last, self._last_ids = _Span(created.earliest, created.latest), ids

    def _gathered(self, rows: int = 0) -> _Set | _Table:
        """Return where every id is looked up, with room for so many more."""
        at_once(self._gathering(rows))
        return self._looked_up()

    def _gathering(self, rows: int) -> Steps[None]:
        """Move the notes to where ids are looked up."""
        notes, moved = self._notes, 0
        room = max(notes.rows + rows, 0 if self._keys else self._expected)
        keys = self._looked_up()
        yield from keys.room(room)
        while notes.rows:
            hashes = notes.last()
            keys.fresh(hashes)
            notes.forget(len(hashes))
            moved += len(hashes)
            if moved >= STEP:
                moved = 0
                yield

    def _looked_up(self) -> _Set | _Table:
        if self._keys is None:
            self._keys = _Set() if max(self._expected, self._notes.rows) <= _SHORT else _Table()
        return self._keys

    def __contains__(self, id: str) -> bool:
        return hash(id) in self._gathered()


def _new(ids: Sequence[str], candidates: Sequence[str], *, distinct: bool) -> list[int] | None:
    """Return the positions of the ids that are not among the candidates, each once; None if that is all of them.

    `distinct` says that no id is in the page twice.
    """
    known = set(candidates)
    if known.isdisjoint(ids) and (distinct or len(set(ids)) == len(ids)):
        return None
    return _first(ids, known)


def _first(keys: Sequence[K], known: set[K]) -> list[int]:
    """Add keys to those known, and return the positions of those that were not."""
    new: list[int] = []
    for place, key in enumerate(keys):
        if key not in known:
            known.add(key)
            new.append(place)
    return new
