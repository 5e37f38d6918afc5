"""An export of every tenant, each a task of a Dask cluster. The caller's side; `_attempt` is the workers'."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Unpack, cast

from msgspec.structs import replace

from .. import __version__
from .._runtime.cleanup import stopped
from .._wire.validation import check_whole
from ..errors import (
    APIConnectionError,
    ConfigurationError,
    DestinationError,
    DestinationReason,
    InternalServerError,
    MeitnerError,
)
from ..export import Report
from ..export._names import named
from ..tenants import TenantReport, TenantsReport
from ..tenants._export import PublicOptions
from ..tenants._names import place_of
from ._attempt import Order, attempt
from ._options import check_order
from ._sources import Source, check_sources

if TYPE_CHECKING:
    from distributed import Client

PAUSE = 5.0
"""Seconds before a tenant that failed is begun again, doubled each time: a server, or a lock of a machine that is gone,
may need them. A worker that died needs none."""


async def export_many(
    tenants: Sequence[str] | Mapping[str, Source],
    resources: Iterable[str] = (),
    *,
    to: str | os.PathLike[str],
    client: Client,
    retries: int = 3,
    **options: Unpack[PublicOptions],
) -> TenantsReport[Report]:
    """Export every tenant to the folder of its name in `to`, each as a task of the cluster of a `client`.

    `tenants` are names of profiles on the workers, or a mapping of names to `FromProfile` or `FromEnvironment`. Nothing
    else is taken: what is sent to a cluster can be read there, so no secret is, and no `where`. `to` is a folder that
    all workers share, or an object store; a relative path is one of the caller's folder. Everything else is as in
    `meitner_aio.tenants.export_many`. The report has no ids of rows: the manifest names those left out.

    The error of a tenant is in the report, and stops no other tenant. One whose workers died (more often than the
    cluster's `allowed-failures`), or that failed for a reason that may pass, is started again up to `retries` times,
    and goes on where it ended if the folder is shared. A cancellation ends the tasks within seconds, as does the end of
    the caller's process; `resume=True` goes on with them.

    `client` is asynchronous. With another one: `client.sync(export_many, tenants, to=..., client=client)`.

    Raises `TypeError` or `ValueError` for invalid arguments, and `ConfigurationError` where Dask is not installed,
    before anything is sent.
    """
    _check_client(client)
    check_whole("retries", retries, 0)
    sources, names = check_sources(tenants), named(resources)
    place, plain = check_order(names, to, dict(options))
    loop, run = asyncio.get_running_loop(), uuid.uuid4().hex
    began = loop.time()
    tasks = {
        name: asyncio.create_task(
            _exported(client, Order(run, name, one, names, str(place_of(place, name)), plain), retries)
        )
        for name, one in sources.items()
    }
    try:
        await asyncio.wait(tasks.values())
    finally:
        await stopped(*tasks.values())
    return TenantsReport({name: task.result() for name, task in tasks.items()}, loop.time() - began)


def _check_client(client: object) -> None:
    try:
        from distributed import Client
    except ImportError:
        raise ConfigurationError('a cluster of Dask needs dask: pip install "meitner-aio[dask]"') from None
    if not isinstance(client, Client):
        raise TypeError(f"client must be a dask.distributed.Client, not {type(client).__name__}")
    if not client.asynchronous:
        raise TypeError(
            "client must be asynchronous, as Client(address, asynchronous=True) is; with this one, call "
            "client.sync(export_many, tenants, to=..., client=client)"
        )
    if client.status != "running":
        raise ValueError(f"client is {client.status}: open it first")


async def _exported(client: Client, order: Order, retries: int) -> TenantReport[Report]:
    """Export a tenant, again where that may help."""
    requests, turn = 0, 0
    while True:
        report, lost = await _attempted(client, order, f"meitner-export-{order.name}-{order.run}-{turn}")
        requests += report.requests
        if turn == retries or not (lost or _may_pass(report.error)):
            return replace(report, requests=requests)
        if not lost:
            await asyncio.sleep(PAUSE * 2**turn)
        turn += 1


async def _attempted(client: Client, order: Order, key: str) -> tuple[TenantReport[Report], bool]:
    """Return what became of a task, and whether it was lost because its workers died."""
    from distributed import CancelledError, KilledWorker

    cluster = cast("Any", client)  # most of it has no types
    lost, futures = False, list[Any]()
    try:
        futures.append(cluster.submit(attempt, order, key, key=key, pure=False))
        return await futures[0], lost
    except KilledWorker as killed:
        lost = True
        error = f"its worker died, {killed.allowed_failures + 1} times in a row: the logs of the hosts say why"
    except CancelledError:
        error = "the task was cancelled, or the connection to the cluster was lost"
    except Exception as failed:  # noqa: BLE001 - of the cluster: whatever it is, it is this tenant's
        error = (
            f"the cluster could not run the task ({type(failed).__name__}): its logs say why; the scheduler and the "
            f'workers need "meitner-aio[dask]" {__version__}, too'
        )
    finally:
        with suppress(Exception):  # of a client that was closed: the scheduler forgets the tasks of one that is gone
            await cluster.cancel(futures, asynchronous=True)
    return TenantReport(order.name, None, MeitnerError(error), 0, 0.0), lost


def _may_pass(error: Exception | None) -> bool:
    """Whether another attempt, perhaps on another machine, may end otherwise."""
    if isinstance(error, DestinationError):
        return error.reason is DestinationReason.UNAVAILABLE
    return isinstance(error, APIConnectionError | InternalServerError | OSError)
