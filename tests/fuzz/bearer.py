"""Tokens: an answer of the token endpoint becomes a header that is one, or a `MeitnerError` that does not quote it."""

from __future__ import annotations

import asyncio
import json
import re

from fuzzing import instrumented, run

with instrumented(__name__):
    from meitner_aio import MeitnerError, OAuth2
    from meitner_aio._pipeline.authentication import BearerAuth
    from meitner_aio._wire.messages import Headers, RawResponse, Request

_AUTH = OAuth2("an-id", "a-secret")


def harness(data: bytes) -> None:
    """Answer a token request with bytes, and ask for the headers twice."""
    now = [0.0]

    async def send(request: Request) -> RawResponse:
        assert request.operation == "token"
        return RawResponse(200, Headers({"Content-Type": "application/json"}), data)

    bearer = BearerAuth(_AUTH, send, "https://api.example/oauth/token", clock=lambda: now[0])
    for _ in range(2):
        try:
            headers = asyncio.run(bearer.headers())
        except MeitnerError as error:
            _check(error)
        else:
            [(name, value)] = headers.items()
            assert (name, bool(re.fullmatch(r"Bearer [\x21-\x7e]+", value))) == ("Authorization", True)
        now[0] += 1e6


def _check(error: MeitnerError) -> None:
    assert error.__context__ is error.__cause__ is None
    assert len(str(error)) <= 400


def answer(**said: object) -> bytes:
    """Return the bytes of a good answer, but for what is said."""
    return json.dumps({"access_token": "tok", "token_type": "Bearer", "expires_in": 3600} | said).encode()


CORPUS = [
    b"",
    answer(),
    answer(expires_in=None),
    answer(expires_in=1e308),
    answer(expires_in=-1),
    answer(expires_in="3600"),
    answer(token_type="mac"),
    answer(token_type=""),
    answer(access_token="a\r\nEvil: 1"),
    answer(access_token=""),
    answer(access_token="t" * 9000),
    b'{"access_token":"a","expires_in":1e999}',
    b'{"access_token":"a","expires_in":-0.0}',
    b'{"access_token":"\xff"}',
    b"[" * 60_000,
]

if __name__ == "__main__":
    run(harness, CORPUS)
