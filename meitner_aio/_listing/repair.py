"""Making an unproven read whole: what moved is fetched again, in windows so small that one answer is a snapshot.

A listing is whole when it counts as many rows as were delivered and are not known, afterwards, to be deleted. That
needs no clock, and no search: windows only find what is missing, and an index that lags or is empty proves nothing.
Where it does not find it, the listing is read again until a pass counts no more rows than were known before it began.

A search has no such witness: no event tells of a row that an update took out of it. It is whole when every window of
creation times was seen in one answer, and every row that had been delivered from a window and was not in it is known as
deleted or found, with whatever the search leaves out, as one that does not match any more.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeAlias, TypeVar

from .._wire.decoding import DecodedPage
from .._wire.page_size import LARGEST
from .completeness import CompletenessTracker
from .creation import creation_times
from .source import PageRequest, Source

T = TypeVar("T")

_NONE: frozenset[str] = frozenset()

_CreationWindow: TypeAlias = tuple[datetime | None, datetime]
"""Creation times: from the first (None: from the beginning) until before the second."""

_ROUNDS = 16
"""Rounds after which a directory that never rests is reported as unverified. Each one halves what is in doubt."""

_PASSES = 6
"""The same for a directory that cannot be searched, and is read from end to end every time."""

_IN_VAIN = 2
"""Pages in a row without a new row that end a pass: the server answers the same for every offset."""

_INSTANT = timedelta(microseconds=1)
_BLURRED = 2e-6
"""Seconds: stamps closer than this may be told apart by the server but not by us, who keep microseconds."""

_YOUNG = timedelta(minutes=6)
"""How long before the read rows are made that are looked for again and again: they may be new, whatever clocks say."""

_AHEAD = timedelta(days=366)
"""How far after the read windows end: rows are stamped by a clock that may be ahead of the one of the answers."""

_COSTLIEST = 30
"""Requests for each one of the read after which a repair gives up: an honest directory takes far fewer."""

_UNEXPLAINED = 50
"""Rows that vanished from a search for which an explanation is looked for, a request each, in a round."""


async def repair(source: Source[T], tracker: CompletenessTracker, ask: PageRequest) -> AsyncGenerator[list[T], None]:
    """Yield the rows that a read missed, asking for pages as large as `ask`, and set the level that was reached."""
    asked = tracker.asked if source.searchable and tracker.datable else None
    windows = None if asked is None else _CreationWindows(source, tracker, ask, asked)
    if windows is not None and source.updates_matter:
        rows = _search(source, tracker, windows)
    elif source.searchable and tracker.since is not None and not source.updates_matter:
        rows = _list(source, tracker, ask, windows)
    else:
        rows = _passes(source, tracker, ask)
    async for batch in rows:
        yield batch


async def _list(
    source: Source[T], tracker: CompletenessTracker, ask: PageRequest, windows: _CreationWindows[T] | None
) -> AsyncGenerator[list[T], None]:
    """Look for what is missing in windows until the listing counts what was delivered; where they fail, read again."""
    before: object = None
    for _ in range(_ROUNDS):
        counted = await source.fetch(ask._replace(limit=1, offset=0, open=False, skip_invalid=True))
        tracker.requests += counted.requests
        gone = await _deleted(source, tracker)
        if gone is not None and counted.pagination.total == tracker.left(gone):
            tracker.mended(gone=gone)
            return
        doubts = windows is not None and windows.know(gone)
        state = counted.pagination.total, tracker.rows, gone
        at_rest = state == before and not doubts
        if gone is None or windows is None or windows.vanished or at_rest:
            async for rows in _passes(source, tracker, ask):
                yield rows
            return
        before = state
        async for rows in windows.read():
            yield rows
        if not windows.affordable:
            break
    if windows is not None:
        windows.give_up()


async def _search(
    source: Source[T], tracker: CompletenessTracker, windows: _CreationWindows[T]
) -> AsyncGenerator[list[T], None]:
    """Read every window in one answer, and explain what vanished from it meanwhile.

    A row that was not explained may have been deleted just then; if it was not, the index is not what it was.
    """
    suspects: set[int] = set()
    for _ in range(_ROUNDS):
        async for rows in windows.read():
            yield rows
        gone = await _deleted(source, tracker)
        doubts = windows.know(gone)
        if suspects & windows.vanished.keys() or not windows.affordable:
            break
        if not doubts and await windows.explain():
            tracker.mended(gone=gone or _NONE)
            return
        suspects = set() if doubts else set(windows.vanished)
    windows.give_up()


async def _deleted(source: Source[T], tracker: CompletenessTracker) -> frozenset[str] | None:
    """Return which rows were deleted since a while before the read, or None when nobody knows."""
    if tracker.since is None:
        return None
    deletions = await source.deleted(tracker.since)
    tracker.requests += deletions.requests
    return deletions.ids


class _CreationWindows(Generic[T]):
    """What was delivered, and what the directory says of it by windows of creation time."""

    def __init__(self, source: Source[T], tracker: CompletenessTracker, ask: PageRequest, asked: datetime) -> None:
        self.vanished: dict[int, float] = {}
        """Rows that were delivered and were not in their window, by the hash of their id: when they were made."""
        self._source = source
        self._tracker = tracker
        self._ask = ask
        self._largest = ask._replace(limit=LARGEST, open=True)
        self._began = tracker.requests
        self._most = tracker.requests + _COSTLIEST * (tracker.requests + 10)
        self._later = asked.replace(microsecond=0) - _YOUNG
        self._young: _CreationWindow = (self._later, self._later + _AHEAD)
        self._pending: list[_CreationWindow] = [self._young, (None, self._later)]
        self._counted: list[tuple[_CreationWindow, int]] = []
        self._crowded: list[_CreationWindow] = []
        self._countable = not source.updates_matter  # no event tells of the rows that an update takes out of a search
        self._rows = tracker.made(without=_NONE)

    @property
    def affordable(self) -> bool:
        """Whether the repair may ask for more."""
        return self._tracker.requests < self._most

    def give_up(self) -> None:
        """Enter that the read could not be made whole."""
        spent = self._tracker.requests - self._began
        if self.vanished:
            self._tracker.problems.append(f"{len(self.vanished)} rows that were delivered cannot be found any more")
        self._tracker.problems.append(f"the repair was given up after {spent} requests")

    def know(self, gone: frozenset[str] | None) -> bool:
        """Take in which rows are deleted; whether what was read of the others has to be read once more for that.

        Counts that deletions have overtaken are looked at again, in halves, and crowds that moved. So are young rows,
        of which there may be more by now; that alone is no doubt.
        """
        lost = gone or _NONE
        for id_ in lost:
            self.vanished.pop(hash(id_), None)
        self._rows = self._tracker.made(without=lost)
        again, self._crowded = self._crowded, []
        for window, total in self._counted:
            if total != self._delivered(window):
                again += self._halves(window) or [window]
        self._counted = []
        doubts = bool(again or self._pending)
        self._pending += again
        if self._countable and self._young not in self._pending:
            self._pending.insert(0, self._young)  # the last to be read: none shall be made after it
        return doubts

    async def read(self) -> AsyncGenerator[list[T], None]:
        """Ask for every window that is in doubt; yield missing rows."""
        while self._pending and self.affordable:
            async for rows in self._checked(self._pending.pop()):
                yield rows

    async def explain(self) -> bool:
        """Look for rows that vanished from a search among all rows; whether all were found, but for deleted ones.

        An index that lost them would not find them there, either, and then it proves nothing about others.
        """
        for key, made in list(self.vanished.items())[:_UNEXPLAINED]:
            if not self.affordable:
                break
            low, high = _around(made, made)
            page = await self._created((low, high), self._largest._replace(every=True))
            if key in _keys(page.rows):
                del self.vanished[key]
        return not self.vanished

    async def _created(self, window: _CreationWindow, ask: PageRequest) -> DecodedPage[T]:
        page = await self._source.created(*window, ask)
        self._tracker.requests += page.requests
        return page

    async def _checked(self, window: _CreationWindow) -> AsyncGenerator[list[T], None]:
        """Ask for a window; yield its missing rows, or leave it to be looked at again."""
        page = await self._created(window, self._largest if window == self._young else self._ask)
        yield self._found(page)
        total = page.pagination.total
        if page.size >= total:
            self._miss(window, _keys(page.rows))
        elif self._countable and total == self._delivered(window):
            self._counted.append((window, total))
        elif halves := self._halves(window):
            self._pending += halves
        else:
            async for rows in self._crowd(window, page):
                yield rows

    def _found(self, page: DecodedPage[T]) -> list[T]:
        """Enter an answer; return the rows that were missing."""
        rows = self._tracker.found(page)
        created = creation_times(rows)
        if created is not None:
            for made, row in zip(created.stamps, rows, strict=True):
                insort(self._rows, (made.timestamp(), hash(row.id)))
        return rows

    def _miss(self, window: _CreationWindow, present: set[int]) -> None:
        """Note which rows that were delivered from a window are not in it any more."""
        for key in present & self.vanished.keys():
            del self.vanished[key]
        start, end = self._span(*window)
        self.vanished |= {key: made for made, key in self._rows[start:end] if key not in present}

    def _delivered(self, window: _CreationWindow) -> int:
        start, end = self._span(*window)
        return end - start

    def _halves(self, window: _CreationWindow) -> list[_CreationWindow]:
        middle = self._middle(*window)
        return [] if middle is None else [(window[0], middle), (middle, window[1])]

    def _span(self, low: datetime | None, high: datetime) -> tuple[int, int]:
        start = 0 if low is None else bisect_left(self._rows, (low.timestamp(),))
        return start, bisect_left(self._rows, (high.timestamp(),))

    def _middle(self, low: datetime | None, high: datetime) -> datetime | None:
        """Return an instant that splits a window, or None when nothing does.

        Best is one between stamps that the server surely tells apart, as near to the middle row as can be. Rows of one
        instant are cut out, before and after.
        """
        start, end = self._span(low, high)
        if start == end:
            return None
        gap = _BLURRED if self._countable else 0.0  # counts go wrong where stamps are blurred, snapshots do not
        for place in _outward(start + 1, end):
            earlier, later = self._rows[place - 1][0], self._rows[place][0]
            if later - earlier > gap:
                return _instant(_between(earlier, later))
        first, last = _around(self._rows[start][0], self._rows[end - 1][0])
        if low is None or low < first:
            return first
        return last if last < high else None

    async def _crowd(self, window: _CreationWindow, first: DecodedPage[T]) -> AsyncGenerator[list[T], None]:
        """Read a window that cannot be split, in the largest pages that there are: in one answer, if that will do.

        Else from its end: a deletion only moves rows towards the pages to come.
        """
        total = first.pagination.total
        if self._ask.limit < LARGEST:
            first = await self._created(window, self._largest)
            total = first.pagination.total
        if first.size >= total:
            self._miss(window, _keys(first.rows))
            yield self._found(first)
            return
        recount, step = self._tracker.again(), max(1, first.size)
        present: set[int] = set()
        for offset in range((total - 1) // step * step, -1, -step):
            if not self.affordable:
                break
            page = await self._created(window, self._ask._replace(limit=step, offset=offset, open=False))
            present |= _keys(recount.admit(page))
            yield self._found(page)
        recount.conclude()
        if recount.level == "certified":
            self._miss(window, present)
        else:
            self._crowded.append(window)


async def _passes(source: Source[T], tracker: CompletenessTracker, ask: PageRequest) -> AsyncGenerator[list[T], None]:
    """Read everything again until a pass is proven by itself, or counts no more rows than were known before it.

    Rows that were delivered before the pass began, and are read in it, were there when it began. In a search they may
    have left and come back meanwhile: there a pass has to be proven by itself, and to find what was delivered.
    """
    for _ in range(_PASSES):
        recount, fresh, named = tracker.again(), 0, len(tracker.invalid)
        offset, total, vain = 0, 1, 0
        while offset < total and vain < _IN_VAIN:
            page = await source.fetch(ask._replace(offset=offset))
            tracker.requests += page.requests
            new, missed = recount.admit(page), tracker.found(page)
            fresh += len(missed)
            vain = 0 if new or page.invalid else vain + 1
            yield missed
            offset, total = offset + page.size, page.pagination.total if page.size else 0
        recount.conclude()
        known = recount.left(_NONE) - fresh - (len(tracker.invalid) - named)
        proven = recount.level == "certified" or known == recount.counted
        if source.updates_matter:
            if recount.left(_NONE) != tracker.left(await _deleted(source, tracker) or _NONE):
                break  # rows vanished that nobody deleted: they may have changed, or the index is not what it was
            proven = recount.level == "certified"
        if proven:
            tracker.mended(level="stable")
            return
    tracker.problems.append("no pass over the listing found it at rest")


def _keys(rows: list[Any]) -> set[int]:
    return {hash(row.id) for row in rows}


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _between(earlier: float, later: float) -> float:
    """Return where to split between two stamps.

    Where both are whole seconds, so is this: a server that keeps no more may cut the rest off a bound, too, and would
    count other rows than were delivered on that side of it.
    """
    return later if later - earlier <= _BLURRED or (earlier % 1, later % 1) == (0, 0) else (earlier + later) / 2


def _around(first: float, last: float) -> tuple[datetime, datetime]:
    """Return where the instant begins and ends that some stamps share, as far as the server can tell it from others."""
    if (first % 1, last % 1) == (0, 0):
        return _instant(first), _instant(last + 1)
    return _instant(first) - 2 * _INSTANT, _instant(last) + 2 * _INSTANT


def _outward(start: int, end: int) -> Iterator[int]:
    """Yield the numbers from `start` until before `end`, those in the middle first."""
    half = (start + end) // 2
    for distance in range(end - start):
        if half + distance < end:
            yield half + distance
        if distance and half - distance >= start:
            yield half - distance
