"""Bearer tokens: fetched once, renewed early, replaced when refused, and never shown."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any
from urllib.parse import parse_qs

import pytest
import virtual_time
from conftest import Scripted
from msgspec.structs import replace
from raw_server import STUDENT_ID, RawServer, answer, failure

from meitner_aio import (
    AmbiguousWriteError,
    APIConnectionError,
    ApiKey,
    APIStatusError,
    AuthenticationError,
    InternalServerError,
    Meitner,
    MeitnerError,
    NotFoundError,
    OAuth2,
    ResponseValidationError,
    RetryPolicy,
)
from meitner_aio._pipeline.authentication import Authenticated, BearerAuth
from meitner_aio._pipeline.core import Core
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._wire.messages import Headers, RawResponse, Request

AUTH = OAuth2("client-canary", "secret-canary")


def _token(value: str = "tok", **more: object) -> bytes:
    return answer(200, {"access_token": value, "token_type": "Bearer", "expires_in": 3600, **more})


class Issuer:
    """A token endpoint as a `Send`, with a clock that moves by hand."""

    def __init__(self, lifetime: object = 3600, jitter: float = 1.0) -> None:
        self.now, self.calls, self.lifetime, self.broken = 0.0, 0, lifetime, False
        self.auth = BearerAuth(
            AUTH, self.send, "https://api.example/oauth/token", clock=lambda: self.now, uniform=lambda *_: jitter
        )

    async def send(self, request: Request) -> RawResponse:
        self.calls += 1
        assert "canary" not in repr(request)
        await asyncio.sleep(0)
        if self.broken:
            raise InternalServerError("no", status_code=503)
        body = f'{{"access_token":"tok{self.calls}","token_type":"bearer","expires_in":{self.lifetime}}}'
        return RawResponse(200, Headers(), body.encode())

    async def token(self) -> str:
        return (await self.auth.headers())["Authorization"].removeprefix("Bearer ")

    async def after_an_answer(self) -> str:
        """Return the token that calls use once one of them was answered and what that began is over."""
        self.auth.freshen()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await self.token()


async def test_one_token_request_serves_every_call(scripted: Scripted) -> None:
    """64 calls at once fetch one token, with the form of RFC 6749, 4.4."""
    meitner, server = await scripted(_token(), answer(), auth=AUTH)
    await asyncio.gather(*(meitner.students.get(STUDENT_ID) for _ in range(64)))
    token_calls = [seen for seen in server.seen if seen.target == "/oauth/token"]
    assert len(token_calls) == 1
    assert parse_qs(token_calls[0].body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["client-canary"],
        "client_secret": ["secret-canary"],
    }
    assert token_calls[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in token_calls[0].headers
    assert {seen.headers["authorization"] for seen in server.seen[1:]} == {"Bearer tok"}


@pytest.mark.parametrize(
    ("lifetime", "jitter", "fresh", "stale"),
    [
        (3600, 1.0, 3239, 3241),
        (3600, 1.1, 3203, 3205),
        (100, 1.0, 49, 51),
        (100, 1.1, 44, 46),
        ("null", 1.0, 239, 241),
        (-5, 1.0, 239, 241),
        ('"3600"', 1.0, 3239, 3241),
        ('" 3600.0 "', 1.0, 3239, 3241),
        ("3.6e3", 1.0, 3239, 3241),
        ('"3.6e3"', 1.0, 3239, 3241),
        *(
            (junk, 1.0, 239, 241)
            for junk in ('""', '"soon"', '"-5"', '"nan"', '"inf"', '"1_000"', '"0x10"', '"0"', '"1e400"')
        ),
        *((junk, 1.0, 239, 241) for junk in ("1e400", "true", "[3600]", '{"seconds":3600}', "0", '"\u0663"')),
    ],
)
async def test_a_token_is_renewed_before_it_expires(
    lifetime: object, jitter: float, fresh: float, stale: float
) -> None:
    """A tenth of the lifetime early, at least a minute, and up to a tenth of that more.

    Some servers write the number as text; no lifetime, and junk in its place, is five minutes.
    """
    issuer = Issuer(lifetime, jitter)
    assert await issuer.token() == "tok1"
    issuer.now = fresh
    assert await issuer.after_an_answer() == "tok1"
    issuer.now = stale
    assert await issuer.token() == "tok1"  # nobody waits for the renewal
    assert await issuer.after_an_answer() == "tok2"


def test_the_jitter_of_clients_that_began_together_differs() -> None:
    """Without it, a hundred processes would renew in the same second."""

    async def renewed_at() -> float:
        issuer = Issuer()
        issuer.auth = BearerAuth(AUTH, issuer.send, "/token")
        await issuer.auth.headers()
        assert issuer.auth._token is not None
        return issuer.auth._token.stale_at

    moments = [virtual_time.run(renewed_at()) for _ in range(50)]
    assert len(set(moments)) > 40
    assert all(3204 <= moment <= 3241 for moment in moments)


async def test_a_token_that_has_expired_is_not_used() -> None:
    """Then calls wait for the next one."""
    issuer = Issuer()
    assert await issuer.token() == "tok1"
    issuer.now = 3600
    assert await issuer.token() == "tok2"


async def test_a_renewal_that_fails_is_not_noticed_while_the_token_is_good() -> None:
    """It is tried again ten seconds later, not by every call; an expired token needs the endpoint."""
    issuer = Issuer()
    await issuer.token()
    issuer.now, issuer.broken = 3300.0, True
    assert {await issuer.after_an_answer() for _ in range(9)} == {"tok1"}
    assert issuer.calls == 2
    issuer.now = 3311.0
    assert await issuer.after_an_answer() == "tok1"
    assert issuer.calls == 3
    issuer.now = 3601.0
    with pytest.raises(InternalServerError):
        await issuer.token()
    issuer.broken = False
    assert await issuer.token() == "tok5"


class Tenant:
    """A directory with tokens, in virtual time: what is down, how long a token lives, and what was asked when."""

    def __init__(self, lifetime: float = 3600.0) -> None:
        self.lifetime, self.down, self.refusing = lifetime, (0.0, 0.0), False
        self.tokens: list[float] = []
        self.calls: list[str] = []

    async def send(self, request: Request) -> RawResponse:
        await asyncio.sleep(0.05)
        now = asyncio.get_running_loop().time()
        if request.operation != "token":
            return self._answer(request, now)
        if self.down[0] <= now < self.down[1]:
            return RawResponse(503, Headers(), b"")
        self.tokens.append(now)
        body = f'{{"access_token":"t{len(self.tokens)}","expires_in":{self.lifetime}}}'
        return RawResponse(200, Headers(), body.encode())

    def _answer(self, request: Request, now: float) -> RawResponse:
        token = request.headers["Authorization"].removeprefix("Bearer t")
        self.calls.append(token)
        good = not self.refusing and now < self.tokens[int(token) - 1] + self.lifetime
        return RawResponse(200 if good else 401, Headers(), b"")

    async def close(self) -> None: ...

    def client(self) -> Meitner:
        """Return a client of this tenant with the usual options."""
        meitner = Meitner.sandbox(students=1, schools=1)
        options = meitner._options
        meitner._join(Core("https://api.example/v1", self, AUTH, RateLimiter(8), options), options)
        return meitner


async def _all(meitner: Meitner, count: int = 64) -> None:
    await asyncio.gather(*(meitner.request("GET", "/student") for _ in range(count)))


def test_sixty_four_calls_at_the_expiry_take_one_token() -> None:
    """The token expires with all of them in flight: one token call, no failed call."""
    tenant = Tenant(lifetime=600.0)

    async def main() -> None:
        meitner = tenant.client()
        await _all(meitner)
        await asyncio.sleep(599.96 - asyncio.get_running_loop().time() + tenant.tokens[0])
        await _all(meitner)  # signed with a token that is good for 40 ms more

    virtual_time.run(main())
    assert len(tenant.tokens) == 2


def test_a_day_takes_a_token_call_an_hour() -> None:
    """24 hours, a call a minute: tokens are renewed while calls go on, and none is refused."""
    tenant = Tenant()

    async def main() -> None:
        meitner = tenant.client()
        for _ in range(24 * 60):
            await meitner.request("GET", "/student")
            await asyncio.sleep(60.0)

    virtual_time.run(main())
    assert 24 <= len(tenant.tokens) <= 28  # each lives ten percent less than it could
    assert len(tenant.calls) == 24 * 60


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("begins", [0.0, 595.0])
def test_a_token_endpoint_that_is_down_for_five_seconds_is_survived(begins: float, seed: int) -> None:
    """At the first token and at the expiry: no failed call, whatever the jitter."""
    tenant = Tenant(lifetime=600.0)
    tenant.down = (begins, begins + 5.0)

    async def main() -> None:
        random.seed(seed)
        meitner = tenant.client()
        if begins:
            await _all(meitner)
            await asyncio.sleep(599.96)
        await _all(meitner)

    virtual_time.run(main())
    assert len(tenant.tokens) == 1 + bool(begins)


def test_tokens_that_are_refused_are_renewed_once_and_raise() -> None:
    """64 calls whose good-looking tokens are refused: one more token call, then each raises."""
    tenant = Tenant()

    async def main() -> None:
        meitner = tenant.client()
        await _all(meitner, 1)
        tenant.refusing = True
        calls = (meitner.request("GET", "/student") for _ in range(64))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, AuthenticationError) for result in results)

    virtual_time.run(main())
    assert len(tenant.tokens) == 2
    assert len(tenant.calls) <= 1 + 64 + 8  # those in flight together are sent again, the others had the new token


def test_cancelled_calls_leave_the_token_to_the_others() -> None:
    """63 of 64 waiters give up, the first one too: the last gets the token that the first asked for."""
    tenant = Tenant()

    async def main() -> None:
        meitner = tenant.client()
        calls = [asyncio.create_task(meitner.request("GET", "/student")) for _ in range(64)]
        await asyncio.sleep(0.01)
        for call in calls[:-1]:
            call.cancel()
        assert (await calls[-1]).status == 200

    virtual_time.run(main())
    assert len(tenant.tokens) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_token_request_is_never_redirected(scripted: Scripted, status: int) -> None:
    """The form with the secret stays on the host that was configured."""
    async with RawServer([_token()]) as second:
        redirect = answer(status, headers={"Location": f"{second.origin}/oauth/token"}, body=b"")
        meitner, server = await scripted(redirect, auth=AUTH)
        with pytest.raises(APIStatusError, match="redirect"):
            await meitner.students.get(STUDENT_ID)
        assert len(server.seen) == 1
        assert second.connections == 0


async def test_a_caller_that_gives_up_leaves_the_token_to_the_others() -> None:
    """The token request is nobody's own: cancelling one waiter does not cancel it."""
    issuer = Issuer()
    first, second = asyncio.create_task(issuer.token()), asyncio.create_task(issuer.token())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "tok1"
    assert issuer.calls == 1


async def test_a_refused_token_is_replaced_once(scripted: Scripted) -> None:
    """401 with a token that looked good: one new token, one replay."""
    meitner, server = await scripted(_token("old"), failure(401, "Unauthorized"), _token("new"), answer(), auth=AUTH)
    with meitner.capture() as seen:
        assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID
    assert [sent.headers.get("authorization") for sent in server.seen] == [None, "Bearer old", None, "Bearer new"]
    assert seen[0].attempts == 2


async def test_a_refused_token_is_no_failure_that_was_retried(scripted: Scripted) -> None:
    """Also without retries; and a delete that was refused for its token was not done: 404 is 404."""
    meitner, server = await scripted(
        _token("old"),
        failure(401, "Unauthorized"),
        _token("new"),
        failure(404, "Not found"),
        auth=AUTH,
        max_retries=0,
    )
    with pytest.raises(NotFoundError) as caught:
        await meitner.students.delete(STUDENT_ID)
    assert caught.value.attempts == 2
    assert len(server.seen) == 4


async def test_a_second_refusal_is_raised_and_never_loops(scripted: Scripted) -> None:
    """Two tokens refused: AuthenticationError after four requests."""
    meitner, server = await scripted(
        _token("old"), failure(401, "Unauthorized"), _token("new"), failure(401, "Unauthorized"), auth=AUTH
    )
    with pytest.raises(AuthenticationError):
        await meitner.students.get(STUDENT_ID)
    assert len(server.seen) == 4


async def test_calls_refused_together_fetch_one_new_token() -> None:
    """Whoever comes second finds the newer token."""
    issuer = Issuer()
    refused = Request("get", "GET", "/x", "/x", headers={"X-A": "1", **await issuer.auth.headers()})
    renewed = await asyncio.gather(*(issuer.auth.renew(refused) for _ in range(10)))
    assert {headers["Authorization"] for headers in renewed} == {"Bearer tok2"}
    assert await issuer.auth.renew(refused) == renewed[0]
    assert issuer.calls == 2


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_refused_client_credentials_are_an_authentication_error(scripted: Scripted, status: int) -> None:
    """The endpoint's no is final and shows no secret."""
    meitner, server = await scripted(answer(status, {"error": "invalid_client"}), auth=AUTH)
    with pytest.raises(AuthenticationError, match="refused the credentials") as caught:
        await meitner.students.get(STUDENT_ID)
    assert "canary" not in f"{caught.value!r} {vars(caught.value)}"
    assert len(server.seen) == 1


async def test_a_token_endpoint_that_is_down_is_tried_again(scripted: Scripted) -> None:
    """503 twice, then a token."""
    meitner, server = await scripted(failure(503), failure(503), _token(), answer(), auth=AUTH)
    await meitner.students.get(STUDENT_ID)
    assert len(server.seen) == 4


async def test_a_token_endpoint_that_stays_down_raises_its_error(scripted: Scripted) -> None:
    """Every waiting caller gets the error, after six attempts that all of them share."""
    meitner, server = await scripted(failure(500), auth=AUTH)
    results = await asyncio.gather(*(meitner.students.get(STUDENT_ID) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(result, InternalServerError) for result in results)
    assert len(server.seen) == 6


async def test_a_client_that_shall_not_retry_does_not_retry_for_a_token(scripted: Scripted) -> None:
    """max_retries=0 means one request."""
    meitner, server = await scripted(failure(503), auth=AUTH, retry=None, max_retries=0)
    with pytest.raises(InternalServerError):
        await meitner.students.get(STUDENT_ID)
    assert len(server.seen) == 1


async def test_an_unreachable_token_endpoint_is_not_retried_twice_over(scripted: Scripted) -> None:
    """Six attempts in all, and a create that never left is not ambiguous."""
    meitner, server = await scripted(None, auth=AUTH)
    with pytest.raises(APIConnectionError) as caught:
        await meitner.units.create(title="Norr")
    assert len(server.seen) == caught.value.attempts == 6


@pytest.mark.parametrize("reply", [answer(200, body=b"<html>"), answer(500), None, failure(429), answer(302)])
async def test_a_create_without_a_token_never_left(scripted: Scripted, reply: bytes | None) -> None:
    """Whatever the token endpoint says: the create is not ambiguous, and a lost token request is not a lost create."""
    meitner, server = await scripted(reply, auth=AUTH)
    with pytest.raises(MeitnerError) as caught:
        await meitner.units.create(title="Norr")
    assert not isinstance(caught.value, AmbiguousWriteError)
    assert caught.value.route == "token endpoint"
    assert {seen.target for seen in server.seen} == {"/oauth/token"}


async def test_credentials_are_added_to_a_request_and_nothing_is_lost() -> None:
    """What a page may do at the rate limiter, how it is read and what it asks for stay as they are; credentials beat headers."""
    seen: list[Request] = []

    async def send(request: Request) -> RawResponse:
        seen.append(request)
        return RawResponse(200, Headers(), b"")

    asked = Request(
        "list",
        "GET",
        "/unit",
        "/unit",
        "limit=1",
        b"{}",
        "text/x",
        {"X-A": "2", "Client-ID": "x"},
        None,
        bulk=True,
        reader=print,
    )
    await Authenticated(send, ApiKey("a", "b"), {"X-A": "1", "X-B": "1"}, 7.0).send(asked)
    [signed] = seen
    assert signed.headers == {"X-A": "2", "X-B": "1", "Client-ID": "a", "Client-Secret": "b"}
    assert signed.timeout == 7.0
    assert replace(signed, headers=asked.headers, timeout=None) == asked


async def test_what_an_auth_object_of_the_callers_raises_is_the_callers(scripted: Scripted) -> None:
    """It is neither retried nor translated."""

    class Vault:
        async def headers(self) -> dict[str, str]:
            raise TimeoutError("the vault is shut")

    meitner, server = await scripted(answer(), auth=Vault(), retry=RetryPolicy(deadline=60.0))
    with pytest.raises(TimeoutError, match="vault"):
        await meitner.students.get(STUDENT_ID)
    assert not server.seen


async def test_a_gateway_before_the_api_gets_its_headers_with_the_token_request_too(scripted: Scripted) -> None:
    """The usual token URL is on the API's own host."""
    meitner, server = await scripted(_token(), answer(), auth=AUTH, headers={"X-Gateway-Key": "g"})
    await meitner.students.get(STUDENT_ID)
    assert [seen.headers["x-gateway-key"] for seen in server.seen] == ["g", "g"]


@pytest.mark.parametrize(
    ("proof", "error"),
    [
        ({"X-A": "1\r\nEvil: 1"}, ValueError),
        ({"X A": "1"}, ValueError),
        ({"X-A": "å"}, ValueError),
        ({"X-A": 1}, TypeError),
        ({1: "1"}, TypeError),
    ],
)
async def test_headers_of_an_auth_object_that_could_smuggle_others_never_leave(
    scripted: Scripted, proof: dict[Any, Any], error: type[Exception]
) -> None:
    """Checked for every call, before any connection; the value is not repeated."""

    class Own:
        async def headers(self) -> dict[str, str]:
            return proof

    meitner, server = await scripted(answer(), auth=Own())
    with pytest.raises(error, match="header") as caught:
        await meitner.students.get(STUDENT_ID)
    assert "Evil" not in str(caught.value)
    assert server.connections == 0


async def test_credentials_replace_a_header_of_any_case() -> None:
    """`client-id` beside `Client-ID` would leave the choice to the server."""
    seen: list[Request] = []

    async def send(request: Request) -> RawResponse:
        seen.append(request)
        return RawResponse(200, Headers(), b"")

    await Authenticated(send, ApiKey("a", "b"), {"client-id": "x", "CLIENT-SECRET": "y", "x-z": "1"}, 7.0).send(
        Request("get", "GET", "/x", "/x")
    )
    assert seen[0].headers == {"x-z": "1", "Client-ID": "a", "Client-Secret": "b"}


@pytest.mark.parametrize(
    "reply", [answer(200, body=b"<html>"), _token(token_type="mac"), _token("a b"), answer(200, {"token": "x"})]
)
async def test_what_is_no_bearer_token_is_refused(scripted: Scripted, reply: bytes) -> None:
    """Junk never becomes a header."""
    meitner, _ = await scripted(reply, auth=AUTH)
    with pytest.raises((ResponseValidationError, AuthenticationError)):
        await meitner.students.get(STUDENT_ID)


async def test_a_lifetime_that_is_text_fails_no_call() -> None:
    """Over a socket, from a server that writes every value as text."""
    served: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                served.append(head.split(" ")[1])
                length = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
                await reader.readexactly(int(length[0].partition(":")[2]) if length else 0)
                token = b'{"access_token":"tok","token_type":"Bearer","expires_in":"3600"}'
                student = b'{"id":"%s","identityNumber":"1","firstName":"Bo","lastName":"Ek"}' % STUDENT_ID.encode()
                body = token if served[-1] == "/oauth/token" else student
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/directory/v1"
        async with Meitner(auth=AUTH, base_url=url) as meitner:
            for _ in range(3):
                assert (await meitner.students.get(STUDENT_ID)).first_name == "Bo"
    assert served == ["/oauth/token", *[f"/directory/v1/student/{STUDENT_ID}"] * 3]


async def test_a_token_url_may_name_its_own_server(scripted: Scripted) -> None:
    """An absolute token URL is used as it is; that server gets the form and no header that users added."""
    tokens, issuer = await scripted(_token())
    own = {"X-Gateway-Key": "canary"}
    meitner, server = await scripted(answer(), auth=OAuth2("a", "b", f"{issuer.origin}/token"), headers=own)
    await meitner.students.get(STUDENT_ID)
    assert [seen.target for seen in issuer.seen] == ["/token"]
    assert "x-gateway-key" not in issuer.seen[0].headers
    assert issuer.seen[0].headers["user-agent"].startswith("meitner-aio/")
    assert server.seen[0].headers["x-gateway-key"] == "canary"
    assert server.seen[0].headers["authorization"] == "Bearer tok"
    await tokens.close()


async def test_closing_stops_a_token_request_under_way(scripted: Scripted) -> None:
    """No task outlives the client."""

    async def silence(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    meitner, server = await scripted(silence, auth=AUTH)
    call = asyncio.create_task(meitner.students.get(STUDENT_ID))
    while not server.seen:
        await asyncio.sleep(0)
    await meitner.close()
    with pytest.raises(MeitnerError, match="closed"):
        await call
    assert not [task for task in asyncio.all_tasks() if "BearerAuth" in repr(task)]


async def test_a_call_that_once_outlived_a_cancellation_hears_of_the_end_all_the_same() -> None:
    """A task stays counted as cancelled after a group or a scope that swallowed it: its next call is no less a call."""
    silent = asyncio.Event()

    async def send(_: Request) -> RawResponse:
        await silent.wait()
        raise AssertionError

    auth = BearerAuth(OAuth2("an-id", "a-secret"), send, "https://api.test/token")

    async def call() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        await auth.headers()

    calling = asyncio.ensure_future(call())
    while auth._fetching is None:
        await asyncio.sleep(0)
    await auth.close()
    with pytest.raises(MeitnerError, match="closed"):
        await calling
