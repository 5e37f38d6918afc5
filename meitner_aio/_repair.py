"""Making an unproven read whole: what moved is fetched again, in windows so small that one answer is a snapshot.

A window of creation times whose rows fit one page is a snapshot and needs no further proof. A larger one is good when
it counts as many rows as were delivered from it and are not known, afterwards, to be deleted: those were all there when
it was counted, so nothing else was. Any other window is split. A directory that never rests ends in snapshots. Rows
created after the read began are the business of the next one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeAlias, TypeVar

from ._ledger import Ledger
from ._reading import Fetched
from ._source import Ask, Source

T = TypeVar("T")

_Window: TypeAlias = tuple[datetime | None, datetime]
"""Creation times: from the first (None: from the beginning) until before the second."""

_ROUNDS = 16
"""Rounds after which a directory that never rests is reported as unverified. Each one halves what is in doubt."""

_PASSES = 6
"""The same for a directory that cannot be searched, and is read from end to end every time."""

_INSTANT = timedelta(microseconds=1)
_BLURRED = 2e-6
"""Seconds: stamps closer than this may be told apart by the server but not by us, who keep microseconds."""

_EARLIER = timedelta(minutes=10)
"""How far before the read deletions are asked for: clocks differ, and events may be late."""

_DAWN = datetime(1970, 1, 1, tzinfo=UTC)
"""No row is looked for by halving the time before this."""

_COSTLIEST = 30
"""Requests for each one of the read after which a repair gives up: an honest directory takes far fewer."""


async def repair(source: Source[T], ledger: Ledger, ask: Ask) -> AsyncGenerator[list[T], None]:
    """Yield the rows that a read missed, asking for pages as large as `ask`, and set the level that was reached."""
    windows = source.searchable and ledger.datable
    rows = _Windows(source, ledger, ask).rounds() if windows else _passes(source, ledger, ask)
    async for batch in rows:
        yield batch


class _Windows(Generic[T]):
    """Repair of a searchable listing, by windows of creation time."""

    def __init__(self, source: Source[T], ledger: Ledger, ask: Ask) -> None:
        self._source = source
        self._ledger = ledger
        self._ask = ask
        self._most = ledger.requests + _COSTLIEST * (ledger.requests + 10)
        self._gone: frozenset[str] | None = None
        self._stamps: list[float] = []
        self._pending: list[_Window] = [(None, _instant(math.ceil(ledger.until.timestamp())))]
        self._counted: list[tuple[_Window, int]] = []
        self._crowded: list[_Window] = []

    async def rounds(self) -> AsyncGenerator[list[T], None]:
        """Yield missing rows until every window has been shown to hold no others."""
        began = self._ledger.requests
        await self._look_for_deletions()
        for _ in range(_ROUNDS):
            while self._pending and self._affordable:
                async for rows in self._checked(self._pending.pop()):
                    yield rows
            await self._look_for_deletions()
            self._doubt()
            if not self._pending:
                self._ledger.mended(gone=self._gone or frozenset())
                return
            if not self._affordable:
                break
        self._ledger.problems.append(f"the repair was given up after {self._ledger.requests - began} requests")

    @property
    def _affordable(self) -> bool:
        return self._ledger.requests < self._most

    async def _look_for_deletions(self) -> None:
        deletions = await self._source.deleted(self._ledger.cut - _EARLIER)
        self._ledger.requests += deletions.requests
        self._gone = deletions.ids
        self._stamps = self._ledger.stamps(without=self._gone or frozenset())

    @property
    def _countable(self) -> bool:
        """Whether counts prove anything: no event tells of the rows that an update takes out of a search."""
        return self._gone is not None and not self._source.updates_matter

    def _doubt(self) -> None:
        """Look again at counts that deletions, known only now, have overtaken, in halves; and at crowds that moved."""
        self._pending += self._crowded
        for window, total in self._counted:
            if not self._countable or total != self._delivered(window):
                self._pending += self._halves(window) or [window]
        self._counted, self._crowded = [], []

    async def _created(self, window: _Window, offset: int) -> Fetched[T]:
        answer = await self._source.created(*window, self._ask._replace(offset=offset))
        self._ledger.requests += answer.requests
        return answer

    async def _checked(self, window: _Window) -> AsyncGenerator[list[T], None]:
        """Ask for a window; yield its missing rows, or leave it to be looked at again."""
        answer = await self._created(window, 0)
        total = answer.pagination.total
        if answer.slots >= total:
            yield self._ledger.found(answer)
        elif self._countable and total == self._delivered(window):
            self._counted.append((window, total))
        elif halves := self._halves(window):
            self._pending += halves
        else:
            async for rows in self._crowd(window, answer):
                yield rows

    def _delivered(self, window: _Window) -> int:
        start, end = self._span(*window)
        return end - start

    def _halves(self, window: _Window) -> list[_Window]:
        middle = self._middle(*window)
        return [] if middle is None else [(window[0], middle), (middle, window[1])]

    def _span(self, low: datetime | None, high: datetime) -> tuple[int, int]:
        start = 0 if low is None else bisect_left(self._stamps, low.timestamp())
        return start, bisect_left(self._stamps, high.timestamp())

    def _middle(self, low: datetime | None, high: datetime) -> datetime | None:
        """Return an instant that splits a window, or None when nothing does.

        Best is one between stamps that the server surely tells apart, as near to the middle row as can be. Rows of one
        instant are cut out, before and after; where no row is known, time is halved.
        """
        start, end = self._span(low, high)
        if start == end:
            return self._halved(low, high)
        gap = _BLURRED if self._countable else 0.0  # counts go wrong where stamps are blurred, snapshots do not
        for place in _outward(start + 1, end):
            earlier, later = self._stamps[place - 1], self._stamps[place]
            if later - earlier > gap:
                return _instant(_between(earlier, later))
        first, last = _around(self._stamps[start], self._stamps[end - 1])
        if low is None or low < first:
            return first
        return last if last < high else None

    def _halved(self, low: datetime | None, high: datetime) -> datetime | None:
        if low is None:  # go back in growing steps
            span = 2 * (self._ledger.until - high) + timedelta(seconds=1)
            low = high - span if high - _DAWN > span else _DAWN
        middle = low + (high - low) / 2
        if low < middle.replace(microsecond=0):
            return middle.replace(microsecond=0)
        return middle if high - low > 2 * _INSTANT else None

    async def _crowd(self, window: _Window, first: Fetched[T]) -> AsyncGenerator[list[T], None]:
        """Read a window that cannot be split from its end: a deletion only moves rows towards the pages to come."""
        book = self._ledger.again()
        total, step = first.pagination.total, max(1, first.slots)
        for offset in range((total - 1) // step * step, -1, -step):
            if not self._affordable:
                break
            answer = await self._created(window, offset)
            book.admit(answer)
            yield self._ledger.found(answer)
        book.conclude()
        if book.level == "unverified":
            self._crowded.append(window)


async def _passes(source: Source[T], ledger: Ledger, ask: Ask) -> AsyncGenerator[list[T], None]:
    """Read everything again until a pass is proven by itself, or two passes in a row agree."""
    previous = ledger.print
    for _ in range(_PASSES):
        book = ledger.again()
        offset, total = 0, 1
        while offset < total:
            answer = await source.fetch(ask._replace(offset=offset))
            ledger.requests += answer.requests
            book.admit(answer)
            yield ledger.found(answer)
            offset, total = offset + answer.slots, answer.pagination.total if answer.slots else 0
        agreed = book.steady and book.print == previous
        book.conclude()
        if book.level == "certified" or agreed:
            ledger.mended(level="stable")
            return
        previous = book.print


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
