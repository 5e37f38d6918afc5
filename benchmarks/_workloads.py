"""What the gate of instructions counts: loads of this client in one process, the same every time.

Answers are made before they are asked for. `Canned` stands where the transport does, so that what is counted is this
package and not aiohttp; over a socket, a bare server in the same loop answers.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace

from _server import Answers, Connection

from meitner_aio import Meitner, Student
from meitner_aio._wire.decoding import PageReader
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio.export import export

ROWS = 2000
GETS = 200
OVER_A_SOCKET = 100
PASSES = 10
"""Times that a page of 1,000 is decoded."""


# -- answers that are there already


ANSWERS = Answers(ROWS)


def _bodies() -> dict[str, bytes]:
    queries = [f"limit={limit}&offset={offset}" for limit in (100, 1000) for offset in range(0, ROWS, limit)]
    targets = {"": f"student/{ID}"} | {query: f"student?{query}" for query in queries}
    return {
        query: ANSWERS.to(f"/directory/v1/{target}".encode()).partition(b"\r\n\r\n")[2]
        for query, target in targets.items()
    }


ID = "00000007-0000-4000-8000-000000000000"
BODIES = _bodies()
HEADERS = {
    "Content-Type": "application/json",
    "RateLimit-Limit": "1000000",
    "RateLimit-Remaining": "999999",
    "RateLimit-Reset": "4102444800000",
}


def _body(query: str) -> bytes:
    """Return the answer to what is asked, whatever else the query says."""
    asked = dict(part.split("=") for part in query.split("&") if part)
    return BODIES["&".join(f"{name}={asked[name]}" for name in ("limit", "offset") if name in asked)]


class Canned:
    """Answers as the transport does, without a socket."""

    identity = b"canned"
    unlimited = False

    async def send(self, request: Request) -> RawResponse:
        """Answer."""
        return RawResponse(200, Headers(HEADERS), _body(request.query))

    async def close(self) -> None:
        """Nothing is open."""


def _client() -> Meitner:
    return Meitner.sandbox(SimpleNamespace(app=Canned(), credentials=("a", "b"), name="canned"))  # type: ignore[arg-type]


def _awaited(load: Callable[[Meitner], Awaitable[object]]) -> Callable[[], object]:
    async def main() -> None:
        async with _client() as meitner:
            await load(meitner)

    return lambda: asyncio.run(main())


async def _get(meitner: Meitner) -> None:
    for _ in range(GETS):
        await meitner.students.get(ID)


def _list(limit: int) -> Callable[[], object]:
    async def load(meitner: Meitner) -> None:
        rows = 0
        async for _ in meitner.students.list(limit=limit):
            rows += 1
        assert rows == ROWS

    return _awaited(load)


def _export(form: str) -> Callable[[], object]:
    async def load(meitner: Meitner) -> None:
        with tempfile.TemporaryDirectory() as folder:
            assert (await export(meitner, ["students"], to=folder, format=form, page_size=1000)).rows == ROWS

    return _awaited(load)


def _decode() -> None:
    request = Request("list", "GET", "/student", "/student", "limit=1000&offset=0")
    headers, read = Headers(HEADERS), PageReader(Student).reader(0, skip_invalid=False)
    for _ in range(PASSES):
        read(request, RawResponse(200, headers, BODIES["limit=1000&offset=0"]))


@asynccontextmanager
async def _served() -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(ANSWERS, 0), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/directory/v1"


def _get_over_a_socket() -> None:
    async def main() -> None:
        async with _served() as url, Meitner("a", "b", base_url=url) as meitner:
            for _ in range(OVER_A_SOCKET):
                await meitner.students.get(ID)

    asyncio.run(main())


LOADS: dict[str, Callable[[], object]] = {
    "get": _awaited(_get),
    "get over a socket": _get_over_a_socket,
    "list, pages of 100": _list(100),
    "list, pages of 1,000": _list(1000),
    "decode": _decode,
    "export to NDJSON": _export("ndjson"),
    "export to CSV": _export("csv"),
    "export to SQLite": _export("sqlite"),
}
