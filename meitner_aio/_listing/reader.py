"""One read of a listing from its beginning to its end: what is asked next, what is missing, what it proves."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from typing import Any, Generic, NamedTuple, TypeVar

from .._wire.decoding import DecodedPage
from .._wire.page_size import LARGEST
from ..errors import IncompleteListing
from ..records import Pagination
from .completeness import CompletenessTracker
from .page import Page, following
from .prefetch import Idle, Prefetcher
from .repair import repair
from .source import PageRequest, Source

T = TypeVar("T")

_IN_VAIN = 2
"""Pages in a row without one new row that end a read: a server may answer the same for every offset."""

_DOUBTS = 3
"""How often a page without rows is asked for again before it is believed: it contradicts its own total, so it may be
a faulty answer, and believing it ends the read."""


class Reading(NamedTuple):
    """How a listing is read."""

    limit: int | None = None
    """Rows a page; None for as many as the server gives."""
    offset: int = 0
    concurrency: int = 8
    strict: bool = False
    exact: bool = False
    on_invalid: str = "raise"
    largest: int = LARGEST
    """Rows a page at most, where `limit` leaves it to the server."""
    widest: int | None = None
    """Requests that may be in flight at all; None where nobody says."""

    @property
    def ask(self) -> PageRequest:
        """What to ask for first."""
        limit = self.largest if self.limit is None else self.limit
        skip = self.on_invalid == "skip"
        return PageRequest(limit, self.offset, bulk=True, first=True, skip_invalid=skip, open=self.limit is None)


class Read(Generic[T]):
    """One read of a listing, page by page.

    Not an async generator: inside another one it would be closed twice when a loop ends. Not a TaskGroup: yielding
    inside one would cancel the reader (PEP 789).
    """

    def __init__(self, source: Source[T], reading: Reading) -> None:
        self.tracker = CompletenessTracker(offset=reading.offset, updates=source.updates_matter, keep=reading.exact)
        self._source = source
        self._reading = reading
        self._ask = reading.ask
        self._seeking = self._ask.open
        self._last: DecodedPage[T] | None = None
        self._ahead: Prefetcher[T] | None = None
        self._got = self._until = self._short = self._vain = 0
        self._ready: deque[Page[T]] = deque()
        self._ended = False

    async def next(self) -> Page[T] | None:
        """Return the next page with rows not delivered before; None at the end."""
        while not self._ready:
            if self._ended:
                return None
            if self._vain == _IN_VAIN:
                self.tracker.stall(self._ask.offset)
                await self._settle()
            elif self._last is None or self._ahead is None:
                await self._alone()
            elif not await self._gap(self._ahead, self._last):
                await self._go_on(self._ahead)
        return self._ready.popleft()

    def again(self, page: DecodedPage[T]) -> None:
        """Enter an answer that an interrupted read of the same listing was given; this one goes on after the last.

        Answers are entered in their order, before anything is asked; those that held nothing need not be.
        """
        offset, size = page.pagination.offset, page.size
        if self._last is not None and offset < self._ask.offset + self._ask.limit:
            size += self._got  # the rest of a page that was short
        else:
            if self._last is not None and self._lacks(self._last):
                self.tracker.requests += 1
                self._ends_early()
            self._ask = self._ask._replace(offset=offset)
            if self._last is None or (self._ask.open and size > self._ask.limit):
                self._ask = self._ask._replace(limit=_step(self._ask, page, self.tracker))
            self._until = _end(self._ask, page, self.tracker)
        self._last, self._got = page, size
        self.tracker.requests += 1
        self.tracker.admit(page, replayed=True)

    async def close(self) -> None:
        """Stop what is under way."""
        self._ended = True
        if self._ahead is not None:
            await self._ahead.stop()

    async def _alone(self) -> None:
        """Fetch a page by itself: the first one, and others as long as it is not known how large they may be."""
        if self._last is not None and not (self._seeking and self._got and self._reached < self._until):
            self._ahead = self._prefetching()  # after the answers that were entered again
            return
        ask, waiting = self._ask, Idle()
        if self._last is not None:
            limit = self._reading.largest
            ask = ask._replace(limit=limit, offset=self._reached, first=False, open=True, total=self._until)
        page = await self._source.fetch(ask)
        self.tracker.requests += page.requests
        ask = ask._replace(limit=page.asked or ask.limit, open=False)
        self._ask = ask._replace(limit=_step(ask, page, self.tracker))
        self._seeking = self._seeking and (page.larger or self._may_lie(page))
        if not (self._seeking and page.size):
            self._ahead = self._prefetching(busy=waiting.busy())
        self._take(page)

    @property
    def _reached(self) -> int:
        return self._ask.offset + self._got

    def _may_lie(self, page: DecodedPage[T]) -> bool:
        """Whether to see if a page that is short comes from a server that gives fewer rows than it says.

        Two such pages in a row, equally short, are as large as pages are.
        """
        ask, size, before = self._ask, page.size, self._short
        self._short = size if size < min(ask.limit, page.pagination.total - ask.offset) else 0
        if self._short and self._short == before:
            self._ask = ask._replace(limit=size)
            return False
        return self._short > 0

    def _prefetching(self, *, busy: bool = False) -> Prefetcher[T]:
        self._ask = self._ask._replace(open=False)
        ahead = Prefetcher(self._source, self._ask, self._reading.concurrency, busy=busy)
        ahead.reach(self._until)
        return ahead

    def _take(self, page: DecodedPage[T]) -> None:
        self._last = page
        self._got = page.size
        self._until = _end(self._ask, page, self.tracker)
        if self._ahead is not None:
            self._ahead.reach(self._until)
        self._deliver(self._ask, page)

    def _deliver(self, ask: PageRequest, page: DecodedPage[T]) -> None:
        rows = self.tracker.admit(page)
        self._vain = 0 if rows or not page.rows else self._vain + 1
        self._ready.append(Page(rows, page.pagination, self._source, following(ask, page)))

    async def _gap(self, ahead: Prefetcher[T], page: DecodedPage[T]) -> bool:
        """Fetch what the last page lacks: it held fewer rows than were asked for, although more are said to exist."""
        if ahead.ended or not self._lacks(page):
            return False
        ask, got = self._ask, self._got
        rest = ask._replace(limit=ask.limit - got, offset=ask.offset + got)
        for _ in range(1 if got else _DOUBTS):
            more = await ahead.beside(rest)
            self.tracker.requests += 1
            if size := more.size:
                break
        else:
            self._ends_early()
            if not got:
                ahead.end()  # a page that stays empty is the end, whatever the total says
            return False
        self._last, self._got = more, got + size
        self._deliver(rest, more)
        return True

    def _lacks(self, page: DecodedPage[T]) -> bool:
        return self._got < min(self._ask.limit, page.pagination.total - self._ask.offset)

    def _ends_early(self) -> None:
        self.tracker.problems.append(f"the page at {self._ask.offset} ends after {self._got} rows")

    async def _go_on(self, ahead: Prefetcher[T]) -> None:
        upcoming = await ahead.next()
        if upcoming is None:
            await self._settle()
            return
        self._ask, page, answers = upcoming
        self.tracker.requests += answers
        self._take(page)

    async def _settle(self) -> None:
        """Settle how complete the read was; fetch rows that were missed, where the caller wants them found."""
        tracker, reading, source = self.tracker, self._reading, self._source
        self._ended = True
        if self._ahead is not None:
            await self._ahead.stop()
        gone = None
        worth_a_request = not tracker.kept or reading.strict or reading.exact
        if tracker.doubtful and tracker.since is not None and worth_a_request:
            deletions = await source.deleted(tracker.since)
            tracker.requests += deletions.requests
            gone = deletions.ids
        tracker.conclude(gone=gone)
        if reading.exact and tracker.level != "certified":
            ask = reading.ask._replace(offset=0, first=False)
            async with aclosing(repair(source, tracker, ask)) as found:
                async for rows in found:
                    if rows:
                        pagination = Pagination(offset=0, limit=ask.limit, total=tracker.total or 0)
                        self._ready.append(Page(rows, pagination, source, None))
        report = tracker.report()
        if reading.strict and not report.complete:
            problems = "; ".join(report.problems) or "nothing moved, but rows without dates are no proof"
            raise IncompleteListing(f"the listing may lack rows: {problems}")


def _step(ask: PageRequest, first: DecodedPage[Any], tracker: CompletenessTracker) -> int:
    """Return by how many rows pages follow each other: the server may clamp the limit, and reports the one it used."""
    limit, got = first.pagination.limit, first.size
    if limit >= 1 and (limit <= ask.limit or got == min(limit, first.pagination.total - ask.offset)):
        return limit
    tracker.problems.append(f"the server reports a limit of {limit} where {ask.limit} was asked for")
    return max(got, 1)


def _end(ask: PageRequest, page: DecodedPage[Any], tracker: CompletenessTracker) -> int:
    """Return up to where there may be rows: up to the total, but a full page that reaches beyond it proves it wrong."""
    total, reached = page.pagination.total, ask.offset + page.size
    if reached <= total or reached < ask.offset + ask.limit:
        return total
    problem = "the server counted fewer rows than it sent"
    if problem not in tracker.problems:
        tracker.problems.append(problem)
    return reached + 1
