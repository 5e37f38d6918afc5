"""The pages of one read, fetched as its plan says, in the order of their rows."""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

from .._wire.decoding import DecodedPage
from .._wire.page_size import is_heavy, is_refusal
from ..errors import MeitnerError
from .plan import Plan
from .prefetch import Idle, Prefetcher
from .source import PageRequest, Source

T = TypeVar("T")

Asked: TypeAlias = tuple[PageRequest, DecodedPage[T]]
"""A request, and the page that answers it."""


class Pages(Generic[T]):
    """Fetches one page at a time until the page size is known, and then ahead of the reader.

    If an earlier read counted the listing, all are fetched ahead, the first one too.

    Not an async generator: inside another one it would be closed twice when a loop ends. Not a TaskGroup: yielding
    inside one would cancel the reader (PEP 789).
    """

    def __init__(self, source: Source[T], plan: Plan, concurrency: int) -> None:
        self._source = source
        self._plan = plan
        self._concurrency = concurrency
        self._ahead: Prefetcher[T] | None = None

    async def next(self) -> Asked[T] | None:
        """Return the next page; None at the end."""
        plan = self._plan
        if self._ahead is None:
            early = not plan.begun and plan.guess(self._source.recall(plan.first))
            ask = plan.alone
            if ask is not None:
                return await self._alone(ask)
            self._ahead = self._prefetcher(early=early)  # or after pages that were replayed
        if not plan.begun:
            return await self._first(self._ahead)
        return await self._rest(self._ahead) or await self._following(self._ahead)

    async def stop(self) -> None:
        """Cancel the requests in flight, and wait until they have ended."""
        if self._ahead is not None:
            await self._ahead.stop()

    async def _alone(self, ask: PageRequest) -> Asked[T]:
        plan, waiting = self._plan, Idle()
        page = await self._source.fetch(ask)
        busy = waiting.busy()
        ask = plan.hear_alone(ask, page)
        if plan.alone is None:
            self._ahead = self._prefetcher(busy=busy)
        return ask, page

    def _prefetcher(self, *, busy: bool = False, early: bool = False) -> Prefetcher[T]:
        ahead = Prefetcher(self._source, self._plan.begin_following(), self._concurrency, busy=busy, early=early)
        ahead.reach(self._plan.end)
        return ahead

    async def _first(self, ahead: Prefetcher[T]) -> Asked[T] | None:
        """Take the first of several pages; if the server gives no such pages any more, begin with one instead."""
        plan = self._plan
        try:
            return await self._following(ahead)
        except MeitnerError as error:
            if not (is_refusal(error) or is_heavy(error, error.route or "")):
                raise
        await ahead.stop()
        self._ahead = None
        plan.take_back(ahead.untaken)
        self._source.remember(plan.first, None)
        return await self._alone(plan.first)

    async def _rest(self, ahead: Prefetcher[T]) -> Asked[T] | None:
        """Fetch the rest of a page that was short; None if nothing is missing, or if nothing more comes."""
        plan = self._plan
        rest = None if ahead.ended else plan.rest
        if rest is None:
            return None
        for _ in range(plan.tries):
            page = await ahead.beside(rest)
            plan.hear_rest(page)
            if page.size:
                return rest, page
        if plan.give_up_rest():
            ahead.end()
        return None

    async def _following(self, ahead: Prefetcher[T]) -> Asked[T] | None:
        upcoming = await ahead.next()
        if upcoming is None:
            return None
        ask, page, answers = upcoming
        self._plan.hear(ask, page, answers)
        ahead.reach(self._plan.end)
        return ask, page
