"""What a client says it sent is what a server saw, request by request, whatever becomes of the connections between them.

The server here counts what arrives, by itself: it shares nothing with the client but HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Self

import aiohttp
import pytest
import trustme
from conftest import AT_ONCE

from meitner_aio import APIConnectionError, InternalServerError, Meitner, MeitnerError, RequestSent, RetryPolicy
from meitner_aio._pipeline.transport import HttpTransport
from meitner_aio._wire.messages import Request

ID = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"
FIELDS = {"identity_number": "20150101-0000", "first_name": "Bo", "last_name": "Ek"}
STUDENT = b'{"id":"%s","identityNumber":"20150101-0000","firstName":"Bo","lastName":"Ek"}' % ID.encode()
PAGE = b'{"data":[%s],"pagination":{"offset":0,"limit":100,"total":1}}' % STUDENT
CUT = 0
"""Instead of a status: the connection is cut, without a byte of an answer."""

Judge = Callable[[int, int], int]
"""Says with which status to answer: the number of the request, and that of the request on its connection, from 1."""


def _answer(status: int, target: str) -> bytes:
    body = b"{}" if status >= 300 else PAGE if "?" in target else STUDENT
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


class Binding:
    """Counts the requests that arrive, and answers them as a judge says. Closes connections that are `idle`."""

    def __init__(self, judge: Judge, idle: float | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.judge = judge
        self.idle = idle
        self.tls = tls
        self.methods: list[str] = []
        self.connections = self.closed = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls, backlog=1000)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """The base URL for a client."""
        assert self._server is not None
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/directory/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            nth = 0
            while True:
                async with asyncio.timeout(self.idle):
                    head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.decode("latin-1").split("\r\n")[0].split(" ")
                length = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(length[0]) if length else 0)
                nth += 1
                self.methods.append(method)
                status = self.judge(len(self.methods), nth)
                if status == CUT:
                    break
                writer.write(_answer(status, target))
                await writer.drain()
        writer.close()
        self.closed += 1
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def always(status: int) -> Judge:
    """Make a judge who knows one status."""
    return lambda _number, _nth: status


def in_turn(*statuses: int) -> Judge:
    """Make a judge of requests in their order; the last status stays."""
    return lambda number, _nth: statuses[min(number, len(statuses)) - 1]


def _client(wire: Binding, **options: Any) -> Meitner:
    return Meitner("an-id", "a-secret", base_url=wire.url, **{"retry": AT_ONCE} | options)


CALLS: dict[str, Callable[[Meitner], Coroutine[Any, Any, Any]]] = {
    "get": lambda meitner: meitner.students.get(ID),
    "list": lambda meitner: meitner.students.list().count(),
    "search": lambda meitner: meitner.students.search(last_name="Ek").count(),
    "update": lambda meitner: meitner.students.update(ID, **FIELDS),
    "delete": lambda meitner: meitner.students.delete(ID),
    "any": lambda meitner: meitner.request("GET", "/thing"),
    "any delete": lambda meitner: meitner.request("DELETE", "/thing"),
    "any put": lambda meitner: meitner.request("PUT", "/thing", json={}),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


class _Passing:
    """A middleware of a caller's session that counts the requests that pass."""

    passed = 0

    async def __call__(self, request: Any, handler: Any) -> Any:
        self.passed += 1
        return await handler(request)


@pytest.fixture(params=["ours", "theirs", "theirs with middlewares", "ours without the switch"])
async def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the options of a client: with a session of its own, with one of the caller's, with another aiohttp."""
    if request.param == "ours without the switch":
        monkeypatch.setattr("meitner_aio._pipeline.transport._SWITCH", "_no_such_attribute")
    if not request.param.startswith("theirs"):
        yield {}
        return
    passing = _Passing()
    middlewares = (passing,) if "middlewares" in request.param else ()
    async with aiohttp.ClientSession(middlewares=middlewares) as session:
        yield {"session": session}
    assert bool(passing.passed) is bool(middlewares)


# One request is one request.


@calls
async def test_without_retries_one_request_leaves(call: Callable[[Meitner], Any], options: dict[str, Any]) -> None:
    """The connection breaks before a byte of an answer: a server sees one request, and the error says so."""
    async with Binding(always(CUT)) as wire, _client(wire, retry=None, max_retries=0, **options) as meitner:
        with pytest.raises(MeitnerError) as caught:
            await call(meitner)
        assert len(wire.methods) == 1 == caught.value.attempts


@calls
async def test_without_retries_one_request_leaves_on_a_connection_that_served_before(
    call: Callable[[Meitner], Any], options: dict[str, Any]
) -> None:
    """A server that closes just then gets one request more, not two."""
    judge: Judge = lambda _number, nth: 200 if nth == 1 else CUT
    async with Binding(judge) as wire, _client(wire, retry=None, max_retries=0, **options) as meitner:
        await meitner.students.get(ID)
        with pytest.raises(MeitnerError) as caught:
            await call(meitner)
        assert len(wire.methods) == 2
        assert caught.value.attempts == 1


@calls
async def test_events_and_errors_tell_of_every_request(call: Callable[[Meitner], Any], options: dict[str, Any]) -> None:
    """Two retries are three requests: as many as a server saw, events told of, and the error says."""
    events: list[Any] = []
    async with Binding(always(CUT)) as wire, _client(wire, on_event=events.append, **options) as meitner:
        with pytest.raises(MeitnerError) as caught:
            await call(meitner)
        told = [event.attempt for event in events if isinstance(event, RequestSent)]
        assert len(wire.methods) == caught.value.attempts == len(told)
        assert told == [1, 2, 3]


async def test_captured_answers_tell_of_every_request(options: dict[str, Any]) -> None:
    """An answer says at which attempt it came."""
    async with Binding(in_turn(CUT, CUT, 200)) as wire, _client(wire, **options) as meitner:
        with meitner.capture() as seen:
            await meitner.students.get(ID)
        assert (len(wire.methods), [answer.attempts for answer in seen]) == (3, [3])


async def test_an_outage_adds_no_more_than_35_requests(options: dict[str, Any]) -> None:
    """Two hundred reads of a server that drops every one: as many requests as were told, at most 35 more than calls."""
    sent: list[RequestSent] = []

    def note(event: object) -> None:
        if isinstance(event, RequestSent):
            sent.append(event)

    async with Binding(always(CUT)) as wire, _client(wire, on_event=note, **options) as meitner:
        calls = [meitner.students.get(ID) for _ in range(100)] + [meitner.students.delete(ID) for _ in range(100)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in errors} == {APIConnectionError}
        assert len(wire.methods) == len(sent) == sum(error.attempts for error in errors)  # type: ignore[union-attr, misc]
        assert 200 < len(wire.methods) <= 235


async def test_a_create_leaves_once(options: dict[str, Any]) -> None:
    """Its answer was lost, and nobody looks: without a key nothing tells it from others."""
    async with Binding(always(CUT)) as wire, _client(wire, **options) as meitner:
        with pytest.raises(MeitnerError):
            await meitner.units.create(title="Norr")
        assert Counter(wire.methods)["POST"] == 1


async def test_a_session_of_the_callers_is_left_as_it_is() -> None:
    """Its own calls are repeated as before, and go through its own middlewares alone."""
    passing = _Passing()
    async with aiohttp.ClientSession(middlewares=(passing,)) as session, Binding(in_turn(200, CUT, 200)) as wire:
        async with _client(wire, session=session) as meitner:
            await meitner.students.get(ID)
        before = passing.passed
        async with session.get(f"{wire.url}/student/{ID}") as answer:
            assert answer.status == 200
        assert (len(wire.methods), passing.passed - before) == (3, 2)


async def test_a_middleware_that_sends_twice_is_counted() -> None:
    """As one that answers a challenge does: it may, and an answer says how many requests it took."""

    async def twice(request: Any, handler: Any) -> Any:
        (await handler(request)).release()
        return await handler(request)

    async with (
        aiohttp.ClientSession(middlewares=(twice,)) as session,
        Binding(in_turn(401, 200, 503, 503, 401, 200)) as wire,
    ):
        async with _client(wire, session=session) as meitner:
            with meitner.capture() as seen:
                await meitner.students.get(ID)
                await meitner.students.get(ID)
        assert [answer.attempts for answer in seen] == [2, 4]
        assert len(wire.methods) == 6


def test_aiohttp_still_has_what_keeps_requests_from_being_repeated() -> None:
    """Two attributes that it does not document; without them it costs a middleware, or callers' sessions repeat."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            assert session._retry_connection is True
            assert session._middlewares == ()

    asyncio.run(main())


async def test_of_a_session_that_hides_its_middlewares_none_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should aiohttp keep them elsewhere one day: a caller's middlewares matter more than a repeated read, which is counted."""
    monkeypatch.setattr("meitner_aio._pipeline.transport._MIDDLEWARES", "_no_such_attribute")
    passing = _Passing()
    async with aiohttp.ClientSession(middlewares=(passing,)) as session, Binding(in_turn(CUT, 200)) as wire:
        async with _client(wire, session=session, retry=None, max_retries=0) as meitner:
            with meitner.capture() as seen:
                await meitner.students.get(ID)
        assert (len(wire.methods), passing.passed, seen[0].attempts) == (2, 2, 2)


# Connections that were kept, and that the server has closed.


class Elsewhere:
    """A server on a loop in a thread of its own, which goes on while this thread is busy."""

    def __init__(self, make: Callable[[], Binding]) -> None:
        self._make = make
        self._begun = threading.Event()

    def __enter__(self) -> Binding:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._wire = self._make()
        return asyncio.run_coroutine_threadsafe(self._wire.__aenter__(), self._loop).result(5)

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        await self._wire.__aexit__()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Give who signs the server's certificate."""
    return trustme.CA()


@pytest.mark.parametrize("secure", [False, True])
async def test_a_connection_that_was_closed_while_the_program_was_busy_is_not_used(
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    secure: bool,
) -> None:
    """The server said goodbye while nobody listened: not one request is lost for it, retries or not."""
    monkeypatch.setattr("meitner_aio._pipeline.transport._QUIET", 0.01)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if secure else None
    trust: dict[str, Any] = {}
    if tls is not None:
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        trust["ssl"] = ssl.create_default_context()
        authority.configure_trust(trust["ssl"])
    with Elsewhere(lambda: Binding(always(200), idle=0.05, tls=tls)) as wire:
        async with _client(wire, retry=None, max_retries=0, **trust) as meitner:
            for number in range(1, 5):
                await meitner.students.get(ID)
                while wire.closed < number:
                    time.sleep(0.02)
                time.sleep(0.05)
        assert (len(wire.methods), wire.connections) == (4, 4)


async def test_a_read_that_met_a_connection_just_closed_costs_no_retry() -> None:
    """One retry, and a server that closes a kept connection as the read arrives, then fails once: it is answered."""
    events: list[Any] = []
    async with Binding(in_turn(200, CUT, 503, 200)) as wire:
        policy = RetryPolicy(max_retries=1, initial=0.0)
        async with _client(wire, retry=policy, on_event=events.append) as meitner:
            await meitner.students.get(ID)
            events.clear()
            with meitner.capture() as seen:
                assert (await meitner.students.get(ID)).id == ID
        assert len(wire.methods) == 4
        assert [event.attempt for event in events if isinstance(event, RequestSent)] == [1, 2, 3]
        assert seen[0].attempts == 3


async def test_it_does_not_wait_either() -> None:
    """The next connection is a new one: there is nothing to wait for."""
    judge: Judge = lambda _number, nth: 200 if nth == 1 else CUT
    async with Binding(judge) as wire:
        async with _client(wire, retry=RetryPolicy(max_retries=1, initial=50.0, maximum=50.0)) as meitner:
            async with asyncio.timeout(10.0):
                for _ in range(20):
                    await meitner.students.get(ID)
        assert len(wire.methods) == 20 + 19
        assert meitner._core.budget.tokens == 500


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
async def test_a_server_that_answers_nothing_gets_no_request_more(retries: int) -> None:
    """Whether a connection was stale or the server is gone shows in the next answer: without one, every try counts."""
    async with Binding(in_turn(200, CUT)) as wire:
        async with _client(wire, retry=RetryPolicy(max_retries=retries, initial=0.0)) as meitner:
            await meitner.students.get(ID)
            with pytest.raises(APIConnectionError) as caught:
                await meitner.students.get(ID)
        assert len(wire.methods) == 1 + 1 + retries
        assert caught.value.attempts == 1 + retries


async def test_a_new_connection_is_never_stale() -> None:
    """One that breaks at its first request says something about the server, and the try counts."""
    async with Binding(in_turn(CUT, 503, 200)) as wire:
        async with _client(wire, retry=RetryPolicy(max_retries=1, initial=0.0)) as meitner:
            with pytest.raises(InternalServerError) as caught:
                await meitner.students.get(ID)
        assert (len(wire.methods), caught.value.attempts) == (2, 2)


async def test_no_more_than_one_try_of_a_call_is_excused() -> None:
    """Eight connections that all went stale cost a read no eight requests."""
    cut = [False]
    judge: Judge = lambda _number, nth: CUT if cut[0] and nth > 1 else 200
    async with Binding(judge) as wire, _client(wire, retry=RetryPolicy(max_retries=1, initial=0.0)) as meitner:
        await asyncio.gather(*(meitner.students.get(ID) for _ in range(8)))
        before, cut[0] = len(wire.methods), True
        results = await asyncio.gather(*(meitner.students.get(ID) for _ in range(8)), return_exceptions=True)
        for result in results:
            assert not isinstance(result, BaseException) or isinstance(result, APIConnectionError)
        assert len(wire.methods) - before <= 8 * 2


@pytest.mark.parametrize(
    "head", [b"H", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
async def test_a_connection_that_broke_after_a_byte_was_not_stale(head: bytes) -> None:
    """The server was there and began to answer."""
    stale: list[bool] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_answer(200, "/student"))
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        transport = HttpTransport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        request = Request("get", "GET", "/student/{id}", "/student/x", timeout=5.0)
        await transport.send(request)
        with pytest.raises(MeitnerError) as caught:
            await transport.send(request)
        stale.append(getattr(caught.value, "stale", False))
        await transport.close()
    assert stale == [False]
