"""A server that is never the bottleneck: answers made before they are asked for, written by a bare asyncio protocol.

It knows the URLs of one student and of pages of students, keep-alive and pipelining; no other method, no rule, no
error but 401 and 404. Run as a script, with the number of students, the seconds before each answer and for each row
asked for, and the bytes of answers that it may keep as arguments, it serves until it is killed, and prints its base URL
as its first line.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any, cast

import msgspec

BASE = "/directory/v1"

_PAGE = re.compile(rb"/directory/v1/student\?(.*)")
_ONE = re.compile(rb"/directory/v1/student/([0-9a-f]{5})([0-9a-f]{3})-0000-4000-8000-000000000000")
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_LIMIT = re.compile(rb"[?&]limit=(\d+)")
_KEPT = 200_000_000
"""Bytes of answers that are kept ready."""
_BLOCK = 1000
"""Rows whose ids and timestamps begin alike, so that what they share is put in at once."""
_CREDENTIALS = re.compile(rb"client-secret: ", re.IGNORECASE)
_END = b"\r\n\r\n"


def students(count: int) -> list[Any]:
    """Return synthetic students, the same in every process."""
    from meitner_aio.sandbox.synthetic import generate

    return generate(students=count, schools=10, seed=1, now=datetime(2026, 11, 20, tzinfo=UTC))["students"]


class Answers:
    """Whole answers by request target; a page is put together when it is first asked for.

    A thousand students stand for any number: each row is one of them under an id of its own, made a second after the
    row before in its thousand, and in a later hour than those of the thousand before.
    """

    def __init__(self, count: int, *, kept: int = _KEPT) -> None:
        self._count = count
        self._room = kept
        self._templates = [_template(row) for row in students(_BLOCK)]
        self._rows = [
            template.replace(b"<id>", b"<block>%03x-0000-4000-8000-000000000000" % place).replace(
                b"<made>", b"<hour>:%02d:%02dZ" % divmod(place, 60)
            )
            for place, template in enumerate(self._templates)
        ]
        self._ready: dict[bytes, bytes] = {}
        self._missing = answer(
            b'{"error":{"code":"NotFound","message":"no such thing","requestID":"-"}}', b"404 Not Found"
        )

    def _encoded(self, start: int, end: int) -> Iterator[bytes]:
        """Yield rows, several at a time."""
        while start < end:
            block, place = divmod(start, _BLOCK)
            rows = b",".join(self._rows[place : place + end - start])
            hour = (EPOCH + timedelta(hours=block)).strftime("%Y-%m-%dT%H").encode()
            yield rows.replace(b"<block>", b"%05x" % block).replace(b"<hour>", hour)
            start = (block + 1) * _BLOCK

    def to(self, target: bytes) -> bytes:
        """Return the answer to a GET."""
        ready = self._ready.get(target)
        if ready is not None:
            return ready
        page, one = _PAGE.fullmatch(target), _ONE.fullmatch(target)
        if page is not None:
            asked = dict(part.split(b"=") for part in page[1].split(b"&") if part)
            made = answer(self._page(int(asked.get(b"limit", 50)), int(asked.get(b"offset", 0))))
        elif one is not None and (number := _number(one)) < self._count:
            made = answer(b"".join(self._encoded(number, number + 1)))
        else:
            return self._missing
        if len(made) <= self._room:
            self._room -= len(made)
            self._ready[target] = made
        return made

    def _page(self, limit: int, offset: int) -> bytes:
        return page(self._encoded(offset, min(offset + limit, self._count)), limit, offset, self._count)


def _number(one: re.Match[bytes]) -> int:
    block, place = int(one[1], 16), int(one[2], 16)
    return block * _BLOCK + place if place < _BLOCK else sys.maxsize


def _template(row: Any) -> bytes:
    """Return a row's JSON with places for its id and for when it was made."""
    made = msgspec.json.encode(row.meta.created_at)[1:-1]
    return msgspec.json.encode(row).replace(row.id.encode(), b"<id>").replace(made, b"<made>", 1)


def page(rows: Iterable[bytes], limit: int, offset: int, total: int) -> bytes:
    """Return the body of a page of encoded rows."""
    pagination = f'{{"offset":{offset},"limit":{limit},"total":{total}}}'.encode()
    return b'{"data":[' + b",".join(rows) + b'],"pagination":' + pagination + b"}"


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a whole answer with the headers that the API sends."""
    headers = (
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "RateLimit-Limit: 1000000\r\nRateLimit-Remaining: 999999\r\n"
        f"RateLimit-Reset: {int(time.time() + 3600) * 1000}\r\nDate: {formatdate(usegmt=True)}"
    )
    return b"HTTP/1.1 " + status + b"\r\n" + headers.encode() + _END + body


_STRANGER = answer(b'{"error":{"code":"Unauthorized","message":"who are you","requestID":"-"}}', b"401 Unauthorized")
"""Without credentials there is no answer: no peer may save itself the headers."""


class Connection(asyncio.Protocol):
    """One connection: for every request head that has arrived, an answer in one write."""

    def __init__(self, answers: Answers, latency: float, a_row: float = 0.0) -> None:
        self._answers = answers
        self._latency = latency
        self._a_row = a_row
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
            target = head.split(b" ", 2)[1]
            made = self._answers.to(target) if known else _STRANGER
            limit = _LIMIT.search(target) if self._a_row else None
            wait = self._latency + (int(limit[1]) * self._a_row if limit else 0.0)
            if wait:
                asyncio.get_running_loop().call_later(wait, self._transport.write, made)
            else:
                self._transport.write(made)


async def _serve(count: int, latency: float, a_row: float, kept: int) -> None:
    answers = Answers(count, kept=kept)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(answers, latency, a_row), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{BASE}", flush=True)
    await server.serve_forever()


@contextmanager
def serving(count: int = 10_000, latency: float = 0.0, a_row: float = 0.0, *, kept: int = _KEPT) -> Iterator[str]:
    """Serve so many students from a process of its own, after so many seconds each; the value is the base URL.

    `a_row` is how many seconds more an answer takes for each row that is asked for, and `kept` how many bytes of
    answers are kept; the others are made again, which takes half a microsecond a row.
    """
    command = [sys.executable, str(Path(__file__).resolve()), *map(str, (count, latency, a_row, kept))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the server did not start")
            yield url
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
