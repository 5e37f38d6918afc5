"""A listing: the rows of a resource, read on demand, each once.

Knows no HTTP, only a `Source` of pages.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, Unpack, cast

from .._runtime.coroutines import Coroutine
from .._wire.page_size import LARGEST, USUAL
from .completeness import CompletenessTracker, ListingReport
from .page import Page, fetch_page
from .reader import Read
from .reading import Reading, ReadingOptions
from .source import PageRequest, Source

T = TypeVar("T")

_USUAL = Reading()


class Rows(AsyncGenerator[T, None]):
    """The rows of a listing: an async generator."""

    if TYPE_CHECKING:  # for jedi (IPython, Jupyter), which loses the type on the way through `Coroutine`

        def __anext__(self) -> Coroutine[None, None, T]: ...


class Listing(Generic[T]):
    """Rows of a resource, read on demand.

    `async for` yields every row in the server's order; `await` returns the first `Page`, of 50 rows unless a limit was
    given. Nothing is requested before that.
    """

    __slots__ = ("_reading", "_source", "_tracker")

    def __init__(self, source: Source[T], reading: Reading = _USUAL, **options: Unpack[ReadingOptions]) -> None:
        """Read from a source, as `reading` says, changed by the `options`.

        Raises `TypeError` or `ValueError` for invalid options, `ConfigurationError` for more requests than the client
        allows.
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
        """Return the same listing with other options: rows a page, rows to skip, requests in flight.

        Without a `limit`, pages are as large as the server gives them; with a small one, the first row comes sooner. At
        most 5,000 rows are fetched ahead, or two pages of more than 2,500.
        `exact` fetches rows that moved during the read again, until completeness is proven. `strict` raises
        `IncompleteListing` at the end of a read that is not known to be complete. `on_invalid="skip"` leaves out rows
        that break the contract, and the report names them.
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
        """The report of the last read; `unfinished` until a read reaches its end."""
        return ListingReport() if self._tracker is None else self._tracker.report()

    def __await__(self) -> Generator[Any, None, Page[T]]:
        reading = self._reading
        ask = PageRequest(reading.limit or USUAL, reading.offset, skip_invalid=reading.skip_invalid)
        return fetch_page(self._source, ask).__await__()

    if not TYPE_CHECKING:  # type checkers report it without this

        def __iter__(self) -> NoReturn:
            """Raise a `TypeError` that says how to read the rows."""
            raise TypeError(
                "a Listing is read from a server: use `async for row in listing` or `await listing.all()`, and without "
                "asyncio `for row in portal.iterate(listing)` of a meitner_aio.Portal"
            )

        def __len__(self) -> NoReturn:
            """Raise a `TypeError` that says how to count the rows."""
            raise TypeError("a Listing is counted by its server: use `await listing.count()`")

        def __bool__(self) -> bool:
            """Be true, as any object without a length is."""
            return True

        def __getitem__(self, index: object) -> NoReturn:
            """Raise a `TypeError` that says how to get single rows."""
            raise TypeError(
                "a Listing is read from a server: use `await listing.first()`, `(await listing.all())[0]`, or "
                "`await listing.paged(offset=100)` for a page"
            )

    def __repr__(self) -> str:
        """Show what it is and what it can do, without rows or the values of conditions."""
        report = self.report
        read = "not read yet" if self._tracker is None else f"{report.rows} rows read, {report.level}"
        return (
            f"<Listing of {self._source!r} ({read}): async for gives every row, await the first page; "
            "all(), first(), count(), pages(), paged(), report>"
        )

    def __aiter__(self) -> Rows[T]:
        return cast("Rows[T]", self._rows())

    async def _rows(self) -> AsyncGenerator[T, None]:
        read = self._begun()
        try:
            while (page := await read.next()) is not None:
                # Free the rows before the next page is decoded: it reuses memory that is in the processor's cache.
                rows, page = iter(page.data), None
                for row in rows:
                    yield row
        finally:
            await read.close()

    async def pages(self) -> AsyncGenerator[Page[T], None]:
        """Yield every page in order, each row once; rows that `exact` fetched again come in further pages."""
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
        """Return the first row, or None if there is none; one request of one row, and one more for each row skipped."""
        ask = PageRequest(1, self._reading.offset, skip_invalid=self._reading.skip_invalid)
        while True:
            page = await self._source.fetch(ask)
            if page.rows or not page.invalid:
                return page.rows[0] if page.rows else None
            ask = ask._replace(offset=ask.offset + 1)

    async def count(self) -> int:
        """Return how many rows the server counts, whatever the offset; one request of one row."""
        return (await self._source.fetch(PageRequest(1, 0, skip_invalid=True))).pagination.total


def at_most(listing: Listing[T], rows: int) -> Listing[T]:
    """Return the same listing for a caller that needs so many rows: no page asks for more, not even the first."""
    source, reading = inside(listing)
    return Listing(source, reading, largest=min(rows, LARGEST))


def inside(listing: Listing[T]) -> tuple[Source[T], Reading]:
    """Return the source and the options of a listing, for code that reads it page by page."""
    return listing._source, listing._reading  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - private to users


def begun(listing: Listing[T], **options: Unpack[ReadingOptions]) -> Read[T]:
    """Return a read of a listing from its beginning, with some options changed; the listing's `report` tells of it."""
    source, reading = inside(listing)
    read = Read(source, reading.changed(options))
    listing._tracker = read.tracker  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as above
    return read
