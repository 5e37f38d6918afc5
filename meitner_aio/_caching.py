"""A `Send` that remembers the answers of reads for a while, and asks once for all who ask the same at the same time.

What it keeps are bytes under keys that say nothing: a digest, keyed by the credentials, of what was asked. Every hit is
decoded anew, because pages and the lists in records can be changed by whoever got them. Knows no resource.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from hashlib import blake2b
from typing import Any, ParamSpec, Protocol, TypeVar, runtime_checkable

import msgspec
from msgspec import Struct

from ._cleanup import stopped
from ._protocol import Headers, RawResponse, Request, Send, value_of
from .errors import (
    APIConnectionError,
    APIStatusError,
    InternalServerError,
    MeitnerError,
    QuotaExhausted,
    RateLimitError,
    ResponseValidationError,
)

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger("meitner_aio")

DOWN = (APIConnectionError, InternalServerError, RateLimitError, QuotaExhausted)
"""What says that the service does not answer now, and nothing about what was asked."""

_READS = frozenset({"list", "search", "get"})
_KEPT_HEADERS = ("Content-Type", "Date", "X-Request-ID")
_PATIENCE = 1.0
"""Seconds that a provider may take before it counts as absent."""


class Cached(Struct, frozen=True):
    """What a provider gives back: the bytes that it was given, and the seconds until it will have forgotten them."""

    value: bytes
    expires_in: float

    def __repr__(self) -> str:
        return f"Cached({len(self.value)} bytes, expires_in={self.expires_in:.1f})"

    def __rich_repr__(self) -> Any:  # noqa: ANN401 - rich's own protocol; msgspec's would show the value
        yield f"{len(self.value)} bytes"
        yield "expires_in", self.expires_in


@runtime_checkable
class CacheProvider(Protocol):
    """Where answers are kept. Whatever it raises, or a second without an answer, is a miss and fails no call.

    Keys are text of 40 hexadecimal digits that tell nothing; values are bytes and hold personal data in the clear.
    """

    async def get(self, key: str) -> Cached | None:
        """Return what is kept under a key, or None."""
        ...

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds."""
        ...

    async def delete(self, key: str) -> None:
        """Forget a key, whether there is one or not."""
        ...

    async def clear(self) -> None:
        """Forget everything."""
        ...


class MemoryCache:
    """Keeps at most `maxsize` answers in this process, and forgets the one not asked for the longest. On no disk."""

    def __init__(self, maxsize: int = 1000) -> None:
        self._maxsize = maxsize
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<MemoryCache: {len(self)} of {self._maxsize}>"

    async def get(self, key: str) -> Cached | None:
        """Return what is kept, and keep it longer than what is not asked for."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        value, expires_at = kept
        left = expires_at - asyncio.get_running_loop().time()
        if left <= 0:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return Cached(value, left)

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds of the event loop."""
        self._kept[key] = (value, asyncio.get_running_loop().time() + ttl)
        self._kept.move_to_end(key)
        while len(self._kept) > self._maxsize:
            self._kept.popitem(last=False)

    async def delete(self, key: str) -> None:
        """Forget a key."""
        self._kept.pop(key, None)

    async def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


class _Answer(Struct, frozen=True, array_like=True):
    """What is kept of an answer. `begun` numbers the read that it begins; later pages are kept under that number."""

    headers: dict[str, str]
    body: bytes
    begun: int

    def __repr__(self) -> str:
        return f"_Answer({len(self.body)} bytes)"

    def __rich_repr__(self) -> Any:  # noqa: ANN401 - rich's own protocol; msgspec's would show the body
        yield f"{len(self.body)} bytes"


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(_Answer)


class _Flight:
    """A request under way, and how many wait for it. `first` is the request whose reader read the response."""

    __slots__ = ("first", "task", "waiters")

    def __init__(self, first: Request, task: asyncio.Task[tuple[_Answer, RawResponse | None]]) -> None:
        self.first = first
        self.task = task
        self.waiters = 0


class Caching:
    """Answers reads from what is kept.

    A listing is read page by page, and what it proves at the end holds only if no page is older than its first one:
    pages that follow are therefore kept under the number of the first page that they follow, and are gone with
    it. A second pass, and whoever bears witness about a listing, always asks the server.
    """

    def __init__(  # noqa: PLR0913 - the parts
        self, send: Send, provider: CacheProvider, *, scope: bytes, ttl: float, stale: float, reads: int
    ) -> None:
        """Ask through `send`.

        Answers are good for `ttl` seconds, and stand in for a service that is down for `stale` seconds more. Keys
        depend on `scope`. The first pages of `reads` listings are remembered.
        """
        self._next = send
        self._provider = provider
        self._scope = blake2b(scope, digest_size=32).digest()
        self._ttl = ttl
        self._stale = stale
        self._most_reads = reads
        self._reads: OrderedDict[bytes, int] = OrderedDict()
        self._flights: dict[str, _Flight] = {}

    async def send(self, request: Request) -> RawResponse:
        """Return the answer that is kept, else the server's, else one that has gone stale while the server is down."""
        if request.operation not in _READS:
            return await self._next(request)
        listing = self._digest(request.path.encode(), request.body or b"")
        if request.follows and request.query.endswith("offset=0"):
            self._reads.pop(listing, None)
        begun = self._reads.get(listing) if request.follows else 0
        if begun is None:
            return await self._next(request)
        key = self._digest(listing, request.query.encode(), str(begun).encode()).hex()
        response = await self._answered(request, key, listing)
        try:
            value_of(request, response)
        except ResponseValidationError:  # it was kept by a reader who is less strict, or who had not read it yet
            await self._ask(self._provider.delete, key)
            return await self._next(request)
        return response

    def __repr__(self) -> str:
        return f"{self._provider!r}, good for {self._ttl:g} s"

    async def clear(self) -> None:
        """Forget every answer."""
        await self._ask(self._provider.clear)

    def _digest(self, *parts: bytes) -> bytes:
        digest = blake2b(key=self._scope, digest_size=20)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    async def _answered(self, request: Request, key: str, listing: bytes) -> RawResponse:
        flight, response = self._flights.get(key), None
        answer, fresh = (None, False) if flight else await self._recalled(key)
        if answer is None or not fresh:
            flight = self._flights.get(key) or self._start(request, key, answer, listing)
            answer, response = await self._landed(flight, key)
        if not request.follows and request.operation != "get":
            self._begin(listing, answer.begun)
        if flight is not None and flight.first is request and response is not None:
            return response
        return RawResponse(200, Headers(answer.headers), answer.body, attempts=0)

    def _begin(self, listing: bytes, begun: int) -> None:
        """Let pages follow this first one, unless they already follow a later one."""
        self._reads[listing] = max(begun, self._reads.get(listing, 0))
        self._reads.move_to_end(listing)
        while len(self._reads) > self._most_reads:
            self._reads.popitem(last=False)

    async def _recalled(self, key: str) -> tuple[_Answer | None, bool]:
        """Return what is kept, and whether it is fresh."""
        kept = await self._ask(self._provider.get, key)
        if kept is None:
            return None, False
        try:
            return _decoder.decode(kept.value), kept.expires_in > self._stale
        except msgspec.MsgspecError:
            _log.warning("the cache provider returned something that was never kept")
            return None, False

    async def _ask(self, ask: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Return what the provider says; None when it fails."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await ask(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever a provider raises
            _log.warning("the cache provider failed with %s", type(error).__name__)  # its text may quote a value
            return None

    def _start(self, request: Request, key: str, stale: _Answer | None, listing: bytes) -> _Flight:
        task = asyncio.create_task(self._fetched(request, key, stale, listing))
        flight = self._flights[key] = _Flight(request, task)
        task.add_done_callback(lambda _: self._forget(key, flight))
        return flight

    def _forget(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # everybody who wanted to know may be gone

    async def _landed(self, flight: _Flight, key: str) -> tuple[_Answer, RawResponse | None]:
        """Wait with others for a request; the last one who leaves takes it along."""
        flight.waiters += 1
        try:
            await asyncio.wait([flight.task])
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                self._forget(key, flight)
                await stopped(flight.task)
        error = None if flight.task.cancelled() else flight.task.exception()
        if isinstance(error, MeitnerError):  # each gets one of its own: raising adds to a traceback
            raise copy.copy(error).with_traceback(error.__traceback__) from None
        return flight.task.result()

    async def _fetched(
        self, request: Request, key: str, stale: _Answer | None, listing: bytes
    ) -> tuple[_Answer, RawResponse | None]:
        try:
            response = await self._next(request)
        except DOWN:
            if stale is None:
                raise
            _log.warning("%s %s failed, and is answered by what is kept", request.method, request.route)
            return stale, None
        except APIStatusError:
            if stale is not None:
                await self._ask(self._provider.delete, key)
            raise
        begun = 0 if request.follows else max(time.time_ns(), self._reads.get(listing, 0) + 1)
        headers = {name: value for name in _KEPT_HEADERS if (value := response.headers.get(name)) is not None}
        answer = _Answer(headers, response.body, begun)
        await self._ask(self._provider.set, key, _encode(answer), self._ttl + self._stale)
        return answer, response
