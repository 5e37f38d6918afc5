"""Interface that a listing reads from: pages of rows, and two queries that help to prove completeness."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from .._wire.decoding import DecodedPage
from .._wire.last_counts import LastCount
from ..records import Pagination

T = TypeVar("T")


class Counted(Protocol):
    """What a decoded page says besides its rows."""

    @property
    def size(self) -> int: ...
    @property
    def pagination(self) -> Pagination: ...
    @property
    def asked(self) -> int: ...
    @property
    def asked_at(self) -> float | None: ...
    @property
    def larger(self) -> bool: ...
    @property
    def requests(self) -> int: ...


class PageRequest(NamedTuple):
    """A request for `limit` rows from `offset`."""

    limit: int
    offset: int
    bulk: bool = False
    first: bool = False
    """Whether this is the first page of a read of many pages."""
    skip_invalid: bool = False
    open: bool = False
    """Whether the source chooses the number of rows: as many as the server gives, at most `limit`."""
    total: int = 0
    """Rows in the listing, if this page is open and follows another: shows whether larger pages would save requests."""
    upcoming: int | None = None
    """Requests that the read expects to send after this one; None if that is not known."""
    every: bool = False
    """Whether a window of creation times includes the rows that a search leaves out."""
    early: bool = False
    """Whether it is sent before the first page of the read has arrived, so that its answer may be older."""


class Deletions(NamedTuple):
    """Ids of deleted rows, and how many requests it took to read them. `ids` is None if they are not known."""

    ids: frozenset[str] | None
    requests: int = 0


class Source(Protocol[T]):
    """The pages of one listing, and what else the directory knows of its rows."""

    @property
    def model(self) -> type[T]:
        """What a row is."""
        ...

    @property
    def searchable(self) -> bool:
        """Whether rows can be searched by creation time."""
        ...

    @property
    def updates_matter(self) -> bool:
        """Whether an update can bring a row into the listing or out of it, as in a search."""
        ...

    def recall(self, ask: PageRequest, /) -> LastCount | None:
        """Return what a read that began with this request counted lately; None if that is not known."""
        ...

    def remember(self, ask: PageRequest, count: LastCount | None, /) -> None:
        """Remember for `recall` what a read that began with this request counted; None forgets it."""
        ...

    def fetch(self, ask: PageRequest) -> Coroutine[None, None, DecodedPage[T]]:
        """Fetch a page."""
        ...

    def fetch_raw(self, ask: PageRequest) -> Coroutine[None, None, Callable[[], DecodedPage[T]]]:
        """Fetch a page; calling the result decodes it, and raises `ResponseValidationError` if it is invalid."""
        ...

    def created(self, low: datetime | None, high: datetime, ask: PageRequest) -> Coroutine[None, None, DecodedPage[T]]:
        """Fetch a page of the rows created from `low` until before `high`; only if `searchable`."""
        ...

    def deleted(self, since: datetime) -> Coroutine[None, None, Deletions]:
        """Fetch the ids of the rows deleted since `since`."""
        ...


class Forgetful:
    """A source that remembers nothing of earlier reads, and is never asked for several pages at the beginning."""

    def recall(self, _: PageRequest, /) -> None:
        """Return None."""

    def remember(self, _: PageRequest, __: LastCount | None, /) -> None:
        """Forget it."""
