"""Reading a listing: pages fetched ahead, concurrently and in order. Knows nothing of requests, only of `Fetch`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from ._protocol import Envelope
from .errors import MeitnerError, ResponseValidationError
from .records import Pagination

T = TypeVar("T")

Fetch = Callable[[int, int], Coroutine[Any, Any, Envelope[T]]]
"""Brings the page of at most so many rows (first) from an offset (second)."""

PAGE_LIMIT = 100
"""Rows asked for in a page when the caller does not say."""


class PageInfo(NamedTuple):
    """What to ask for to get the next page."""

    limit: int
    offset: int


class Page(Generic[T]):
    """One page of a listing: `data` in the server's order, `pagination` as the server reports it."""

    __slots__ = ("_fetch", "data", "pagination")

    def __init__(self, envelope: Envelope[T], fetch: Fetch[T]) -> None:
        self.data = envelope.data
        self.pagination: Pagination = envelope.pagination
        self._fetch = fetch

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    def __repr__(self) -> str:
        return f"Page({len(self.data)} rows, {self.pagination!r})"

    def has_next_page(self) -> bool:
        """Whether the server has rows after this page."""
        return self.next_page_info() is not None

    def next_page_info(self) -> PageInfo | None:
        """Return what the next page would ask for, or None at the end."""
        start = self.pagination.offset + max(self.pagination.limit, len(self.data), 1)
        return PageInfo(self.pagination.limit, start) if start < self.pagination.total else None

    async def get_next_page(self) -> Page[T]:
        """Fetch the next page; raises `MeitnerError` at the end."""
        page = await self.next()
        if page is None:
            raise MeitnerError("this is the last page; has_next_page() tells")
        return page

    async def next(self) -> Page[T] | None:
        """Fetch the next page; None at the end."""
        info = self.next_page_info()
        return None if info is None else Page(await self._fetch(*info), self._fetch)


class Listing(Generic[T]):
    """Rows of a resource, read when they are asked for.

    `async for` yields every row in the server's order; `await` gives the first `Page`. Nothing is requested before.
    """

    __slots__ = ("_concurrency", "_fetch", "_limit", "_offset")

    def __init__(self, fetch: Fetch[T], *, limit: int | None = None, offset: int = 0, concurrency: int = 8) -> None:
        """Raise `ValueError` for numbers that make no listing."""
        given: list[tuple[str, object, int]] = [
            ("limit", limit, 1),
            ("offset", offset, 0),
            ("concurrency", concurrency, 1),
        ]
        for name, value, least in given:
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise ValueError(f"{name} must be an int of at least {least}")
        self._fetch = fetch
        self._limit = PAGE_LIMIT if limit is None else limit
        self._offset = offset
        self._concurrency = concurrency

    def paged(
        self, *, limit: int | None = None, offset: int | None = None, concurrency: int | None = None
    ) -> Listing[T]:
        """Return the same listing read otherwise: rows a page, rows to skip, requests in flight."""
        return Listing(
            self._fetch,
            limit=self._limit if limit is None else limit,
            offset=self._offset if offset is None else offset,
            concurrency=self._concurrency if concurrency is None else concurrency,
        )

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._first_page().__await__()

    async def _first_page(self) -> Page[T]:
        return Page(await self._fetch(self._limit, self._offset), self._fetch)

    async def __aiter__(self) -> AsyncIterator[T]:
        envelopes = self._envelopes()
        try:
            async for envelope in envelopes:
                for row in envelope.data:
                    yield row
        finally:
            await envelopes.aclose()

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Yield every page in order."""
        envelopes = self._envelopes()
        try:
            async for envelope in envelopes:
                yield Page(envelope, self._fetch)
        finally:
            await envelopes.aclose()

    async def all(self) -> list[T]:
        """Return every row."""
        return [row async for row in self]

    async def first(self) -> T | None:
        """Return the first row, or None when there is none; one request of one row."""
        envelope = await self._fetch(1, self._offset)
        return envelope.data[0] if envelope.data else None

    async def count(self) -> int:
        """Return how many rows the server has, whatever the offset; one request of one row."""
        return (await self._fetch(1, 0)).pagination.total

    async def _envelopes(self) -> AsyncGenerator[Envelope[T], None]:
        """Yield pages in order with at most `concurrency` of them under way."""
        envelope = await self._fetch(self._limit, self._offset)
        step = self._step(envelope)
        following = self._offset + step
        # The generator owns its tasks; a TaskGroup around a yield would cancel the reader (PEP 789).
        ahead: deque[asyncio.Task[Envelope[T]]] = deque()
        try:
            while True:
                yield envelope
                total = envelope.pagination.total
                while following < total and len(ahead) < self._concurrency:
                    ahead.append(asyncio.create_task(self._fetch(step, following)))
                    following += step
                if not ahead:
                    return
                envelope = await ahead[0]
                ahead.popleft()
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    def _step(self, envelope: Envelope[T]) -> int:
        """Return how many rows a page really has: the server may clamp the limit, and says so."""
        step, pagination = envelope.pagination.limit, envelope.pagination
        if step < 1 or (len(envelope.data) < min(step, pagination.total - self._offset)):
            raise ResponseValidationError("a page holds fewer rows than its pagination says")
        return step
