"""One page of a listing, and how to get the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar, cast

from .._html import of_rows
from ..errors import MeitnerError
from ..records import Pagination, Record
from .source import Counted, PageRequest, Source

T = TypeVar("T")


class PageInfo(NamedTuple):
    """The limit and the offset of the next page."""

    limit: int
    offset: int


class Page(Generic[T]):
    """One page of a listing: `data` in the server's order, `pagination` as the server reports it."""

    __slots__ = ("_following", "_source", "data", "pagination")

    def __init__(self, data: list[T], pagination: Pagination, source: Source[T], following: PageRequest | None) -> None:
        self.data = data
        self.pagination = pagination
        self._source = source
        self._following = following

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    def __repr__(self) -> str:
        return f"Page({len(self.data)} rows, {self.pagination!r})"

    def _repr_html_(self) -> str:
        """Show the rows as a table in a notebook, masked as their `repr` is."""
        return of_rows(self.data, _masked, f"Page from offset {self.pagination.offset:,} of {self.pagination.total:,}")

    def has_next_page(self) -> bool:
        """Whether the server has rows after this page."""
        return self._following is not None

    def next_page_info(self) -> PageInfo | None:
        """Return the limit and the offset of the next page, or None at the end."""
        return None if self._following is None else PageInfo(self._following.limit, self._following.offset)

    async def get_next_page(self) -> Page[T]:
        """Fetch the next page; raises `MeitnerError` at the end."""
        page = await self.next()
        if page is None:
            raise MeitnerError("this is the last page: check has_next_page() first")
        return page

    async def next(self) -> Page[T] | None:
        """Fetch the next page; None at the end."""
        return None if self._following is None else await fetch_page(self._source, self._following)


def _masked(row: object) -> list[tuple[str, object]]:
    return cast("Record", row).__rich_repr__()


async def fetch_page(source: Source[T], ask: PageRequest) -> Page[T]:
    """Fetch a single page."""
    page = await source.fetch(ask)
    return Page(page.rows, page.pagination, source, following(ask, page))


def following(ask: PageRequest, page: Counted) -> PageRequest | None:
    """Return the request for the next page: it begins where this one ended, whatever limit the server reports."""
    size = page.size
    end = ask.offset + size
    return ask._replace(offset=end, first=False, upcoming=None) if size and end < page.pagination.total else None
