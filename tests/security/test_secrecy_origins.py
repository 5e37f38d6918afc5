"""What goes to whom: nothing to where a redirect points, nothing to a server that cannot prove who it is, no cookie back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import aiohttp
import pytest
import trustme
from canaries import CREDENTIALS, PERSON, TOKEN, sung
from conftest import AT_ONCE
from raw_server import STUDENT_ID, RawServer, Reply, answer

from meitner_aio import (
    APIConnectionError,
    APIStatusError,
    ConfigurationError,
    Meitner,
    MeitnerError,
    OAuth2,
    RetryPolicy,
)

CALLS: dict[str, Callable[[Meitner], Any]] = {
    "list": lambda meitner: meitner.students.list().all(),
    "search": lambda meitner: meitner.students.search(last_name=PERSON["last_name"]).all(),
    "get": lambda meitner: meitner.students.get(STUDENT_ID),
    "create": lambda meitner: meitner.students.create(**PERSON),
    "update": lambda meitner: meitner.students.update(STUDENT_ID, **PERSON),
    "delete": lambda meitner: meitner.students.delete(STUDENT_ID),
    "archive": lambda meitner: meitner.student_placements.archive(STUDENT_ID),
    "restore": lambda meitner: meitner.student_placements.restore(STUDENT_ID),
}
"""One call for each of the API's eight operations: GET, POST, PATCH, DELETE, with and without a body."""


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Return who signs certificates here."""
    return trustme.CA()


def _server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def _trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


# Redirects.


class Two(NamedTuple):
    """A server, and where its redirects point."""

    asked: RawServer
    other: RawServer
    tls: ssl.SSLContext | None


TARGETS = {
    "same host": ("http", "{asked}/directory/v1/elsewhere"),
    "same host, no scheme": ("http", "/elsewhere"),
    "other port": ("http", "{other}/directory/v1/elsewhere"),
    "other port, no scheme": ("http", "//{address}/elsewhere"),
    "other host": ("http", "http://localhost:{port}/elsewhere"),
    "other host, with a user": ("http", "http://a:b@localhost:{port}/elsewhere"),
    "https to http": ("https", "{other}/directory/v1/elsewhere"),
}


@pytest.fixture
async def two(authority: trustme.CA) -> AsyncIterator[Callable[..., Any]]:
    """Give `await two(status, scheme, location)`: a server that redirects everything, and another that takes all."""
    async with AsyncExitStack() as stack:

        async def start(status: int, scheme: str, location: str) -> Two:
            other = await stack.enter_async_context(RawServer([answer()]))
            replies: list[Reply] = [b""]
            secure = scheme == "https"
            context = _server_side(authority.issue_cert("127.0.0.1")) if secure else None
            asked = await stack.enter_async_context(RawServer(replies, context))
            address = other.origin.removeprefix("http://")
            target = location.format(
                asked=asked.origin, other=other.origin, address=address, port=address.partition(":")[2]
            )
            asked._replies[0] = answer(status, {}, headers={"Location": target, "Set-Cookie": f"a={TOKEN}"})
            return Two(asked, other, _trusting(authority) if secure else None)

        yield start


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(two: Callable[..., Any], status: int, target: tuple[str, str]) -> None:
    """Whatever is asked and wherever it points: one request, an error with the status, nothing at the second origin."""
    servers = await two(status, *target)
    async with Meitner(*CREDENTIALS, base_url=servers.asked.url, retry=AT_ONCE, ssl=servers.tls) as meitner:
        for call in CALLS.values():
            with pytest.raises(APIStatusError) as caught:
                await call(meitner)
            assert (type(caught.value), caught.value.status_code) == (APIStatusError, status)
    assert servers.other.connections == 0
    assert len(servers.asked.seen) == len(CALLS)
    assert not [seen for seen in servers.asked.seen if "elsewhere" in seen.target or "cookie" in seen.headers]


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_of_the_token_call_is_never_followed(
    two: Callable[..., Any], status: int, target: tuple[str, str]
) -> None:
    """The form with the secret goes to the token endpoint, and the call that needs the token nowhere."""
    servers = await two(status, *target)
    options = {"auth": OAuth2(*CREDENTIALS), "retry": AT_ONCE, "ssl": servers.tls}
    async with Meitner(base_url=servers.asked.url, **options) as meitner:
        for call in CALLS.values():
            with pytest.raises(APIStatusError) as caught:
                await call(meitner)
            assert (caught.value.status_code, caught.value.route) == (status, "token endpoint")
    assert servers.other.connections == 0
    assert {seen.target for seen in servers.asked.seen} == {"/oauth/token"}


async def test_a_session_of_the_caller_follows_no_redirect_either(two: Callable[..., Any]) -> None:
    """Its own settings about redirects do not count."""
    servers = await two(307, *TARGETS["other host"])
    async with aiohttp.ClientSession() as session:
        meitner = Meitner(*CREDENTIALS, base_url=servers.asked.url, session=session)
        for call in CALLS.values():
            with pytest.raises(APIStatusError):
                await call(meitner)
    assert servers.other.connections == 0


async def test_a_plain_client_hands_everything_to_a_redirect(two: Callable[..., Any]) -> None:
    """The control: as everybody does, credentials and a person arrive at another host."""
    servers = await two(307, *TARGETS["other host"])
    headers = dict(zip(("Client-ID", "Client-Secret"), CREDENTIALS, strict=True))
    async with aiohttp.ClientSession(headers=headers) as session:
        body = {"lastName": PERSON["last_name"]}
        async with session.post(f"{servers.asked.url}/student", json=body) as response:
            await response.read()
    [seen] = servers.other.seen
    assert set(sung(f"{seen.headers} {seen.body.decode()}")) == {*CREDENTIALS, PERSON["last_name"]}


# TLS.


class Listener:
    """Takes TLS connections with a context, and keeps every byte that was said over one that came about."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.connections = 0
        self.bytes = b""

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.bytes += await reader.read(65536)
        writer.write(answer())
        writer.close()

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1") -> AsyncIterator[str]:
        """Listen, and give the base URL for a client that calls the server `host`."""
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side of a refused handshake
        server = await asyncio.start_server(self._take, "127.0.0.1", 0, ssl=self._context)
        async with server:
            yield f"https://{host}:{server.sockets[0].getsockname()[1]}/directory/v1"


def _expired(authority: trustme.CA) -> ssl.SSLContext:
    return _server_side(authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1)))


def _self_signed(_: trustme.CA) -> ssl.SSLContext:
    return _server_side(trustme.CA().issue_cert("127.0.0.1"))  # by an authority that nobody knows


def _wrong_host(authority: trustme.CA) -> ssl.SSLContext:
    return _server_side(authority.issue_cert("api.meitner.se"))


def _no_host(authority: trustme.CA) -> ssl.SSLContext:
    return _server_side(authority.issue_cert(common_name="127.0.0.1"))


def _old_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = _server_side(authority.issue_cert("127.0.0.1"))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


CASES: dict[str, Callable[[trustme.CA], ssl.SSLContext]] = {
    "expired": _expired,
    "self-signed": _self_signed,
    "wrong host": _wrong_host,
    "a name only where nobody looks": _no_host,
    "TLS 1.1": _old_tls,
}


@pytest.fixture
def _old_tls_is_deprecated() -> Iterator[None]:
    """Let a server be set to what Python warns of."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.mark.usefixtures("_old_tls_is_deprecated")
@pytest.mark.parametrize("oauth", [False, True], ids=["key", "oauth"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_server_that_is_not_who_it_should_be_gets_nothing(
    authority: trustme.CA,
    case: Callable[[trustme.CA], ssl.SSLContext],
    oauth: bool,
) -> None:
    """No handshake, not a byte of any request, at most a retry; and a create that never left is not ambiguous."""
    listener = Listener(case(authority))
    async with listener.serve() as url:
        auth: dict[str, Any] = {"auth": OAuth2(*CREDENTIALS)} if oauth else dict(
            zip(("client_credentials", "client_secret"), CREDENTIALS, strict=True)
        )  # fmt: skip
        policy = RetryPolicy(initial=0.0, max_retries=1)
        async with Meitner(base_url=url, ssl=_trusting(authority), retry=policy, **auth) as meitner:
            for call in CALLS.values():
                with pytest.raises(APIConnectionError) as caught:
                    await call(meitner)
                assert not caught.value.sent
    assert (listener.connections, listener.bytes) == (0, b"")


async def test_a_server_that_is_who_it_should_be_is_served(authority: trustme.CA) -> None:
    """The control: with a good certificate the same calls arrive, credentials and all."""
    listener = Listener(_server_side(authority.issue_cert("127.0.0.1")))
    async with (
        listener.serve() as url,
        Meitner(*CREDENTIALS, base_url=url, ssl=_trusting(authority), max_retries=0) as meitner,
    ):
        await meitner.students.get(STUDENT_ID)
    assert set(sung(listener.bytes.decode())) == set(CREDENTIALS)


async def test_our_own_context_wants_tls_1_2_at_least(authority: trustme.CA) -> None:
    """Without a context of the caller's: nothing older is spoken, whoever signed."""
    assert ssl.create_default_context().minimum_version >= ssl.TLSVersion.TLSv1_2
    listener = Listener(_server_side(authority.issue_cert("127.0.0.1")))
    async with listener.serve() as url, Meitner(*CREDENTIALS, base_url=url) as meitner:
        with pytest.raises(APIConnectionError, match=r"certificate of .* is not valid"):
            await meitner.students.get(STUDENT_ID)
    assert listener.connections == 0


PLAIN = [
    "http://api.meitner.se/directory/v1",
    "http://127.0.0.1.nip.example/directory/v1",
    "http://localhost.example",
    "http://localhost@api.example",
    "http://0.0.0.0",
    "http://10.0.0.1",
    "http://2130706433",
    "http://0177.0.0.1",
    "http://127.1",
    "http://[::ffff:10.0.0.1]",
    "http://[fe80::1]",
    "http://LOCALHOST.",
    "HTTP://api.meitner.se",
    "ws://127.0.0.1",
    "//api.meitner.se",
    "api.meitner.se",
    "file:///etc/passwd",
    "unix:///run/x.sock",
]  # fmt: skip


@pytest.mark.parametrize("url", PLAIN)
def test_nothing_travels_in_the_clear(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http to anything but this machine is no base URL and no token URL, given or from the environment."""
    monkeypatch.setattr(asyncio, "open_connection", None)
    with pytest.raises(ConfigurationError):
        Meitner(*CREDENTIALS, base_url=url)
    if "://" in url:
        with pytest.raises(ConfigurationError):
            Meitner(auth=OAuth2(*CREDENTIALS, url))
    monkeypatch.setenv("MEITNER_BASE_URL", url)
    with pytest.raises(ConfigurationError):
        Meitner(*CREDENTIALS)


# Cookies.


@pytest.mark.parametrize("status", [200, 302, 404, 503])
async def test_no_cookie_is_kept(status: int) -> None:
    """Whatever sets one, with whatever scope: the next request carries none."""
    cookies = ["a=1", "b=2; Path=/", "c=3; Domain=127.0.0.1; Path=/; Max-Age=9999", "__Host-d=4; Secure; Path=/"]
    made = lambda meitner: meitner.units.create(title="Norr")
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n" % status
    head += b"".join(b"Set-Cookie: %s\r\n" % cookie.encode() for cookie in cookies)
    body = answer().partition(b"\r\n\r\n")[2]
    async with RawServer([head + b"Content-Length: %d\r\n\r\n" % len(body) + body]) as server:
        async with Meitner(*CREDENTIALS, base_url=server.url, max_retries=0) as meitner:
            for call in (CALLS["get"], made, CALLS["get"], CALLS["update"], made):
                with suppress(MeitnerError):
                    await call(meitner)
            jars = [session.cookie_jar for session in meitner._core.transport._sessions.values()]
            assert jars
            assert [list(jar) for jar in jars] == [[]] * len(jars)
        assert len(server.seen) >= 5
        assert not [seen for seen in server.seen if "cookie" in seen.headers]
