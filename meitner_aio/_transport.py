"""Bytes out, bytes in. The only module that knows aiohttp's client; everything it raises is a MeitnerError."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from ssl import SSLContext
from typing import Any

import aiohttp
from yarl import URL

from . import errors
from ._protocol import RawResponse, Request

LARGEST_BODY = 32 * 1024 * 1024
"""Bytes after decompression; a page of 1,000 records has about one."""


class HttpTransport:
    """Carries requests over HTTP, one attempt each: no retries, no redirects, no cookies kept.

    The session is made at the first request, in the loop that runs then; one that the caller brings is used as it is
    and never closed.
    """

    def __init__(  # noqa: PLR0913 - the knobs of a connection
        self,
        base_url: str,
        *,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl: SSLContext | bool | None = None,
        trust_env: bool = False,
        trace_configs: Sequence[aiohttp.TraceConfig] = (),
    ) -> None:
        """Send to paths below `base_url`."""
        self._base = base_url
        self._own = session is None
        self._session = session
        self._proxy = proxy
        self._ssl = True if ssl is None else ssl
        self._trust_env = trust_env
        self._trace_configs = list(trace_configs)
        self._timeouts: dict[Any, aiohttp.ClientTimeout] = {}

    def slots(self, wanted: int) -> int:
        """Return how many requests may be in flight without one waiting for a connection inside aiohttp."""
        connector = None if self._session is None else self._session.connector
        limits = () if connector is None else (connector.limit, connector.limit_per_host)
        return min([wanted, *(limit for limit in limits if limit > 0)])

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._ssl, keepalive_timeout=10, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=self._trust_env,
                trace_configs=self._trace_configs,
                auto_decompress=True,
            )
        return self._session

    async def send(self, request: Request) -> RawResponse:
        """Return the answer, whatever its status.

        Raises `APITimeoutError` or `APIConnectionError` when none arrives, `ResponseValidationError` for one that is
        too large.
        """
        problem: errors.MeitnerError
        try:
            return await self._exchange(request)
        except errors.MeitnerError:
            raise
        except Exception as error:  # noqa: BLE001 - nothing foreign may escape
            # Only the kind is kept: aiohttp's exceptions show request headers and bytes of bodies.
            problem = _translated(error)
        problem.method, problem.route = request.method, request.route
        raise problem

    async def _exchange(self, request: Request) -> RawResponse:
        session = self._opened()
        answer = await session.request(
            request.method,
            self._url(request),
            data=request.body,
            headers=_headers(request),
            allow_redirects=False,  # a redirect would carry credentials and bodies to another origin
            timeout=self._timeout(request.timeout),
            proxy=self._proxy,
        )
        try:
            return RawResponse(answer.status, answer.headers, await _body(answer, request))
        finally:
            answer.release()

    def _url(self, request: Request) -> URL:
        target = request.path if "://" in request.path else self._base + request.path
        return URL(f"{target}?{request.query}" if request.query else target, encoded=True)

    def _timeout(self, asked: Any) -> aiohttp.ClientTimeout:  # noqa: ANN401 - see Request.timeout
        if asked not in self._timeouts:
            # aiohttp rounds timeouts above the threshold up to whole seconds.
            self._timeouts[asked] = (
                asked
                if isinstance(asked, aiohttp.ClientTimeout)
                else aiohttp.ClientTimeout(total=asked, sock_connect=asked, ceil_threshold=float("inf"))
            )
        return self._timeouts[asked]

    async def close(self) -> None:
        """Close the session, if it is ours."""
        if self._own and self._session is not None:
            await self._session.close()


def _headers(request: Request) -> Mapping[str, str]:
    if request.body is None:
        return request.headers
    return {**request.headers, "Content-Type": request.content_type}


async def _body(answer: aiohttp.ClientResponse, request: Request) -> bytes:
    """Return the decompressed body, of at most `LARGEST_BODY` bytes."""
    content = answer.content
    body = await content.readany()
    if content.at_eof() and len(body) <= LARGEST_BODY:
        return body
    parts, size = [body], len(body)
    while size <= LARGEST_BODY:
        part = await content.readany()
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
    answer.close()
    raise errors.ResponseValidationError(
        f"{request.method} {request.route} was answered with more than {LARGEST_BODY} bytes",
        method=request.method,
        route=request.route,
    )


_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
"""What fails before a byte of the request has left."""


def _translated(error: Exception) -> errors.MeitnerError:
    """Return our error for a foreign one, with its kind and nothing that it says."""
    kind = type(error).__name__
    if isinstance(error, asyncio.TimeoutError):
        return errors.APITimeoutError(f"no answer in time ({kind})", sent=not isinstance(error, _UNSENT))
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError)):
        return errors.APIConnectionError(f"the server could not prove who it is ({kind})", sent=False)
    if isinstance(error, OSError) and error.errno:
        kind = f"{kind}, errno {error.errno}"
    what = "no connection to the server" if isinstance(error, _UNSENT) else "the connection broke before a whole answer"
    return errors.APIConnectionError(f"{what} ({kind})", sent=not isinstance(error, _UNSENT))
