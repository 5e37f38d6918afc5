"""Requests and answers of the API, and the errors that answers stand for. Pure: nothing awaits.

`Send` is the seam of the package. The HTTP transport is one, the sandbox in this process another, and everything
between them and the resources (retries, limits, credentials) takes one and is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, Protocol, TypeVar, overload

import msgspec
from msgspec import Struct

from .. import errors
from ..records import Error, Pagination
from .headers import LimitHeaders, limit_headers, media_type
from .too_many import TooMany

T = TypeVar("T")


class Timeouts(Protocol):
    """An `aiohttp.ClientTimeout`, recognised by its attributes."""

    @property
    def total(self) -> float | None:
        """Seconds for one attempt; None is no limit."""
        ...

    @property
    def sock_connect(self) -> float | None:
        """Seconds for connecting to a peer."""
        ...

    def __hash__(self) -> int: ...


Timeout = float | Timeouts | None
"""Seconds, or an `aiohttp.ClientTimeout`."""


class Attempt(Struct):
    """The state of one attempt, which its request carries through the pipeline."""

    left: bool = True
    """Whether the request may have left this process; False while a stage of the pipeline holds it back."""


class Request(Struct, frozen=True):
    """One call of the API, before credentials and retries. `body` is JSON."""

    operation: str
    """list, search, get, create, update, delete, archive, restore; token; or request, for any other endpoint."""
    method: str
    route: str
    """The path with its parameters named: `/student/{id}`."""
    path: str
    query: str = ""
    body: bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}
    timeout: Timeout = None
    """How long one attempt may take; None leaves it to the transport."""
    bulk: bool = False
    """Whether this is one of many, a page or a write: it may wait where a single call gives up."""
    first: bool = False
    """Whether this is the first of them."""
    upcoming: int | None = None
    """How many more requests the same read will send after this one; None if that is unknown."""
    shrinks: bool = False
    """Whether a smaller page can be asked for instead: then this one is given up early."""
    reader: Callable[[Request, RawResponse], object] | None = None
    """Decodes a successful answer; if it raises, the request may be retried."""
    attempt: Attempt = msgspec.field(default_factory=Attempt)
    """The present attempt."""
    largest: int | None = None
    """Bytes that the body of a successful answer has at most; None leaves it to the transport."""
    recoverable: bool = False
    """Whether a create can be looked up if its answer is lost: then it needs no new connection."""
    api: str = ""
    """Another API below the same origin, in which the path is; empty for that of the client."""
    filter: str = ""
    """The part of the query that is the same for every page of a listing."""

    @property
    def follows(self) -> bool:
        """Whether this is bulk, and not the first request of it."""
        return self.bulk and not self.first

    def __repr__(self) -> str:
        """Show what is asked, never with what data or credentials."""
        return f"Request({self.method} {self.route})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Show rich the same: msgspec's would show the headers."""
        return [("method", self.method), ("route", self.route)]


class RawResponse(Struct):
    """An answer as it came. `headers` ignore case, `elapsed` is in seconds and spans every attempt."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    attempts: int = 1
    elapsed: float = 0.0
    too_many: TooMany | None = None
    """What a 429 means, as the rate limiter judged it."""
    renewed: bool = False
    """Whether this is a 401 after which there is a new token for the next attempt."""
    value: object = msgspec.UNSET
    """What the request's reader returned for the body, once it was called."""
    _limits: LimitHeaders | None = None

    @property
    def limits(self) -> LimitHeaders:
        """What the headers say about time and quota, parsed when it is first asked for."""
        limits = self._limits
        if limits is None:
            limits = self._limits = limit_headers(self.headers)
        return limits

    @property
    def request_id(self) -> str | None:
        """The server's id of the request: from the error object, else from a header."""
        data = error_object(self) if self.status >= _FIRST_FAILURE else None
        return data.request_id if data is not None else self.headers.get("X-Request-ID")

    def __repr__(self) -> str:
        """Show the status and the size: a body holds personal data, headers may hold secrets."""
        return f"RawResponse({self.status}, {len(self.body)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Show rich the same: msgspec's would show the body."""
        return [("status", self.status), ("bytes", len(self.body))]


Send = Callable[[Request], Coroutine[Any, Any, RawResponse]]
"""Sends a request to a directory and returns the answer."""

_FIRST_FAILURE = 300


class Headers(dict[str, str]):
    """Headers whose names ignore case, for answers that do not come from a socket."""

    def __init__(self, pairs: Mapping[str, str] | None = None) -> None:
        super().__init__({name.lower(): value for name, value in (pairs or {}).items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name.lower(), value)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    @overload
    def get(self, name: str, default: None = None, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    @overload
    def get(self, name: str, default: T, /) -> str | T: ...
    def get(self, name: str, default: object = None, /) -> object:
        return super().get(name.lower(), default)


class Envelope(Struct, Generic[T], frozen=True):
    """One page of a listing as it came."""

    data: list[T]
    pagination: Pagination

    def __repr__(self) -> str:
        return f"Envelope({len(self.data)} rows, {self.pagination!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("rows", len(self.data)), ("pagination", self.pagination)]


class _ErrorBody(Struct, frozen=True):
    error: Error


_error_decoder = msgspec.json.Decoder(_ErrorBody)
FOREIGN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)
"""What msgspec raises for hostile bytes: not all of it is a MsgspecError."""

_BY_STATUS: dict[int, type[errors.APIStatusError]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.UnprocessableEntityError,
    429: errors.RateLimitError,
}

_REASONS = {
    301: "a redirect, which is never followed",
    302: "a redirect, which is never followed",
    303: "a redirect, which is never followed",
    307: "a redirect, which is never followed",
    308: "a redirect, which is never followed",
    502: "bad gateway",
    503: "service unavailable",
    504: "gateway timeout",
}


def error_object(response: RawResponse) -> Error | None:
    """Return the error object of a failed answer, or None where there is none (a gateway's HTML, an empty body)."""
    try:
        return _error_decoder.decode(response.body).error
    except FOREIGN:
        return None


def error_from(request: Request, response: RawResponse) -> errors.APIStatusError:
    """Return the error for an unsuccessful answer."""
    status, data = response.status, error_object(response)
    kind = _BY_STATUS.get(status) or (errors.InternalServerError if status >= 500 else errors.APIStatusError)
    message = data.message if data else _described(request, response)
    facts = errors.StatusFacts(
        status_code=status,
        headers=Headers(response.headers),  # a copy that can be pickled: those of aiohttp cannot
        body=response.body,
        code=data.code.value if data else None,
        data=data,
        request_id=data.request_id if data else response.headers.get("X-Request-ID"),
        method=request.method,
        route=request.route,
        attempts=response.attempts,
    )
    if kind is not errors.RateLimitError:
        return kind(message, **facts)
    limits = response.limits
    return errors.RateLimitError(message, reset_at=limits.reset_at, retry_after=limits.wait(time.time()), **facts)


def _described(request: Request, response: RawResponse) -> str:
    what = _REASONS.get(response.status) or media_type(response.headers) or "no content type"
    told = f"{request.method} {request.route} was answered {response.status} ({what}) without an error object"
    return f"{told}: check the path of base_url" if response.status == 404 else told


def value_of(request: Request, response: RawResponse) -> Any:
    """Return what the request's reader makes of a successful answer; it is called once for an answer."""
    if response.value is msgspec.UNSET and request.reader is not None:
        response.value = request.reader(request, response)
    return response.value
