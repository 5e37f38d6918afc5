"""When rows were created, 16 bytes a row. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from operator import le

from .steps import Steps

_STEP = 1024
"""Rows that one step moves: about a millisecond."""


class Timeline:
    """When rows were created, in seconds since 1970, and the hashes of their ids, side by side."""

    __slots__ = ("_in_order", "keys", "stamps")

    def __init__(self) -> None:
        self.stamps = array("d")
        self.keys = array("q")
        self._in_order = True

    def append(self, ids: Sequence[str], stamps: Sequence[datetime]) -> None:
        """Add the rows of a page, in any order."""
        seconds = [at.timestamp() for at in stamps]
        if self._in_order:
            self._in_order = all(map(le, [*(self.stamps[-1:] or seconds[:1]), *seconds], seconds))
        self.stamps.fromlist(seconds)
        self.keys.fromlist(list(map(hash, ids)))

    def insert(self, at: datetime, id_: str) -> None:
        """Add a row where it belongs, when the others are in order."""
        second = at.timestamp()
        place = bisect_right(self.stamps, second)
        self.stamps.insert(place, second)
        self.keys.insert(place, hash(id_))

    def span(self, low: datetime | None, high: datetime) -> range:
        """Return the places of the rows from `low` (None: the first) until before `high`, when they are in order."""
        start = 0 if low is None else bisect_left(self.stamps, low.timestamp())
        return range(start, bisect_left(self.stamps, high.timestamp()))

    def ordered(self, *, without: frozenset[str] = frozenset()) -> Steps[Timeline]:
        """Return a copy in order, without the rows of some ids, in short steps."""
        if not self._in_order:
            yield from self._order()
        copy = Timeline()
        if not without:
            copy.stamps, copy.keys = self.stamps[:], self.keys[:]
            return copy
        lost = set(map(hash, without))
        for start in range(0, len(self.keys), _STEP):
            keys = self.keys[start : start + _STEP]
            copy._add(self, [start + place for place, key in enumerate(keys) if key not in lost])
            yield
        return copy

    def _order(self) -> Steps[None]:
        """Put the rows in order: a sample of them cuts time into short intervals, and each is put in order by itself.

        An instant of the sample is an interval too: many rows can share one.
        """
        cuts = sorted(self.stamps[::_STEP])
        intervals = [array("Q") for _ in range(2 * len(cuts) + 1)]
        for start in range(0, len(self.stamps), _STEP):
            for place, at in enumerate(self.stamps[start : start + _STEP], start):
                intervals[bisect_left(cuts, at) + bisect_right(cuts, at)].append(place)
            yield
        rows = Timeline()
        for places in filter(len, intervals):
            rows._add(self, sorted(places, key=self.stamps.__getitem__))
            yield
        self.stamps, self.keys, self._in_order = rows.stamps, rows.keys, True

    def _add(self, other: Timeline, places: list[int]) -> None:
        self.stamps.fromlist([other.stamps[place] for place in places])
        self.keys.fromlist([other.keys[place] for place in places])
