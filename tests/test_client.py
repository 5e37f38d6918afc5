"""The front door: how a client is built, what it refuses, and how long it lives."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import pickle
import re
import ssl
from pathlib import Path

import aiohttp
import pytest
from conftest import CREDENTIALS, MockedApi, Scripted
from raw_server import STUDENT, STUDENT_ID, RawServer, answer, failure, page

from meitner_aio import ApiKey, ConfigurationError, Meitner, MeitnerError, OAuth2, Rate, RetryPolicy, Student
from meitner_aio.errors import APIConnectionError, APIStatusError, APITimeoutError, ResponseValidationError


async def test_a_get_sends_both_credential_headers_and_returns_the_record(scripted: Scripted) -> None:
    """The smallest call, end to end over a socket."""
    meitner, server = await scripted(answer())
    student = await meitner.students.get(STUDENT_ID)
    assert isinstance(student, Student)
    assert student.last_name == "Ek"
    [seen] = server.seen
    assert (seen.method, seen.target) == ("GET", f"/directory/v1/student/{STUDENT_ID}")
    assert (seen.headers["client-id"], seen.headers["client-secret"]) == CREDENTIALS
    assert re.fullmatch(r"meitner-aio/\d+\.\d+\.\d+\S*", seen.headers["user-agent"])
    assert seen.headers["accept-encoding"] == "gzip, deflate"


async def test_production_is_the_default_server(mocked: MockedApi) -> None:
    """A single call goes to the API's production server."""
    mocked.get(f"https://api.meitner.se/directory/v1/student/{STUDENT_ID}", payload=STUDENT)
    async with Meitner(*CREDENTIALS) as meitner:
        assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID


@pytest.mark.parametrize(
    ("options", "variable", "origin"),
    [
        ({"server": "staging"}, None, "https://api.staging.meitner.se"),
        ({}, "https://proxy.example/directory/v1/", "https://proxy.example"),
        ({"base_url": "https://mine.example/directory/v1"}, "https://proxy.example", "https://mine.example"),
        ({"server": "staging", "base_url": "https://mine.example/directory/v1"}, None, "https://mine.example"),
    ],
)
async def test_the_server_comes_from_base_url_then_environment_then_name(
    mocked: MockedApi, monkeypatch: pytest.MonkeyPatch, options: dict, variable: str | None, origin: str
) -> None:
    """`base_url` beats MEITNER_BASE_URL, which beats `server`."""
    for name, value in zip(("CLIENT_CREDENTIALS", "CLIENT_SECRET", "BASE_URL"), (*CREDENTIALS, variable), strict=True):
        if value:
            monkeypatch.setenv(f"MEITNER_{name}", value)
    mocked.get(f"{origin}/directory/v1/student/{STUDENT_ID}", payload=STUDENT)
    async with Meitner(**options) as meitner:
        await meitner.students.get(STUDENT_ID)


async def test_credentials_come_from_the_environment(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing passed: the two variables are used."""
    monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", "env-id")
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", "env-secret")
    meitner, server = await scripted(answer(), auth=None)
    await meitner.students.get(STUDENT_ID)
    assert server.seen[0].headers["client-id"] == "env-id"
    assert server.seen[0].headers["client-secret"] == "env-secret"


async def test_oauth_credentials_come_from_the_environment(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """MEITNER_CLIENT_ID instead of MEITNER_CLIENT_CREDENTIALS means OAuth2, at MEITNER_TOKEN_URL."""
    monkeypatch.setenv("MEITNER_CLIENT_ID", "env-id")
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", "env-secret")
    monkeypatch.setenv("MEITNER_TOKEN_URL", "/elsewhere/token")
    token = answer(200, {"access_token": "tok", "token_type": "Bearer", "expires_in": 3600})
    meitner, server = await scripted(token, answer(), auth=None)
    await meitner.students.get(STUDENT_ID)
    assert server.seen[0].target == "/elsewhere/token"
    assert server.seen[1].headers["authorization"] == "Bearer tok"


def test_missing_credentials_name_the_variables() -> None:
    """The error says what to set, at construction."""
    with pytest.raises(ConfigurationError) as caught:
        Meitner()
    for name in ("CLIENT_CREDENTIALS", "CLIENT_SECRET", "CLIENT_ID", "TOKEN_URL"):
        assert f"MEITNER_{name}" in str(caught.value)
    assert caught.value.missing_credentials


def test_other_mistakes_are_no_missing_credentials() -> None:
    """Credentials that are there and wrong are not reported as missing."""
    with pytest.raises(ConfigurationError) as caught:
        Meitner("no credentials", "x", server="test")
    assert not caught.value.missing_credentials


@pytest.mark.parametrize(
    "options",
    [
        {"client_credentials": "an-id"},
        {"client_credentials": "a b", "client_secret": "x"},
        {"client_credentials": "x", "client_secret": "line\r\nbreak"},
        {"client_credentials": "x", "client_secret": "lösen"},
        {"auth": ApiKey("a", "b"), "client_secret": "c"},
        {"auth": object()},
        {"server": "test"},
        {"base_url": "not a url"},
        {"base_url": "ftp://api.example"},
        {"base_url": "https://user:hunter2@api.example"},
        {"base_url": "https://api.example/?q=1"},
        {"base_url": "https://api.example/directory/v1#"},
        {"base_url": "https://api.example/directory/v1?"},
        {"base_url": "https://api.example\\directory"},
        {"base_url": "http://api.example/directory/v1"},
        {"base_url": "http://127.0.0.1.evil.example"},
        {"base_url": "https://[::1"},
        {"auth": OAuth2("a", "b", "http://tokens.example/oauth/token")},
    ],
)
def test_a_client_that_cannot_work_or_would_leak_is_not_built(options: dict) -> None:
    """A wrong server, credential or URL is a ConfigurationError that repeats no secret."""
    full = options if "auth" in options or "client_credentials" in options else {
        "client_credentials": "an-id", "client_secret": "a-secret", **options,
    }  # fmt: skip
    with pytest.raises(ConfigurationError) as caught:
        Meitner(**full)
    for secret in ("a-secret", "line", "lösen", "hunter2"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("headers", [{"X-A": "1\r\nEvil: 1"}, {"Bad Name": "1"}, {"X:": "1"}, {"X-A": "å"}])
def test_headers_that_could_smuggle_others_are_refused(headers: dict) -> None:
    """Header injection ends at construction."""
    with pytest.raises(ValueError, match="header"):
        Meitner(*CREDENTIALS, headers=headers)
    with pytest.raises(ValueError, match="header"):
        Meitner(*CREDENTIALS, user_agent="me\r\nEvil: 1")


async def test_own_headers_and_user_agent_are_sent_but_never_replace_credentials(scripted: Scripted) -> None:
    """`headers` are added to every request."""
    meitner, server = await scripted(answer(), headers={"X-Tenant": "t1", "Client-ID": "x"}, user_agent="report/2")
    await meitner.students.get(STUDENT_ID)
    assert "User-Agent" not in Meitner(*CREDENTIALS, headers={"user-agent": "x"})._options.headers
    seen = server.seen[0].headers
    assert (seen["x-tenant"], seen["user-agent"], seen["client-id"]) == ("t1", "report/2", CREDENTIALS[0])


@pytest.mark.parametrize(
    "option",
    [
        {"proxy": "http://127.0.0.1:1"},
        {"ssl": ssl.create_default_context()},
        {"trust_env": True},
        {"trace_configs": []},
    ],
)
async def test_a_session_excludes_connection_options(option: dict) -> None:
    """What the session decides cannot also be given."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TypeError, match=next(iter(option))):
            Meitner(*CREDENTIALS, session=session, **option)


async def test_an_injected_session_is_used_and_never_closed(scripted: Scripted) -> None:
    """The session stays the caller's: neither its headers nor its life change."""
    async with aiohttp.ClientSession(headers={"X-Session": "mine"}) as session:
        before = dict(session.headers)
        meitner, server = await scripted(answer(), session=session)
        await meitner.students.get(STUDENT_ID)
        await meitner.close()
        assert not session.closed
        assert dict(session.headers) == before
        assert server.seen[0].headers["x-session"] == "mine"


async def test_a_session_may_bring_its_own_address(scripted: Scripted) -> None:
    """What the client has no word for (a local address, a resolver, a unix socket), the session's connector has."""
    came_from: list[str] = []

    async def reply(writer: asyncio.StreamWriter) -> None:
        came_from.append(writer.get_extra_info("peername")[0])
        writer.write(answer())

    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        meitner, _ = await scripted(reply, session=session)
        await meitner.students.get(STUDENT_ID)
    assert came_from == ["127.0.0.2"]


async def test_a_session_that_its_owner_closed_is_named(scripted: Scripted) -> None:
    """Not `Session is closed` from inside aiohttp."""
    async with aiohttp.ClientSession() as session:
        meitner, _ = await scripted(answer(), session=session)
    with pytest.raises(MeitnerError, match="the session that this client was given is closed"):
        await meitner.students.get(STUDENT_ID)


async def test_a_proxy_carries_the_calls() -> None:
    """The one that is given."""
    async with RawServer([answer()]) as proxy:
        options: dict = {"proxy": proxy.origin}
        async with Meitner(*CREDENTIALS, base_url="http://127.0.0.1:9/directory/v1", **options) as meitner:
            await meitner.students.get(STUDENT_ID)
    assert [seen.target for seen in proxy.seen] == [f"http://127.0.0.1:9/directory/v1/student/{STUDENT_ID}"]


async def test_a_proxy_of_the_environment_gets_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `trust_env`: it learns the name of the server, and neither a credential nor a login of .netrc."""
    async with RawServer([failure(403)]) as proxy:
        monkeypatch.setenv("https_proxy", proxy.origin)
        monkeypatch.setenv("no_proxy", "")
        url = "https://directory.example/v1"
        async with Meitner(*CREDENTIALS, base_url=url, trust_env=True, max_retries=0) as meitner:
            with pytest.raises(APIConnectionError):
                await meitner.students.get(STUDENT_ID)
    assert [(seen.method, seen.target) for seen in proxy.seen] == [("CONNECT", "directory.example:443")]
    assert not {"client-id", "client-secret", "proxy-authorization"} & set(proxy.seen[0].headers)


@pytest.mark.parametrize("auth", [ApiKey(*CREDENTIALS), OAuth2(*CREDENTIALS)], ids=["key", "oauth"])
async def test_no_environment_sends_plain_http_elsewhere(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, auth: ApiKey | OAuth2
) -> None:
    """Trusted or not: what may go to this machine in the clear goes to no proxy, and has no login of .netrc."""
    (tmp_path / "netrc").write_text("default login somebody password netrc-canary\n")
    (tmp_path / "netrc").chmod(0o600)
    token = answer(200, {"access_token": "tok", "token_type": "Bearer", "expires_in": 3600})
    async with RawServer([answer()]) as proxy:
        for name, value in {"NETRC": str(tmp_path / "netrc"), "http_proxy": proxy.origin, "no_proxy": ""}.items():
            monkeypatch.setenv(name, value)
        replies = [token, answer()] if isinstance(auth, OAuth2) else [answer()]
        meitner, server = await scripted(*replies, auth=auth, trust_env=True)
        await meitner.students.get(STUDENT_ID)
    assert proxy.seen == []
    sent = [seen.headers.get("authorization") for seen in server.seen]
    assert sent == ([None, "Bearer tok"] if isinstance(auth, OAuth2) else [None])


@pytest.mark.parametrize("proxy", ["http://proxy.example:3128", "http://user:proxy-canary@10.0.0.1:3128"])
async def test_no_proxy_elsewhere_carries_plain_http(proxy: str) -> None:
    """What may stay in the clear on this machine leaves it in the clear by no proxy either; nor does a token request."""
    with pytest.raises(ConfigurationError, match="in the clear") as refused:
        Meitner(*CREDENTIALS, base_url="http://127.0.0.1:9", proxy=proxy)
    assert "canary" not in str(refused.value)
    auth = OAuth2(*CREDENTIALS, "http://127.0.0.1:9/token")
    async with Meitner(auth=auth, base_url="https://directory.example", proxy=proxy) as meitner:
        with pytest.raises(ConfigurationError, match="in the clear"):
            await meitner.students.get(STUDENT_ID)


def _context(**changes: object) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for name, value in changes.items():
        setattr(context, name, value)
    return context


@pytest.mark.parametrize(
    "context",
    [
        False,
        True,
        "certificate.pem",
        _context(check_hostname=False, verify_mode=ssl.CERT_NONE),
        _context(check_hostname=False),
    ],
    ids=["False", "True", "path", "no certificate", "no host name"],
)
def test_no_server_need_not_prove_who_it_is(context: object) -> None:
    """`ssl` takes a context that checks certificates and host names, and nothing else."""
    with pytest.raises(ConfigurationError, match="ssl must"):
        Meitner(*CREDENTIALS, ssl=context)  # type: ignore[arg-type]
    assert repr(Meitner(*CREDENTIALS, ssl=ssl.create_default_context()))


async def test_the_environment_is_not_trusted_unasked(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment is not used by default: credentials go where the client was told."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    meitner, server = await scripted(answer())
    await meitner.students.get(STUDENT_ID)
    assert len(server.seen) == 1


async def test_trace_configs_see_every_request(scripted: Scripted) -> None:
    """For whoever measures inside aiohttp."""
    traced: list[str] = []
    trace = aiohttp.TraceConfig()

    async def begins(_: object, __: object, about: aiohttp.TraceRequestStartParams) -> None:
        traced.append(about.method)

    trace.on_request_start.append(begins)
    meitner, _ = await scripted(answer(), trace_configs=[trace])
    await meitner.students.get(STUDENT_ID)
    await meitner.students.delete(STUDENT_ID)
    assert traced == ["GET", "DELETE"]


def test_the_constructor_takes_what_the_contract_says() -> None:
    """Two positional credentials, the rest by keyword."""
    parameters = inspect.signature(Meitner).parameters
    assert list(parameters) == [
        *("client_credentials", "client_secret", "auth", "server", "base_url", "timeout", "max_retries", "retry"),
        *("rate", "quota", "quota_store", "max_concurrency", "session", "headers", "proxy", "ssl", "trust_env"),
        *("trace_configs", "logger", "on_event", "user_agent", "offline", "profile", "insecure"),
    ]
    positional = [name for name, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert positional == ["client_credentials", "client_secret"]
    assert (parameters["timeout"].default, parameters["max_retries"].default) == (60.0, 2)
    assert parameters["max_concurrency"].default == 8


async def test_the_session_is_made_by_the_first_call(scripted: Scripted) -> None:
    """A client that is never used opens nothing, and closing it closes nothing."""
    meitner, server = await scripted(answer())
    assert meitner._core.transport._sessions == {}
    await meitner.students.get(STUDENT_ID)
    assert len(meitner._core.transport._sessions) == 1
    assert len(server.seen) == 1
    unused = Meitner(*CREDENTIALS)
    await unused.close()


async def test_the_quota_is_that_of_the_last_answer(scripted: Scripted) -> None:
    """None before the first."""
    told = {"RateLimit-Limit": "5000", "RateLimit-Remaining": "4321", "RateLimit-Reset": "3600"}
    meitner, _ = await scripted(answer(headers={"Date": "Sat, 21 Nov 2026 10:00:00 GMT", **told}))
    assert meitner.quota is None
    await meitner.students.get(STUDENT_ID)
    assert (meitner.quota.limit, meitner.quota.remaining) == (5000, 4321)


async def test_an_injected_session_bounds_the_requests_in_flight() -> None:
    """No request waits inside aiohttp, where its timeout would run: the rate limiter is no wider than the pool."""
    hold, arrived = asyncio.Event(), 0

    async def slow(writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        await hold.wait()
        writer.write(answer())

    pool = aiohttp.TCPConnector(limit=2)
    async with RawServer([answer(), slow]) as server, aiohttp.ClientSession(connector=pool) as session:
        meitner = Meitner(*CREDENTIALS, base_url=server.url, session=session, max_concurrency=8, timeout=5)
        await meitner.students.get(STUDENT_ID)  # until the first answer one request is in flight anyway
        calls = [asyncio.create_task(meitner.students.get(STUDENT_ID)) for _ in range(6)]
        while arrived < 2:
            await asyncio.sleep(0)
        assert session.connector is not None
        assert not session.connector._waiters
        hold.set()
        await asyncio.gather(*calls)


def test_a_client_may_be_built_before_the_loop_runs() -> None:
    """The session is made lazily, in the loop that makes the first call."""
    meitner = Meitner(*CREDENTIALS)

    async def use() -> None:
        async with RawServer([answer()]) as server:
            other = Meitner(*CREDENTIALS, base_url=server.url)
            async with other:
                assert (await other.students.get(STUDENT_ID)).id == STUDENT_ID
        await meitner.close()

    asyncio.run(use())


def test_use_from_another_loop_says_so() -> None:
    """Never `Event loop is closed`: a clear MeitnerError."""
    meitner = Meitner.sandbox(students=3, schools=1)

    async def use() -> int:
        return await meitner.students.list().count()

    assert asyncio.run(use()) == 3
    with pytest.raises(MeitnerError, match="another event loop"):
        asyncio.run(use())


async def test_after_close_every_call_is_refused(scripted: Scripted) -> None:
    """close and aclose are the same, idempotent, and final."""
    meitner, server = await scripted(answer())
    await meitner.students.get(STUDENT_ID)
    await meitner.aclose()
    await meitner.close()
    assert "closed" in repr(meitner)
    with pytest.raises(MeitnerError, match="closed"):
        await meitner.students.get(STUDENT_ID)
    with pytest.raises(MeitnerError, match="closed"):
        async with meitner:
            pass
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", ["get", "create", "update", "delete"])
async def test_a_redirect_is_an_error_and_is_never_followed(scripted: Scripted, status: int, call: str) -> None:
    """Neither credentials nor bodies ever reach a second origin."""
    async with RawServer([answer()]) as second:
        meitner, server = await scripted(
            answer(status, headers={"Location": f"{second.url}/student/{STUDENT_ID}"}, body=b"")
        )
        fields = {"identity_number": "20150101-0000", "first_name": "Bo", "last_name": "Ek"}
        calls = {
            "get": lambda: meitner.students.get(STUDENT_ID),
            "create": lambda: meitner.students.create(**fields),
            "update": lambda: meitner.students.update(STUDENT_ID, **fields),
            "delete": lambda: meitner.students.delete(STUDENT_ID),
        }
        with pytest.raises(APIStatusError, match="redirect") as caught:
            await calls[call]()
        assert caught.value.status_code == status
        assert second.seen == []
        assert second.connections == 0
        assert len(server.seen) == 1


async def test_cookies_are_never_stored(scripted: Scripted) -> None:
    """A cookie set by an answer is not sent back."""
    meitner, server = await scripted(answer(headers={"Set-Cookie": "track=1; Path=/"}))
    await meitner.students.get(STUDENT_ID)
    await meitner.students.get(STUDENT_ID)
    assert "cookie" not in server.seen[1].headers
    assert server.connections == 1


async def test_a_timeout_ends_an_attempt_and_is_retried(scripted: Scripted) -> None:
    """`timeout` is for one attempt; afterwards APITimeoutError, itself an APIConnectionError."""

    async def silence(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    meitner, server = await scripted(silence, timeout=0.05)
    with pytest.raises(APITimeoutError) as caught:
        await meitner.students.get(STUDENT_ID)
    assert caught.value.attempts == len(server.seen) == 3
    assert isinstance(caught.value, APIConnectionError)


async def test_a_timeout_may_be_aiohttps_own(scripted: Scripted) -> None:
    """A ClientTimeout is used as it is."""

    async def silence(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    meitner, _ = await scripted(silence, timeout=aiohttp.ClientTimeout(sock_read=0.05), max_retries=0, retry=None)
    with pytest.raises(APITimeoutError):
        await meitner.students.get(STUDENT_ID)


async def test_waiting_for_a_slot_is_not_part_of_the_timeout() -> None:
    """With one slot and slow answers every call gets its full time."""

    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.06)
        writer.write(answer())

    async with (
        RawServer([slow]) as server,
        Meitner(*CREDENTIALS, base_url=server.url, timeout=0.15, max_concurrency=1, max_retries=0) as meitner,
    ):
        got = await asyncio.gather(*(meitner.students.get(STUDENT_ID) for _ in range(5)))
    assert len(got) == 5


_BROKEN = {
    "cut before the answer": None,
    "garbage": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "bad status line": b"HTTP/1.1 abc X\r\n\r\n",
    "cut within the body": b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{",
    "bad chunk": b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx",
    "bad gzip": b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
}


@pytest.mark.parametrize("name", _BROKEN)
async def test_a_broken_answer_is_our_own_error_and_shows_nothing_foreign(scripted: Scripted, name: str) -> None:
    """No aiohttp exception escapes, not even as a cause or context."""
    reply = _BROKEN[name]

    async def and_cut(writer: asyncio.StreamWriter) -> None:
        writer.write(reply or b"")
        await writer.drain()
        writer.close()

    meitner, _ = await scripted(and_cut if reply else None)
    with pytest.raises((APIConnectionError, ResponseValidationError)) as caught:
        await meitner.students.get(STUDENT_ID)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "a-secret" not in repr(vars(caught.value))


async def test_no_server_is_a_connection_error_that_was_never_sent() -> None:
    """A refused connection names the kind of failure and the errno."""
    async with RawServer([answer()]) as server:
        url = server.url
    async with Meitner(*CREDENTIALS, base_url=url, max_retries=0) as meitner:
        with pytest.raises(APIConnectionError, match="errno") as caught:
            await meitner.students.get(STUDENT_ID)
    assert caught.value.sent is False
    assert (caught.value.method, caught.value.route) == ("GET", "/student/{id}")


async def test_a_body_that_inflates_without_end_is_cut_off(scripted: Scripted) -> None:
    """A gzip bomb is refused at the cap of decompressed bytes."""
    import zlib

    squeezed = zlib.compressobj(wbits=31)
    bomb = b"".join(squeezed.compress(bytes(1024 * 1024)) for _ in range(200)) + squeezed.flush()
    meitner, _ = await scripted(answer(headers={"Content-Encoding": "gzip"}, body=bomb))
    with pytest.raises(ResponseValidationError, match="more than"):
        await meitner.students.get(STUDENT_ID)


async def test_writes_send_only_what_was_given(scripted: Scripted) -> None:
    """Unset is not sent, None is null, and no default travels by itself."""
    meitner, server = await scripted(answer(201))
    await meitner.students.create(identity_number="20150101-0000", first_name="Bo", last_name="Ek", email_address1=None)
    assert json.loads(server.seen[0].body) == {
        "identityNumber": "20150101-0000",
        "firstName": "Bo",
        "lastName": "Ek",
        "emailAddress1": None,
    }
    assert server.seen[0].headers["content-type"] == "application/json"


async def test_a_delete_returns_none(scripted: Scripted) -> None:
    """204 has no body."""
    meitner, _ = await scripted(b"HTTP/1.1 204 X\r\n\r\n")
    assert await meitner.students.delete(STUDENT_ID) is None


async def test_a_listing_reads_every_page_over_a_socket(scripted: Scripted) -> None:
    """Pages follow each other by the limit that the server reports."""
    rows = [{**STUDENT, "id": f"{i:08d}-0000-4000-8000-000000000000"} for i in range(5)]
    meitner, server = await scripted(
        page(rows[:2], limit=2, total=5),
        page(rows[2:4], offset=2, limit=2, total=5),
        page(rows[4:], offset=4, limit=2, total=5),
    )
    got = [student.id async for student in meitner.students.list(limit=100, concurrency=1)]
    assert got == [row["id"] for row in rows]
    assert [seen.target.partition("?")[2] for seen in server.seen] == [
        "limit=100&offset=0",
        "limit=2&offset=2",
        "limit=2&offset=4",
    ]


@pytest.mark.parametrize("what", [ApiKey("id-canary", "secret-canary"), OAuth2("id-canary", "secret-canary")])
def test_nothing_shows_a_secret(what: object) -> None:
    """Neither repr nor str nor vars of auth objects and clients."""
    meitner = Meitner(auth=what)  # type: ignore[arg-type]
    for shown in (repr(what), str(what), repr(meitner), repr(vars(meitner)), f"{what}"):
        assert "canary" not in shown


def test_a_secret_cannot_be_pickled() -> None:
    """Credentials do not travel to other processes by accident."""
    import copy

    with pytest.raises(TypeError):
        pickle.dumps(ApiKey("a", "b"))
    with pytest.raises(TypeError):
        copy.deepcopy(ApiKey("a", "b"))
    for client in (Meitner(*CREDENTIALS), Meitner(auth=OAuth2("a", "b")), Meitner.sandbox(students=1, schools=1)):
        with pytest.raises(TypeError):
            pickle.dumps(client)
        with pytest.raises(TypeError):
            copy.deepcopy(client)


async def test_any_object_with_async_headers_is_auth(scripted: Scripted) -> None:
    """A gateway's own scheme needs three lines."""

    class Gateway:
        async def headers(self) -> dict[str, str]:
            return {"X-Gateway": "yes"}

    meitner, server = await scripted(answer(), auth=Gateway())
    await meitner.students.get(STUDENT_ID)
    assert server.seen[0].headers["x-gateway"] == "yes"
    assert "client-id" not in server.seen[0].headers


@pytest.mark.parametrize(
    "build",
    [
        lambda: Rate(per_second=0),
        lambda: Rate(per_second=1, burst=0),
        lambda: RetryPolicy(max_retries=-1),
        lambda: RetryPolicy(exponent=0.5),
        lambda: RetryPolicy(deadline=0),
        lambda: Meitner(*CREDENTIALS, max_concurrency=0),
    ],
)
def test_numbers_that_mean_nothing_are_refused(build: object) -> None:
    """A policy that cannot hold is a ValueError at once."""
    with pytest.raises(ValueError, match="must"):
        build()  # type: ignore[operator]


async def test_a_rate_smooths_requests(scripted: Scripted) -> None:
    """The local bucket admits the burst and no more until it refills."""
    meitner, server = await scripted(answer(), rate=Rate(per_second=0.001, burst=3), max_concurrency=8)
    calls = [asyncio.create_task(meitner.students.get(STUDENT_ID)) for _ in range(5)]
    done, waiting = await asyncio.wait(calls, timeout=0.3)
    for call in waiting:
        call.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert len(done) == len(server.seen) == 3


async def test_a_client_that_was_closed_leaves_nothing_behind(scripted: Scripted) -> None:
    """No task and no warning after close."""
    before = asyncio.all_tasks()
    meitner, _ = await scripted(failure(500), answer())
    await meitner.students.get(STUDENT_ID)
    await meitner.close()
    del meitner
    gc.collect()
    await asyncio.sleep(0)
    assert {task for task in asyncio.all_tasks() - before if "RawServer" not in repr(task)} == set()
