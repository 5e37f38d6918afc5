"""Builds a client: what its copies share, what each has of its own, and the pipeline of a call.

Knows every stage and no resource. The directory may be behind HTTP or in this process: see `Transport`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from logging import INFO
from typing import Protocol, Self, TypedDict, Unpack
from urllib.parse import urljoin

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from .._runtime.bulk_context import is_in_bulk
from .._runtime.cleanup import finished
from .._wire.messages import RawResponse, Request, Send, Timeout
from .._wire.page_size import PageSizes, is_heavy
from .._wire.validation import check_whole
from ..errors import (
    APIConnectionError,
    ConfigurationError,
    InternalServerError,
    MeitnerError,
    RateLimitError,
    mask,
)
from ..events import OnEvent
from .authentication import TOKEN_RETRIES, BearerAuth, over, signing
from .capture import listening
from .credentials import Auth, OAuth2
from .gate import gated
from .identity import Reader, quota_key
from .logging import LOG, CallEnded, Log, harmless, listener
from .pipeline import Stage, pipeline
from .rate_limit import RateLimiter
from .retry import retrying
from .retry_budget import RetryBudget
from .retry_policy import RetryPolicy, is_final
from .settings import check_timeout, checked_headers, public_headers, safe_url, same_server
from .shared_quota import QuotaStore, SharedQuota


class Transport(Protocol):
    """What carries requests: HTTP, or a directory in this process."""

    @property
    def identity(self) -> bytes:
        """What may make the answers of this transport differ from another's; hashed before it is stored or shown."""
        ...

    async def send(self, request: Request) -> RawResponse:
        """Make one attempt."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class _Others(TypedDict, total=False):
    """Options that are passed on unchanged."""

    timeout: Timeout | UnsetType
    concurrency: int | UnsetType
    on_event: OnEvent | UnsetType | None
    log: Log | UnsetType


CONCURRENCY = 8
"""Requests in flight unless a client says more or fewer."""


class Options(Struct, frozen=True):
    """The options of one copy of a client. Raises `TypeError` or `ValueError` for invalid ones."""

    policy: RetryPolicy
    headers: Mapping[str, str]
    timeout: Timeout = 60.0
    concurrency: int = CONCURRENCY
    on_event: OnEvent | None = None
    log: Log = LOG

    def __post_init__(self) -> None:
        """Check values that other modules use unchecked."""
        if not isinstance(self.policy, RetryPolicy):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise TypeError(f"retry must be a RetryPolicy, not {type(self.policy).__name__}")
        check_whole("max_retries", self.policy.max_retries)
        checked_headers(self.headers)
        check_timeout(self.timeout)
        check_whole("max_concurrency", self.concurrency, 1)
        if self.on_event is not None and not callable(self.on_event):
            raise TypeError(f"on_event must be callable, not {type(self.on_event).__name__}")
        if not callable(getattr(self.log, "isEnabledFor", None)):
            raise TypeError(f"logger must be a logging.Logger, not {type(self.log).__name__}")

    def narrowed(self, slots: int) -> Options:
        """Return options for no more requests in flight than connections; refuse more than the usual ones."""
        if slots < self.concurrency and self.concurrency > CONCURRENCY:
            raise ConfigurationError(
                f"max_concurrency={self.concurrency} is more than the {slots} connections of the session: "
                "raise the limit of its connector"
            )
        return self.changed(concurrency=slots)

    def changed(
        self,
        *,
        max_retries: int | UnsetType = UNSET,
        retry: RetryPolicy | UnsetType = UNSET,
        headers: Mapping[str, str] | UnsetType = UNSET,
        **others: Unpack[_Others],
    ) -> Options:
        """Return these options with some changed; one that is UNSET stays."""
        changes: dict[str, object] = {name: value for name, value in others.items() if value is not UNSET}
        if retry is not UNSET:
            changes["policy"] = retry
            if max_retries is not UNSET:
                raise TypeError("give either max_retries or retry, which has max_retries too")
        elif max_retries is not UNSET:
            changes["policy"] = replace(self.policy, max_retries=max_retries)
        if headers is not UNSET:
            changes["headers"] = over(self.headers, checked_headers(headers))
        return replace(self, **changes)

    def __repr__(self) -> str:
        return f"Options(timeout={self.timeout}, {self.policy})"  # headers may hold secrets

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("timeout", self.timeout), ("policy", self.policy)]


class NoAuth:
    """Adds no credentials: for token requests, and for a directory that needs none."""

    async def headers(self) -> Mapping[str, str]:
        """Return no header."""
        return {}


class _OwnAuth:
    """An auth object of the caller's; its headers are checked on every call."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self.client_id: object = getattr(auth, "client_id", None)

    async def headers(self) -> Mapping[str, str]:
        return checked_headers(await self._auth.headers())


class Core:
    """What a client and its copies share: connections, rate limiter, retry budget, page sizes, token, event loop."""

    def __init__(
        self,
        url: str,
        transport: Transport,
        auth: Auth | OAuth2,
        rate_limiter: RateLimiter,
        options: Options,
        *,
        insecure: bool = False,
    ) -> None:
        """Open no connection yet; token requests use `options`, and plain http only if `insecure`."""
        self.url = url
        self._insecure = insecure
        self.place = url
        """Where the directory is: equal for all its clients, also for one in this process."""
        self.online = True
        self.meant: Reader | None = None
        """Offline, the directory that would be asked online; None where nothing says which."""
        self.dropped = False
        """Whether a write went nowhere, which is told once."""
        self.transport = transport
        self.rate_limiter = rate_limiter
        self.widest = options.concurrency
        """Most requests in flight, over all copies and listings."""
        self.budget = RetryBudget()
        self.sizes = PageSizes()
        self.closed = False
        self._closing: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.auth = self._bearer(auth, options) if isinstance(auth, OAuth2) else _checked(auth)

    def sharing(self, store: QuotaStore | None, log: Log) -> Self:
        """Share the quota of these credentials with other hosts through a store, if there is one."""
        if store is not None:
            self.rate_limiter.share(SharedQuota(store, partial(quota_key, self.place, self.auth), log))
        return self

    def _bearer(self, oauth: OAuth2, options: Options) -> BearerAuth:
        url, policy = self._token_url(oauth), options.policy
        if policy.max_retries:
            policy = replace(policy, max_retries=max(policy.max_retries, TOKEN_RETRIES))
        headers = options.headers if same_server(self.url, url) else public_headers(options.headers)
        emit = listener(options.log, options.on_event)
        stages = (
            self._retry(policy, emit),
            # No rate limiter: a call that waits for the token may hold its last slot.
            partial(signing, auth=NoAuth(), headers=headers, timeout=options.timeout),
        )
        return BearerAuth(oauth, pipeline(stages, self.transport.send), url)

    def _token_url(self, oauth: OAuth2) -> str:
        return safe_url(urljoin(self.url, oauth.token_url), "token_url", insecure=self._insecure)

    def pipeline(
        self, options: Options, emit: OnEvent | None, noting: Stage | None = None, *, shrinks: bool = False
    ) -> Send:
        """Return the pipeline of a call, over all its attempts; `noting` is a stage that sees the answer to each.

        With `shrinks`, an error that may be due to the size of a page is raised early: a smaller one is asked for then.
        """
        retry = self._retry_briefly if shrinks else self._retry
        stages = (
            retry(options.policy, emit),
            noting,
            self.auth.before if isinstance(self.auth, BearerAuth) else None,  # fetches a missing token
            partial(self.rate_limiter.admitting, on_event=emit),
            gated,
            # After the rate limiter: a token may expire while a request waits there.
            partial(signing, auth=self.auth, headers=options.headers, timeout=options.timeout),
        )
        return pipeline(stages, self.transport.send)

    def _retry(self, policy: RetryPolicy, emit: OnEvent | None) -> Stage:
        return partial(retrying, policy=policy, budget=self.budget, on_event=emit, patience=self.rate_limiter.patience)

    def _retry_briefly(self, policy: RetryPolicy, emit: OnEvent | None) -> Stage:
        brief = self._retry(replace(policy, outage=0.0), emit)
        patient = self._retry(policy, emit)
        return (lambda send: _outlasting(brief(send), patient(send))) if policy.outage else brief

    def refuse_wider(self, options: Options) -> None:
        """Raise `ConfigurationError` for a copy that asks for more requests in flight than the client allows."""
        if options.concurrency > self.widest:
            raise ConfigurationError(
                f"max_concurrency={options.concurrency} is more than the {self.widest} requests that a client and its "
                "copies may have in flight together: build the client with it (your own session has a limit, too)"
            )

    def guarding(self, send: Send) -> Send:
        """Return a `Send` that refuses calls as this client does: for one that answers some by itself."""

        async def guarded(request: Request) -> RawResponse:
            self.enter()
            return await send(request)

        return guarded

    def enter(self) -> None:
        """Raise `MeitnerError` after `close()`, and in another event loop than that of the first call."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise MeitnerError("this client belongs to another event loop; build one for this loop")
            self._loop = loop
        self.refuse_if_closed()

    def refuse_if_closed(self) -> None:
        """Raise `MeitnerError` after `close()`."""
        if self.closed:
            raise MeitnerError("this client is closed")

    async def close(self) -> None:
        """Refuse waiting calls, cancel a token request, close the connections. Finishes even if it is cancelled."""
        if self._closing is None or self._closing.cancelled():  # the end of a loop cancels every task, also this one
            self.closed = True
            self.rate_limiter.close()
            self._closing = asyncio.ensure_future(self._let_go())
        await finished(self._closing)

    async def _let_go(self) -> None:
        if isinstance(self.auth, BearerAuth):
            await self.auth.close()
        await self.rate_limiter.close_shared()
        await self.transport.close()


def _checked(auth: Auth) -> Auth:
    ours = type(auth).__module__.startswith(f"{__package__}.")  # their credentials were checked when they were made
    return auth if ours else _OwnAuth(auth)


def _outlasting(brief: Send, patient: Send) -> Send:
    """Return a `Send` that goes on with patience where an outage, and not the size of a page, is the cause."""

    async def sent(request: Request) -> RawResponse:
        try:
            return await brief(request)
        except (APIConnectionError, InternalServerError, RateLimitError) as error:
            if is_heavy(error, request.route) or is_final(error):
                raise
            made = (error.attempts or 0) if error.route in (None, request.route) else 0  # else they are the token's
        try:
            response = await patient(replace(request, shrinks=False))
        except MeitnerError as error:
            if error.attempts is not None and error.route in (None, request.route):
                error.attempts += made
            raise
        response.attempts += made
        return response

    return sent


class Dispatcher:
    """The `Send` of one client or copy: refuses calls after `close()`; captures and the log see the others."""

    def __init__(self, core: Core, options: Options) -> None:
        """Send with `options` through what is shared."""
        self._core = core
        self._options = options
        emit = None if options.on_event is None else harmless(options.on_event, options.log)
        self._unseen = core.pipeline(options, emit)
        self._shrinking = core.pipeline(options, emit, shrinks=True)

    async def send(self, request: Request) -> RawResponse:
        """Return a successful answer that was read; raise the error of the last failure."""
        core = self._core
        core.enter()
        if is_in_bulk() and not request.bulk:
            request = replace(request, bulk=True)
        wanted = listening(core)
        try:
            if not wanted and not self._options.log.isEnabledFor(INFO):
                return await (self._shrinking if request.shrinks else self._unseen)(request)
            return await self._seen(request, wanted)
        except APIConnectionError:
            if not core.closed:
                raise
        raise MeitnerError("this client was closed during the call")

    async def _seen(self, request: Request, wanted: Sequence[list[RawResponse]]) -> RawResponse:
        options, watch = self._options, _Watch(request)
        emit = listener(options.log, options.on_event)
        try:
            answer = await self._core.pipeline(options, emit, watch.noting, shrinks=request.shrinks)(request)
            watch.succeeded(answer)
        except BaseException as error:
            watch.failed(error)
            raise
        finally:
            emit(watch.end())
            if watch.answer is not None:
                for answers in wanted:
                    answers.append(watch.answer)
        return answer


class _Watch:
    """Records one call: its last answer, also one that became an error, and how it ended."""

    def __init__(self, request: Request) -> None:
        self.answer: RawResponse | None = None
        self._request = request
        self._began = asyncio.get_running_loop().time()
        self._kind = ""
        self._attempts: int | None = None
        self._request_id: str | None = None

    def noting(self, send: Send) -> Send:
        async def noted(request: Request) -> RawResponse:
            self.answer = None
            self.answer = answer = await send(request)
            return answer

        return noted

    def succeeded(self, answer: RawResponse) -> None:
        self.answer, self._attempts, self._request_id = answer, answer.attempts, answer.request_id

    def failed(self, error: BaseException) -> None:
        self._kind = type(error).__name__
        if not isinstance(error, MeitnerError):
            self.answer = None  # the call was cancelled: it has none
            return
        self._attempts, self._request_id = error.attempts, error.request_id
        if self.answer is not None:
            self.answer.attempts = error.attempts or self.answer.attempts
            self.answer.elapsed = asyncio.get_running_loop().time() - self._began

    def end(self) -> CallEnded:
        elapsed = asyncio.get_running_loop().time() - self._began
        said = "" if self.answer is None else str(self.answer.status)
        outcome = f"{said} {self._kind}".strip()
        method, route = self._request.method, self._request.route
        named = mask(self._request_id) if self._request_id else None
        return CallEnded(method, route, outcome, elapsed, self._attempts, named)
