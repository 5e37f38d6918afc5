"""A server that is never the bottleneck: answers made before they are asked for, written by a bare asyncio protocol.

It knows the URLs of one student and of pages of students, keep-alive and pipelining; no other method, no rule, no
error but 401 and 404. Run as a script it serves until it is killed, and prints its base URL as its first line.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec

BASE = "/directory/v1"
STUDENTS = 10_000

_PAGE = re.compile(rb"/directory/v1/student\?(.*)")
_CREDENTIALS = re.compile(rb"client-secret: ", re.IGNORECASE)
_END = b"\r\n\r\n"


def students(count: int) -> list[Any]:
    """Return synthetic students, the same in every process."""
    from meitner_aio.sandbox._synthetic import generate  # noqa: PLC0415 - peers that only start a server need none

    return generate(students=count, schools=10, seed=1, now=datetime(2026, 11, 20, tzinfo=UTC))["students"]


class Answers:
    """Whole answers by request target; a page is put together when it is first asked for."""

    def __init__(self, count: int) -> None:
        rows = students(count)
        self._rows = [msgspec.json.encode(row) for row in rows]
        self._ready = {
            f"{BASE}/student/{row.id}".encode(): answer(body) for row, body in zip(rows, self._rows, strict=True)
        }
        self._missing = answer(
            b'{"error":{"code":"NotFound","message":"no such thing","requestID":"-"}}', b"404 Not Found"
        )

    def to(self, target: bytes) -> bytes:
        """Return the answer to a GET."""
        ready = self._ready.get(target)
        if ready is not None:
            return ready
        page = _PAGE.fullmatch(target)
        if page is None:
            return self._missing
        asked = dict(part.split(b"=") for part in page[1].split(b"&") if part)
        made = self._ready[target] = answer(self._page(int(asked.get(b"limit", 50)), int(asked.get(b"offset", 0))))
        return made

    def _page(self, limit: int, offset: int) -> bytes:
        return page(self._rows[offset : offset + limit], limit, offset, len(self._rows))


def page(rows: list[bytes], limit: int, offset: int, total: int) -> bytes:
    """Return the body of a page of encoded rows."""
    pagination = f'{{"offset":{offset},"limit":{limit},"total":{total}}}'.encode()
    return b'{"data":[' + b",".join(rows) + b'],"pagination":' + pagination + b"}"


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a whole answer with the headers that the API sends."""
    headers = (
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"RateLimit-Limit: 1000000\r\nRateLimit-Remaining: 999999\r\nRateLimit-Reset: {int(time.time() + 3600) * 1000}"
    )
    return b"HTTP/1.1 " + status + b"\r\n" + headers.encode() + _END + body


_STRANGER = answer(b'{"error":{"code":"Unauthorized","message":"who are you","requestID":"-"}}', b"401 Unauthorized")
"""Without credentials there is no answer: no peer may save itself the headers."""


class Connection(asyncio.Protocol):
    """One connection: for every request head that has arrived, an answer in one write."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self._pending += data
        while (end := self._pending.find(_END)) >= 0:
            head, self._pending = self._pending[:end], self._pending[end + len(_END) :]
            known = _CREDENTIALS.search(head) is not None
            self._transport.write(self._answers.to(head.split(b" ", 2)[1]) if known else _STRANGER)


async def _serve() -> None:
    answers = Answers(STUDENTS)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(answers), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{BASE}", flush=True)
    await server.serve_forever()


@contextmanager
def serving() -> Iterator[str]:
    """Serve from a process of its own; the value is the base URL."""
    command = [sys.executable, str(Path(__file__).resolve())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - this file
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the server did not start")
            yield url
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_serve())
