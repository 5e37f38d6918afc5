"""The server's application: a request in, an answer out, in process and over HTTP alike.

Here are credentials, quota, routes, error bodies and faults; what the directory holds and allows is elsewhere.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from ..._operations.resource import Resource
from ..._wire.messages import Envelope, Headers, RawResponse, Request
from ...errors import APIConnectionError, APITimeoutError, ConnectionReason
from ...records import Record
from ...resources import DATA_EXPORT
from ...resources.data_export import API
from ..faults import CUT, Fault, Faults
from ..store.directory import Directory
from ..store.tables import Row
from .answers import Refusal, failure, json_answer, malformed, success
from .auth import Credentials
from .dialect import Dialect
from .openapi import document
from .paging import Paging
from .quota import Limiter, Unlimited
from .received import ReceivedRequest
from .routes import Place, Routes
from .served import Answer, Served, ServedPlace

PREFIX = "/directory/v1"
"""Where the API is below the origin."""

OAUTH = "/oauth/token"
OPENAPI = "/openapi.json"

_KEPT = 10_000
_DATA_EXPORT = f"/{API}/"


class Outside(NamedTuple):
    """A path outside the operations of the API: it needs no credentials and costs no quota."""

    name: str
    """Its name for faults; empty for a path that does not exist."""
    answer: Callable[[Request, Headers], RawResponse]


def _nothing(_request: Request, _headers: Headers) -> RawResponse:
    """Answer as a router does for a path that it does not know: plain text, and no error object."""
    return json_answer(404, b"404 page not found", {"Content-Type": "text/plain"})


def _document(_request: Request, _headers: Headers) -> RawResponse:
    return json_answer(200, msgspec.json.encode(document()))


_NOWHERE = Outside("", _nothing)


class App:
    """Answers requests, one at a time, under a lock that also holds in other threads."""

    identity = b""

    def __init__(
        self,
        directory: Directory,
        credentials: Credentials,
        limiter: Limiter,
        faults: Faults,
        *,
        paging: Paging,
        dialect: Dialect,
        latency: float,
        clock: Callable[[], float],
        exported: Callable[[], Mapping[str, Sequence[Any]]] = dict,
    ) -> None:
        """Answer for a directory, and for what the Data Export API has of it: `exported` makes that when asked."""
        self._directory = directory
        self._exported: Callable[[], Mapping[str, Sequence[Any]]] | None = exported
        self._credentials = credentials
        self._limiter = limiter
        self.unlimited = isinstance(limiter, Unlimited)
        """Whether there is no quota; answers without headers may still have one."""
        self._faults = faults
        self._paging = paging
        self._dialect = dialect
        self._latency = latency
        self._clock = clock
        self._routes = Routes()
        self._take: dict[str, Callable[[Place, Request, str], Envelope[Row] | Record | None]] = {
            "list": self._list,
            "search": self._search,
            "get": lambda place, _request, _actor: directory.get(place.attribute, place.id),
            "create": lambda place, request, actor: directory.create(place.attribute, _json(request), actor),
            "update": lambda place, request, actor: directory.update(place.attribute, place.id, _json(request), actor),
            "delete": lambda place, _request, actor: directory.delete(place.attribute, place.id, actor),
            "archive": lambda place, _request, actor: directory.archive(place.attribute, place.id, actor),
            "restore": lambda place, _request, actor: directory.restore(place.attribute, place.id, actor),
        }
        self.received: deque[ReceivedRequest] = deque(maxlen=_KEPT)
        self.count = 0
        """How many requests came in; the last of `received` has this number."""
        self.lock = threading.Lock()
        """Held by all who read or change the directory or the faults."""
        self._served: list[Served] = []
        self._held: set[asyncio.Future[None]] = set()

    async def send(self, request: Request) -> RawResponse:
        """Return the answer.

        Raises `APIConnectionError` where a fault cuts the connection, `APITimeoutError` when latency or a fault take
        longer than the timeout of the request.
        """
        patience, began = _patience(request), time.perf_counter()
        await self._travel(self._latency, patience)
        with self.lock:
            answer, received, delay = self._decide(request)
        try:
            await self._travel(delay, patience - self._latency)
        finally:
            received.seconds = time.perf_counter() - began
        if answer is None:
            raise APIConnectionError(
                "the connection was cut",
                reason=ConnectionReason.DISCONNECTED,
                method=request.method,
                route=request.route,
            )
        return answer

    def _decide(self, request: Request) -> tuple[RawResponse | None, ReceivedRequest, float]:
        """Return the answer, None when the connection is cut, what is remembered, and the seconds until then."""
        path, request_id = asked_path(request), str(uuid.uuid4())
        place = self._served_at(request) or self._find(request.method, path)
        if isinstance(place, ServedPlace):
            path = _below_origin(request)
        operation = _named(place)
        fault = self._faults.strike(operation, path)
        answer = None
        if fault is None or fault.carried_out:
            answer = self._answer(request, place, request_id)
        if fault is not None and fault.status is not None:
            answer = _failed(fault, fault.status, request_id)
        route = place.route if isinstance(place, (Place, ServedPlace)) else ""
        if answer is not None:
            answer = self._headed(answer, request_id, counted=not isinstance(place, Outside))
        received = ReceivedRequest(request, path, operation, route, answer)
        received.at = self._clock()
        if fault is not None:
            received.fault = fault
        self.received.append(received)
        self.count += 1
        return answer, received, 0.0 if fault is None else fault.delay

    async def _travel(self, seconds: float, patience: float) -> None:
        """Wait so many seconds; `APITimeoutError` when the client's timeout comes first."""
        if not seconds:
            return
        if patience < seconds:
            await asyncio.sleep(patience)
            raise APITimeoutError("no answer in time", reason=ConnectionReason.READ_TIMEOUT)
        if seconds < math.inf:
            await asyncio.sleep(seconds)
            return
        held = asyncio.get_running_loop().create_future()
        self._held.add(held)
        try:
            await held
        finally:
            self._held.discard(held)

    def release(self) -> None:
        """Cut the connections of this loop whose answer never comes (`NEVER`)."""
        loop = asyncio.get_running_loop()
        for held in [held for held in self._held if held.get_loop() is loop and not held.done()]:
            held.set_result(None)

    async def close(self) -> None:
        """Do nothing: closing a client must not close the directory."""

    def serve(
        self,
        kind: type[Resource[Any]],
        rows: Iterable[Record],
        parameters: Mapping[str, str],
        actions: Mapping[str, Answer],
    ) -> None:
        """Serve a declared resource, too: the last that was served at a path has it."""
        served = Served(kind, rows, parameters, actions, paging=self._paging, dialect=self._dialect)
        with self.lock:
            self._served.insert(0, served)

    def data_export(self, name: str) -> list[Any]:
        """Return the rows of a resource of the Data Export API, in the order in which they are listed."""
        self._serve_exported()
        return next(served.rows for served in self._served if served.name == name)

    def _serve_exported(self) -> None:
        """Serve the Data Export API, behind what callers serve themselves."""
        exported, self._exported = self._exported, None
        for name, rows in exported().items() if exported else ():
            kind = DATA_EXPORT[name]
            self._served.append(Served(kind, rows, {}, {}, paging=self._paging, dialect=self._dialect, name=name))

    def _served_at(self, request: Request) -> ServedPlace | None:
        """Return what is asked of a declared resource, of whichever API below the origin."""
        path = _below_origin(request)
        if path.startswith(_DATA_EXPORT):
            self._serve_exported()
        return next(filter(None, (served.find(request.method, path, request.query) for served in self._served)), None)

    def _find(self, method: str, path: str) -> Place | Outside | Refusal:
        """Return what is asked, or why it cannot be."""
        if path == OAUTH:
            return Outside("token", self._credentials.token)
        if path == OPENAPI and method == "GET":
            return Outside("openapi", _document)
        try:
            return self._routes.find(method, path)
        except Refusal as refusal:
            return _NOWHERE if refusal.status == 404 else refusal

    def _answer(self, request: Request, place: Place | Outside | Refusal | ServedPlace, request_id: str) -> RawResponse:
        headers = Headers(request.headers)
        if isinstance(place, Outside):
            return place.answer(request, headers)
        try:
            actor = _actor(self._credentials.client(headers))
            self._limiter.spend()
            if isinstance(place, Refusal):
                raise place
            if isinstance(place, ServedPlace):
                return place.answer(request)
            result = self._take[place.operation](place, request, actor)
        except Refusal as refusal:
            return failure(refusal.status, refusal.message, request_id, refusal.headers)
        return success(place.status, self._dialect.sent(result))

    def _headed(self, answer: RawResponse, request_id: str, *, counted: bool) -> RawResponse:
        """Return an answer with what every answer carries; what a fault set itself stays."""
        common = {"Date": formatdate(self._clock(), usegmt=True), "X-Request-ID": request_id}
        if counted:
            common |= self._limiter.headers()
        answer.headers = Headers({**Headers(common), **answer.headers})
        return answer

    def _list(self, place: Place, request: Request, _actor: str) -> Envelope[Row]:
        return self._paging.page(self._directory.rows(place.attribute), request.query)

    def _search(self, place: Place, request: Request, _actor: str) -> Envelope[Row]:
        return self._paging.page(self._directory.search(place.attribute, _json(request)), request.query)


def local(path: str) -> str:
    """Return a path within the API: of an absolute URL, what follows the prefix; the token endpoint is outside it."""
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2]
        if path != OAUTH and not path.startswith(f"{PREFIX}/"):
            return ""
    return path.removeprefix(PREFIX)


def asked_path(request: Request) -> str:
    """Return the path of a request as the routes have it; that in another API begins with its name."""
    return f"/{request.api}{request.path}" if request.api else local(request.path)


def _below_origin(request: Request) -> str:
    """Return the path of a request, of whichever API below the origin; within the directory's, below its prefix."""
    return asked_path(request) or "/" + request.path.partition("://")[2].partition("/")[2]


def _named(place: Place | Outside | Refusal | ServedPlace) -> str:
    """Return the name of what is asked, for faults; empty for a path that does not exist."""
    if isinstance(place, Place):
        return f"{place.attribute}.{place.operation}"
    return place.name if isinstance(place, (Outside, ServedPlace)) else ""


def _json(request: Request) -> bytes:
    media = request.content_type.partition(";")[0].strip().lower()
    if media != "application/json":
        malformed("the body must be application/json")
    return request.body or b""


def _patience(request: Request) -> float:
    """Return the seconds that a client waits for an answer: its timeout, which may be aiohttp's."""
    seconds = getattr(request.timeout, "total", request.timeout)
    return seconds if isinstance(seconds, (int, float)) else math.inf


@lru_cache(100)
def _actor(client: str) -> str:
    """Return the id of the user that a client acts as."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, client))


def _failed(fault: Fault, status: int, request_id: str) -> RawResponse | None:
    """Return the answer that a fault puts in place of the directory's; None when it cuts the connection."""
    if status == CUT:
        return None
    if fault.body is None and status >= 400:  # the first status of a failure
        return failure(status, "a fault of the sandbox", request_id, fault.headers)
    return json_answer(status, fault.body or b"", fault.headers)
