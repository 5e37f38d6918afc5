"""What runs on a worker: one attempt at the export of one tenant.

Knows of Dask only how to ask whether its task is still wanted: Dask lets coroutines that were cancelled go on.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from .. import __version__
from .._runtime.cleanup import stopped
from .._runtime.threads import threaded
from ..client import Meitner
from ..errors import ConfigurationError
from ..export import Progress, Report, export
from ..tenants import TenantReport
from ..tenants._turns import Turns
from ..tenants._visits import visited
from ._harmless import harmless, harmless_report
from ._note import Note, place_of_note
from ._sources import Source

LOOKING = 1.0
"""Seconds between two looks at whether a task is still wanted."""


class Order(Struct, frozen=True):
    """What a worker is told: names, a place and options. Nothing secret, nothing personal."""

    run: str
    """Of the call: the same for all attempts of all tenants."""
    name: str
    source: Source
    resources: tuple[str, ...]
    to: str
    options: dict[str, Any]
    """Keywords of `export`."""
    version: str = __version__


async def attempt(order: Order, key: str) -> TenantReport[Report]:
    """Export a tenant, and return what became of it: an error is in the report, and not raised.

    Raises `dask.distributed.Reschedule` when the task is not wanted any more: should it be again, it is put back.
    """
    from distributed import Reschedule, get_worker

    tasks = get_worker().state.tasks
    working = asyncio.create_task(exported(order))
    try:
        while not working.done():
            await asyncio.wait([working], timeout=LOOKING)
            if key not in tasks or tasks[key].state == "cancelled":
                raise Reschedule
    finally:
        await stopped(working)
    return working.result()


async def exported(order: Order) -> TenantReport[Report]:
    """Export a tenant; go on where another attempt of the same call ended, where this machine sees what it left."""
    place = place_of_note(order.to, order.options.get("spool"))
    note = Note(order.run)

    def client() -> Meitner:
        if order.version != __version__:
            told = f"the worker has meitner-aio {__version__}, the caller {order.version}"
            raise ConfigurationError(f"{told}: install the same version")
        return order.source.client()

    async def work(_: str, meitner: Meitner) -> Report:
        before = await threaded(Note.of, place, order.run)
        if before is not None and before.report is not None:
            return before.report
        options = dict(order.options)
        options["resume"] = options.get("resume", False) or before is not None
        begun = partial(_begun, note, place, [before is not None])
        report = await export(meitner, order.resources, to=order.to, progress=begun, **options)
        report = harmless_report(report)
        await threaded(Note(order.run, report).save, place)
        return report

    return harmless(await visited(order.name, client, work, Turns(1)))


def _begun(note: Note, place: Path, noted: list[bool], _: Progress) -> None:
    """Note at the first page whose what is left here is: by then an export has given up what another one left."""
    if not noted[0]:
        noted[0] = True
        note.save(place)
