"""One read of a listing: each page is checked and delivered once, and at the end completeness is concluded.

The path of a page: `Plan` says what to ask for, `Pages` fetches it, `CompletenessTracker` checks it, `Read` delivers
it.
"""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from typing import Generic, TypeVar

from .._wire.decoding import DecodedPage
from ..errors import IncompleteListing
from ..records import Pagination
from .completeness import CompletenessTracker, ListingReport
from .page import Page, following
from .pages import Asked, Pages
from .plan import Plan
from .reading import Reading
from .repair import repair
from .source import PageRequest, Source
from .steps import in_turns

T = TypeVar("T")

_IN_VAIN = 2
"""Pages in a row without a new row after which a read ends: a server may answer every offset the same."""


class Read(Generic[T]):
    """One read of a listing, page by page."""

    def __init__(self, source: Source[T], reading: Reading) -> None:
        self.tracker = CompletenessTracker(offset=reading.offset, updates=source.updates_matter, keep=reading.exact)
        self._source = source
        self._reading = reading
        self._plan = Plan(reading, self.tracker)
        self._pages = Pages(source, self._plan, reading.concurrency)
        self._vain = 0
        self._held: Asked[T] | None = None
        """A page that is being checked: a reader that was cancelled meanwhile may come back for it."""
        self._offset = reading.offset
        self._ready: deque[Page[T]] = deque()
        self._ended = False

    async def next(self) -> Page[T] | None:
        """Return the next page, without rows that were delivered before; None at the end."""
        while not self._ready:
            if self._ended:
                return None
            if self._vain == _IN_VAIN:
                self.tracker.stall(self._offset)
                await self._settle()
            elif (asked := self._held or await self._pages.next()) is None:
                await self._settle()
            else:
                self._held = asked
                await self._deliver(*asked)
                self._held = None
        return self._ready.popleft()

    def again(self, page: DecodedPage[T]) -> None:
        """Take an answer that an interrupted read of the same listing got; this read continues after the last one."""
        self._plan.replay(page)
        self.tracker.admit(page, replayed=True)

    async def close(self) -> None:
        """Stop the requests in flight. After a read that was left, the next one begins with one page."""
        if not self._ended:
            self._source.remember(self._plan.first, None)
        await self._stop()

    async def _stop(self) -> None:
        self._ended = True
        await self._pages.stop()

    async def _deliver(self, ask: PageRequest, page: DecodedPage[T]) -> None:
        rows = await in_turns(self.tracker.admitting(page, early=ask.early))
        self._vain = 0 if rows or not page.rows else self._vain + 1
        self._offset = ask.offset
        if ask.early and not page.size and ask.offset:
            return  # there were more rows when they were counted
        self._ready.append(Page(rows, page.pagination, self._source, following(ask, page)))

    async def _settle(self) -> None:
        """Conclude how complete the read was; with `exact`, fetch the rows that it missed."""
        tracker, reading, source = self.tracker, self._reading, self._source
        await self._stop()
        if not tracker.kept:
            self._source.remember(self._plan.first, None if self._vain == _IN_VAIN else self._plan.count)
        gone = None
        worth_a_request = not tracker.kept or reading.strict or reading.exact
        if tracker.doubtful and tracker.since is not None and worth_a_request:
            deletions = await source.deleted(tracker.since)
            tracker.requests += deletions.requests
            gone = deletions.ids
            await in_turns(tracker.looking_up(gone))
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
            raise IncompleteListing(f"the listing may lack rows: {_why(report)}")


def _why(report: ListingReport) -> str:
    """Return why a read is not complete, in words."""
    left_out = len(report.invalid)
    problems = [*report.problems, *([f"{left_out} that break the contract were left out"] if left_out else [])]
    return "; ".join(problems) or "no change was seen, but rows without dates prove nothing"
