"""Adds credentials to requests and keeps a bearer token fresh. Fetches tokens; retries are another stage."""

from __future__ import annotations

import asyncio
import math
import os
import random
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from .._runtime.cleanup import stopped
from .._wire.decoding import read
from .._wire.messages import RawResponse, Request, Send, Timeout
from ..errors import APIStatusError, AuthenticationError, InternalServerError, MeitnerError, RateLimitError
from .credentials import PRINTABLE, ApiKey, Auth, OAuth2, Secret


class _TokenAnswer(Struct, frozen=True):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the kind of token, not one
    expires_in: msgspec.Raw = msgspec.Raw()
    """A number by RFC 6749; some servers write text."""

    def __repr__(self) -> str:
        return "_TokenAnswer(***)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Show rich nothing: msgspec's would show the token."""
        return []


_token_decoder = msgspec.json.Decoder(_TokenAnswer)
_USUAL_LIFETIME = 300.0
"""Seconds a token is used when the server does not say how long it lives."""


_LARGEST_TOKEN = 1024 * 1024
"""Most bytes of an answer with a token."""

_NUMBER = re.compile(rb'"?\s*([0-9.eE+]+)\s*"?')


def _lifetime(said: bytes) -> float:
    """Return how many seconds a token is valid: a number, also as text; the usual lifetime for anything else."""
    number = _NUMBER.fullmatch(said)
    try:
        seconds = float(number[1]) if number else 0.0
    except ValueError:
        seconds = 0.0
    return seconds if 0 < seconds < math.inf else _USUAL_LIFETIME


_PAUSE = 10.0
"""Seconds between a renewal that failed, or returned a token that was refused, and the next one."""

TOKEN_RETRIES = 5
"""Retries of a token request, unless retries are off: with the usual waits they span at least 7.75 seconds."""


class _Token(Struct, frozen=True):
    headers: Mapping[str, str]
    stale_at: float
    expires_at: float

    def __repr__(self) -> str:
        return f"_Token(***, stale_at={self.stale_at})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Show rich the same: msgspec's would show the token."""
        return [("stale_at", self.stale_at)]


class BearerAuth:
    """Keeps a bearer token fresh: one token request however many calls wait for it, and renewal before it expires.

    A token that will soon expire is renewed while calls still use it: no call waits, and none fails if the token
    endpoint is down for a short time. The moment is random, so that clients started together do not renew together.
    """

    def __init__(
        self,
        oauth: OAuth2,
        send: Send,
        url: str,
        *,
        clock: Callable[[], float] | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Fetch tokens from `url` through `send`, on a monotonic `clock` in seconds; `uniform` draws the jitter."""
        self._oauth = oauth
        self._send = send
        self._url = url
        self._clock = clock or _loop_time
        self._uniform = uniform
        self._token: _Token | None = None
        self._fetching: asyncio.Task[_Token] | None = None
        self._refused_at = -math.inf

    def __repr__(self) -> str:
        return "BearerAuth(***)"

    def secrets(self) -> tuple[Secret, ...]:
        """Return the credentials of token requests."""
        return self._oauth.client_id, self._oauth.client_secret

    async def headers(self) -> Mapping[str, str]:
        """Return the Authorization header, with a new token when the present one has expired."""
        token = self._token
        if token is None or self._clock() >= token.expires_at:
            token = await self._fetched()
        return token.headers

    def before(self, send: Send) -> Send:
        """Return a `Send` that fetches a missing token first: all calls wait for the same request, and fail with it."""

        async def ready(request: Request) -> RawResponse:
            request.attempt.left = False
            await self.headers()
            return await send(request)

        return ready

    def freshen(self) -> None:
        """Note that the token was accepted; start to renew it if it will soon expire, without waiting."""
        self._refused_at = -math.inf
        if self._token is not None and self._clock() >= self._token.stale_at:
            self._under_way()

    async def renew(self, refused: Request) -> Mapping[str, str]:
        """Return headers with a newer token than a refused request had, fetched unless there already is one.

        If a new token was refused as well, another one will hardly help: none is fetched for a while.
        """
        token = self._token
        if token is not None and not token.headers.items() <= refused.headers.items():
            return token.headers
        now = self._clock()
        if token is not None and self._fetching is None and now < self._refused_at + _PAUSE:
            return token.headers
        self._refused_at = now
        return (await self._fetched()).headers

    def _under_way(self) -> asyncio.Task[_Token]:
        """Return the running token request; start one if there is none."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._landed)
        return self._fetching

    async def _fetched(self) -> _Token:
        fetching = self._under_way()
        await asyncio.wait([fetching])  # a caller that is cancelled must not cancel it for others
        if fetching.cancelled():
            raise MeitnerError("this client was closed while it fetched a token")
        return fetching.result()

    def _landed(self, task: asyncio.Task[_Token]) -> None:
        self._fetching = None
        if not task.cancelled() and task.exception() is None:
            self._token = task.result()
        elif self._token is not None:
            self._token = replace(self._token, stale_at=self._clock() + _PAUSE)

    async def _fetch(self) -> _Token:
        sent_at = self._clock()
        form = {"grant_type": "client_credentials", "client_id": self._oauth.client_id.reveal()}
        form["client_secret"] = self._oauth.client_secret.reveal()
        body = urlencode(form).encode()
        form.clear()
        request = Request(
            *("token", "POST", "token endpoint", self._url),
            body=body,
            content_type="application/x-www-form-urlencoded",
            largest=_LARGEST_TOKEN,
        )
        del body
        response = await self._asked(request)
        answer = read(request, response, _token_decoder)
        if answer.token_type.lower() != "bearer" or not PRINTABLE.fullmatch(answer.access_token):
            raise AuthenticationError("the token endpoint answered with something that is no bearer token")
        lifetime = _lifetime(bytes(answer.expires_in))
        early = min(max(60.0, lifetime / 10), lifetime / 2) * self._uniform(1.0, 1.1)
        expires_at = sent_at + lifetime
        return _Token({"Authorization": f"Bearer {answer.access_token}"}, expires_at - early, expires_at)

    async def _asked(self, request: Request) -> RawResponse:
        try:
            return await self._send(request)
        except APIStatusError as error:
            if isinstance(error, (RateLimitError, InternalServerError)) or error.status_code < 400:
                raise
            refusal = error
        # OAuth answers wrong credentials with 400 (invalid_client); callers expect an AuthenticationError.
        raise AuthenticationError(
            f"the token endpoint refused the credentials ({refusal.status_code})",
            status_code=refusal.status_code,
            headers=refusal.headers,
            body=refusal.body,
            method=request.method,
            route=request.route,
            attempts=refusal.attempts,
        )

    async def close(self) -> None:
        """Cancel a running token request."""
        if self._fetching is not None:
            await stopped(self._fetching)


def identity(auth: Auth) -> bytes:
    """Return a digest that is equal for equal credentials only; keep it as secret as they are.

    For an auth object of the caller's own it is random: its later headers are not known.
    """
    if not isinstance(auth, ApiKey | BearerAuth):
        return os.urandom(32)
    from hashlib import blake2b

    return blake2b(" ".join([type(auth).__name__, *(secret.reveal() for secret in auth.secrets())]).encode()).digest()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def over(below: Mapping[str, str], above: Mapping[str, str]) -> dict[str, str]:
    """Return `below` updated with `above`; names ignore case."""
    hidden = {name.lower() for name in above}
    return {**{name: value for name, value in below.items() if name.lower() not in hidden}, **above}


class Authenticated:
    """A `Send` that adds headers to every request, and fetches a new token when one was refused."""

    def __init__(self, send: Send, auth: Auth, headers: Mapping[str, str], timeout: Timeout) -> None:
        """Add `headers`, those of `auth`, and `timeout` (seconds, or what the transport takes) to requests."""
        self._next = send
        self._auth = auth
        self._bearer = auth if isinstance(auth, BearerAuth) else None
        self._headers = headers
        self._timeout = timeout
        self._proof: Mapping[str, str] = {}
        self._usual = headers

    async def send(self, request: Request) -> RawResponse:
        """Send the request with credentials."""
        # No local holds the credentials: a traceback may be shown with the locals of its frames.
        request.attempt.left = False  # while a token is fetched
        signed = self._signed(request, await self._auth.headers())
        request.attempt.left = True
        response = await self._next(signed)
        if self._bearer is None:
            return response
        if response.status == 401:
            proof = await self._bearer.renew(signed)
            response.renewed = not proof.items() <= signed.headers.items()
        elif response.status < 500:
            self._bearer.freshen()  # only after an answer: a server that is down must not get token requests as well
        return response

    def _signed(self, request: Request, proof: Mapping[str, str]) -> Request:
        if request.headers:
            return replace(request, headers=over(over(self._headers, request.headers), proof), timeout=self._timeout)
        if proof != self._proof:  # the same from call to call, until a token is renewed
            self._proof, self._usual = proof, over(self._headers, proof)
        return replace(request, headers=self._usual, timeout=self._timeout)


def signing(send: Send, auth: Auth, headers: Mapping[str, str], timeout: Timeout) -> Send:
    """Stage of the pipeline: add headers, credentials and timeout."""
    return Authenticated(send, auth, headers, timeout).send
