"""A sandbox over HTTP whose requests a benchmark sees first: without pages for browsers, which it does not measure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast


class _NoPages:
    def has(self, *_: str) -> bool:
        """Return that there is no page."""
        return False


@asynccontextmanager
async def served(send: Callable[[Any], Awaitable[Any]]) -> AsyncIterator[str]:
    """Serve what answers requests on a free port; the value is the base URL."""
    from meitner_aio.sandbox.http.server import Server

    server = Server(send, cast("Any", _NoPages()))
    try:
        yield f"{await server.start('127.0.0.1', 0)}/directory/v1"
    finally:
        await server.close()
