"""The source of a listing for an export: bulk requests, in turn, up to the limit, noted for the journal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from .._listing.source import Deletions, Forgetful, PageRequest, Source
from .._wire.decoding import DecodedPage
from ..records import Pagination
from ._report import InvalidRow

T = TypeVar("T")

Turns: TypeAlias = AbstractAsyncContextManager[Any]
"""What a request waits for, beside the bounds of the client."""


class Answered(Pagination):
    """The pagination of an answer to a read, with what else a journal notes about it.

    Pages that a repair makes have a plain one: what they held is not asked for in the same way again.
    """

    size: int
    """Rows that the answer held."""
    date: float | None
    """The server's time when it was asked for, in seconds since 1970."""
    invalid: tuple[InvalidRow, ...] = ()
    """Rows that were left out, in their order."""


class ExportSource(Forgetful, Generic[T]):
    """The source of a listing, with an export in front of it."""

    def __init__(
        self, source: Source[T], turns: Turns, most: int | None, first: list[DecodedPage[T]] | None = None
    ) -> None:
        """Send each request in one of the `turns`, and none for rows from `most` on, which nobody reads.

        The `first` page may have been asked for before.
        """
        self._source = source
        self.model, self.searchable, self.updates_matter = source.model, source.searchable, source.updates_matter
        self._turns = turns
        self._most = most
        self._first = first or []
        self._total = 0
        self.invalid: dict[str, InvalidRow] = {}
        """Rows that were left out, each once, by what names them."""

    async def fetch(self, ask: PageRequest) -> DecodedPage[T]:
        """Fetch a page."""
        if self._beyond(ask):
            return self._nothing(ask)
        if ask.first and self._first:
            return self._noted(self._first.pop())
        async with self._turns:
            return self._noted(await self._source.fetch(self._bulk(ask)))

    async def fetch_raw(self, ask: PageRequest) -> Callable[[], DecodedPage[T]]:
        """Fetch a page without decoding it."""
        if self._beyond(ask):
            return lambda: self._nothing(ask)
        async with self._turns:
            read = await self._source.fetch_raw(self._bulk(ask))
        return lambda: self._noted(read())

    async def created(self, low: datetime | None, high: datetime, ask: PageRequest) -> DecodedPage[T]:
        """Fetch a page of the rows created from `low` until before `high`."""
        async with self._turns:
            fetched = await self._source.created(low, high, ask)
        self.noted(fetched)
        return fetched

    async def deleted(self, since: datetime) -> Deletions:
        """Fetch the ids of the rows deleted since then."""
        async with self._turns:
            return await self._source.deleted(since)

    def _beyond(self, ask: PageRequest) -> bool:
        return self._most is not None and ask.offset >= self._most

    def _bulk(self, ask: PageRequest) -> PageRequest:
        if self._most is not None:
            ask = ask._replace(total=min(ask.total, self._most))
        if self._most is not None and ask.upcoming is not None:
            after = max(0, -(-(self._most - ask.offset - ask.limit) // ask.limit))
            ask = ask._replace(upcoming=min(ask.upcoming, after))
        return ask._replace(bulk=True)

    def _nothing(self, ask: PageRequest) -> DecodedPage[T]:
        return DecodedPage([], Pagination(offset=ask.offset, limit=ask.limit, total=self._total))

    def noted(self, fetched: DecodedPage[T]) -> tuple[InvalidRow, ...]:
        """Note which rows an answer lacks, and return them."""
        rows = tuple(map(InvalidRow, fetched.invalid, fetched.wrong or [""] * len(fetched.invalid)))
        for row in rows:
            self.invalid.setdefault(row.id, row)
        return rows

    def _noted(self, fetched: DecodedPage[T]) -> DecodedPage[T]:
        page = fetched.pagination
        self._total = page.total
        answered = Answered(
            offset=page.offset,
            limit=page.limit,
            total=page.total,
            size=fetched.size,
            date=fetched.asked_at,
            invalid=self.noted(fetched),
        )
        return fetched._replace(pagination=answered)
