"""The front door: joins the resources, the mechanisms and a transport, and owns their lifetime."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urljoin, urlsplit

from . import __version__
from ._auth import ApiKey, Auth, Authenticated, BearerAuth, OAuth2
from ._protocol import RawResponse, Request, Send
from ._quota import Gate, Rate
from ._retry import Retrying, RetryPolicy
from .errors import ConfigurationError, MeitnerError
from .resources import (
    AuditEvents,
    EmployeePlacements,
    Employees,
    GradeElementaries,
    GradeUpperSecondaries,
    Groups,
    Guardians,
    Schools,
    StudentPlacements,
    Students,
    Units,
)

if TYPE_CHECKING:
    from ssl import SSLContext

    import aiohttp

SERVERS = {
    "production": "https://api.meitner.se/directory/v1",
    "staging": "https://api.staging.meitner.se/directory/v1",
}
"""The API's own servers."""

_ACCEPT = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate"}


class Transport(Protocol):
    """What carries requests: HTTP, or a sandbox in this process."""

    async def send(self, request: Request) -> RawResponse:
        """Make one attempt."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Meitner:
    """A client of the Meitner Directory API.

    ```python
    async with Meitner() as meitner:
        async for student in meitner.students.list():
            print(student.id)
    ```

    Credentials come from `client_credentials` and `client_secret`, from `auth`, or from the environment:
    MEITNER_CLIENT_CREDENTIALS and MEITNER_CLIENT_SECRET, else MEITNER_CLIENT_ID, MEITNER_CLIENT_SECRET and optionally
    MEITNER_TOKEN_URL for OAuth2. `server` is "production" or "staging"; `base_url`, else MEITNER_BASE_URL, beats it.

    `timeout` is for one attempt: seconds, or an `aiohttp.ClientTimeout`. `retry` beats `max_retries`. At most
    `max_concurrency` requests are in flight, `rate` smooths them. A `session` of your own is used as it is and never
    closed. One client belongs to one event loop, and may be built before the loop runs.

    Raises `ConfigurationError` when the client cannot be built as asked, without any request.
    """

    def __init__(  # noqa: PLR0913 - every choice a user can make
        self,
        client_credentials: str | None = None,
        client_secret: str | None = None,
        *,
        auth: Auth | OAuth2 | None = None,
        server: str = "production",
        base_url: str | None = None,
        timeout: float | aiohttp.ClientTimeout = 60.0,
        max_retries: int = 2,
        retry: RetryPolicy | None = None,
        rate: Rate | None = None,
        max_concurrency: int = 8,
        session: aiohttp.ClientSession | None = None,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        ssl: SSLContext | None = None,
        trust_env: bool = False,
        trace_configs: Sequence[aiohttp.TraceConfig] | None = None,
        user_agent: str | None = None,
    ) -> None:
        connection = {"proxy": proxy, "ssl": ssl, "trust_env": trust_env or None, "trace_configs": trace_configs}
        given = {name: value for name, value in connection.items() if value is not None}
        if session is not None and given:
            raise TypeError(f"{', '.join(given)} cannot be given beside a session: the session decides")
        url = _base_url(server, base_url)
        proof = _auth(client_credentials, client_secret, auth)
        from ._transport import HttpTransport  # noqa: PLC0415 - aiohttp takes longer to import than all the rest

        transport = HttpTransport(url, session=session, **given)  # type: ignore[arg-type]
        self._assemble(
            transport,
            url,
            proof,
            gate=Gate(transport.slots(max_concurrency), rate),
            policy=RetryPolicy(max_retries=max_retries) if retry is None else retry,
            headers=_headers(headers, user_agent),
            timeout=timeout,
            concurrency=max_concurrency,
        )

    def _assemble(  # noqa: PLR0913 - the parts
        self,
        transport: Transport,
        url: str,
        auth: Auth | OAuth2,
        *,
        gate: Gate,
        policy: RetryPolicy,
        headers: Mapping[str, str],
        timeout: Any,  # noqa: ANN401 - as the transport takes it
        concurrency: int,
    ) -> None:
        self._url = url
        self._transport = transport
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        admitted = gate.admitting(transport.send)
        if isinstance(auth, OAuth2):
            token_url = _safe_url(urljoin(url, auth.token_url), "token_url")
            anonymous = Authenticated(admitted, _NoAuth(), headers, timeout).send
            auth = BearerAuth(auth, Retrying(anonymous, policy).send, token_url)
        self._auth = auth
        send = self._guarded(Retrying(Authenticated(admitted, auth, headers, timeout).send, policy).send)
        self.schools = Schools(send, concurrency=concurrency)
        self.units = Units(send, concurrency=concurrency)
        self.groups = Groups(send, concurrency=concurrency)
        self.employees = Employees(send, concurrency=concurrency)
        self.employee_placements = EmployeePlacements(send, concurrency=concurrency)
        self.guardians = Guardians(send, concurrency=concurrency)
        self.students = Students(send, concurrency=concurrency)
        self.student_placements = StudentPlacements(send, concurrency=concurrency)
        self.grade_elementaries = GradeElementaries(send, concurrency=concurrency)
        self.grade_upper_secondaries = GradeUpperSecondaries(send, concurrency=concurrency)
        self.audit_events = AuditEvents(send, concurrency=concurrency)

    @classmethod
    def sandbox(cls, **size: Any) -> Meitner:  # noqa: ANN401 - the keywords of Sandbox
        """Return a client whose directory lives in this process: synthetic data, no credentials, no network.

        `size` takes what `meitner_aio.sandbox.Sandbox` takes, such as `students=2000, seed=7`.
        """
        from .sandbox import Sandbox  # noqa: PLC0415 - only who asks for a sandbox loads it

        client = cls.__new__(cls)
        client._assemble(  # noqa: SLF001 - its own
            Sandbox(**size),
            SERVERS["production"],
            ApiKey("sandbox", "sandbox"),
            gate=Gate(8),
            policy=RetryPolicy(),
            headers=_headers(None, None),
            timeout=60.0,
            concurrency=8,
        )
        return client

    def _guarded(self, send: Send) -> Send:
        """Refuse calls after `close()` and from another event loop, before they go wrong deep inside."""

        async def guarded(request: Request) -> RawResponse:
            loop = asyncio.get_running_loop()
            if self._loop is not loop:
                if self._loop is not None:
                    raise MeitnerError("this client belongs to another event loop; build one for this loop")
                self._loop = loop
            if self._closed:
                raise MeitnerError("this client is closed")
            return await send(request)

        return guarded

    async def __aenter__(self) -> Self:
        if self._closed:
            raise MeitnerError("this client is closed")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; calls after this are refused. May be called again."""
        if self._closed:
            return
        self._closed = True
        if isinstance(self._auth, BearerAuth):
            await self._auth.close()
        await self._transport.close()

    async def aclose(self) -> None:
        """Close the connections: the same as `close`."""
        await self.close()

    def __repr__(self) -> str:
        return f"<Meitner {self._url}{' (closed)' if self._closed else ''}>"


class _NoAuth:
    async def headers(self) -> Mapping[str, str]:
        return {}


def _auth(client_credentials: str | None, client_secret: str | None, auth: Auth | OAuth2 | None) -> Auth | OAuth2:
    """Return the credentials to use: those given, else those of the environment."""
    if auth is not None:
        if client_credentials is not None or client_secret is not None:
            raise ConfigurationError("give either auth or client_credentials and client_secret, not both")
        if not (callable(getattr(auth, "headers", None)) or type(auth) is OAuth2):
            raise ConfigurationError(
                f"auth must be ApiKey, OAuth2 or have an async headers(), not {type(auth).__name__}"
            )
        return auth
    credentials = client_credentials or os.environ.get("MEITNER_CLIENT_CREDENTIALS")
    secret = client_secret or os.environ.get("MEITNER_CLIENT_SECRET")
    client_id = os.environ.get("MEITNER_CLIENT_ID")
    if credentials and secret:
        return ApiKey(credentials, secret)
    if client_id and secret and client_credentials is None:
        return OAuth2(client_id, secret, os.environ.get("MEITNER_TOKEN_URL") or "/oauth/token")
    raise ConfigurationError(
        "no credentials: pass client_credentials and client_secret, or set MEITNER_CLIENT_CREDENTIALS and "
        "MEITNER_CLIENT_SECRET (for OAuth2: MEITNER_CLIENT_ID, MEITNER_CLIENT_SECRET and optionally MEITNER_TOKEN_URL)"
    )


def _base_url(server: str, base_url: str | None) -> str:
    url = base_url or os.environ.get("MEITNER_BASE_URL")
    if url:
        return _safe_url(url, "base_url").rstrip("/")
    if server not in SERVERS:
        raise ConfigurationError(f"server must be one of {', '.join(SERVERS)}; other servers go into base_url")
    return SERVERS[server]


def _safe_url(url: str, name: str) -> str:
    """Return a URL to which credentials may go: https, or http to this machine; no user, query or fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"{name} is not a URL") from None
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError(f"{name} must be an absolute http or https URL")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError(f"{name} must hold no user, query or fragment")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigurationError(f"{name} must be https: credentials and personal data would travel in the clear")
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LINE = re.compile(r"[\t\x20-\x7e]*")


def _headers(headers: Mapping[str, str] | None, user_agent: str | None) -> dict[str, str]:
    """Return the headers of every request; `ValueError` for one that could smuggle in another."""
    agent = f"meitner-aio/{__version__}" if user_agent is None else user_agent
    every = {**_ACCEPT, "User-Agent": agent, **(headers or {})}
    for name, value in every.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError("a header's name must be a token (RFC 9110, 5.6.2)")
        if not _LINE.fullmatch(value):
            raise ValueError(f"the header {name} must hold printable ASCII on one line")
    return every
