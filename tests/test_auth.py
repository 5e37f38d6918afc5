"""Bearer tokens: fetched once, renewed early, replaced when refused, and never shown."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

import pytest
from conftest import Scripted
from msgspec.structs import replace
from raw_server import STUDENT_ID, answer, failure

from meitner_aio import (
    AmbiguousWriteError,
    APIConnectionError,
    ApiKey,
    AuthenticationError,
    InternalServerError,
    MeitnerError,
    OAuth2,
    ResponseValidationError,
    RetryPolicy,
)
from meitner_aio._auth import Authenticated, BearerAuth
from meitner_aio._protocol import Headers, RawResponse, Request

AUTH = OAuth2("client-canary", "secret-canary")


def _token(value: str = "tok", **more: object) -> bytes:
    return answer(200, {"access_token": value, "token_type": "Bearer", "expires_in": 3600, **more})


class Issuer:
    """A token endpoint as a `Send`, with a clock that moves by hand."""

    def __init__(self, lifetime: object = 3600) -> None:
        self.now, self.calls, self.lifetime = 0.0, 0, lifetime
        self.auth = BearerAuth(AUTH, self.send, "https://api.example/oauth/token", clock=lambda: self.now)

    async def send(self, request: Request) -> RawResponse:
        self.calls += 1
        assert "canary" not in repr(request)
        await asyncio.sleep(0)
        body = f'{{"access_token":"tok{self.calls}","token_type":"bearer","expires_in":{self.lifetime}}}'
        return RawResponse(200, Headers(), body.encode())

    async def token(self) -> str:
        return (await self.auth.headers())["Authorization"].removeprefix("Bearer ")


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
    ("lifetime", "fresh", "stale"), [(3600, 3239, 3241), (100, 49, 51), ("null", 239, 241), (-5, 239, 241)]
)
async def test_a_token_is_renewed_before_it_expires(lifetime: object, fresh: float, stale: float) -> None:
    """A tenth of the lifetime early, at least a minute; a missing lifetime means five minutes."""
    issuer = Issuer(lifetime)
    assert await issuer.token() == "tok1"
    issuer.now = fresh
    assert await issuer.token() == "tok1"
    issuer.now = stale
    assert await issuer.token() == "tok2"


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
    assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID
    assert [seen.headers.get("authorization") for seen in server.seen] == [None, "Bearer old", None, "Bearer new"]


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
    """Every waiting caller gets the error; the next call tries anew."""
    meitner, server = await scripted(failure(500), auth=AUTH)
    results = await asyncio.gather(*(meitner.students.get(STUDENT_ID) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(result, InternalServerError) for result in results)
    assert len(server.seen) == 3


async def test_an_unreachable_token_endpoint_is_not_retried_twice_over(scripted: Scripted) -> None:
    """Three attempts in all, and a create that never left is not ambiguous."""
    meitner, server = await scripted(None, auth=AUTH)
    with pytest.raises(APIConnectionError) as caught:
        await meitner.units.create(title="Norr")
    assert len(server.seen) == caught.value.attempts == 3


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
    """What a page may do at the gate, how it is read and what it asks for stay as they are; credentials beat headers."""
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


@pytest.mark.parametrize(
    "reply", [answer(200, body=b"<html>"), _token(token_type="mac"), _token("a b"), answer(200, {"token": "x"})]
)
async def test_what_is_no_bearer_token_is_refused(scripted: Scripted, reply: bytes) -> None:
    """Junk never becomes a header."""
    meitner, _ = await scripted(reply, auth=AUTH)
    with pytest.raises((ResponseValidationError, AuthenticationError)):
        await meitner.students.get(STUDENT_ID)


async def test_a_token_url_may_name_its_own_server(scripted: Scripted) -> None:
    """An absolute token URL is used as it is; that server gets the form and nothing else."""
    tokens, issuer = await scripted(_token())
    meitner, server = await scripted(answer(), auth=OAuth2("a", "b", f"{issuer.origin}/token"))
    await meitner.students.get(STUDENT_ID)
    assert [seen.target for seen in issuer.seen] == ["/token"]
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
