"""A raw HTTP/1.1 server on loopback that sends exactly the bytes given, malformed ones included."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, Self

Reply = bytes | None | Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Bytes to send as they are, None to cut the connection, or a function that drives the socket itself."""

STUDENT_ID = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"
STUDENT = {"id": STUDENT_ID, "identityNumber": "20150101-0000", "firstName": "Bo", "lastName": "Ek"}


class Seen(NamedTuple):
    """A request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def answer(
    status: int = 200, data: Any = STUDENT, *, headers: dict[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """Return a well-formed answer: JSON of `data`, unless `body` is given."""
    content = json.dumps(data).encode() if body is None else body
    lines = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + content


def failure(status: int, code: str = "Internal", message: str = "no", **headers: str) -> bytes:
    """Return an answer with the API's error object."""
    error = {"error": {"code": code, "message": message, "requestID": "req-1"}}
    return answer(status, error, headers={name.replace("_", "-"): value for name, value in headers.items()})


def page(rows: list[dict[str, Any]], *, offset: int = 0, limit: int = 100, total: int | None = None) -> bytes:
    """Return a page of a listing."""
    pagination = {"offset": offset, "limit": limit, "total": len(rows) if total is None else total}
    return answer(200, {"data": rows, "pagination": pagination})


def writes(*pieces: bytes, pause: float = 0.0, then_close: bool = True) -> Reply:
    """Return a reply that writes pieces with pauses between them."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)
        if then_close:
            writer.close()

    return reply


class RawServer:
    """Answers each request with the next reply, the last of which is repeated; or with what is made of the request."""

    def __init__(self, replies: Iterable[Reply] | Callable[[Seen], Reply], tls: ssl.SSLContext | None = None) -> None:
        self._replies = replies if callable(replies) else list(replies)
        self._tls = tls
        self.seen: list[Seen] = []
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._closing = True
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()  # replies that take longer than the test
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()
        await asyncio.sleep(0)

    @property
    def origin(self) -> str:
        """The server's scheme, host and port."""
        assert self._server is not None
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"{self.origin}/directory/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._answer(reader, writer)
        except asyncio.CancelledError:
            if not self._closing:
                raise
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    def _next(self, seen: Seen) -> Reply:
        if callable(self._replies):
            return self._replies(seen)
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.seen.append(Seen(method, target, headers, body))
        reply = self._next(self.seen[-1])
        if reply is None:
            writer.transport.abort()
            raise ConnectionResetError
        if isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()
        else:
            await reply(writer)
