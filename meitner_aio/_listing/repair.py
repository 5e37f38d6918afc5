"""Repairs a read that is not proven: rows that moved are fetched again, in windows small enough for a single answer.

A list is complete when it counts as many rows as were delivered and are not known, afterwards, to be deleted. That
needs no clock and no search: windows only find what is missing, and an index that lags or is empty proves nothing. If
windows do not find it, the listing is read again until a pass counts no more rows than were known before it began.

For a search there is no such count: no event tells of a row that an update took out of it. A search is complete when
every window of creation times was seen in one answer, and every delivered row that was missing from its window is known
to be deleted, or is found without the search's conditions, which it no longer meets.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeAlias, TypeVar, cast

from .._wire.decoding import DecodedPage
from .._wire.page_size import LARGEST
from .completeness import CompletenessTracker, Row
from .creation import creation_times
from .source import PageRequest, Source
from .steps import in_turns
from .timeline import Timeline

T = TypeVar("T")

_NONE: frozenset[str] = frozenset()

_CreationWindow: TypeAlias = tuple[datetime | None, datetime]
"""An interval of creation times: from the first (None: unbounded) until before the second."""

_ROUNDS = 16
"""Rounds after which a directory that keeps changing is reported as unverified. Each halves what is in doubt."""

_PASSES = 6
"""The same for a directory that cannot be searched, and is read as a whole every time."""

_IN_VAIN = 2
"""Pages in a row without a new row after which a pass ends: the server answers every offset the same."""

_INSTANT = timedelta(microseconds=1)
_BLURRED = 2e-6
"""Seconds: the server may tell apart timestamps that are closer than this; we keep microseconds, and cannot."""

_YOUNG = timedelta(minutes=6)
"""How long before the read the window of recent rows begins. It is read every round: however clocks differ, its rows
may be new."""

_AHEAD = timedelta(days=366)
"""How far after the read windows end: the clock that stamps rows may be ahead of that of the answers."""

_COSTLIEST = 30
"""Requests of a repair for each request of the read after which it gives up; ordinary directories need far fewer."""

_UNEXPLAINED = 50
"""Rows missing from a search that are looked up in one round, with a request each."""


async def repair(source: Source[T], tracker: CompletenessTracker, ask: PageRequest) -> AsyncGenerator[list[T], None]:
    """Yield the rows that a read missed, in pages as large as `ask` says, and set the level that was reached."""
    asked = tracker.asked if source.searchable and tracker.datable else None
    if not tracker.identified:
        await _compare(source, tracker, ask)
        return
    windows = None
    if asked is not None:
        windows = _CreationWindows(source, tracker, ask, asked, await in_turns(tracker.timeline(without=_NONE)))
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
    """Read windows until the listing counts as many rows as were delivered; if windows fail, read it all again."""
    before: object = None
    for _ in range(_ROUNDS):
        counted = await source.fetch(ask._replace(limit=1, offset=0, open=False, skip_invalid=True))
        tracker.requests += counted.requests
        gone = await _deleted(source, tracker)
        if gone is not None and counted.pagination.total == tracker.left(gone):
            tracker.mended(gone=gone)
            return
        doubts = windows is not None and await windows.know(gone)
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
    """Read every window in one answer, and explain the rows that vanished from it.

    An unexplained row may have been deleted a moment ago. If it has not, the index is wrong.
    """
    suspects: set[int] = set()
    for _ in range(_ROUNDS):
        async for rows in windows.read():
            yield rows
        gone = await _deleted(source, tracker)
        doubts = await windows.know(gone)
        if suspects & windows.vanished.keys() or not windows.affordable:
            break
        if not doubts and await windows.explain():
            tracker.mended(gone=gone or _NONE)
            return
        suspects = set() if doubts else set(windows.vanished)
    windows.give_up()


async def _deleted(source: Source[T], tracker: CompletenessTracker) -> frozenset[str] | None:
    """Return the ids of rows deleted since shortly before the read, or None if that is not known."""
    if tracker.since is None:
        return None
    deletions = await source.deleted(tracker.since)
    tracker.requests += deletions.requests
    await in_turns(tracker.looking_up(deletions.ids))
    return deletions.ids


class _CreationWindows(Generic[T]):
    """Compares the rows that were delivered with the directory, by windows of creation time."""

    def __init__(
        self, source: Source[T], tracker: CompletenessTracker, ask: PageRequest, asked: datetime, rows: Timeline
    ) -> None:
        """Compare with `rows`, which are in order."""
        self.vanished: dict[int, float] = {}
        """Delivered rows that were missing from their window: creation times by the hash of the id."""
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
        self._rows = rows

    @property
    def affordable(self) -> bool:
        """Whether the repair may send more requests."""
        return self._tracker.requests < self._most

    def give_up(self) -> None:
        """Record that the read could not be completed."""
        spent = self._tracker.requests - self._began
        if self.vanished:
            self._tracker.problems.append(f"{len(self.vanished)} delivered rows can no longer be found")
        self._tracker.problems.append(f"the repair gave up after {spent} requests")

    async def know(self, gone: frozenset[str] | None) -> bool:
        """Take in which rows are deleted; return whether other rows have to be read again because of that.

        Windows whose count no longer fits are read again, in halves, and so are crowded windows that moved. The window
        of recent rows is always read again, because there may be more of them by now; that alone is no doubt.
        """
        lost = gone or _NONE
        for id_ in lost:
            self.vanished.pop(hash(id_), None)
        self._rows = await in_turns(self._tracker.timeline(without=lost))
        again, self._crowded = self._crowded, []
        for window, total in self._counted:
            if total != self._delivered(window):
                again += self._halves(window) or [window]
        self._counted = []
        doubts = bool(again or self._pending)
        self._pending += again
        if self._countable and self._young not in self._pending:
            self._pending.insert(0, self._young)  # read last, so that no row is created after it
        return doubts

    async def read(self) -> AsyncGenerator[list[T], None]:
        """Read every window that is in doubt; yield the missing rows."""
        while self._pending and self.affordable:
            async for rows in self._checked(self._pending.pop()):
                yield rows

    async def explain(self) -> bool:
        """Look up the rows that vanished from a search among all rows; return whether all but deleted ones were found.

        An index that lost them would not find them there, either: then it proves nothing about other rows.
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
        """Read a window; yield its missing rows, or leave it to be read again."""
        page = await self._created(window, self._largest if window == self._young else self._ask)
        yield await self._found(page)
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

    async def _found(self, page: DecodedPage[T]) -> list[T]:
        """Add the rows of an answer; return those that were missing."""
        rows = await in_turns(self._tracker.finding(page))
        created = creation_times(rows)
        if created is not None:
            for made, row in zip(created.stamps, cast("list[Row]", rows), strict=True):
                self._rows.insert(made, row.id)
        return rows

    def _miss(self, window: _CreationWindow, present: set[int]) -> None:
        """Record which rows that were delivered from a window are no longer in it."""
        for key in present & self.vanished.keys():
            del self.vanished[key]
        stamps, keys = self._rows.stamps, self._rows.keys
        self.vanished |= {keys[n]: stamps[n] for n in self._rows.span(*window) if keys[n] not in present}

    def _delivered(self, window: _CreationWindow) -> int:
        return len(self._rows.span(*window))

    def _halves(self, window: _CreationWindow) -> list[_CreationWindow]:
        middle = self._middle(*window)
        return [] if middle is None else [(window[0], middle), (middle, window[1])]

    def _middle(self, low: datetime | None, high: datetime) -> datetime | None:
        """Return an instant that splits a window, or None if there is none.

        Best is a gap between timestamps that the server certainly tells apart, as near to the middle row as possible.
        Otherwise rows with the same timestamp are cut out, before and after.
        """
        rows, stamps = self._rows.span(low, high), self._rows.stamps
        if not rows:
            return None
        gap = _BLURRED if self._countable else 0.0  # blurred timestamps make counts wrong, but not snapshots
        for place in _outward(rows.start + 1, rows.stop):
            earlier, later = stamps[place - 1], stamps[place]
            if later - earlier > gap:
                return _instant(_between(earlier, later))
        first, last = _around(stamps[rows.start], stamps[rows.stop - 1])
        if low is None or low < first:
            return first
        return last if last < high else None

    async def _crowd(self, window: _CreationWindow, first: DecodedPage[T]) -> AsyncGenerator[list[T], None]:
        """Read a window that cannot be split: in one answer, if the largest page can hold it.

        Otherwise from its end: a deletion only moves rows towards pages that are not read yet.
        """
        total = first.pagination.total
        if self._ask.limit < LARGEST:
            first = await self._created(window, self._largest)
            total = first.pagination.total
        if first.size >= total:
            self._miss(window, _keys(first.rows))
            yield await self._found(first)
            return
        recount, step = self._tracker.again(), max(1, first.size)
        present: set[int] = set()
        for offset in range((total - 1) // step * step, -1, -step):
            if not self.affordable:
                break
            page = await self._created(window, self._ask._replace(limit=step, offset=offset, open=False))
            present |= _keys(await in_turns(recount.admitting(page)))
            yield await self._found(page)
        recount.conclude()
        if recount.level == "certified":
            self._miss(window, present)
        else:
            self._crowded.append(window)


async def _passes(source: Source[T], tracker: CompletenessTracker, ask: PageRequest) -> AsyncGenerator[list[T], None]:
    """Read everything again until a pass is proven by itself, or counts no more rows than were known before it.

    Rows that were delivered before a pass, and are read in it, existed when it began. In a search they may have left
    and come back meanwhile: there a pass must be proven by itself, and find what was delivered.
    """
    for _ in range(_PASSES):
        recount, fresh, named = tracker.again(), 0, len(tracker.invalid)
        offset, total, vain = 0, 1, 0
        while offset < total and vain < _IN_VAIN:
            page = await source.fetch(ask._replace(offset=offset))
            tracker.requests += page.requests
            new, missed = await in_turns(recount.admitting(page)), await in_turns(tracker.finding(page))
            fresh += len(missed)
            vain = 0 if new or page.invalid else vain + 1
            yield missed
            offset, total = offset + page.size, page.pagination.total if page.size else 0
        recount.conclude()
        known = recount.left(_NONE) - fresh - (len(tracker.invalid) - named)
        proven = recount.level == "certified" or known == recount.counted
        if source.updates_matter:
            if recount.left(_NONE) != tracker.left(await _deleted(source, tracker) or _NONE):
                break  # rows vanished without being deleted: they have changed, or the index is wrong
            proven = recount.level == "certified"
        if proven:
            tracker.mended(level="stable")
            return
    tracker.problems.append("the listing changed during every pass over it")


async def _compare(source: Source[T], tracker: CompletenessTracker, ask: PageRequest) -> None:
    """Read rows without ids once more: the same rows again, and as many as every answer counts, are all there are.

    Had the first pass missed a row, a row that it brought was gone when the second began, which could then not bring
    it (docs/proofs.md). A pass that is seen to differ is not read to its end.
    """
    if not tracker.steady:
        return  # what arrived was delivered, and no other pass takes it back
    recount, offset, total = tracker.again(), 0, tracker.counted
    while offset < total == tracker.counted and recount.rows <= tracker.rows:
        page = await source.fetch(ask._replace(offset=offset))
        tracker.requests += page.requests
        recount.admit(page)
        offset, total = offset + page.size, page.pagination.total if page.size else 0
    if recount.steady and recount.agrees(tracker):
        tracker.mended(level="stable")
    else:
        tracker.problems.append("a second pass brought other rows")


def _keys(rows: list[Any]) -> set[int]:
    return {hash(row.id) for row in rows}


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _between(earlier: float, later: float) -> float:
    """Return where to split between two timestamps.

    Between whole seconds it is a whole second: a server that stores no fractions may also drop that of a bound, and
    would then count other rows on one side of it than were delivered.
    """
    return later if later - earlier <= _BLURRED or (earlier % 1, later % 1) == (0, 0) else (earlier + later) / 2


def _around(first: float, last: float) -> tuple[datetime, datetime]:
    """Return the shortest window around some timestamps that the server can tell from others."""
    if (first % 1, last % 1) == (0, 0):
        return _instant(first), _instant(last + 1)
    return _instant(first) - 2 * _INSTANT, _instant(last) + 2 * _INSTANT


def _outward(start: int, end: int) -> Iterator[int]:
    """Yield the numbers from `start` until before `end`, beginning in the middle."""
    half = (start + end) // 2
    for distance in range(end - start):
        if half + distance < end:
            yield half + distance
        if distance and half - distance >= start:
            yield half - distance
