"""The client: joins the resources and a transport, and owns their lifetime."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, Unpack, overload

from msgspec import UNSET, UnsetType

from ._operations.members import Client
from ._operations.resource import Binding, Resource, declared
from ._pipeline.admission import QuotaPolicy
from ._pipeline.authentication import identity
from ._pipeline.capture import capturing
from ._pipeline.core import CONCURRENCY, Core, Dispatcher, Options, Transport
from ._pipeline.credentials import ApiKey, Auth, OAuth2
from ._pipeline.logging import LOG, Log, switch_on
from ._pipeline.rate_limit import RateLimiter
from ._pipeline.retry_policy import RetryPolicy
from ._pipeline.server_limiter import Quota
from ._pipeline.settings import check_kinds, credentials, every_header, server_url, warn_if_insecure
from ._pipeline.shared_quota import QuotaStore
from ._pipeline.smoothing import Rate
from ._wire.messages import RawResponse
from ._wire.raw_request import Params, any_request
from ._wire.validation import strip_traceback
from .errors import ConfigurationError
from .events import OnEvent
from .resources import RESOURCES, DataExport, Resources

if TYPE_CHECKING:
    from ssl import SSLContext

    import aiohttp

    from .cached import Caches
    from .changes import Changes
    from .outbox import KeptOutbox, Outbox
    from .sandbox import Sandbox
    from .sandbox._choices import Choices

R = TypeVar("R", bound=Resource[Any])


def _connection(
    client_credentials: str | None,
    client_secret: str | None,
    *,
    auth: Auth | OAuth2 | None,
    profile: str | None,
    server: str,
    base_url: str | None,
    insecure: bool,
) -> tuple[str, Auth | OAuth2]:
    """Return the URL of the server, and the credentials that go there."""
    if profile is None:
        url = server_url(server, base_url, given=auth is not None or client_secret is not None, insecure=insecure)
        return url, credentials(client_credentials, client_secret, auth)
    if auth is not None or client_credentials is not None:
        raise ConfigurationError("give either a profile or auth and client_credentials: a profile has its own")
    from ._profiles.connection import connection

    return connection(profile, client_secret, server=server, base_url=base_url)


class Meitner(Resources, Client):
    """A client of the Meitner Directory API.

    ```python
    async with Meitner() as meitner:
        async for student in meitner.students.list():
            print(student.id)
    ```

    Credentials come from `client_credentials` and `client_secret`, from `auth`, or from the environment:
    MEITNER_CLIENT_CREDENTIALS and MEITNER_CLIENT_SECRET, else MEITNER_CLIENT_ID, MEITNER_CLIENT_SECRET and optionally
    MEITNER_TOKEN_URL for OAuth2. `server` is "production" or "staging"; `base_url`, else MEITNER_BASE_URL, beats it.
    That variable is the server of a secret from the environment: one that is passed needs a `base_url` beside it.
    MEITNER_CLIENT_SECRET_FILE takes the place of MEITNER_CLIENT_SECRET: the name of a file that holds the secret.

    `profile` is the name of a profile in `config.toml`, as `meitner-aio login` keeps it: its server and credentials, as
    far as the call and the environment say none; nothing else of it applies. A `client_secret` beside it completes its
    id. The file, a keyring and a file of the secret are read here, which blocks.

    `timeout` is for one attempt: seconds, or an `aiohttp.ClientTimeout`. `retry` beats `max_retries`. At most
    `max_concurrency` requests are in flight, `rate` smooths them, `quota` says how to behave towards the hourly quota,
    and `quota_store` (a `meitner_aio.quota.RedisQuota`) lets hosts that use the same credentials share it.
    `on_event` is called with what happens, for metrics; `logger` takes the place of the logger `meitner_aio`, which
    MEITNER_LOG=debug, MEITNER_LOG=info or MEITNER_DEBUG=true show on stderr. A `session` of your own is used as it is
    and never closed; where it has fewer connections than `max_concurrency`, the default gives way, and more is refused.
    One client belongs to one event loop, and may be built before the loop runs.

    `insecure` allows plain http to other machines than this one, as between containers: credentials and personal data
    then travel in the clear, of which a `UserWarning` tells. It stands in code only, for no server of the API, and
    turns off no check of a certificate.

    `offline` is a folder that an export wrote in NDJSON, or the file of a `meitner_aio.mirror.Mirror`: reads are
    answered from it. With True there is neither: reads raise `APIConnectionError`, unless a cached view has a
    `default`. Either way writes raise, those of an outbox are dropped or kept (`outbox(journal=path)`), and nothing is
    asked of any server. Credentials may be missing; those given, or their id alone, say for which directory a journal
    is. What makes connections (`session`, `proxy`, `ssl`, `trust_env`, `trace_configs`, `quota_store`) is refused;
    everything else is checked and means what it means online. False and None are online.

    Raises `ConfigurationError` when the client cannot be built as asked, and `TypeError` or `ValueError` for a value
    that means nothing, without any request.
    """

    @strip_traceback
    def __init__(
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
        quota_store: QuotaStore | None = None,
        max_concurrency: int = CONCURRENCY,
        session: aiohttp.ClientSession | None = None,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        ssl: SSLContext | None = None,
        trust_env: bool = False,
        trace_configs: Sequence[aiohttp.TraceConfig] | None = None,
        logger: Log | None = None,
        on_event: OnEvent | None = None,
        user_agent: str | None = None,
        offline: str | os.PathLike[str] | bool | None = None,
        profile: str | None = None,
        insecure: bool = False,
    ) -> None:
        check_kinds(
            rate=(rate, Rate), quota=(quota, QuotaPolicy), trust_env=(trust_env, bool), insecure=(insecure, bool)
        )
        connection = {"proxy": proxy, "ssl": ssl, "trust_env": trust_env or None, "trace_configs": trace_configs}
        given = {name: value for name, value in connection.items() if value is not None}
        if session is not None and given:
            raise TypeError(f"{', '.join(given)} cannot be given beside a session: the session decides")
        options = Options(
            policy=RetryPolicy(max_retries=max_retries) if retry is None else retry,
            headers=every_header(headers, user_agent),
            timeout=timeout,
            concurrency=max_concurrency,
            on_event=on_event,
            log=LOG if logger is None else logger,
        )
        where = partial(_connection, auth=auth, profile=profile, server=server, base_url=base_url, insecure=insecure)
        if offline is not None and offline is not False:
            from .offline import directory_of

            quota = QuotaPolicy(per_hour=math.inf) if quota is None else quota
            others = {"session": session, "quota_store": quota_store}
            unused = [*given, *(name for name, value in others.items() if value is not None)]
            self._without_server(offline, options, RateLimiter(max_concurrency, rate, quota), unused)
            named = (client_credentials, client_secret, auth, profile)
            self._core.meant = directory_of(where, *named, server=server, base_url=base_url, insecure=insecure)
            return
        url, proof = where(client_credentials, client_secret)
        from ._pipeline.transport import HttpTransport

        transport = HttpTransport(url, session=session, **given)  # type: ignore[arg-type]
        options = options.narrowed(transport.slots(max_concurrency))
        limiter = RateLimiter(options.concurrency, rate, quota)
        core = Core(url, transport, proof, limiter, options, insecure=insecure)
        self._join(core.sharing(quota_store, options.log), options)
        warn_if_insecure(url, proof)

    def _join(self, core: Core, options: Options) -> None:
        """Let the resources of the client speak to the core: those of a copy speak to the same one."""
        switch_on()
        self._core = core
        self._options = options
        self._calls = Dispatcher(core, options)
        self._wire = Binding(self._calls.send, options.concurrency, core.sizes, core.widest)

    @classmethod
    def sandbox(
        cls,
        directory: Sandbox | None = None,
        /,
        *,
        max_concurrency: int = CONCURRENCY,
        **size: Unpack[Choices],
    ) -> Meitner:
        """Return a client whose directory lives in this process: synthetic data, no credentials, no network.

        `size` takes what `meitner_aio.sandbox.Sandbox` takes, such as `students=2000, seed=7`; at most
        `max_concurrency` requests are in flight; `with_options` gives
        the client other options. A `directory` of your own takes its place; closing the client leaves it as it is.
        """
        from .sandbox import Sandbox

        if directory is not None and size:
            raise TypeError(
                f"{', '.join(size)} cannot be given beside a sandbox: what a Sandbox takes goes into that one, "
                "and options of a client, such as timeout and retry, into with_options()"
            )
        directory = directory or Sandbox(**size)
        client = cls.__new__(cls)
        url = f"sandbox:{os.urandom(4).hex()}"  # no two of them share what a cache keeps of their answers
        quota = QuotaPolicy(per_hour=math.inf) if directory.app.unlimited else None
        auth = ApiKey(*directory.credentials)
        options = Options(policy=RetryPolicy(), headers=every_header(None, None), concurrency=max_concurrency)
        limiter = RateLimiter(max_concurrency, policy=quota)
        client._within(directory.app, url, auth, limiter, options, place=directory.name)  # noqa: SLF001 - its own
        return client

    def _without_server(
        self,
        offline: str | os.PathLike[str] | bool,  # noqa: FBT001 - as it was given
        options: Options,
        limiter: RateLimiter,
        unused: Sequence[str],
    ) -> None:
        """Make this an offline client; refuse what would make its connections."""
        from .offline import opened

        if unused:
            raise TypeError(f"{', '.join(unused)} cannot be given beside offline: no connection is made")
        answering, place = opened(offline)
        self._within(answering, f"offline:{offline}", ApiKey("offline", "offline"), limiter, options, place=place)
        self._core.online = False

    def _within(
        self, transport: Transport, url: str, auth: Auth, limiter: RateLimiter, options: Options, *, place: str
    ) -> None:
        """Make this a client of a directory in this process; `place` tells it from others."""
        core = Core(url, transport, auth, limiter, options)
        core.place = place
        self._join(core, options)

    def with_options(
        self,
        *,
        timeout: float | aiohttp.ClientTimeout | UnsetType = UNSET,
        max_retries: int | UnsetType = UNSET,
        retry: RetryPolicy | UnsetType = UNSET,
        headers: Mapping[str, str] | UnsetType = UNSET,
        max_concurrency: int | UnsetType = UNSET,
        logger: Log | None | UnsetType = UNSET,
        on_event: OnEvent | None | UnsetType = UNSET,
    ) -> Self:
        """Return a copy with other options: `meitner.with_options(timeout=5, max_retries=0).students.get(id)`.

        It shares everything else: connections, quota, limits, retry budget, token, how large pages are. Closing either
        closes both, so a copy needs no closing. `max_retries` keeps the rest of the policy, `headers` are laid over
        those of the client, `max_concurrency` is the usual one of listings, and a `logger` or `on_event` of None is the
        usual one again. Raises `TypeError` and `ValueError` for what means nothing, and `ConfigurationError` for a
        `max_concurrency` above that of the client, whose requests in flight are those of its copies, too.
        """
        options = self._options.changed(
            timeout=timeout,
            max_retries=max_retries,
            retry=retry,
            headers=headers,
            concurrency=max_concurrency,
            log=LOG if logger is None else logger,
            on_event=on_event,
        )
        self._core.refuse_wider(options)
        copied = object.__new__(type(self))
        vars(copied).update((name, value) for name, value in vars(self).items() if name not in RESOURCES)
        copied._join(self._core, options)
        return copied

    def resource(self, kind: type[R], /, **parameters: str) -> R:
        """Return a resource that you declared (`meitner_aio.declare`), with the parameters of its path.

        It has the credentials, limits, retries and errors of the client, whose server it never leaves. Raises
        `TypeError` or `ValueError` for a missing or unknown parameter, or one that is no single segment of a path.
        """
        return self._wire.to(declared(kind), parameters)

    @property
    def data_export(self) -> DataExport:
        """The Data Export API of the same origin: `meitner.data_export.attendances.list()`. Its rows have no ids."""
        return DataExport(self._wire)

    async def request(
        self, method: str, path: str, *, params: Params | None = None, json: object = None
    ) -> RawResponse:
        """Return the answer of any endpoint, with the credentials, limits, retries and errors of the client.

        `path` is below the base URL: `/student`. `params` become the query string, without those that are None, and a
        mapping as `name[key]=value`; `json` is whatever msgspec encodes, None for no body. A POST is never sent again
        when it may have been processed: `AmbiguousWriteError`. Raises `TypeError` and `ValueError` for what means
        nothing, before any request.
        """
        return await self._calls.send(any_request(method, path, params, json))

    def capture(self) -> AbstractContextManager[list[RawResponse]]:
        """Return a `with` block whose list gets the answer of every call that is made in it, successful or not.

        Calls of this client and its copies count, by the task that runs the block and by tasks that it starts; other
        tasks have blocks of their own. Bodies stay in memory as long as the list does.
        """
        return capturing(self._core)

    def changes(
        self,
        since: datetime | str | None = None,
        resources: Iterable[str] | None = None,
        *,
        lookback: float | timedelta = 600.0,
        grades_every: float | timedelta | None = None,
        retention: float | timedelta = timedelta(days=30),
    ) -> Changes:
        """Return what changed since the checkpoint of an earlier run, or an instant; None tells everything.

        `resources` are names, all with records by default. What was stamped up to `lookback` seconds before is told
        again: stamps are late, clocks differ, indexes lag. Grades are read in full, but only when `grades_every` has
        passed. Deletions are known for `retention`; `ResyncRequired` is raised, at the first change, after that.
        """
        from ._pipeline.identity import reader_of
        from .changes import Changes

        if not self._core.online:
            raise ConfigurationError("offline: what answers here does not change; ask a server for changes")
        times = {"lookback": lookback, "retention": retention}
        reader = partial(reader_of, self)
        return Changes(self._wire, reader, since, resources, grades_every=grades_every, **times)

    @overload
    def outbox(self, *, concurrency: int = 8, maxsize: int = 1000, journal: None = None) -> Outbox: ...
    @overload
    def outbox(self, *, concurrency: int = 8, maxsize: int = 1000, journal: str | os.PathLike[str]) -> KeptOutbox: ...
    def outbox(
        self, *, concurrency: int = 8, maxsize: int = 1000, journal: str | os.PathLike[str] | None = None
    ) -> Outbox:
        """Return an outbox for writes that nobody waits for; leaving its `async with` block sends what is left.

        With a `journal`, the name of a file, writes are on the disk before they are sent, and what a kill or an outage
        leaves is sent by the next outbox with it: see `meitner_aio.outbox.KeptOutbox`. An `offline` client keeps its
        writes there; without a journal it drops them, of which its logger tells once.
        """
        from .outbox import outbox_of

        given = {"concurrency": concurrency, "maxsize": maxsize}
        return outbox_of(self, self._core, self._options.log, journal=journal, **given)

    @property
    def cached(self) -> Caches:
        """`meitner.cached(ttl=5.0, maxsize=1000, ...)`: the reads of this client through a cache."""
        from .cached import Caches
        from .cached._sealing import scope

        core = self._core
        asker = scope(identity(core.auth), core.url, self._options.headers, core.transport.identity)
        return Caches(self._wire, core.guarding, asker)

    @property
    def offline_since(self) -> datetime | None:
        """Of when the answers of an `offline` client are; None online, and before a mirror was synced to its end."""
        since: datetime | None = getattr(self._core.transport, "since", None)
        return since

    @property
    def quota(self) -> Quota | None:
        """The quota as the last answers told it; what is assumed when they say nothing; None before the first."""
        return self._core.rate_limiter.quota

    async def __aenter__(self) -> Self:
        self._core.refuse_if_closed()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, of copies too; calls after this are refused. May be called again."""
        await self._core.close()

    async def aclose(self) -> None:
        """Close the connections: the same as `close`."""
        await self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client holds secrets and connections, and cannot be pickled; with_options() copies it")

    def __repr__(self) -> str:
        return f"<Meitner {self._core.url}{' (closed)' if self._core.closed else ''}>"
