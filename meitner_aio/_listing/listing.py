"""A listing: rows of a resource, read when they are asked for, every row once.

Knows nothing of HTTP, only of a `Source` of pages.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, Unpack

from .._wire.page_size import LARGEST, USUAL
from .completeness import CompletenessTracker, ListingReport
from .page import Page, fetch_page
from .reader import Read
from .reading import Reading, ReadingOptions
from .source import PageRequest, Source

T = TypeVar("T")

_USUAL = Reading()


class Listing(Generic[T]):
    """Rows of a resource, read when they are asked for.

    `async for` yields every row in the server's order; `await` gives the first `Page`, of 50 rows unless a limit was
    given. Nothing is requested before.
    """

    __slots__ = ("_reading", "_source", "_tracker")

    def __init__(self, source: Source[T], reading: Reading = _USUAL, **options: Unpack[ReadingOptions]) -> None:
        """Read from a source, as `reading` says but for the `options`.

        Raises `TypeError` or `ValueError` for what makes no listing, `ConfigurationError` for what a client lacks.
        """
        self._source = source
        self._reading = reading.changed(options)
        self._tracker: CompletenessTracker | None = None

    def paged(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        concurrency: int | None = None,
        strict: bool | None = None,
        exact: bool | None = None,
        on_invalid: str | None = None,
    ) -> Listing[T]:
        """Return the same listing read otherwise: rows a page, rows to skip, requests in flight.

        Without a `limit`, pages are as large as the server gives them, and together never more than 5,000 rows ahead.
        `exact` fetches again what moved during the read, until completeness is proven. `strict` raises
        `IncompleteListing` at the end of a read that is not known to be complete. `on_invalid="skip"` leaves out rows
        that break the contract, and says in the report which.
        """
        return Listing(
            self._source,
            self._reading,
            limit=limit,
            offset=offset,
            concurrency=concurrency,
            strict=strict,
            exact=exact,
            on_invalid=on_invalid,
        )

    @property
    def report(self) -> ListingReport:
        """What the last read saw; `unfinished` until a read comes to its end."""
        return ListingReport() if self._tracker is None else self._tracker.report()

    def __await__(self) -> Generator[Any, None, Page[T]]:
        reading = self._reading
        ask = PageRequest(reading.limit or USUAL, reading.offset, skip_invalid=reading.skip_invalid)
        return fetch_page(self._source, ask).__await__()

    if not TYPE_CHECKING:  # a checker says it without this

        def __iter__(self) -> NoReturn:
            """Raise `TypeError` that says how the rows are had."""
            raise TypeError(
                "a Listing is read from a server: use `async for row in listing` or `await listing.all()`, and without "
                "asyncio `for row in portal.iterate(listing)` of a meitner_aio.Portal"
            )

    def __repr__(self) -> str:
        """Say what it is and what it can; neither rows nor the values of conditions."""
        report = self.report
        read = "not read yet" if self._tracker is None else f"{report.rows} rows read, {report.level}"
        return (
            f"<Listing of {self._source!r} ({read}): async for gives every row, await the first page; "
            "all(), first(), count(), pages(), paged(), report>"
        )

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        read = self._begun()
        try:
            while (page := await read.next()) is not None:
                # Rows are let go before the next page is read, which finds their memory in the processor's cache.
                rows, page = iter(page.data), None
                for row in rows:
                    yield row
        finally:
            await read.close()

    async def pages(self) -> AsyncGenerator[Page[T], None]:
        """Yield every page in order, each row once; rows fetched again by `exact` come in pages of their own."""
        read = self._begun()
        try:
            while (page := await read.next()) is not None:
                yield page
        finally:
            await read.close()

    def _begun(self) -> Read[T]:
        read = Read(self._source, self._reading)
        self._tracker = read.tracker
        return read

    async def all(self) -> list[T]:
        """Return every row."""
        return [row async for row in self]

    async def first(self) -> T | None:
        """Return the first row, or None when there is none; one request of one row, unless rows are skipped."""
        ask = PageRequest(1, self._reading.offset, skip_invalid=self._reading.skip_invalid)
        while True:
            page = await self._source.fetch(ask)
            if page.rows or not page.invalid:
                return page.rows[0] if page.rows else None
            ask = ask._replace(offset=ask.offset + 1)

    async def count(self) -> int:
        """Return how many rows the server has, whatever the offset; one request of one row."""
        return (await self._source.fetch(PageRequest(1, 0, skip_invalid=True))).pagination.total


def at_most(listing: Listing[T], rows: int) -> Listing[T]:
    """Return the same listing for who wants so many rows of it: no page is asked for more, the first one neither."""
    source, reading = inside(listing)
    return Listing(source, reading, largest=min(rows, LARGEST))


def inside(listing: Listing[T]) -> tuple[Source[T], Reading]:
    """Return where the rows of a listing come from and how they are to be read, for who reads it page by page."""
    return listing._source, listing._reading  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - private to users
