"""The worst honest object store: a proxy before a real one, which fails, cuts, stalls and loses answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Self

import aiohttp
from aiohttp import web


class Trouble(NamedTuple):
    """What becomes of one request."""

    status: int = 0
    """The answer is this, and the store hears of nothing."""
    cut: bool = False
    """The connection is cut, and the store hears of nothing."""
    lose: bool = False
    """The store does it, and its answer is lost."""
    hold: asyncio.Event | None = None
    """The store hears of it once this is set."""
    code: str = "InternalError"


Judge = Callable[[web.Request], Trouble | None]


class StoreProxy:
    """Listens on loopback; `judge` decides about each request."""

    def __init__(self, store: str, judge: Judge = lambda _: None) -> None:
        self.judge = judge
        self.seen: list[str] = []
        """Method, path and query of every request."""
        self._store = store
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        assert self._session is not None
        await self._runner.cleanup()
        await self._session.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.raw_path}")
        body = await request.read()
        trouble = self.judge(request) or Trouble()
        if trouble.hold is not None:
            await trouble.hold.wait()
        if trouble.cut:
            return _cut(request)
        if trouble.status:
            text = f"<Error><Code>{trouble.code}</Code><Message>no</Message></Error>"
            return web.Response(status=trouble.status, text=text, content_type="application/xml")
        assert self._session is not None
        url = self._store + request.raw_path
        heads = {name: value for name, value in request.headers.items() if name.lower() != "transfer-encoding"}
        from yarl import URL

        async with self._session.request(
            request.method, URL(url, encoded=True), headers=heads, data=body, allow_redirects=False
        ) as answer:
            data = await answer.read()
            if trouble.lose:
                return _cut(request)
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server")
            }
            if request.method == "HEAD":
                kept["Content-Length"] = answer.headers.get("Content-Length", "0")
            return web.Response(status=answer.status, body=data, headers=kept)


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
