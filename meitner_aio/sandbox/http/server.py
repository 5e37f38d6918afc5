"""The sandbox over HTTP. The only module that knows aiohttp.web; it hands requests to the app and decides nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from ..._runtime.cleanup import finished
from ..._wire.messages import RawResponse, Request
from ...errors import APIConnectionError

Send = Callable[[Request], Awaitable[RawResponse]]

_GRACE = 1.0
"""Seconds that requests under way have to end when the server closes."""


class Server:
    """Serves `send` on a host and port; port 0 takes a free one."""

    def __init__(self, send: Send) -> None:
        self._send = send
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
        port = self._runner.addresses[0][1]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def _listen(self, host: str, port: int) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def close(self) -> None:
        """Stop listening and close every connection."""
        await finished(self._runner.cleanup())

    async def _answer(self, request: web.Request) -> web.Response:
        asked = Request(
            "request",
            request.method,
            request.rel_url.raw_path,
            f"http://sandbox{request.rel_url.raw_path}",
            request.rel_url.raw_query_string,
            await request.read() if request.can_read_body else None,
            request.headers.get("Content-Type", ""),
            request.headers,
        )
        try:
            answer = await self._send(asked)
        except APIConnectionError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # goes nowhere
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
