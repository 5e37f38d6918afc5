"""A mirror of every tenant, each in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TypedDict, Unpack

from ..client import Meitner
from ..events import Event
from ..export import check_place
from ..mirror import Mirror, SyncReport, check_sync, kept_names
from ._names import is_address, place_of
from ._report import TenantsReport
from ._turns import CONCURRENCY, CONNECTIONS, Turns
from ._visits import Tenant, check_tenants, clients_of, nobody, visited_all

MIRROR = "directory.sqlite"
"""The mirror in the folder of a tenant."""


class SyncOptions(TypedDict, total=False):
    """Keywords of `Mirror.sync`, which every tenant gets."""

    full: bool
    max_deletions: float
    lookback: float
    grades_every: float | timedelta | None


async def sync_many(
    tenants: Mapping[str, Tenant],
    resources: Iterable[str] | None = None,
    *,
    to: str | os.PathLike[str],
    concurrency: int = CONCURRENCY,
    connections: int = CONNECTIONS,
    on_event: Callable[[str, Event], object] | None = None,
    **options: Unpack[SyncOptions],
) -> TenantsReport[SyncReport]:
    """Bring the mirror of every tenant, `directory.sqlite` in the folder of its name in `to`, to what it is now.

    `resources` and `options` are those of `Mirror.sync`, but that deletions are accepted one tenant at a time. The rest
    is as in `export_many`. A run that is cancelled leaves each mirror as its last whole run left it.
    """
    names, turns = kept_names(resources), Turns(concurrency, connections)
    check_tenants(clients := clients_of(tenants))
    if is_address(to):
        raise ValueError("a mirror is a file of SQLite: name a folder of this machine")
    check_place(to)
    check_sync(nobody(), names, **options)

    async def work(name: str, meitner: Meitner) -> SyncReport:
        async with Mirror(Path(place_of(to, name), MIRROR)) as mirror:
            return await mirror.sync(meitner, names, **options)

    return await visited_all(clients, work, turns, on_event)
