"""What a read has seen of a listing, and what that proves. Pure: pages go in, fresh rows and a report come out.

The proof (pigeonhole): the first answer says that N rows exist. If N different rows were read that all existed before
that answer, then every one of the N was read, whatever the order did meanwhile. A row read that is younger than the
first answer, or so young that it may have been committed later, proves nothing; a read with such rows is complete
only if nothing was deleted since.
"""

from __future__ import annotations

from array import array
from datetime import UTC, datetime, timedelta
from operator import mul
from typing import Any, Literal

from msgspec import Struct

from ._distinct import Distinct
from ._reading import Fetched

Level = Literal["unfinished", "unverified", "consistent", "stable", "certified", "repaired"]
"""How far completeness was shown, weakest first.

unfinished: the read was not carried to its end. unverified: rows may be missing. consistent: nothing moved that could
be seen, but rows without a creation time leave no proof. stable: two passes over an unsearchable resource agree.
certified: proven by the first read. repaired: proven after rows that moved were fetched again.
"""

_COMPLETE: frozenset[Level] = frozenset({"consistent", "stable", "certified", "repaired"})


class ListingReport(Struct, frozen=True, kw_only=True):
    """What was seen while a listing was read."""

    complete: bool = False
    """Whether every row that existed throughout the read was delivered."""
    level: Level = "unfinished"
    total: int | None = None
    """Rows that exist, as the last answer said."""
    rows: int = 0
    """Rows delivered, each once."""
    requests: int = 0
    duplicates: int = 0
    """Rows that arrived again and were not delivered again."""
    drifted: bool = False
    """Whether the listing moved during the read."""
    invalid: tuple[str, ...] = ()
    """Ids (or places) of rows that break the contract and were skipped, with `on_invalid="skip"`."""
    gone: tuple[str, ...] = ()
    """Ids of rows that were delivered and found deleted afterwards."""
    problems: tuple[str, ...] = ()
    """What stands against completeness, in words."""


class Ledger:
    """The books of one read: what arrived, what was new, what it proves."""

    def __init__(self, *, offset: int, margin: float, updates: bool, keep: bool = False) -> None:
        """Read from `offset`.

        `margin` is how many seconds before the first answer a row must have been created to count as old: commits may
        be late. `updates` says that an update can bring a row in, as in a search, so that it must be old as well.
        `keep` remembers when each row was created, 16 bytes a row, for a repair.
        """
        self._offset = offset
        self._margin = margin
        self._updates = updates or offset > 0  # behind an offset an update can move a row in from before it
        self._kept = _Kept() if keep else None
        self._distinct = Distinct()
        self._began = False
        self._cut: datetime | None = None
        self._first_total = 0
        self._expected = 0
        self._slots = 0
        self._old = 0
        self._young = 0
        self._undated = 0
        self._moved = False
        self._whole = False
        self.print = (0, 0)
        """What set of rows was delivered: equal for equal sets, and in all likelihood for no others."""
        self.level: Level = "unfinished"
        self.total: int | None = None
        self.rows = self.requests = self.duplicates = 0
        self.invalid: list[str] = []
        self.gone: list[str] = []
        self.problems: list[str] = []

    def admit(self, fetched: Fetched[Any]) -> list[Any]:
        """Enter a page of the read; return the rows that were not delivered before."""
        if not self._began:
            self._begin(fetched)
        if self.total is not None and fetched.pagination.total != self.total:
            self._moved = True
        self.total = fetched.pagination.total
        self._slots += fetched.slots
        self.invalid += [name for name in fetched.invalid if name not in self.invalid]
        rows = self._fresh(fetched.rows)
        self.duplicates += len(fetched.rows) - len(rows)
        return rows

    def found(self, fetched: Fetched[Any]) -> list[Any]:
        """Enter rows that were fetched again; return those that were not delivered before."""
        self.invalid += [name for name in fetched.invalid if name not in self.invalid]
        return self._fresh(fetched.rows)

    def again(self) -> Ledger:
        """Return empty books for reading a part of the listing once more, from its beginning."""
        return Ledger(offset=0, margin=self._margin, updates=self._updates, keep=True)

    def mended(self, *, level: Level = "repaired", gone: frozenset[str] = frozenset()) -> None:
        """Enter that a repair made the read whole, and which of its rows have been deleted."""
        self.level = level
        self.gone = sorted(id_ for id_ in gone if id_ in self._distinct)

    def _begin(self, fetched: Fetched[Any]) -> None:
        self._began = True
        self._first_total = fetched.pagination.total
        self._expected = max(0, self._first_total - self._offset)
        self._distinct = Distinct(self._expected)
        if fetched.server_time is not None:
            self._cut = datetime.fromtimestamp(fetched.server_time - self._margin, UTC)
        # A single answer is a snapshot.
        self._whole = fetched.slots >= self._expected

    def _fresh(self, rows: list[Any]) -> list[Any]:
        ids, made = [row.id for row in rows], _made(rows)
        new = self._distinct.fresh(ids, made)
        if new is not None:
            rows, ids = [rows[place] for place in new], [ids[place] for place in new]
            made = _made(rows)
        self._date(rows, made)
        self.rows += len(rows)
        if self._kept is not None:
            self.print = self._kept.keep(rows, ids, self.print)
        return rows

    def _date(self, rows: list[Any], made: list[datetime] | None) -> None:
        """Count which rows existed before the first answer."""
        cut = self._cut
        if made is None or cut is None:
            self._undated += len(rows)
            return
        if self._updates:
            made = [max(at, row.meta.updated_at or at) for at, row in zip(made, rows, strict=True)]
        ends = (made[0], made[-1]) if made and self._distinct.ordered and not self._updates else made
        young = 0 if not made or max(ends) < cut else sum(at >= cut for at in made)
        self._young += young
        self._old += len(made) - young

    @property
    def datable(self) -> bool:
        """Whether rows can be told by when they were created, so that a repair can ask for windows of time."""
        return self._cut is not None and not self._undated and not self._offset

    @property
    def cut(self) -> datetime:
        """The instant before which a row counts as old."""
        assert self._cut is not None  # noqa: S101 - asked only of a datable read
        return self._cut

    @property
    def until(self) -> datetime:
        """The instant before which every row was created that existed when the read began, by whatever clock."""
        return self.cut + timedelta(seconds=2 * self._margin + 1.0)  # Date has whole seconds

    def stamps(self, *, without: frozenset[str]) -> list[float]:
        """Return when the rows delivered were created, in order, in seconds since 1970."""
        return [] if self._kept is None else self._kept.stamps({hash(id_) for id_ in without})

    @property
    def steady(self) -> bool:
        """Whether nothing that moved was seen: the totals agree, and every slot was read, once."""
        return self._counted and not self.problems

    @property
    def _counted(self) -> bool:
        return not (self._moved or self.duplicates) and self._slots == self._expected

    @property
    def doubtful(self) -> bool:
        """Whether the proof lacks only that no row was deleted: the read is steady, but rows may be younger than it."""
        return self.steady and not self._whole and self._young > 0 and self.datable and not self._updates

    def conclude(self, *, deletions: int | None = None) -> None:
        """Settle the level at the end of the read; `deletions` is how many rows were deleted since, where known."""
        snapshot = self._whole and self._counted
        pigeonhole = self.datable and self._old == self._first_total
        untouched = self.doubtful and deletions == 0
        if snapshot or pigeonhole or untouched:
            self.level = "certified"
        elif self.steady and not self._young:
            self.level = "consistent"
        else:
            self.level = "unverified"
            self._explain()

    def _explain(self) -> None:
        lacking = self._expected - self._slots
        if self._moved:
            self.problems.append("the total moved during the read")
        if self.duplicates:
            self.problems.append(f"{self.duplicates} rows arrived twice")
        if lacking > 0:
            self.problems.append(f"{lacking} rows fewer arrived than the first answer counted")
        if lacking < 0 and not self._moved:
            self.problems.append(f"{-lacking} rows more arrived than any answer counted")
        if not self.problems:
            changed = " or changed" if self._updates else ""
            self.problems.append(f"rows were created{changed} during the read or shortly before it")

    def report(self) -> ListingReport:
        """Return what is known so far."""
        return ListingReport(
            complete=self.level in _COMPLETE and not self.invalid,
            level=self.level,
            total=self.total,
            rows=self.rows,
            requests=self.requests,
            duplicates=self.duplicates,
            drifted=self._moved or self.duplicates > 0 or bool(self.problems),
            invalid=tuple(self.invalid),
            gone=tuple(self.gone),
            problems=tuple(self.problems),
        )


def _made(rows: list[Any]) -> list[datetime] | None:
    """Return when rows were created; None when one does not say: meta may be absent."""
    try:
        return [row.meta.created_at for row in rows]
    except AttributeError:
        return None


class _Kept:
    """When each row was created, beside the hash of its id."""

    __slots__ = ("_keys", "_stamps")

    def __init__(self) -> None:
        self._keys = array("q")
        self._stamps = array("d")

    def keep(self, rows: list[Any], ids: list[str], seen: tuple[int, int]) -> tuple[int, int]:
        """Remember rows; return the print of the set with them in it."""
        keys = list(map(hash, ids))
        self._keys.fromlist(keys)
        self._stamps.fromlist([row.meta.created_at.timestamp() if row.meta is not None else 0.0 for row in rows])
        return seen[0] + sum(keys), seen[1] + sum(map(mul, keys, keys))

    def stamps(self, without: set[int]) -> list[float]:
        """Return the stamps in order, those of some keys left out."""
        if not without:
            return sorted(self._stamps)
        return sorted(stamp for stamp, key in zip(self._stamps, self._keys, strict=True) if key not in without)
