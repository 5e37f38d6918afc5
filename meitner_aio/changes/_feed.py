"""The rows of one listing, a page ahead of who takes them, and whether they are all of its rows."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from msgspec.structs import replace

from .._listing.completeness import ListingReport
from .._listing.listing import Listing
from .._listing.page import Page
from .._runtime.cleanup import stopped
from ..errors import IncompleteListing


class Feed:
    """Pages of a listing. Nothing is asked before `start`; `close` ends what is under way."""

    def __init__(self, resource: str, listing: Listing[Any]) -> None:
        """Read a listing of a `resource`, which errors name."""
        self._resource = resource
        self._listing = listing
        self._pages: AsyncGenerator[Page[Any], None] = listing.pages()
        self._upcoming: asyncio.Future[Page[Any] | None] | None = None
        self._totals: set[int] = set()
        self._rows = 0
        self._keys = array("q")

    def start(self) -> asyncio.Future[Page[Any] | None]:
        """Ask for the next page, unless it was asked for already."""
        if self._upcoming is None:
            self._upcoming = asyncio.ensure_future(anext(self._pages, None))
        return self._upcoming

    async def next(self) -> list[Any] | None:
        """Return the rows of the next page; None at the end. Raises `IncompleteListing` that names the resource."""
        try:
            page = await self.start()
        except IncompleteListing as error:
            raise IncompleteListing(f"{self._resource}: {error.message}") from None
        if page is None:
            return None
        self._upcoming = None
        self.start()
        self._totals.add(page.pagination.total)
        self._rows += len(page.data)
        self._keys.fromlist([hash(row.id.lower()) for row in page.data])
        return page.data

    async def close(self) -> None:
        """Stop what is under way."""
        if self._upcoming is not None:
            await stopped(self._upcoming)
        await self._pages.aclose()

    @property
    def report(self) -> ListingReport:
        """What the listing says of its rows."""
        return self._listing.report

    def settled(self, gone: Iterable[str] | None) -> ListingReport | None:
        """Return a report that says the listing is complete, if it is.

        `gone` are rows that were deleted, as was asked afterwards; None when nobody knows.

        A search that rows leave only by being deleted needs no dates: when every answer counted as many rows as
        arrived, and none of them has been deleted, then they are those of the last answer.
        """
        report = self.report
        if report.complete:
            return report
        if gone is None or self._totals != {self._rows} or report.duplicates or report.invalid:
            return None
        lost = {hash(id_) for id_ in gone}
        if any(key in lost for key in self._keys):
            return None
        return replace(report, complete=True, level="certified", drifted=False, problems=())
