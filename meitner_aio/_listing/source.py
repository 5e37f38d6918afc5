"""What a listing reads from: pages of rows, and two questions that help to prove that none is missing."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from .._wire.decoding import DecodedPage

T = TypeVar("T")


class PageRequest(NamedTuple):
    """What to ask for: `limit` rows from `offset`."""

    limit: int
    offset: int
    bulk: bool = False
    first: bool = False
    """Whether a read of many pages begins with this one."""
    skip_invalid: bool = False
    open: bool = False
    """Whether the source chooses how many rows to ask for: as many as the server gives, at most `limit`."""
    total: int = 0
    """Rows of the listing, where a page that is open follows another one: whether larger ones would spare requests."""
    upcoming: int | None = None
    """Requests that the read will send after this one, as far as it knows."""
    every: bool = False
    """Whether a window of creation times is asked for with the rows that a search leaves out."""


class Deletions(NamedTuple):
    """Ids of deleted rows, and the requests that it took to learn them. `ids` is None when nobody knows."""

    ids: frozenset[str] | None
    requests: int = 0


class Source(Protocol[T]):
    """The pages of one listing, and what else the directory knows about its rows."""

    @property
    def searchable(self) -> bool:
        """Whether rows can be asked for by when they were created."""
        ...

    @property
    def updates_matter(self) -> bool:
        """Whether an update can bring a row into the listing or out of it, as in a search."""
        ...

    def fetch(self, ask: PageRequest) -> Coroutine[Any, Any, DecodedPage[T]]:
        """Fetch a page."""
        ...

    def fetch_raw(self, ask: PageRequest) -> Coroutine[Any, Any, Callable[[], DecodedPage[T]]]:
        """Fetch a page unread; calling the result reads it, and raises `ResponseValidationError` when it cannot."""
        ...

    def created(self, low: datetime | None, high: datetime, ask: PageRequest) -> Coroutine[Any, Any, DecodedPage[T]]:
        """Fetch a page of the rows created from `low` until before `high`; only where `searchable`."""
        ...

    def deleted(self, since: datetime) -> Coroutine[Any, Any, Deletions]:
        """Fetch the ids of the rows deleted since then."""
        ...
