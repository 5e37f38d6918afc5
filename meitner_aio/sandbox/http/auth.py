"""Authentication: the two headers of an API key, or a bearer token of the endpoint here (RFC 6749, 4.4)."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_plus

import msgspec

from ..._wire.messages import RawResponse, Request
from .answers import Refusal, json_answer


class _Token(NamedTuple):
    client: str
    expires_at: float


class Credentials:
    """The valid credentials, and the tokens issued for them.

    Without a pair of its own it takes any pair whose halves are not empty. Tokens last `lifetime` seconds by `clock`.
    """

    def __init__(self, pair: tuple[str, str] | None, lifetime: float, clock: Callable[[], float]) -> None:
        self._pair = pair
        self._lifetime = lifetime
        self._clock = clock
        self._tokens: dict[str, _Token] = {}

    def client(self, headers: Mapping[str, str]) -> str:
        """Return the client whose credentials or token the headers hold; 401 when they hold none that is valid."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            known = self._tokens.get(token.strip())
            if known is None or self._clock() >= known.expires_at:
                raise Refusal(401, "the bearer token is unknown or has expired")
            return known.client
        client, secret = headers.get("Client-ID", ""), headers.get("Client-Secret", "")
        if not self._good(client, secret):
            raise Refusal(401, "Client-ID and Client-Secret are missing or wrong")
        return client

    def _good(self, client: str, secret: str) -> bool:
        return bool(client and secret) and self._pair in (None, (client, secret))

    def token(self, request: Request, headers: Mapping[str, str]) -> RawResponse:
        """Answer a request for a token: a form, with the client in it or in HTTP Basic."""
        if request.method != "POST":
            return _refused(405, "invalid_request")
        if request.content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            return _refused(400, "invalid_request")
        form = dict(parse_qsl((request.body or b"").decode("utf-8", "replace")))
        if form.get("grant_type") != "client_credentials":
            return _refused(400, "unsupported_grant_type" if "grant_type" in form else "invalid_request")
        client, secret = _basic(headers) or (form.get("client_id", ""), form.get("client_secret", ""))
        if not self._good(client, secret):
            return _refused(401, "invalid_client")
        return self._issued(client)

    def _issued(self, client: str) -> RawResponse:
        now = self._clock()
        self._tokens = {text: token for text, token in self._tokens.items() if token.expires_at > now}
        text = secrets.token_urlsafe(32)
        self._tokens[text] = _Token(client, now + self._lifetime)
        answer = {"access_token": text, "token_type": "Bearer", "expires_in": int(self._lifetime)}
        return json_answer(200, msgspec.json.encode(answer), {"Cache-Control": "no-store"})


def _basic(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Return what HTTP Basic says, its halves form-encoded (RFC 6749, 2.3.1); None when there is no such header."""
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(client), unquote_plus(secret)


def _refused(status: int, error: str) -> RawResponse:
    """Return the error that OAuth defines (RFC 6749, 5.2)."""
    return json_answer(status, msgspec.json.encode({"error": error}))
