"""The front door: joins the resources, the mechanisms and a transport, and owns their lifetime."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urljoin

from ._auth import ApiKey, Auth, Authenticated, BearerAuth, OAuth2
from ._budget import RetryBudget
from ._protocol import RawResponse, Request, Send
from ._quota import Gate, QuotaPolicy, Rate
from ._retry import Retrying
from ._settings import SERVERS, credentials, every_header, safe_url, server_url
from ._verdicts import RetryPolicy
from ._window import Quota
from .errors import APIConnectionError, MeitnerError
from .events import Event, OnEvent
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

    from .outbox import Outbox

_log = logging.getLogger("meitner_aio")
_log.addHandler(logging.NullHandler())


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
    `max_concurrency` requests are in flight, `rate` smooths them, `quota` says how to behave towards the hourly window.
    `on_event` is called with what happens, for metrics. A `session` of your own is used as it is and never
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
        quota: QuotaPolicy | None = None,
        max_concurrency: int = 8,
        session: aiohttp.ClientSession | None = None,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        ssl: SSLContext | None = None,
        trust_env: bool = False,
        trace_configs: Sequence[aiohttp.TraceConfig] | None = None,
        on_event: OnEvent | None = None,
        user_agent: str | None = None,
    ) -> None:
        connection = {"proxy": proxy, "ssl": ssl, "trust_env": trust_env or None, "trace_configs": trace_configs}
        given = {name: value for name, value in connection.items() if value is not None}
        if session is not None and given:
            raise TypeError(f"{', '.join(given)} cannot be given beside a session: the session decides")
        url = server_url(server, base_url)
        proof = credentials(client_credentials, client_secret, auth)
        from ._transport import HttpTransport  # noqa: PLC0415 - aiohttp takes longer to import than all the rest

        tell = None if on_event is None else _harmless(on_event)
        transport = HttpTransport(url, session=session, **given)  # type: ignore[arg-type]
        self._assemble(
            transport,
            url,
            proof,
            gate=Gate(transport.slots(max_concurrency), rate, quota, on_event=tell),
            policy=RetryPolicy(max_retries=max_retries) if retry is None else retry,
            headers=every_header(headers, user_agent),
            timeout=timeout,
            concurrency=max_concurrency,
            on_event=tell,
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
        on_event: OnEvent | None = None,
    ) -> None:
        self._url = url
        self._transport = transport
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._gate = gate
        budget = RetryBudget()
        admitted = gate.admitting(transport.send)
        if isinstance(auth, OAuth2):
            token_url = safe_url(urljoin(url, auth.token_url), "token_url")
            anonymous = Authenticated(admitted, _NoAuth(), headers, timeout).send
            auth = BearerAuth(auth, Retrying(anonymous, policy, budget).send, token_url)
        self._auth = auth
        signed = Authenticated(admitted, auth, headers, timeout).send
        send = self._guarded(Retrying(signed, policy, budget, on_event=on_event).send)
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
            headers=every_header(None, None),
            timeout=60.0,
            concurrency=8,
        )
        return client

    def outbox(self, *, concurrency: int = 8, maxsize: int = 1000) -> Outbox:
        """Return an outbox for writes that nobody waits for; leaving its `async with` block sends what is left."""
        from .outbox import Outbox  # noqa: PLC0415 - only who asks for one loads it

        return Outbox(concurrency=concurrency, maxsize=maxsize)

    @property
    def quota(self) -> Quota | None:
        """The hourly quota as the last answers told it, or None before the first."""
        return self._gate.quota

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
            try:
                return await send(request)
            except APIConnectionError:
                if not self._closed:
                    raise
            raise MeitnerError("this client was closed during the call")

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
        self._gate.close()
        if isinstance(self._auth, BearerAuth):
            await self._auth.close()
        await self._transport.close()

    async def aclose(self) -> None:
        """Close the connections: the same as `close`."""
        await self.close()

    def __repr__(self) -> str:
        return f"<Meitner {self._url}{' (closed)' if self._closed else ''}>"


def _harmless(on_event: OnEvent) -> OnEvent:
    """Return a callback that cannot break a call."""

    def tell(event: Event) -> None:
        try:
            on_event(event)
        except Exception:  # noqa: BLE001 - whatever a callback raises
            _log.exception("on_event failed")

    return tell


class _NoAuth:
    async def headers(self) -> Mapping[str, str]:
        return {}
