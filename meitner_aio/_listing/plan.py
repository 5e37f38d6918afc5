"""Which pages a read asks for. Pure: takes every answer in order, and says what to ask for next."""

from __future__ import annotations

from .._wire.last_counts import LastCount
from .completeness import CompletenessTracker
from .reading import Reading
from .source import Counted, PageRequest

_DOUBTS = 3
"""How often a page without rows is asked for again before it is believed: it contradicts its own total, so it may be
wrong, and to believe it ends the read."""


class Plan:
    """Which requests a read sends. Records requests and wrong answers in the tracker; does not handle rows.

    Pages are asked for one at a time until their size is known, and then in steps of that size; if an earlier read
    counted the listing, from the first page on. If a page holds fewer rows than it should, its rest is asked for.
    """

    def __init__(self, reading: Reading, tracker: CompletenessTracker) -> None:
        self._largest = reading.largest
        self._tracker = tracker
        self.first = self._ask = reading.ask
        """The first request, if it is sent by itself."""
        self._seeking = self._ask.open
        self._total: int | None = None
        """Rows of the listing as the last answer counted them; None before the first."""
        self._got = self._short = 0
        self._guessed = False
        self._guesses = not (reading.exact and tracker.searched)
        self.end = 0
        """The offset up to which there may be rows."""

    @property
    def begun(self) -> bool:
        """Whether a page was taken."""
        return self._total is not None

    def guess(self, count: LastCount | None) -> bool:
        """Begin with several pages if an earlier read counted more than one; return whether that is so.

        An exact search always begins with one: its rows are what speaks against an index that loses everything before
        a later answer.
        """
        if self._guesses and count is not None and self._ask.offset + count.step < count.total:
            self._guessed = True
            self._ask, self.end = self.first._replace(limit=count.step, open=False), count.total
        return self._guessed

    def take_back(self, requests: int) -> None:
        """Begin with one page after all: so many requests for several failed."""
        self._tracker.requests += requests
        self._guessed, self._guesses = False, False
        self._ask, self.end = self.first, 0

    @property
    def count(self) -> LastCount | None:
        """What the read counted, and by which step, once it has come to its end."""
        return None if self._total is None else LastCount(self._total, self._ask.limit)

    @property
    def alone(self) -> PageRequest | None:
        """The next page to ask for by itself; None once the page size is known."""
        if self._total is None:
            return None if self._guessed else self._ask
        reached = self._ask.offset + self._got
        if not (self._seeking and self._got and reached < self.end):
            return None
        return self._ask._replace(limit=self._largest, offset=reached, first=False, open=True, total=self.end)

    def hear_alone(self, ask: PageRequest, page: Counted) -> PageRequest:
        """Take a page that was asked for by itself; return the request that it turned out to answer."""
        self._tracker.requests += page.requests
        ask = ask._replace(limit=page.asked or ask.limit, open=False)
        self._ask = ask._replace(limit=self._step(ask, page))
        self._seeking = self._seeking and (page.larger or self._may_lie(page))
        self._enter(page)
        return self._ask

    def begin_following(self) -> PageRequest:
        """Return the first of the requests that follow each other in steps of their size."""
        self._ask = ask = self._ask._replace(open=False)
        return ask._replace(offset=ask.offset + ask.limit) if self.begun else ask

    def hear(self, ask: PageRequest, page: Counted, answers: int) -> None:
        """Take a page that was fetched ahead; `answers` is how many answers it took."""
        self._tracker.requests += answers
        self._ask = ask
        self._enter(page)

    @property
    def rest(self) -> PageRequest | None:
        """The request for what the last page lacks: it held fewer rows than asked for, although more are counted."""
        ask, got = self._ask, self._got
        return ask._replace(limit=ask.limit - got, offset=ask.offset + got) if self._lacks() else None

    @property
    def tries(self) -> int:
        """How often to ask for the rest of the last page before concluding that there is none."""
        return 1 if self._got else _DOUBTS

    def hear_rest(self, page: Counted) -> None:
        """Take an answer to `rest`."""
        self._tracker.requests += 1
        if page.size:
            self._total, self._got = page.pagination.total, self._got + page.size

    def give_up_rest(self) -> bool:
        """Record that the last page has no rest; return whether the read ends there, because it had no row at all."""
        self._tracker.problems.append(f"the page at offset {self._ask.offset} ends after {self._got} rows")
        return not self._got  # a page that stays empty is the end, whatever the total says

    def replay(self, page: Counted) -> None:
        """Take an answer that an interrupted read of the same listing got.

        Answers are replayed in their order, before anything is asked for; those without rows may be left out.
        """
        ask, offset, size = self._ask, page.pagination.offset, page.size
        if self._total is not None and offset < ask.offset + ask.limit:
            size += self._got  # the rest of a page that was short
        else:
            if self._total is not None and self._lacks():
                self._tracker.requests += 1
                self.give_up_rest()
            ask = ask._replace(offset=offset)
            if self._total is None or (ask.open and size > ask.limit):
                ask = ask._replace(limit=self._step(ask, page))
            self._ask, self.end = ask, self._end_after(ask, page)
        self._total, self._got = page.pagination.total, size
        self._tracker.requests += 1

    def _enter(self, page: Counted) -> None:
        self._total, self._got = page.pagination.total, page.size
        self.end = self._end_after(self._ask, page)

    def _lacks(self) -> bool:
        return self._got < min(self._ask.limit, (self._total or 0) - self._ask.offset)

    def _may_lie(self, page: Counted) -> bool:
        """Whether to check if a page is short because the server gives fewer rows than it says.

        Two such pages in a row, equally short, show how large its pages are.
        """
        ask, size, before = self._ask, page.size, self._short
        self._short = size if size < min(ask.limit, page.pagination.total - ask.offset) else 0
        if self._short and self._short == before:
            self._ask = ask._replace(limit=size)
            return False
        return self._short > 0

    def _step(self, ask: PageRequest, page: Counted) -> int:
        """Return by how many rows pages follow each other: the server may clamp the limit, and reports what it used."""
        limit, got = page.pagination.limit, page.size
        if limit >= 1 and (limit <= ask.limit or got == min(limit, page.pagination.total - ask.offset)):
            return limit
        self._tracker.problems.append(f"the server reports a limit of {limit}, but {ask.limit} was asked for")
        return max(got, 1)

    def _end_after(self, ask: PageRequest, page: Counted) -> int:
        """Return up to which offset there may be rows: the total, unless a full page beyond it proves it wrong."""
        total, reached = page.pagination.total, ask.offset + page.size
        if reached <= total or reached < ask.offset + ask.limit:
            return total
        problem = "the server counted fewer rows than it sent"
        if problem not in self._tracker.problems:
            self._tracker.problems.append(problem)
        return reached + 1
