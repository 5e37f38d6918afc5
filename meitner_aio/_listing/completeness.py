"""What a read has seen of a listing, and what that proves. Pure: takes pages, returns new rows and a report.

There are two proofs, both by counting (docs/proofs.md). By dates: the first answer says that N rows exist; a read of N
different rows that all existed before that answer has every one of them, whatever moved meanwhile. By deletions: if
every answer counts N rows, N different ones were read, and none of those has been deleted since, they are the N rows of
the last answer.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol, TypeVar, cast

from msgspec import Struct

from .._wire.decoding import DecodedPage
from .._wire.validation import encode
from ..records import Meta
from .creation import CreationTimes, creation_times
from .seen_ids import Distinct
from .source import Counted
from .steps import Steps, at_once
from .timeline import Timeline

T = TypeVar("T")

Level = Literal["unfinished", "unverified", "consistent", "stable", "certified", "repaired"]
"""How far completeness was shown, weakest first.

unfinished: the read did not reach its end. unverified: rows may be missing. consistent: no change was seen, which is no
proof, because a deletion and an insertion can hide each other. stable: a second pass counted no more rows than were
known before it began. certified: proven by the first read. repaired: proven after rows that moved were fetched again.
"""

_COMPLETE: frozenset[Level] = frozenset({"stable", "certified", "repaired"})

_LATE = 60.0
"""Seconds after its timestamp by which a row is visible: a transaction sets the timestamp first and commits later."""

_BEHIND = 300.0
"""Seconds by which the clock of the timestamps may be behind that of the answers, unless recent rows show less."""

_APART = 60.0
"""Seconds by which an answer may be older than the first one and still be part of a proof by dates: more than requests
that are sent together differ."""

_MASK = 2**64 - 1

_EARLIER = timedelta(minutes=10)
"""How long before the read deletions are looked for: clocks differ, and events may be late."""


class ListingReport(Struct, frozen=True, kw_only=True):
    """What a read of a listing found."""

    complete: bool = False
    """Whether every row that existed throughout the read was delivered."""
    level: Level = "unfinished"
    total: int | None = None
    """Rows in the listing, according to the last answer."""
    rows: int = 0
    """Rows delivered, each once."""
    requests: int = 0
    duplicates: int = 0
    """Rows that arrived again and were not delivered again."""
    drifted: bool = False
    """Whether the listing changed during the read."""
    invalid: tuple[str, ...] = ()
    """Ids (or positions) of rows that break the contract and were skipped, with `on_invalid="skip"`."""
    gone: tuple[str, ...] = ()
    """Ids of rows that were delivered and later found to be deleted."""
    problems: tuple[str, ...] = ()
    """Why completeness was not shown, in words."""


class CompletenessTracker:
    """Tracks one read: which rows arrived, which were new, and what that proves."""

    def __init__(self, *, offset: int = 0, updates: bool, keep: bool = False) -> None:
        """Track a read from `offset`.

        `updates` says that an update can bring a row in, as in a search: such a row must not have been updated
        recently, either. `keep` stores when each row was created, 16 bytes a row, for a repair.
        """
        self._offset = offset
        self.searched = updates
        self._updates = updates or offset > 0  # behind an offset an update can move a row in from before it
        self._kept = Timeline() if keep else None
        self._distinct = Distinct()
        self._began = False
        self.asked: datetime | None = None
        """When the oldest answer was requested, by the server's clock; None if it has no Date."""
        self._horizon: datetime | None = None
        """Rows with an earlier timestamp certainly existed when the first answer was requested, however clocks
        differ."""
        self.counted = 0
        """The total of the first answer."""
        self._expected = 0
        self._size = 0
        self._old = 0
        self._recent = array("d")
        self._behind = _BEHIND
        self._undated = 0
        self._moved = False
        self._whole = False
        self._stalled = False
        self._torn = False
        self._part = False
        self.identified = True
        """Whether rows have ids; without, none can be told from another, and each is delivered."""
        self._multiset = 0
        self.kept = True
        """Whether every page came from a cache, so that nothing was asked of the server."""
        self.level: Level = "unfinished"
        self.total: int | None = None
        self.rows = self.requests = self.duplicates = 0
        self.invalid: list[str] = []
        self.gone: list[str] = []
        self.problems: list[str] = []

    def admit(self, page: DecodedPage[T], *, replayed: bool = False, early: bool = False) -> list[T]:
        """Add a page of the read; return the rows that were not delivered before.

        `replayed` marks a page from a journal, whose time of arrival is not known, and `early` one that was requested
        before the first page arrived, so that it may be the older one.
        """
        return at_once(self.admitting(page, replayed=replayed, early=early))

    def admitting(self, page: DecodedPage[T], *, replayed: bool = False, early: bool = False) -> Steps[list[T]]:
        """Do what `admit` does, in short steps; before the last of them, nothing is added."""
        if not self._began:
            self._begin(page)
        elif early or page.kept:
            self._look_back(page)
        rows = yield from self._fresh(page.rows, None if replayed else page.server_time)
        if self.total is not None and page.pagination.total != self.total:
            self._moved = True
        self.total = page.pagination.total
        self._part = self._part or page.part
        self.kept = self.kept and page.kept
        self._size += page.size
        self._name(page.invalid)
        self.duplicates += len(page.rows) - len(rows)
        return rows

    def found(self, page: DecodedPage[T]) -> list[T]:
        """Add rows that were fetched again; return those that were not delivered before."""
        return at_once(self.finding(page))

    def finding(self, page: DecodedPage[T]) -> Steps[list[T]]:
        """Do what `found` does, in short steps."""
        self._name(page.invalid)
        return (yield from self._fresh(page.rows, page.server_time))

    def looking_up(self, ids: frozenset[str] | None) -> Steps[None]:
        """Prepare to say of some ids whether their rows arrived, in short steps."""
        if ids:
            yield from self._distinct.preparing()

    def again(self) -> CompletenessTracker:
        """Return an empty tracker, for reading the listing, or a part of it, again."""
        return CompletenessTracker(updates=self.searched, keep=not self.identified)

    def agrees(self, other: CompletenessTracker) -> bool:
        """Whether two reads of rows without ids, both with `keep`, brought the same rows, in any order."""
        return (self.rows, self._multiset) == (other.rows, other._multiset)

    def mended(self, *, level: Level = "repaired", gone: frozenset[str] = frozenset()) -> None:
        """Record that a repair completed the read, and which of its rows have been deleted."""
        self.level = level
        self.gone = sorted(id_ for id_ in gone if id_ in self._distinct)

    def _begin(self, page: Counted) -> None:
        self._began = True
        self.counted = page.pagination.total
        self._expected = max(0, self.counted - self._offset)
        self._distinct = Distinct(self._expected)
        if page.asked_at is not None:
            self.asked = datetime.fromtimestamp(page.asked_at, UTC)
            self._horizon = self.asked - timedelta(seconds=_LATE + _BEHIND + _APART)
        # A single answer is a snapshot.
        self._whole = page.size >= self._expected

    def _look_back(self, page: Counted) -> None:
        """Take in an answer that may be older than the first: the proofs then begin with the oldest one.

        Dates prove something if it counted as many rows as the first, whichever of the two is older.
        """
        if self.asked is None or page.asked_at is None:
            self.asked = None
            return
        earliest = min(self.asked.timestamp(), page.asked_at)
        self.asked = datetime.fromtimestamp(earliest, UTC)
        late = self._horizon is None or self.asked < self._horizon + timedelta(seconds=_LATE + _BEHIND)
        self._torn = self._torn or late or page.pagination.total != self.counted

    def _name(self, invalid: Iterable[str]) -> None:
        self.invalid += [name for name in invalid if name not in self.invalid]

    def _fresh(self, rows: list[T], date: float | None) -> Steps[list[T]]:
        if not rows:
            return rows
        try:
            ids = [row.id for row in cast("list[Row]", rows)]
        except AttributeError:
            return self._unidentified(rows)
        created = creation_times(rows)
        yield from self._distinct.preparing(created, len(ids))
        if created is not None and date is not None:
            self._compare_clocks(created.latest, date)
        new = self._distinct.fresh(ids, created)
        if new is not None:
            rows, ids = [rows[place] for place in new], [ids[place] for place in new]
            created = created and created.at(new)
        self._date(cast("list[Row]", rows), created)
        self.rows += len(rows)
        if self._kept is not None and created is not None:
            self._kept.append(ids, created.stamps)
        return rows

    def _unidentified(self, rows: list[T]) -> list[T]:
        """Count rows that cannot be told apart; with `keep`, sum up what they say."""
        self.identified = False
        self.rows += len(rows)
        self._undated += len(rows)
        if self._kept is not None:
            self._multiset = (self._multiset + sum(hash(encode(row)) for row in rows)) & _MASK
        return rows

    def _compare_clocks(self, latest: datetime, date: float) -> None:
        """Learn how far the timestamps' clock can be behind the answers', from a timestamp and its answer's Date."""
        behind = date + 1.0 - latest.timestamp()  # Date has whole seconds
        if behind > -_BEHIND:  # a timestamp far ahead is an error, and says nothing of the clock
            self._behind = min(self._behind, max(0.0, behind))

    def _date(self, rows: Sequence[Row], created: CreationTimes | None) -> None:
        """Count the rows that certainly existed before the first answer, and store the timestamps of recent ones."""
        horizon = self._horizon
        if created is None or horizon is None:
            self._undated += len(rows)
            return
        stamps = created.stamps
        if self._updates:
            stamps = [max(at, _updated(row) or at) for at, row in zip(stamps, rows, strict=True)]
        elif created.latest < horizon:
            self._old += len(rows)
            return
        recent = [at.timestamp() for at in stamps if at >= horizon]
        self._recent.fromlist(recent)
        self._old += len(stamps) - len(recent)

    @property
    def _young(self) -> int:
        """Rows that may have been created, or in a search changed, after the first answer."""
        if self.asked is None:
            return 0
        cut = self.asked.timestamp() - _LATE - self._behind
        return sum(at >= cut for at in self._recent)

    @property
    def datable(self) -> bool:
        """Whether every row has a creation time, so that a repair can ask for windows of time."""
        return self.asked is not None and not self._undated and not self._offset

    @property
    def since(self) -> datetime | None:
        """From when on deletions matter; None if no answer had a Date.

        Rounded down to a minute, so that reads shortly after each other send the same request, which a cache may
        answer.
        """
        return None if self.asked is None else (self.asked - _EARLIER).replace(second=0, microsecond=0)

    def timeline(self, *, without: frozenset[str]) -> Steps[Timeline]:
        """Return a copy of when each row was created, without the rows of some ids, in short steps."""
        return (yield from (Timeline() if self._kept is None else self._kept).ordered(without=without))

    def left(self, gone: frozenset[str]) -> int:
        """Return how many of the rows that arrived, including skipped ones, are not among the deleted ones."""
        lost = sum(id_ in self._distinct or id_ in self.invalid for id_ in gone)
        return self.rows + len(self.invalid) - lost

    @property
    def steady(self) -> bool:
        """Whether no change was seen: all totals agree, and every position was read once."""
        return self._counted and not self.problems

    @property
    def _counted(self) -> bool:
        return not (self._moved or self.duplicates) and self._size == self._expected

    @property
    def _proven(self) -> bool:
        """Whether the read is proof by itself: one answer held everything, or every row that was counted was read."""
        if self._whole and self._counted:
            return True
        before = self._old + len(self._recent) - self._young
        return self.datable and not (self._stalled or self._torn) and before == self.counted

    @property
    def doubtful(self) -> bool:
        """Whether the proof lacks only that no row was deleted: the read is steady, but some of its rows are recent.

        From an offset, the number of rows proves nothing: the rows must not have moved, so all of them must be old. A
        read that skipped rows is incomplete anyway, so that only a repair needs to know.
        """
        if self.searched or not self.steady or self._proven or self.asked is None or self._undated:
            return False
        return not self._young if self._offset else self._kept is not None or not self.invalid

    def conclude(self, *, gone: frozenset[str] | None = None) -> None:
        """Set the level at the end of the read; `gone` are the ids of rows deleted since, None if that is not known."""
        lost = 0 if gone is None else self.left(frozenset()) - self.left(gone)
        untouched = gone is not None and self.doubtful and not (gone if self._offset else lost)
        if self._proven or untouched:
            self.level = "certified"
        elif self.steady and not self._young and not lost:
            self.level = "consistent"
        else:
            self.level = "unverified"
            self._explain(lost)

    def stall(self, offset: int) -> None:
        """Record that the read was ended because pages brought no new row."""
        self._stalled = True
        self.problems.append(f"two pages in a row brought no new row, the last one at offset {offset}")

    def _explain(self, lost: int) -> None:
        lacking = self._expected - self._size
        if self._moved:
            self.problems.append("the total changed during the read")
        if self.duplicates:
            self.problems.append(f"{self.duplicates} rows arrived twice")
        if lacking > 0:
            self.problems.append(f"{lacking} rows fewer arrived than the first answer counted")
        if lacking < 0 and not self._moved:
            self.problems.append(f"{-lacking} rows more arrived than any answer counted")
        if lost:
            self.problems.append(f"{lost} of the rows were deleted during the read")
        if not self.problems:
            changed = " or changed" if self._updates else ""
            self.problems.append(f"rows were created{changed} during the read or shortly before it")

    def report(self) -> ListingReport:
        """Return the report as of now."""
        part = self._part and self.level != "unfinished"
        return ListingReport(
            complete=self.level in _COMPLETE and not self.invalid and not part,
            level="unverified" if part else self.level,
            total=self.total,
            rows=self.rows,
            requests=self.requests,
            duplicates=self.duplicates,
            drifted=self._moved or self.duplicates > 0 or bool(self.problems),
            invalid=tuple(self.invalid),
            gone=tuple(self.gone),
            problems=(*self.problems, *(["the snapshot holds only a part of the directory"] if part else [])),
        )


class Row(Protocol):
    """What completeness needs to know of a row."""

    @property
    def id(self) -> str: ...
    @property
    def meta(self) -> Meta | None: ...


def _updated(row: Row) -> datetime | None:
    return None if row.meta is None else row.meta.updated_at
