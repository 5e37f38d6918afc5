"""An export of every tenant, each to a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Literal, TypedDict, Unpack

from ..client import Meitner
from ..events import Event
from ..export import Format, Progress, Report, check_options, export
from ..export._names import named
from ._names import place_of
from ._report import TenantsReport
from ._turns import CONCURRENCY, CONNECTIONS, Turns
from ._visits import Tenant, check_tenants, clients_of, nobody, visited_all


class PublicOptions(TypedDict, total=False):
    """Keywords of `export`, which every tenant gets, and in which there is nothing personal."""

    format: Format | None
    page_size: int | None
    since: datetime | None
    fields: Sequence[str] | None
    limit: int | None
    resume: bool
    force: bool
    max_wait: float | None
    excel: bool
    replace: bool
    on_invalid: Literal["raise", "skip"]
    pseudonymise: str | os.PathLike[str] | None
    spool: str | os.PathLike[str] | None
    keep_runs: int | None


class ExportOptions(PublicOptions, total=False):
    """Keywords of `export`, which every tenant gets."""

    where: Mapping[str, object] | None


async def export_many(
    tenants: Mapping[str, Tenant],
    resources: Iterable[str] = (),
    *,
    to: str | os.PathLike[str],
    concurrency: int = CONCURRENCY,
    connections: int = CONNECTIONS,
    progress: Callable[[str, Progress], object] | None = None,
    on_event: Callable[[str, Event], object] | None = None,
    **options: Unpack[ExportOptions],
) -> TenantsReport[Report]:
    """Export every tenant to the folder of its name in `to`; `resources` and `options` are those of `export`.

    A tenant is a client, which stays open, or a callable that returns one (or an awaitable of one), which is called
    when its turn comes; that client is closed afterwards. A text is the name of a profile of `config.toml`, and stands
    for `Meitner(profile=...)`, made likewise. At most `concurrency` tenants work at once, with at most `connections`
    requests in flight over all of them. One that waits for its quota, or before a retry, leaves its place to the next;
    no more than four times `concurrency` wait.

    What a tenant fails with is in the report, and stops no other. A cancellation ends all: `resume=True` goes on with
    what was interrupted. `progress` and `on_event` are called with the name of the tenant first.

    Raises `TypeError` or `ValueError` for what cannot be meant, before any client is made: names that are no names of
    folders, or differ in case alone; one client or profile for two tenants; options that `export` refuses. Raises
    `ConfigurationError` for a profile that is not there, and where the environment has what belongs to one directory:
    it would go to every profile.
    """
    names, turns = named(resources), Turns(concurrency, connections)
    check_tenants(clients := clients_of(tenants))
    check_options(nobody(), names, to=to, **options)

    async def work(name: str, meitner: Meitner) -> Report:
        told = None if progress is None else partial(progress, name)
        return await export(meitner, names, to=place_of(to, name), progress=told, **options)

    return await visited_all(clients, work, turns, on_event)
