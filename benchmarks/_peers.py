"""What the peers of several benchmarks share: credentials, how each reads pages, and what each does less."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp

CREDENTIALS = {"Client-ID": "benchmark", "Client-Secret": "benchmark"}

LESS = {
    "aiohttp + msgspec by hand": "no retries, no rate limit, no check for duplicates, no proof that all came",
    "bare asyncio protocol": "as by hand, and of HTTP it knows Content-Length only",
    "httpx + official models": "as by hand; pydantic checks each value, as the official client does",
    "meitner (official)": "its `next()` ends after page one, so pages are asked for by offsets made by hand; no proof",
    "dlt": "its REST source, told where the total is; it stops at dictionaries, without types or a proof",
}
"""What a peer leaves out of what this client does, by how its name begins."""


def less(peers: Iterable[str]) -> list[str]:
    """Return what the peers with these names do less."""
    names = list(peers)
    return [f"{kind}: {what}." for kind, what in LESS.items() if any(name.startswith(kind) for name in names)]


@asynccontextmanager
async def by_hand() -> AsyncIterator[aiohttp.ClientSession]:
    """Open the session that a hand-written client would use."""
    import aiohttp

    headers = CREDENTIALS | {"Accept": "application/json"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(60)) as session:
        yield session


async def rows_by_hand(url: str, limit: int) -> AsyncIterator[list[Any]]:
    """Yield pages as a hand-written loop reads them: offset by offset until the total, decoded into our records."""
    import msgspec

    from meitner_aio import Student
    from meitner_aio._wire.messages import Envelope

    decoder = msgspec.json.Decoder(Envelope[Student])
    async with by_hand() as session:
        offset, total = 0, 1
        while offset < total:
            async with session.get(f"{url}/student", params={"limit": limit, "offset": offset}) as response:
                body = await response.read()
                if response.status != 200:
                    raise RuntimeError(response.status)
            page = decoder.decode(body)
            yield page.data
            offset, total = offset + len(page.data), page.pagination.total


@contextmanager
def official(url: str) -> Iterator[Any]:
    """Open the official client."""
    from meitner import Meitner, models

    client_id, secret = CREDENTIALS.values()
    security = models.Security(option1=models.SecurityOption1(client_credentials=client_id, client_secret=secret))
    with Meitner(security=security, server_url=url) as meitner:
        yield meitner


def rows_of_official(url: str, limit: int) -> Iterator[list[Any]]:
    """Yield pages of the official client, whose own `next()` ends after the first, by offsets made by hand."""
    with official(url) as meitner:
        offset, total = 0, 1
        while offset < total:
            page = meitner.students.list(limit=limit, offset=offset).result
            yield page.data
            offset, total = offset + len(page.data), page.pagination.total


async def rows_of_httpx(url: str, limit: int) -> AsyncIterator[list[Any]]:
    """Yield pages as a loop over httpx reads them into the models of the official client, without its SDK."""
    import httpx
    from meitner import models

    async with httpx.AsyncClient(headers=CREDENTIALS, timeout=60) as client:
        offset, total = 0, 1
        while offset < total:
            answer = await client.get(f"{url}/student", params={"limit": limit, "offset": offset})
            page = models.StudentList.model_validate_json(answer.raise_for_status().content)
            yield page.data
            offset, total = offset + len(page.data), page.pagination.total


def source_of_dlt(url: str, limit: int) -> Any:
    """Return dlt's REST source of the students, which turns the pages by the total that each tells."""
    import os

    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
    from dlt.sources.rest_api import rest_api_source

    paginator = {"type": "offset", "limit": limit, "total_path": "pagination.total"}
    endpoint = {"path": "student", "data_selector": "data"}
    return rest_api_source(
        {
            "client": {"base_url": f"{url}/", "headers": CREDENTIALS, "paginator": paginator},
            "resources": [{"name": "students", "endpoint": endpoint}],
        }
    )


class RawReader(asyncio.Protocol):
    """The least that a client can do: bytes out, bytes in, nothing understood but Content-Length."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = 0
        self._answered: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Collect until the answer is whole."""
        self._buffer += data
        if not self._wanted:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = self._buffer[: end + 2].partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
            self._wanted = end + 4 + int(length)
        if len(self._buffer) >= self._wanted and self._answered is not None:
            head = self._buffer.find(b"\r\n\r\n") + 4
            body, self._wanted = bytes(self._buffer[head : self._wanted]), 0
            self._buffer.clear()
            self._answered.set_result(body)

    async def get(self, target: str) -> bytes:
        """Return the body of one answer."""
        headers = "".join(f"{name}: {value}\r\n" for name, value in CREDENTIALS.items())
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(f"GET {target} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n".encode())
        return await self._answered

    def close(self) -> None:
        """Hang up."""
        self._transport.close()
