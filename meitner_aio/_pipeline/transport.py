"""Bytes out, bytes in. The only module that knows aiohttp's client; everything it raises is a MeitnerError."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from errno import ECONNREFUSED
from functools import cached_property, lru_cache, partial
from io import BytesIO
from ssl import SSLContext
from types import NoneType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakSet

import aiohttp
from yarl import URL

from .. import errors
from .._runtime.dropped import cut, when_dropped
from .._wire.messages import RawResponse, Request, Timeout
from ..errors import ConnectionReason
from .connection_errors import sentence
from .decompression import BadAnswerError, Decompressor, TooLargeError
from .proxies import Proxies
from .retry_policy import once
from .settings import api_url, checked_ssl

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.tracing import Trace

LARGEST_BODY = 32 * 1024 * 1024
"""Bytes after decompression; a page of 1,000 records has about one million."""

LARGEST_ERROR = 1024 * 1024
"""Bytes of the body of a failure after decompression: the rest is not read, the status is enough."""

_LARGE_UPLOAD = 1024 * 1024
"""Bodies of more bytes are passed to aiohttp as a file, to be sent in pieces."""

_KEPT = bytes(2 * 1024 * 1024)
"""A large block, freed at once, so that malloc keeps the memory that is freed later.

glibc returns free memory to the system beyond twice the size of the largest block that it ever freed. Reads from
sockets cross that threshold each time, and the memory would be faulted in again: up to a third of a listing's time.
"""
del _KEPT


class HttpTransport:
    """Sends requests over HTTP, one attempt each: no retries, no redirects, no cookies kept.

    Sessions are made at the first request, in the running loop. A session of the caller's is used as it is and never
    closed; writes that must not happen twice then share its connections with other requests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl: SSLContext | None = None,
        trust_env: bool = False,
        trace_configs: Sequence[aiohttp.TraceConfig] = (),
    ) -> None:
        """Send to paths below `base_url`. Raises `ConfigurationError` for an `ssl` that verifies no server."""
        if not isinstance(session, aiohttp.ClientSession | None):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise TypeError(f"session must be an aiohttp.ClientSession, not {type(session).__name__}")
        if not all(isinstance(one, aiohttp.TraceConfig) for one in trace_configs):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise TypeError("trace_configs must be a list of aiohttp.TraceConfig")
        self._base = base_url
        self._session = session
        self._sessions: dict[float, aiohttp.ClientSession] = {}
        self._proxies = None if proxy is None and not trust_env else Proxies(base_url, proxy)
        self._ssl = True if ssl is None else checked_ssl(ssl)
        self._trace_configs = list(trace_configs)
        self._closed = False
        self._used = math.inf
        self._own = b"" if session is None else os.urandom(16)

    @property
    def identity(self) -> bytes:
        """What a session of the caller's adds to requests: its headers; a random value if it may add more."""
        session = self._session
        if session is None:
            return b""
        if session.auth or len(session.cookie_jar) or getattr(session, _MIDDLEWARES, True):
            return self._own
        return repr(sorted((name.lower(), value) for name, value in session.headers.items())).encode()

    def slots(self, wanted: int) -> int:
        """Return how many requests may be in flight without waiting for a connection inside aiohttp."""
        connector = None if self._session is None else self._session.connector
        limits = () if connector is None else (connector.limit, connector.limit_per_host)
        return min([wanted, *(limit for limit in limits if limit > 0)])

    def _session_for(self, request: Request) -> aiohttp.ClientSession:
        if self._closed:
            raise errors.MeitnerError("this client is closed")
        if self._session is not None:
            if self._session.closed:
                raise errors.MeitnerError("the session that this client was given is closed")
            return self._session
        kept = _kept(request)
        session = self._sessions.get(kept)
        if session is None:
            if not self._sessions:
                when_dropped(self, partial(_abandon, self._sessions))
            session = self._sessions[kept] = aiohttp.ClientSession(
                connector=self._connector(kept),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=self._trace_configs,
            )
            if hasattr(session, _SWITCH):
                setattr(session, _SWITCH, False)
        return session

    def _connector(self, kept: float) -> aiohttp.TCPConnector:
        if not kept:
            return _Connector(limit=0, ssl=self._ssl, force_close=True, ttl_dns_cache=60)
        return _Connector(limit=0, ssl=self._ssl, keepalive_timeout=kept, ttl_dns_cache=60)

    async def send(self, request: Request) -> RawResponse:
        """Return the answer, whatever its status.

        Raises `APITimeoutError` or `APIConnectionError` when none arrives, `ResponseValidationError` for one that is
        too large, or cut short.
        """
        tracker = aiohttp.UploadTracker()  # counts requests that leave: a caller's middlewares may send several
        now = asyncio.get_running_loop().time
        if now() - self._used > _QUIET:
            for _ in range(2):  # turns in which the loop notices connections that the server closed
                await asyncio.sleep(0)
        try:
            return await self._exchange(request, tracker)
        except asyncio.CancelledError as cancelled:
            cancelled.__context__ = None
            if once(request) and _may_have_arrived(tracker, cancelled):
                cancelled.add_note(f"{request.method} {request.route} may or may not have happened")
            raise cancelled.with_traceback(None) from None  # frames of aiohttp hold credentials and bodies
        except errors.MeitnerError:
            raise
        except Exception as error:  # noqa: BLE001 - nothing foreign may escape
            problem = _translated(request, self._host(request), error, sent=_may_have_arrived(tracker, error))
        finally:
            self._used = now()
        raise problem

    async def _exchange(self, request: Request, tracker: aiohttp.UploadTracker) -> RawResponse:
        session, url = self._session_for(request), self._url(request)
        proxy = None if self._proxies is None else await self._proxies.of(str(url))
        _reused.set(session is not self._session)
        answer = await session.request(
            request.method,
            url,
            data=_upload(request.body),
            headers=_headers(request),
            allow_redirects=False,  # a redirect would carry credentials and bodies to another origin
            auto_decompress=False,  # aiohttp's has no cap, and accepts a body that was cut short
            timeout=_timeout(request.timeout),
            proxy=proxy,
            raise_for_status=False,  # the caller's session may set it: statuses are judged elsewhere
            middlewares=self._middlewares(session, request),
            upload_tracker=tracker,
        )
        _reused.set(False)
        try:
            if answer.status < 200:
                raise BadAnswerError(f"{answer.status}, which is no final status")
            body = await (_body(answer, request.largest) if answer.status < 300 else _error_body(answer))
        finally:
            answer.close()  # a connection whose answer was read to its end is back in the pool by now
        return RawResponse(answer.status, answer.headers, body, max(1, tracker.attempts))

    def _middlewares(
        self, session: aiohttp.ClientSession, request: Request
    ) -> tuple[aiohttp.ClientMiddlewareType, ...] | None:
        """Return what keeps aiohttp from repeating a request, with the session's own, which it would replace."""
        if not getattr(session, _SWITCH, True) or request.method in ("POST", "PATCH"):  # which aiohttp never repeats
            return None
        own = getattr(session, _MIDDLEWARES, None if session is self._session else ())
        return None if own is None else (_unrepeated(), *own)

    def _url(self, request: Request) -> URL:
        target = request.path if "://" in request.path else api_url(self._base, request.api) + request.path
        return URL(f"{target}?{request.query}" if request.query else target, encoded=True)

    def _host(self, request: Request) -> str:
        return urlsplit(request.path if "://" in request.path else self._base).netloc

    async def close(self) -> None:
        """Close the sessions made here."""
        self._closed = True
        await asyncio.gather(*(session.close() for session in self._sessions.values()))


_SWITCH, _MIDDLEWARES = "_retry_connection", "_middlewares"
"""Undocumented attributes of aiohttp's sessions.

The first is whether a session silently repeats a GET, PUT or DELETE whose connection broke: only retries may do so,
because they count attempts. It is off in our sessions. A caller's session is not changed: a middleware has the same
effect, before the session's own middlewares, which are the second.
"""

_QUIET = 1.0
"""Seconds without a request after which closed connections may not have been noticed: the loop may have been busy."""

_reused: ContextVar[bool] = ContextVar("meitner_aio_reused", default=False)
"""Whether this task's request uses a connection that served before, and has no answer yet."""


class _Connector(aiohttp.TCPConnector):
    """Notes which requests get a new connection, and keeps those that there are."""

    @cached_property
    def made(self) -> WeakSet[ResponseHandler]:
        """The connections."""
        return WeakSet()

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as aiohttp's
    ) -> ResponseHandler:
        _reused.set(False)
        made = await super()._create_connection(req, traces, timeout)
        self.made.add(made)
        return made

    def abandon(self, *, forked: bool) -> None:
        """Close every connection at once."""
        for connection in self.made:
            cut(connection.transport, forked=forked)
        self._close()


def _abandon(sessions: Mapping[float, aiohttp.ClientSession], forked: bool) -> None:  # noqa: FBT001 - one of two ways
    """Close sessions whose client was dropped, so that neither they nor asyncio complain."""
    for session in sessions.values():
        connector = session.connector
        session.detach()
        if isinstance(connector, _Connector):
            connector.abandon(forked=forked)


def _kept(request: Request) -> float:
    """Return how many seconds a connection may have been idle when it is used for a request like this.

    A server may close an idle connection just when a create is written to it, and then it is unknown whether that was
    processed. A write that must not happen twice gets a new connection or, if it is recoverable, one used just before.
    """
    if not once(request):
        return 10.0
    return 0.1 if request.recoverable else 0.0


@lru_cache(maxsize=64)
def _timeout(asked: Timeout) -> aiohttp.ClientTimeout:
    if isinstance(asked, aiohttp.ClientTimeout):
        return asked
    if not isinstance(asked, (int, float, NoneType)):
        asked = asked.total
    # aiohttp rounds timeouts above the threshold up to whole seconds.
    return aiohttp.ClientTimeout(total=asked, ceil_threshold=float("inf"))


def _headers(request: Request) -> Mapping[str, str]:
    if request.body is None:
        return request.headers
    return {**request.headers, "Content-Type": request.content_type}


def _upload(body: bytes | None) -> bytes | BytesIO | None:
    return body if body is None or len(body) <= _LARGE_UPLOAD else BytesIO(body)


def _unrepeated() -> aiohttp.ClientMiddlewareType:
    """Return a middleware that keeps aiohttp from repeating a request whose connection broke."""
    left = False

    async def leave(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        nonlocal left
        if left:
            raise aiohttp.ServerDisconnectedError
        left = True
        return await handler(request)

    return leave


async def _body(answer: aiohttp.ClientResponse, asked: int | None) -> bytes:
    """Return the body of a success, of at most `asked` bytes."""
    content = answer.content
    most = LARGEST_BODY if asked is None else min(asked, LARGEST_BODY)
    if not content.at_eof() and (answer.content_length or 0) > most:
        raise TooLargeError(most)
    encoding = answer.headers.get("Content-Encoding", "")
    first = await content.readany()
    if not encoding and content.at_eof() and len(first) <= most:
        return first
    inflated = Decompressor(encoding, most)
    inflated.feed(first)
    while not content.at_eof():
        inflated.feed(await content.readany())
    return inflated.whole()


async def _error_body(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of a failure, or its beginning: the status matters more."""
    content = answer.content
    try:
        inflated = Decompressor(answer.headers.get("Content-Encoding", ""), LARGEST_ERROR)
    except BadAnswerError:
        return b""
    with suppress(BadAnswerError, aiohttp.ClientError, OSError):
        while not content.at_eof():
            inflated.feed(await content.readany())
    return inflated.beginning()


_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
"""What fails before a byte of the request has left."""

_UNTRUSTED = (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch)


def _may_have_arrived(tracker: aiohttp.UploadTracker, error: BaseException) -> bool:
    """Whether the server may have got the request: not if the time was up before there was a connection."""
    if tracker.attempts > 1:
        return True
    if isinstance(error, (*_UNSENT, *_UNTRUSTED)):
        return False
    upload = tracker.upload_complete
    return not (upload.done() and isinstance(upload.exception(), aiohttp.UploadAbortedError))


_REASONS: tuple[tuple[type[Exception], ConnectionReason], ...] = (  # subclasses before their bases
    (aiohttp.ClientConnectorCertificateError, ConnectionReason.UNTRUSTED),
    (aiohttp.ServerFingerprintMismatch, ConnectionReason.UNTRUSTED),
    (aiohttp.ClientSSLError, ConnectionReason.TLS),
    (aiohttp.ClientConnectorDNSError, ConnectionReason.DNS),
    (aiohttp.ClientProxyConnectionError, ConnectionReason.PROXY),
    (aiohttp.ClientHttpProxyError, ConnectionReason.PROXY),
    (aiohttp.ConnectionTimeoutError, ConnectionReason.CONNECT_TIMEOUT),
    (aiohttp.ClientConnectorError, ConnectionReason.UNREACHABLE),
    (aiohttp.ClientResponseError, ConnectionReason.UNREADABLE),
)


def _reason(error: Exception, *, sent: bool) -> ConnectionReason:
    """Return why no usable answer came, as far as aiohttp's exceptions tell."""
    if isinstance(error, ConnectionRefusedError) or (isinstance(error, OSError) and error.errno == ECONNREFUSED):
        by_proxy = isinstance(error, aiohttp.ClientProxyConnectionError)
        return ConnectionReason.PROXY if by_proxy else ConnectionReason.REFUSED
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, asyncio.TimeoutError):
        return ConnectionReason.READ_TIMEOUT if sent else ConnectionReason.CONNECT_TIMEOUT
    return ConnectionReason.DISCONNECTED if sent else ConnectionReason.OTHER


def _translated(request: Request, host: str, error: Exception, *, sent: bool) -> errors.MeitnerError:
    """Return our error for a foreign one, with the name of its class and none of its text.

    Texts of aiohttp's exceptions show request headers and bytes of bodies.
    """
    facts = errors.Facts(method=request.method, route=request.route)
    if isinstance(error, BadAnswerError):
        invalid = errors.ResponseValidationError(f"{request.method} {request.route} was answered with {error}", **facts)
        invalid.too_large = isinstance(error, TooLargeError)
        return invalid
    reason, kind = _reason(error, sent=sent), type(error).__name__
    if isinstance(error, OSError) and error.errno:
        kind = f"{kind}, errno {error.errno}"
    message = sentence(reason, host, kind)
    if isinstance(error, asyncio.TimeoutError):
        return errors.APITimeoutError(message, reason=reason, sent=sent, **facts)
    return errors.APIConnectionError(message, reason=reason, sent=sent, stale=_went_stale(error), **facts)


def _went_stale(error: Exception) -> bool:
    """Whether a reused connection broke before the first byte of this answer."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return _reused.get() and isinstance(error.message, str)  # else it is the part of an answer that came
    return _reused.get() and isinstance(error, (aiohttp.ClientOSError, aiohttp.ClientConnectionResetError))
