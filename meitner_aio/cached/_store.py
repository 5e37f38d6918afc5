"""A `Send` that keeps the answers of reads for a while, and makes one request of concurrent equal reads.

It stores bytes under keys that reveal nothing, and seals them unless they stay in the memory of this process (see
`_sealing`). Bytes without a valid seal are a miss. Every hit is decoded anew, because callers can change pages and the
lists in records. Knows no resource.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence

from .._operations.reads import DOWN
from .._runtime.cleanup import stopped
from .._wire.messages import Headers, RawResponse, Request, Send, value_of
from ..errors import APIStatusError, MeitnerError, ResponseValidationError
from ._layers import Layers
from ._providers import CacheProvider
from ._sealing import Answer

_log = logging.getLogger("meitner_aio")

_READS = frozenset({"list", "search", "get"})
_KEPT_HEADERS = ("Content-Type", "Date", "X-Request-ID")


def reading(send: Send) -> Send:
    """Return a `Send` that refuses what is no read, before it is sent."""

    async def read(request: Request) -> RawResponse:
        if request.operation in _READS:
            return await send(request)
        raise MeitnerError(
            f"{request.method} {request.route} would write, and a cached view only reads: use meitner.resource(...)",
            method=request.method,
            route=request.route,
        )

    return read


class _Flight:
    """A request in flight, and how many wait for it. `first` is the request whose reader decoded the response."""

    __slots__ = ("first", "since", "task", "waiters")

    def __init__(self, first: Request, since: int, task: asyncio.Task[tuple[Answer, RawResponse | None]]) -> None:
        self.first = first
        self.since = since
        self.task = task
        self.waiters = 0


class Caching:
    """Answers reads from the cache.

    What a listing proves at its end holds only if no page is older than its first one. So later pages are kept under
    the number of the first page that they follow, and are lost with it. A second pass, and the queries that prove
    completeness, always ask the server.
    """

    def __init__(
        self, send: Send, providers: Sequence[CacheProvider], *, scope: bytes, ttl: float, stale: float, reads: int
    ) -> None:
        """Ask through `send`, and the providers in turn.

        Answers are fresh for `ttl` seconds, and may be used for `stale` seconds more while the service is down. Keys
        depend on `scope`. The numbers of the latest `reads` listings are remembered.
        """
        self._next = send
        self._layers = Layers(providers, scope)
        self._ttl = ttl
        self._stale = stale
        self._most_reads = reads
        self._reads: OrderedDict[bytes, int] = OrderedDict()
        self._flights: dict[str, _Flight] = {}

    async def send(self, request: Request) -> RawResponse:
        """Return the answer kept, else the server's, else an expired one while the server is down."""
        if request.operation not in _READS:
            return await self._next(request)
        asked = request.api, request.path, request.filter
        listing = self._layers.seal.digest(*(part.encode() for part in asked), request.body or b"")
        if request.follows and request.query.endswith("=0"):  # the offset stands last
            self._reads.pop(listing, None)
        begun = self._reads.get(listing) if request.follows else 0
        if begun is None:
            return await self._next(request)
        key = self._layers.seal.digest(listing, request.query.encode(), str(begun).encode()).hex()
        response = await self._answered(request, key, listing)
        try:
            value_of(request, response)
        except ResponseValidationError:  # kept by a less strict reader, or by one that had not decoded it
            await self._layers.delete(key)
            return await self._next(request)
        return response

    def __repr__(self) -> str:
        return f"{self._layers!r}, good for {self._ttl:g} s"

    async def clear(self) -> None:
        """Forget every answer. The answers to requests in flight reach only those who already wait for them."""
        self._reads.clear()
        await self._layers.clear()

    async def _answered(self, request: Request, key: str, listing: bytes) -> RawResponse:
        flight, response, answer, fresh = self._under_way(key), None, None, False
        if flight is None:
            since = self._layers.clears
            answer, fresh = await self._recalled(key)
            if since != self._layers.clears:
                answer = None
        if answer is None or not fresh:
            flight = self._under_way(key) or self._start(request, key, answer, listing)
            answer, response = await self._landed(flight, key)
        if not request.follows and request.operation != "get":
            self._begin(listing, answer.begun)
        if flight is not None and flight.first is request and response is not None:
            return response
        return RawResponse(200, Headers(answer.headers), answer.body, attempts=0)

    def _begin(self, listing: bytes, begun: int) -> None:
        """Let later pages follow this first page, unless they already follow a newer one."""
        self._reads[listing] = max(begun, self._reads.get(listing, 0))
        self._reads.move_to_end(listing)
        while len(self._reads) > self._most_reads:
            self._reads.popitem(last=False)

    async def _recalled(self, key: str) -> tuple[Answer | None, bool]:
        """Return what is kept, and whether it is fresh."""
        kept = await self._layers.recalled(key, self._ttl)
        if kept is None:
            return None, False
        answer, age = kept
        return answer if age < self._ttl + self._stale else None, age < self._ttl

    def _under_way(self, key: str) -> _Flight | None:
        """Return the request in flight for a key, unless the cache was cleared since it began."""
        flight = self._flights.get(key)
        return None if flight is None or flight.since != self._layers.clears else flight

    def _start(self, request: Request, key: str, stale: Answer | None, listing: bytes) -> _Flight:
        task = asyncio.create_task(self._fetched(request, key, stale, listing))
        flight = self._flights[key] = _Flight(request, self._layers.clears, task)
        task.add_done_callback(lambda _: self._forget(key, flight))
        return flight

    def _forget(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # mark it as retrieved: nobody may be waiting any more

    async def _landed(self, flight: _Flight, key: str) -> tuple[Answer, RawResponse | None]:
        """Wait for a request together with others; the last one to give up cancels it."""
        flight.waiters += 1
        try:
            await asyncio.wait([flight.task])
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                self._forget(key, flight)
                await stopped(flight.task)
        error = None if flight.task.cancelled() else flight.task.exception()
        if isinstance(error, MeitnerError):  # a copy each: raising extends a traceback
            raise copy.copy(error).with_traceback(error.__traceback__) from None
        return flight.task.result()

    async def _fetched(
        self, request: Request, key: str, stale: Answer | None, listing: bytes
    ) -> tuple[Answer, RawResponse | None]:
        since = self._layers.clears
        try:
            response = await self._next(request)
        except DOWN:
            if stale is None:
                raise
            _log.warning("%s %s failed; using an expired answer from the cache", request.method, request.route)
            return stale, None
        except APIStatusError:
            if stale is not None:
                await self._layers.delete(key)
            raise
        begun = 0 if request.follows else max(time.time_ns(), self._reads.get(listing, 0) + 1)
        headers = {name: value for name in _KEPT_HEADERS if (value := response.headers.get(name)) is not None}
        answer = Answer(headers, response.body, begun, self._ttl + self._stale)
        await self._layers.keep(key, answer, since)
        return answer, response
