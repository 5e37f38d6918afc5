"""A raw directory of students on loopback whose answers fail in nineteen ways, as a seed says; and a loop for it.

Whether and how an answer fails follows from the seed, the place that was asked for and how often it was asked for
before, whatever else is under way: a run that went wrong is replayed by its seed. A log of every fault is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from email.utils import formatdate
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit

from virtual_time import Clock, VirtualLoop

T = TypeVar("T")

NOON = 1_790_000_000.0
"""The server's clock when the loop's says 0, in seconds since 1970."""

_SETTLED = 0.0005
"""Real seconds in which bytes that were sent must have crossed the loopback, before the virtual clock jumps."""


class _SocketClock(Clock):
    def _ready(self, selector: Any, timeout: float | None) -> Any:
        return selector.select(0) or (selector.select(_SETTLED) if timeout != 0 else [])


class SocketLoop(VirtualLoop):
    """Virtual seconds over real sockets; what would run in a thread runs at once, as no thread can be waited for."""

    def __init__(self) -> None:
        super().__init__(_SocketClock)

    def run_in_executor(self, _: Any, func: Any, *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run(main: Coroutine[Any, Any, T], loop: Callable[[], SocketLoop] = SocketLoop) -> T:
    """Run a coroutine to its end on virtual time, with sockets."""
    with asyncio.Runner(loop_factory=loop, debug=False) as runner:
        return runner.run(main)


class Injected(NamedTuple):
    """A fault that struck: its kind, the place that was asked for, and how often it had been asked for before."""

    kind: str
    offset: int
    asked: int


def student_id(number: int) -> str:
    """Return the id of a student."""
    return f"{number:08x}-0000-4000-8000-000000000000"


@lru_cache(maxsize=200_000)
def _row(number: int) -> bytes:
    fields = {"identityNumber": f"20150101-{number % 10_000:04d}", "firstName": "Bo", "lastName": "Ek"}
    row = {"id": student_id(number), **fields, "meta": {"createdAt": "2020-08-18T06:00:00Z"}}
    return json.dumps(row, separators=(",", ":")).encode()


@lru_cache(maxsize=4096)
def page(offset: int, limit: int, total: int) -> bytes:
    """Return the body of a page."""
    rows = b",".join(_row(number) for number in range(offset, min(offset + limit, total)))
    return b'{"data":[%s],"pagination":{"offset":%d,"limit":%d,"total":%d}}' % (rows, offset, limit, total)


def head(status: int, length: int | None, *lines: str, media: str = "application/json") -> bytes:
    """Return the head of an answer; without a length its body ends with the connection."""
    now = formatdate(NOON + asyncio.get_running_loop().time(), usegmt=True)
    said = [f"HTTP/1.1 {status} X", f"Date: {now}", f"Content-Type: {media}", *lines]
    said.append("Connection: close" if length is None else f"Content-Length: {length}")
    return "\r\n".join(said).encode() + b"\r\n\r\n"


class Exchange(NamedTuple):
    """A request for a page that is to be answered wrongly, and the connection to do it on."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    offset: int
    limit: int
    total: int

    @property
    def body(self) -> bytes:
        """The page as it should be."""
        return page(self.offset, self.limit, self.total)

    def say(self, body: bytes, *lines: str, status: int = 200, media: str = "application/json") -> None:
        """Write an answer that is well-formed as HTTP."""
        self.writer.write(head(status, len(body), *lines, media=media) + body)


Fault = Callable[[Exchange], Awaitable[None]]

_HTML = b"<html><body>Bad Gateway</body></html>"
_BOMB = gzip.compress(bytes(8 * 1024 * 1024))
_REFUSAL = b'{"error":{"code":"RateLimited","message":"slow down","requestID":"r-1"}}'


async def _reset_before(to: Exchange) -> None:
    to.writer.transport.abort()


async def _reset_midway(to: Exchange) -> None:
    body = to.body
    to.writer.write(head(200, len(body)) + body[: len(body) // 2])
    to.writer.transport.abort()


async def _truncated_json(to: Exchange) -> None:
    body = to.body
    to.say(body[: len(body) * 2 // 3])


async def _cut_without_length(to: Exchange) -> None:
    body = to.body
    to.writer.write(head(200, None) + body[: len(body) // 3])
    to.writer.close()


async def _bad_gateway(to: Exchange) -> None:
    to.say(_HTML, status=502, media="text/html")


async def _unavailable(to: Exchange) -> None:
    to.say(b"", status=503)


async def _slow_down_a_second(to: Exchange) -> None:
    to.say(_REFUSAL, "Retry-After: 1", status=429)


async def _slow_down(to: Exchange) -> None:
    to.say(_REFUSAL, status=429)


async def _html(to: Exchange) -> None:
    to.say(_HTML, media="text/html")


async def _invalid_utf8(to: Exchange) -> None:
    to.say(to.body.replace(b'"Ek"', b'"\xc3\x28"'))


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write a byte a second, until the other side has had enough."""
    for place in range(len(data)):
        if reader.at_eof() or writer.is_closing():
            return
        writer.write(data[place : place + 1])
        await asyncio.sleep(1.0)


async def _slow_drip(to: Exchange) -> None:
    body = to.body
    to.writer.write(head(200, len(body)))
    await drip(to.reader, to.writer, body)


async def _stall(to: Exchange) -> None:
    to.writer.write(head(200, len(to.body)))
    await to.reader.read()


async def _truncated_gzip(to: Exchange) -> None:
    body = zlib.compress(to.body, 1, wbits=31)
    to.say(body[: len(body) // 2], "Content-Encoding: gzip")


async def _garbage(to: Exchange) -> None:
    to.writer.write(b"HTTP/1.1 2\xff0 what\r\n\r\n")
    to.writer.close()


async def _another_page(to: Exchange) -> None:
    other = 0 if to.offset else min(to.limit, to.total)
    to.say(to._replace(offset=other).body)


async def _missing_key(to: Exchange) -> None:
    to.say(to.body.replace(b'"data"', b'"rows"'))


async def _duplicate_key(to: Exchange) -> None:
    to.say(to.body.replace(b'"pagination"', b'"data":[],"pagination"'))


async def _empty(to: Exchange) -> None:
    to.say(b"")


async def _bomb(to: Exchange) -> None:
    to.say(_BOMB, "Content-Encoding: gzip")


KINDS: dict[str, Fault] = {
    "reset before": _reset_before,
    "reset midway": _reset_midway,
    "truncated JSON": _truncated_json,
    "cut without a length": _cut_without_length,
    "502 in HTML": _bad_gateway,
    "503": _unavailable,
    "429 with Retry-After": _slow_down_a_second,
    "429": _slow_down,
    "200 in HTML": _html,
    "invalid UTF-8": _invalid_utf8,
    "slow drip": _slow_drip,
    "stall": _stall,
    "truncated gzip": _truncated_gzip,
    "garbage for a status": _garbage,
    "another page": _another_page,
    "missing key": _missing_key,
    "duplicate key": _duplicate_key,
    "empty 200": _empty,
    "bomb": _bomb,
}
"""Ways to fail, by name."""


class Incoming(NamedTuple):
    """A request, header names in lower case, and the connection that it came on."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, body: bytes, *lines: str, status: int = 200) -> None:
        """Write an answer."""
        self.writer.write(head(status, len(body), *lines) + body)


Before = Callable[[Incoming], Awaitable[bool]]
"""Called with every request; True when it has answered."""


class FaultServer:
    """Pages of `total` students; a `share` of the answers fails in one of `kinds`, drawn evenly.

    With `spares`, a place that was asked for so many times always succeeds; else chance decides every time. `before`
    sees every request first, and may answer it.
    """

    def __init__(
        self,
        total: int,
        *,
        seed: int = 0,
        share: float = 0.0,
        kinds: Iterable[str] = tuple(KINDS),
        spares: int | None = None,
        before: Before | None = None,
    ) -> None:
        self.total = total
        self.log: list[Injected] = []
        self.times: list[float] = []
        """When requests arrived, by the loop's clock."""
        self.connections = 0
        self._seed, self._share, self._kinds, self._spares = seed, share, tuple(kinds), spares
        self._before = before
        self._asked: Counter[int] = Counter()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._closing = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._closing = True
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving)
        await self._server.wait_closed()
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        """The base URL for a client."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/directory/v1"

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._serving)

    def _struck(self, offset: int) -> str | None:
        """Return the kind of fault that befalls this request for a place, and put it on the log."""
        asked = self._asked[offset]
        self._asked[offset] += 1
        chance = Random(f"{self._seed} {offset} {asked}")
        if (self._spares is not None and asked >= self._spares) or chance.random() >= self._share:
            return None
        kind = chance.choice(self._kinds)
        self.log.append(Injected(kind, offset, asked))
        return kind

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while not writer.is_closing():
                    await self._answer(reader, writer)
        except asyncio.CancelledError:
            if not self._closing:
                raise
        finally:
            self._serving.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.times.append(asyncio.get_running_loop().time())
        if self._before is None or not await self._before(Incoming(method, target, headers, body, reader, writer)):
            query = dict(parse_qsl(urlsplit(target).query))
            to = Exchange(reader, writer, int(query.get("offset", 0)), int(query.get("limit", 100)), self.total)
            kind = self._struck(to.offset)
            if kind is None:
                to.say(to.body)
            else:
                await KINDS[kind](to)
        await writer.drain()
