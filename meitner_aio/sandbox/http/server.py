"""The sandbox over HTTP. The only module that knows aiohttp.web; it hands requests to the app and decides nothing.

What is asked of the pages, which are beside the API, goes to them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from ..._runtime.cleanup import finished
from ..._wire.messages import RawResponse, Request
from ...errors import APIConnectionError
from .pages import Pages, Peer

Send = Callable[[Request], Awaitable[RawResponse]]

_GRACE = 1.0
"""Seconds that requests under way have to end when the server closes."""

_LONGEST_ORDER = 10_000
"""Bytes of what a page sends."""


class Server:
    """Serves `send`, and the pages beside it, on a host and port; port 0 takes a free one."""

    def __init__(self, send: Send, pages: Pages) -> None:
        self._send = send
        self._pages = pages
        self._port = 0
        app = web.Application(client_max_size=0)  # no limit: the sandbox serves its own user
        app.router.add_route("*", "/{path:(?s:.*)}", self._answer)  # any path, one with a line break in it too
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE)

    async def start(self, host: str, port: int) -> str:
        """Listen, and return the origin, such as `http://127.0.0.1:8080`."""
        try:
            await finished(self._listen(host, port))  # cancelled midway, asyncio would lose a socket that listens
        except BaseException:
            await self.close()
            raise
        self._port = port = self._runner.addresses[0][1]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def _listen(self, host: str, port: int) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def close(self) -> None:
        """Stop listening and close every connection."""
        await finished(self._runner.cleanup())

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.rel_url.raw_path
        # The host of an absolute address, as proxies are sent, is not the one that is checked: it has no pages.
        if request.raw_path.startswith("/") and self._pages.has(request.method, path):
            return await self._page(request, path)
        asked = _request(request, f"http://sandbox{path}", await request.read() if request.can_read_body else None)
        try:
            answer = await self._send(asked)
        except APIConnectionError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # goes nowhere
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _page(self, request: web.Request, path: str) -> web.Response:
        if request.can_read_body and (request.content_length is None or request.content_length > _LONGEST_ORDER):
            return web.Response(status=413)
        body = await request.read() if request.can_read_body else None
        answer = self._pages.answer(_request(request, path, body), Peer(request.remote or "", self._port))
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


def _request(request: web.Request, path: str, body: bytes | None) -> Request:
    """Return a request in the words of the app, at a path or an address."""
    return Request(
        "request",
        request.method,
        request.rel_url.raw_path,
        path,
        request.rel_url.raw_query_string,
        body,
        request.headers.get("Content-Type", ""),
        request.headers,
    )
