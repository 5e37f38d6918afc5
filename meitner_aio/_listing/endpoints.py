"""The pages of a resource's listings: turns what a listing asks for into requests, and answers into rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec

from .._wire.decoding import DecodedPage, PageReader
from .._wire.envelopes import USUAL_PAGING, Paging
from .._wire.last_counts import LastCount
from .._wire.messages import RawResponse, Request, Send, value_of
from .._wire.page_bounds import bounded, largest
from .._wire.page_size import LARGEST, Fitting, PageSizes
from .._wire.paths import Place
from .._wire.validation import encode, floored
from ..errors import MeitnerError
from ..query import SearchBody
from ..records import Id, Record
from .source import Deletions, PageRequest

T = TypeVar("T", bound=Record)


class Deletion(Record):
    """The fields of an audit event that are needed here."""

    id: Id
    resource_id: Id


class Listed(NamedTuple):
    """What listings need to know from the table of a resource."""

    place: Place
    model: type[Record]
    searchable: bool
    audited: bool | None
    """Whether deletions leave audit events; None if nothing is ever deleted."""
    paging: Paging = USUAL_PAGING
    query: str = ""
    """What a list is asked beside its pages, as a query string."""


@cache
def _pages(model: type[Record], paging: Paging) -> PageReader[Any]:
    return PageReader(model, paging)


class RecordSource(Generic[T]):
    """The pages of a list, or of a search with `filter`."""

    def __init__(self, send: Send, resource: Listed, filter: dict[str, object] | None, sizes: PageSizes) -> None:
        """Ask through `send`, for pages as large as `sizes` allows."""
        self._send = send
        self._sizes = sizes
        self._resource = resource
        self._filter = filter
        self._pages: PageReader[T] = _pages(resource.model, resource.paging)
        self._asking = self._question(None if filter is None else SearchBody(filter))

    def __repr__(self) -> str:
        """Name the request without its conditions, which may hold personal data."""
        return f"{self._asking.method} {self._asking.route}"

    @property
    def model(self) -> type[T]:
        """What a row is."""
        return cast("type[T]", self._resource.model)

    @property
    def searchable(self) -> bool:
        """Whether rows can be searched by creation time."""
        return self._resource.searchable and not self._resource.query

    @property
    def updates_matter(self) -> bool:
        """Whether an update can bring a row in or out."""
        return self._filter is not None or bool(self._resource.query)

    def recall(self, ask: PageRequest) -> LastCount | None:
        """Return what a read that began with this request counted lately; None if pages have another size by now."""
        count = self._sizes.counts.of(self._began_with(ask))
        if count is None or not ask.open:
            return count
        size = self._sizes.of(self._asking.route)
        return count if count.step == min(ask.limit, size.rows) and not size.tries(count.step) else None

    def remember(self, ask: PageRequest, count: LastCount | None) -> None:
        """Remember what a read that began with this request counted; None forgets it."""
        self._sizes.counts.note(self._began_with(ask), count)

    def _began_with(self, ask: PageRequest) -> int:
        asking = self._asking
        return hash((asking.api, asking.path, asking.filter, asking.body, ask.limit, ask.open))

    async def fetch(self, ask: PageRequest) -> DecodedPage[T]:
        """Fetch a page."""
        return await self._page(ask, self._asking)

    async def fetch_raw(self, ask: PageRequest) -> Callable[[], DecodedPage[T]]:
        """Fetch a page without decoding it."""
        request = self._request(ask, self._asking)
        response, waited = await self._sent(msgspec.structs.replace(request, reader=None))
        return lambda: _timed(cast("DecodedPage[T]", value_of(request, response)), response, waited)

    async def created(self, low: datetime | None, high: datetime, ask: PageRequest) -> DecodedPage[T]:
        """Fetch a page of rows created from `low` until before `high`; `every` leaves out the search's conditions."""
        body = SearchBody({"smallerThan": self._made(high), "orCondition": False})
        if low is not None:
            body.filter["greaterOrEqual"] = self._made(low)
        if self._filter is not None and not ask.every:
            body.filter["nestedFilters"] = [self._filter]
        return await self._page(ask, self._question(body))

    def _made(self, at: datetime) -> dict[str, object]:
        """Return the condition on the creation time; audit events have no `meta`, so their timestamp is used."""
        return (
            {"timestamp": at} if "timestamp" in self._resource.model.__struct_fields__ else {"meta": {"createdAt": at}}
        )

    async def _page(self, ask: PageRequest, asking: Request) -> DecodedPage[T]:
        if ask.open:
            return await self._largest(ask, asking)
        return await self._answered(self._request(ask, asking))

    async def _answered(self, request: Request) -> DecodedPage[T]:
        """Fetch a page."""
        response, waited = await self._sent(request)
        return _timed(cast("DecodedPage[T]", value_of(request, response)), response, waited)

    async def _sent(self, request: Request) -> tuple[RawResponse, float]:
        """Return the answer, and how long it took: the server may have counted long before its Date."""
        time = asyncio.get_running_loop().time
        began = time()
        response = await self._send(request)
        return response, max(time() - began, response.elapsed)

    async def _largest(self, ask: PageRequest, asking: Request) -> DecodedPage[T]:
        """Fetch as many rows as the server gives. While that is unknown, one read at a time tries; others learn."""
        fitting = Fitting(self._sizes.of(asking.route), ask.limit, ask.total)
        page: DecodedPage[T] | None = None
        while page is None:
            if not fitting.new:
                page = await self._tried(fitting, ask, asking)
                continue
            async with self._sizes.turn:
                while page is None and fitting.new:  # another read may have learnt it meanwhile
                    page = await self._tried(fitting, ask, asking)
        return page

    async def _tried(self, fitting: Fitting, ask: PageRequest, asking: Request) -> DecodedPage[T] | None:
        """Fetch a page of the size to try; None if a smaller size should be tried."""
        limit, shrinks = fitting.limit, fitting.shrinks
        after = max(0, -(-(ask.total - ask.offset - limit) // limit)) if ask.total else None
        trial = ask._replace(limit=limit, open=False, upcoming=after)
        request = msgspec.structs.replace(self._request(trial, asking), shrinks=shrinks)
        try:
            page = await self._answered(request)
        except MeitnerError as error:
            if fitting.failed(limit, error):
                return None
            raise
        larger = fitting.gave(limit, page.pagination.limit, page.pagination.total)
        return page._replace(asked=limit, requests=fitting.requests, larger=larger)

    def _question(self, body: SearchBody | None) -> Request:
        """Return the request of a list or a search, without the page; no traceback shows its body."""
        resource = self._resource
        if body is None:
            route, path, api = resource.place
            return Request("list", "GET", route, path, api=api, filter=resource.query)
        route, path, api = resource.place.below("/_search")
        return Request("search", "POST", route, path, body=encode(body), api=api)

    def _request(self, ask: PageRequest, asking: Request) -> Request:
        paging, more = self._resource.paging, asking.filter and f"{asking.filter}&"
        reader = self._pages.reader(ask.offset, skip_invalid=ask.skip_invalid, limit=ask.limit)
        return msgspec.structs.replace(
            asking,
            query=f"{more}{paging.limit}={ask.limit}&{paging.offset}={ask.offset}",
            bulk=ask.bulk,
            first=ask.first,
            upcoming=ask.upcoming,
            largest=largest(ask.limit),
            reader=bounded(reader, max(ask.limit, LARGEST)),
        )

    async def deleted(self, since: datetime) -> Deletions:
        """Fetch the ids of the rows deleted since `since`, from the audit events."""
        if self._resource.audited is None:
            return Deletions(frozenset())
        if not self._resource.audited:
            return Deletions(None)
        condition: dict[str, object] = {
            "equals": {"resource": self._resource.model.__name__, "type": "Delete"},
            "greaterOrEqual": {"timestamp": floored(since)},
            "orCondition": False,
        }
        listed = Listed(Place("/audit-event", "/audit-event"), Deletion, searchable=True, audited=None)
        events = RecordSource[Deletion](self._send, listed, condition, self._sizes)
        ids: set[str] = set()
        requests, offset, total = 0, 0, 1
        while offset < total:
            try:
                page = await events.fetch(PageRequest(LARGEST, offset, bulk=True, open=True))
            except MeitnerError:  # perhaps no right to read audit events: the listing goes on, unproven
                return Deletions(None, requests + 1)
            ids.update(event.resource_id for event in page.rows)
            requests, offset, total = requests + page.requests, offset + len(page.rows), page.pagination.total
            if not page.rows and offset < total:
                return Deletions(None, requests)
        return Deletions(frozenset(ids), requests)


def _timed(page: DecodedPage[T], response: RawResponse, waited: float) -> DecodedPage[T]:
    """Return the page with how long it took, marked if a cache answered: such a response took no attempt."""
    return page._replace(waited=waited, kept=not response.attempts)
