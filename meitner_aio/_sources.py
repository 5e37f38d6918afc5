"""Listings of a resource as pages: turns what a listing asks for into requests, and answers into rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec

from ._protocol import Request, Send, value_of
from ._reading import Fetched, PageReader
from ._source import Ask, Deletions
from ._values import encode, floored
from .errors import MeitnerError
from .query import SearchBody
from .records import Id, Record

T = TypeVar("T", bound=Record)

_AUDIT_PAGE = 1000


class Deletion(Record):
    """What an audit event says that matters here."""

    id: Id
    resource_id: Id


class Facts(NamedTuple):
    """What the table of a resource says that its listings need to know."""

    path: str
    model: type[Record]
    searchable: bool
    audited: bool | None
    """Whether deletions leave events; None when there are no deletions."""


@cache
def _pages(model: type[Record]) -> PageReader[Any]:
    return PageReader(model)


class RecordSource(Generic[T]):
    """The pages of a list, or of a search with `filter`."""

    def __init__(self, send: Send, facts: Facts, filter: dict[str, Any] | None = None) -> None:  # noqa: A002
        """Ask through `send`."""
        self._send = send
        self._facts = facts
        self._filter = filter
        self._pages: PageReader[T] = _pages(facts.model)
        self._asking = self._question(None if filter is None else SearchBody(filter))

    @property
    def searchable(self) -> bool:
        """Whether rows can be asked for by when they were created."""
        return self._facts.searchable

    @property
    def updates_matter(self) -> bool:
        """Whether an update can bring a row in or out."""
        return self._filter is not None

    async def fetch(self, ask: Ask) -> Fetched[T]:
        """Bring a page."""
        return await self._page(ask, self._asking)

    async def sealed(self, ask: Ask) -> Callable[[], Fetched[T]]:
        """Bring a page unread."""
        request = self._request(ask, self._asking)
        response = await self._send(msgspec.structs.replace(request, reader=None))
        return lambda: cast("Fetched[T]", value_of(request, response))

    async def created(self, low: datetime | None, high: datetime, ask: Ask) -> Fetched[T]:
        """Bring a page of the rows created from `low` until before `high`."""
        body = SearchBody({"smallerThan": {"meta": {"createdAt": high}}, "orCondition": False})
        if low is not None:
            body.filter["greaterOrEqual"] = {"meta": {"createdAt": low}}
        if self._filter is not None:
            body.filter["nestedFilters"] = [self._filter]
        return await self._page(ask, self._question(body))

    async def _page(self, ask: Ask, asking: Request) -> Fetched[T]:
        request = self._request(ask, asking)
        return cast("Fetched[T]", value_of(request, await self._send(request)))

    def _question(self, body: SearchBody | None) -> Request:
        """Return the request for a list or a search, but for the page; it shows its body to no traceback."""
        path = self._facts.path
        if body is None:
            return Request("list", "GET", path, path)
        return Request("search", "POST", f"{path}/_search", f"{path}/_search", body=encode(body))

    def _request(self, ask: Ask, asking: Request) -> Request:
        return msgspec.structs.replace(
            asking,
            query=f"limit={ask.limit}&offset={ask.offset}",
            bulk=ask.bulk,
            first=ask.first,
            reader=self._pages.reader(ask.offset, skip_invalid=ask.skip_invalid),
        )

    async def deleted(self, since: datetime) -> Deletions:
        """Bring the ids of the rows deleted since then, from the audit events."""
        if self._facts.audited is None:
            return Deletions(frozenset())
        if not self._facts.audited:
            return Deletions(None)
        condition = {
            "equals": {"resource": self._facts.model.__name__, "type": "Delete"},
            "greaterOrEqual": {"timestamp": floored(since)},
            "orCondition": False,
        }
        events = RecordSource[Deletion](self._send, Facts("/audit-event", Deletion, True, None), condition)  # noqa: FBT003
        ids: set[str] = set()
        requests, offset, total = 0, 0, 1
        while offset < total:
            try:
                page = await events.fetch(Ask(_AUDIT_PAGE, offset, bulk=True))
            except MeitnerError:  # credentials may not reach the audit events; a witness who is away ends no read
                return Deletions(None, requests + 1)
            ids.update(event.resource_id for event in page.rows)
            requests, offset, total = requests + 1, offset + len(page.rows), page.pagination.total
            if not page.rows and offset < total:
                return Deletions(None, requests)
        return Deletions(frozenset(ids), requests)
