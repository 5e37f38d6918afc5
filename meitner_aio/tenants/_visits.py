"""Work for one tenant after the other, several at once: makes clients, closes them, and lets none stop another."""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, cast

from .._pipeline.core import Options
from .._pipeline.gate import GATE
from .._pipeline.logging import Log, harmless
from .._profiles.connection import check_profiles
from .._runtime.cleanup import stopped
from .._runtime.frames import without_frames
from ..client import Meitner
from ..errors import MeitnerError
from ..events import Event, OnEvent, RequestSent
from ._names import check_names
from ._report import Result, TenantReport, TenantsReport
from ._turns import Turn, Turns

Client: TypeAlias = Meitner | Callable[[], Meitner | Awaitable[Meitner]]
"""A client, which is left open; or what makes one when the tenant's turn comes, which is closed afterwards."""
Tenant: TypeAlias = Client | str
"""A client, what makes one, or the name of a profile of `config.toml`."""
OnTenantEvent: TypeAlias = Callable[[str, Event], object]
R = TypeVar("R", bound=Result)
Work: TypeAlias = Callable[[str, Meitner], Awaitable[R]]
"""What is done for a tenant, whose name and client it takes."""


async def visited_all(
    tenants: Mapping[str, Client],
    work: Work[R],
    turns: Turns,
    on_event: OnTenantEvent | None = None,
    on_end: Callable[[TenantReport[R]], object] = lambda _: None,
) -> TenantsReport[R]:
    """Do the work for every tenant when its turn comes. What it raises for one ends that one alone.

    Cancelled, however often, it ends all of them first, with their clients.
    """
    began = asyncio.get_running_loop().time()
    check_tenants(tenants)

    async def ended(name: str) -> TenantReport[R]:
        report = await visited(name, tenants[name], work, turns, on_event)
        on_end(report)
        return report

    tasks = {name: asyncio.create_task(ended(name)) for name in tenants}
    try:
        await asyncio.wait(tasks.values())
    finally:
        await stopped(*tasks.values())
    done = {name: _ended(name, task) for name, task in tasks.items()}
    return TenantsReport(done, asyncio.get_running_loop().time() - began)


def _ended(name: str, task: asyncio.Task[TenantReport[R]]) -> TenantReport[R]:
    if task.cancelled():
        return TenantReport(name, None, MeitnerError("the run of this tenant was cancelled"), 0, 0.0)
    return task.result()


def clients_of(tenants: Mapping[str, Tenant]) -> dict[str, Client]:
    """Return the tenants with what makes the client of each profile. Raises what `check_profiles` raises."""
    profiles = [one for one in tenants.values() if isinstance(one, str)]
    if len(profiles) > len(set(profiles)):
        raise ValueError("two tenants have the same profile, and so the same directory")
    check_profiles(profiles)
    return {name: partial(Meitner, profile=one) if isinstance(one, str) else one for name, one in tenants.items()}


def check_tenants(tenants: Mapping[str, object]) -> None:
    """Raise `TypeError` or `ValueError` for names that are none, and for what is neither a client nor makes one."""
    check_names(tenants)
    clients: dict[int, str] = {}
    for name, one in tenants.items():
        if not isinstance(one, Meitner):
            if not callable(one):
                raise TypeError(
                    f"{name} must be a Meitner, a callable that returns one or the name of a profile, not "
                    f"{type(one).__name__}"
                )
        elif clients.setdefault(id(one), name) != name:
            raise ValueError(f"{clients[id(one)]} and {name} have the same client, and so the same directory")


def nobody() -> Meitner:
    """Return a client of an empty directory, which options can be checked with before there is any other."""
    return Meitner.sandbox(students=0, schools=0)


async def visited(
    name: str, tenant: Client, work: Work[R], turns: Turns, on_event: OnTenantEvent | None = None
) -> TenantReport[R]:
    """Do the work for one tenant when its turn comes, and report what became of it."""
    loop = asyncio.get_running_loop()
    async with turns.turn() as turn, _bounded(turn):
        began, visit = loop.time(), _Visit(name, turn, on_event)
        report: R | None = None
        with _Failure() as failure:
            async with _opened(name, tenant) as meitner:
                report = await work(name, visit.watched(meitner))
        return TenantReport(name, report, failure.error, visit.requests, loop.time() - began)


@asynccontextmanager
async def _bounded(turn: Turn) -> AsyncGenerator[None, None]:
    before = GATE.set(turn.gate)
    try:
        yield
    finally:
        GATE.reset(before)


class _Failure:
    """Keeps whatever error a block ends with: it is one tenant's, and stops no other."""

    error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if not isinstance(error, MeitnerError | OSError):  # without its frames, whose locals hold rows, say where
            *_, (frame, line) = traceback.walk_tb(trace)
            error.add_note(f"raised in {frame.f_code.co_filename}, line {line}")
        without_frames(error)
        self.error = error
        return True


@asynccontextmanager
async def _opened(name: str, tenant: Client) -> AsyncGenerator[Meitner, None]:
    if isinstance(tenant, Meitner):
        yield tenant
        return
    made = tenant()
    meitner = cast("object", await made if inspect.isawaitable(made) else made)
    if not isinstance(meitner, Meitner):
        raise TypeError(f"what makes the client of {name} returned {type(meitner).__name__}, and no Meitner")
    try:
        yield meitner
    finally:
        await meitner.close()


def listener_of(meitner: Meitner) -> OnEvent | None:
    """Return what a client tells its events: `with_options(on_event=...)` puts another in its place."""
    return _options(meitner).on_event


def _options(meitner: Meitner) -> Options:
    options: Options = vars(meitner)["_options"]
    return options


class _Visit:
    """What is heard of one tenant while its work is done."""

    def __init__(self, name: str, turn: Turn, on_event: OnTenantEvent | None) -> None:
        self.requests = 0
        self._name, self._turn, self._on_event = name, turn, on_event

    def watched(self, meitner: Meitner) -> Meitner:
        """Return the client with its requests counted, and the tenant named in its log."""
        log = TenantLog(_options(meitner).log, self._name)
        listener = listener_of(meitner)
        before = None if listener is None else harmless(listener, log)

        def heard(event: Event) -> None:
            self.requests += isinstance(event, RequestSent)
            self._turn.hear(event)
            if before is not None:
                before(event)
            if self._on_event is not None:
                self._on_event(self._name, event)

        return meitner.with_options(on_event=heard, logger=log)


class TenantLog(logging.LoggerAdapter[Any]):
    """Begins each line with the tenant, which is also the attribute `tenant` of the record."""

    def __init__(self, log: Log, name: str) -> None:
        super().__init__(log, {"tenant": name})
        self._name = name

    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[object, MutableMapping[str, Any]]:
        """Add the name to a line."""
        return f"{self._name}: {msg}", {**kwargs, "extra": {**kwargs.get("extra", {}), "tenant": self._name}}
