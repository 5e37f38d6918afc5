"""Bytes out, bytes in, over real sockets: what a server may do to us, and what we do to it."""

from __future__ import annotations

import asyncio
import random
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from conftest import AT_ONCE, CREDENTIALS, Scripted
from raw_server import STUDENT_ID, RawServer, Reply, answer, failure, writes

from meitner_aio import Meitner, RetryPolicy
from meitner_aio._pipeline.transport import HttpTransport
from meitner_aio._wire.messages import Request
from meitner_aio.errors import (
    AmbiguousWriteError,
    APIConnectionError,
    APITimeoutError,
    ConnectionReason,
    MeitnerError,
    NotFoundError,
    ResponseValidationError,
)

FIELDS = {"identity_number": "20150101-0000", "first_name": "Bo", "last_name": "Ek"}
MIB = 1024 * 1024


def _get(timeout: float = 5.0) -> Request:
    return Request("get", "GET", "/student/{id}", "/student/x", timeout=timeout)


def _create(body: bytes = b"{}", timeout: float = 5.0) -> Request:
    return Request("create", "POST", "/student", "/student", "", body, timeout=timeout)


def _delete() -> Request:
    return Request("delete", "DELETE", "/student/{id}", "/student/x", timeout=5.0)


# Requests that aiohttp would repeat by itself; `test_wire.py` counts them all.


async def _then_refuses(server: RawServer, writer: asyncio.StreamWriter) -> None:
    assert server._server is not None
    server._server.close()
    writer.transport.abort()


@pytest.mark.parametrize("warm", [False, True])
async def test_a_delete_whose_answer_was_lost_finds_nothing_and_succeeds(scripted: Scripted, warm: bool) -> None:
    """The server deletes and cuts the connection, the retry gets 404: that is success, on any connection."""
    policy = RetryPolicy(max_retries=1, initial=0.0)
    meitner, server = await scripted(*[answer()] * warm, writes(), failure(404, "NotFound"), retry=policy)
    if warm:
        await meitner.students.get(STUDENT_ID)
    assert await meitner.students.delete(STUDENT_ID) is None
    assert [seen.method for seen in server.seen[-2:]] == ["DELETE", "DELETE"]


async def test_a_delete_that_arrived_may_have_happened(carried: Any) -> None:
    """The server is gone afterwards, but it had got the request."""
    transport, server = await carried(lambda writer: _then_refuses(server, writer))
    with pytest.raises(APIConnectionError) as caught:
        await transport.send(_delete())
    assert caught.value.sent
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("reply", "patience", "reason"),
    [
        (None, 5.0, ConnectionReason.DISCONNECTED),
        (writes(b"HTTP/1.1 2"), 5.0, ConnectionReason.DISCONNECTED),
        (writes(b"SSH-2.0-OpenSSH\r\n\r\n"), 5.0, ConnectionReason.UNREADABLE),
        (writes(b"", pause=1.0), 0.1, ConnectionReason.READ_TIMEOUT),
    ],
)
async def test_the_reason_of_a_lost_answer_is_data(
    carried: Any, reply: Any, patience: float, reason: ConnectionReason
) -> None:
    """What the server did can be told without reading the message, which names its host."""
    transport, server = await carried(reply)
    with pytest.raises(APIConnectionError) as caught:
        await transport.send(_create(timeout=patience))
    assert caught.value.reason is reason
    assert f"127.0.0.1:{urlsplit(server.url).port}" in str(caught.value)


async def test_the_reason_of_a_connection_that_never_was_is_data() -> None:
    """A name that does not exist, a port where nobody listens, and a server that speaks no TLS are told apart."""
    server = await asyncio.start_server(_speaks_no_tls, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert await _reason_of(f"https://{host}") is ConnectionReason.TLS
    server.close()
    await server.wait_closed()
    assert await _reason_of(f"http://{host}") is ConnectionReason.REFUSED
    assert await _reason_of("https://nobody.invalid") is ConnectionReason.DNS


async def _speaks_no_tls(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ready\r\n")
    writer.close()


async def _reason_of(url: str) -> ConnectionReason:
    transport = HttpTransport(url)
    try:
        with pytest.raises(APIConnectionError) as caught:
            await transport.send(_get(timeout=5.0))
        assert not caught.value.sent
        return caught.value.reason
    finally:
        await transport.close()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH"])
async def test_a_write_that_nobody_knows_is_never_repeated(carried: Any, method: str) -> None:
    """aiohttp would send a PUT or DELETE twice; of an unknown endpoint nobody knows what that does."""
    transport, server = await carried(None, answer())
    with pytest.raises(APIConnectionError) as caught:
        await transport.send(Request("request", method, "/thing", "/thing", timeout=5.0))
    assert (len(server.seen), caught.value.sent) == (1, True)
    await transport.send(_get())


# Connections.


async def test_every_create_has_a_connection_of_its_own_and_reads_share_one(scripted: Scripted) -> None:
    """A create says so, too: `Connection: close`."""
    meitner, server = await scripted(answer(), answer(), answer(201), answer(201), answer())
    for _ in range(2):
        await meitner.students.get(STUDENT_ID)
    assert server.connections == 1
    for _ in range(2):
        await meitner.students.create(**FIELDS)
    assert server.connections == 3
    await meitner.students.update(STUDENT_ID, **FIELDS)
    assert server.connections == 3
    assert [seen.headers.get("connection") for seen in server.seen] == [None, None, "close", "close", None]


async def test_bulk_creates_share_connections_where_a_lost_answer_can_be_settled(scripted: Scripted) -> None:
    """With a key that the server keeps unique, one connection carries many; without one, each create has its own."""
    meitner, server = await scripted(answer(201))
    outcomes = [outcome async for outcome in meitner.students.create_many([FIELDS] * 5, concurrency=1)]
    assert [outcome.error for outcome in outcomes] == [None] * 5
    assert (len(server.seen), server.connections) == (5, 1)
    unit = answer(201, data={"id": STUDENT_ID, "title": "Enhet Nord"})
    meitner, server = await scripted(unit)
    units = [outcome async for outcome in meitner.units.create_many([{"title": "Enhet Nord"}] * 5, concurrency=1)]
    assert [outcome.error for outcome in units] == [None] * 5
    assert server.connections == 5


async def test_a_login_page_deletes_nothing(scripted: Scripted) -> None:
    """A 200 of somebody else is no deletion; a 404 after it is."""
    html = answer(200, headers={"Content-Type": "text/html"}, body=b"<html>log in</html>")
    meitner, server = await scripted(html)
    with pytest.raises(ResponseValidationError):
        await meitner.students.delete(STUDENT_ID)
    assert len(server.seen) == 3
    meitner, server = await scripted(html, failure(404, "NotFound"))
    await meitner.students.delete(STUDENT_ID)


async def test_no_create_is_lost_at_the_servers_idle_limit() -> None:
    """A server that closes a kept connection just as the next request arrives loses creates of others, none of ours."""
    used: set[asyncio.StreamWriter] = set()

    async def closes_when_reused(writer: asyncio.StreamWriter) -> None:
        if writer in used:
            writer.transport.abort()
            return
        used.add(writer)
        writer.write(answer(201))

    async with RawServer([closes_when_reused]) as server:
        async with Meitner(*CREDENTIALS, base_url=server.url) as meitner:
            for _ in range(40):
                assert (await meitner.students.create(**FIELDS)).id == STUDENT_ID
        lost = 0
        async with aiohttp.ClientSession() as session:  # the control: as everybody does
            for _ in range(40):
                try:
                    async with session.post(f"{server.url}/student", json={}) as response:
                        await response.read()
                except aiohttp.ClientError:
                    lost += 1
        assert lost > 10


async def test_a_session_that_raises_for_a_status_leaves_the_judgement_to_us() -> None:
    """A 404 stays a 404, sent once, whatever the caller's session makes of statuses elsewhere."""
    async with (
        RawServer([failure(404, "NotFound")]) as server,
        aiohttp.ClientSession(raise_for_status=True) as session,
        Meitner(*CREDENTIALS, base_url=server.url, session=session) as meitner,
    ):
        with pytest.raises(NotFoundError):
            await meitner.students.get(STUDENT_ID)
    assert len(server.seen) == 1


async def test_a_session_of_the_caller_that_is_closed_is_nobodys_lost_create(carried: Any) -> None:
    """Nothing was sent: neither ambiguous nor tried again."""
    async with aiohttp.ClientSession() as session:
        transport, server = await carried(answer(201), session=session)
        assert (await transport.send(_create())).status == 201
    with pytest.raises(MeitnerError, match="session"):
        await transport.send(_create())
    assert len(server.seen) == 1


async def test_a_closed_transport_makes_no_new_session(carried: Any) -> None:
    """A retry that wakes up after close() opens nothing."""
    transport, server = await carried(answer())
    await transport.send(_get())
    await transport.close()
    for request in (_get(), _create()):
        with pytest.raises(MeitnerError, match="closed"):
            await transport.send(request)
    assert (len(server.seen), len(transport._sessions)) == (1, 1)


# What has certainly not reached the server.


async def test_a_connection_that_never_came_about_carried_nothing(
    carried: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt's time runs out while connecting: a create that never left may be sent again."""

    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", hangs)
    transport, server = await carried(answer(201))
    for request in (_create(timeout=0.05), _get(timeout=0.05)):
        with pytest.raises(APITimeoutError) as caught:
            await transport.send(request)
        assert not caught.value.sent
        assert caught.value.reason is ConnectionReason.CONNECT_TIMEOUT
    assert not server.seen


async def test_a_create_that_arrived_may_have_happened(carried: Any) -> None:
    """The request left as a whole and nothing came back."""
    for reply in (None, writes(then_close=True), writes(b"HTTP/1.1 2"), writes(b"", pause=1.0)):
        transport, server = await carried(reply)
        with pytest.raises(APIConnectionError) as caught:
            await transport.send(_create(timeout=0.1))
        assert caught.value.sent
        assert len(server.seen) == 1


async def test_a_cancelled_create_says_whether_it_may_have_happened(
    carried: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note on the cancellation, when the request had left; none on a read, and none while connecting."""

    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    async def notes(request: Request) -> list[str]:
        sending = asyncio.ensure_future(transport.send(request))
        while not server.seen and not connecting:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await sending
        return getattr(caught.value, "__notes__", [])

    for request, noted in ((_create(), ["POST /student may or may not have happened"]), (_get(), [])):
        connecting = False
        transport, server = await carried(writes(b"", pause=1.0))
        assert await notes(request) == noted
    connecting = True
    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", hangs)
    transport, server = await carried(answer(201))
    assert await notes(_create()) == []


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * MIB])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_large_body_arrives_as_it_is(carried: Any, method: str, size: int) -> None:
    """Without a warning of aiohttp, with its length and as JSON."""
    transport, server = await carried(answer(201))
    body = random.Random(size).randbytes(size)
    operation = "create" if method == "POST" else "update"
    response = await transport.send(Request(operation, method, "/x", "/x", "", body, timeout=5.0))
    assert response.status == 201
    [seen] = server.seen
    assert seen.body == body
    assert (seen.headers["content-length"], seen.headers["content-type"]) == (str(size), "application/json")


# Slow servers.

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        writes(*[bytes([b]) for b in _HEAD], pause=0.02),
        writes(_HEAD, *[b" "] * 100, pause=0.02),
        writes(_HEAD, b"", pause=2.0),
        writes(b"", pause=2.0),
        writes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 100, pause=0.02),
        writes(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 100, pause=0.02),
    ],
    ids=["head byte by byte", "body byte by byte", "nothing after the head", "nothing", "chunk by chunk", "continues"],
)
async def test_an_attempt_ends_in_time_although_bytes_keep_coming(carried: Any, reply: Reply) -> None:
    """The timeout is for the attempt as a whole, not for each read."""
    transport, _ = await carried(reply)
    with pytest.raises(APITimeoutError):
        await transport.send(_get(timeout=0.2))


async def test_waiting_for_a_slot_takes_nothing_from_an_attempt(scripted: Scripted) -> None:
    """Twenty calls through one slot, each slower than a third of the timeout."""
    meitner, _ = await scripted(writes(answer(), pause=0.02, then_close=False), timeout=0.1, max_concurrency=1)
    await asyncio.gather(*(meitner.students.get(STUDENT_ID) for _ in range(12)))


# Proxies and TLS.


async def test_a_proxy_is_asked_instead_of_the_server(carried: Any) -> None:
    """With the whole address."""
    async with RawServer([answer()]) as proxy:
        transport, server = await carried(answer(), proxy=proxy.origin)
        await transport.send(_get())
        assert [seen.target for seen in proxy.seen] == [f"{server.url}/student/x"]
        assert not server.seen


async def test_the_environment_names_a_proxy_only_when_it_is_trusted(
    carried: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`trust_env` is off unless asked for, and this machine is reached without a proxy."""
    async with RawServer([answer(403)]) as proxy:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.origin)
        monkeypatch.delenv("no_proxy", raising=False)
        for trusted in (False, True):
            transport, server = await carried(answer(), trust_env=trusted)
            await transport.send(_get())
            assert (len(proxy.seen), len(server.seen)) == (0, 1)
            with pytest.raises(APIConnectionError):
                await transport.send(Request("get", "GET", "/", "https://directory.invalid/"))
            assert len(proxy.seen) == int(trusted)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a key and a certificate for 127.0.0.1 that nobody signed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    path = tmp_path_factory.mktemp("tls") / "self-signed.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@asynccontextmanager
async def _secure(certificate: Path, *replies: Reply) -> AsyncIterator[RawServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side of a refused handshake
    async with RawServer(replies, context) as server:
        yield server


@pytest.mark.parametrize("policy", [RetryPolicy(initial=0.0), RetryPolicy(initial=0.0, outage=7200.0)])
async def test_a_server_that_cannot_prove_who_it_is_gets_nothing(certificate: Path, policy: RetryPolicy) -> None:
    """Refused at once, without a retry and without a byte of the request; a create is not ambiguous."""
    async with (
        _secure(certificate, answer()) as server,
        Meitner(*CREDENTIALS, base_url=server.url, retry=policy) as meitner,
    ):
        for call in (
            lambda: meitner.students.get(STUDENT_ID),
            lambda: meitner.students.create(**FIELDS),
            lambda: meitner.students.list().all(),
        ):
            with pytest.raises(APIConnectionError, match=r"certificate of .* is not valid") as caught:
                await call()
            assert (caught.value.sent, caught.value.attempts) == (False, 1)
            assert caught.value.reason is ConnectionReason.UNTRUSTED
        assert server.seen == []


async def test_a_context_of_the_callers_decides_whom_to_trust(certificate: Path) -> None:
    """`ssl` reaches both kinds of connections."""
    trusting = ssl.create_default_context(cafile=f"{certificate}.crt")
    async with (
        _secure(certificate, answer()) as server,
        Meitner(*CREDENTIALS, base_url=server.url, ssl=trusting) as meitner,
    ):
        assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID
        assert (await meitner.students.create(**FIELDS)).id == STUDENT_ID


# The whole chain.


async def test_a_lost_create_over_a_socket_is_ambiguous_and_a_refused_one_is_not(scripted: Scripted) -> None:
    """The whole chain, from the socket to the error."""
    meitner, server = await scripted(writes(_HEAD + b"{"), retry=AT_ONCE)
    with pytest.raises(AmbiguousWriteError):
        await meitner.units.create(title="Enhet Nord")
    assert len(server.seen) == 1
    meitner, server = await scripted(failure(503, "RateLimited"), failure(429, "RateLimited"), answer(201))
    assert (await meitner.students.create(**FIELDS)).id == STUDENT_ID
    assert len(server.seen) == 3
