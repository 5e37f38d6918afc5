"""What an export will cost, before it is begun: one request for each resource tells."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct

from .._limiter import Quota
from .._listing import inside
from .._source import Ask
from ..errors import QuotaExhausted
from ..records import Pagination
from ._selection import Chosen, Selection, chosen

if TYPE_CHECKING:
    from ..client import Meitner

_HOUR = 3600.0
"""Seconds of a window whose end nobody has told yet."""


class PlannedResource(Struct, frozen=True):
    """What reading one resource takes, if nothing moves meanwhile."""

    resource: str
    rows: int
    requests: int
    page_size: int
    """Rows that an answer will hold: as many as were asked for, or as the server gives."""


class Plan(Struct, frozen=True):
    """What an export will cost."""

    resources: tuple[PlannedResource, ...]
    quota: Quota | None
    """The hourly quota as it was after the plan's own requests; None when the server tells of none."""
    seconds: float
    """Expected duration: as fast as the plan's requests were answered, and the waits for the quota."""
    wait: float = 0.0
    """Seconds among them of waiting for the quota: for new windows, and between requests when little is left."""

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(resource.rows for resource in self.resources)

    @property
    def requests(self) -> int:
        """Requests in all."""
        return sum(resource.requests for resource in self.resources)

    @property
    def share(self) -> float | None:
        """The requests as a share of the hourly quota: 0.5 is half an hour's; None when there is no quota."""
        return None if self.quota is None else self.requests / self.quota.limit


async def plan(  # noqa: PLR0913 - the choices of an export that decide what it costs
    meitner: Meitner,
    resources: Iterable[str] = (),
    *,
    page_size: int | None = None,
    where: Mapping[str, object] | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> Plan:
    """Return what `export` with the same arguments will cost; one request for each resource, its first page.

    Raises what `export` raises for arguments, and what reading raises.
    """
    selection = Selection.of(where, since, None, limit, page_size)
    return await planned(meitner, chosen(meitner, resources, selection, where), selection)


async def planned(
    meitner: Meitner, everything: Sequence[Chosen], selection: Selection, spared: Mapping[str, int] | None = None
) -> Plan:
    """Ask for each first page, one after the other, so that the time of an answer is its own.

    `spared` are requests that an interrupted export has made already, by the name of the resource.
    `QuotaExhausted` when the quota is spent, and its next window more than a minute away.
    """
    clock = asyncio.get_running_loop().time
    found: list[PlannedResource] = []
    latencies: list[float] = []
    date, width = None, 1
    for one in everything:
        began = clock()
        source, how = inside(one.listing)
        page = await source.fetch(Ask(how.limit, 0))
        latencies.append(clock() - began)
        date, width = page.server_time, how.concurrency
        found.append(_resource(one, page.pagination, selection, (spared or {}).get(one.name, 0)))
    requests = sum(resource.requests for resource in found)
    quota = getattr(meitner, "quota", None)
    wait = 0.0 if quota is None else waiting(requests, quota, _left(quota, date))
    return Plan(tuple(found), quota, requests * median(latencies or [0.0]) / width + wait, wait)


def _resource(one: Chosen, told: Pagination, selection: Selection, spared: int) -> PlannedResource:
    asked = selection.first_page
    step = told.limit if 1 <= told.limit <= asked else asked
    rows = told.total if selection.limit is None else min(told.total, selection.limit)
    return PlannedResource(one.name, rows, max(1, -(-rows // step) - spared), step)


def _left(quota: Quota, date: float | None) -> float:
    """Return the seconds until the window ends, by the server's clock where it tells the time."""
    return min(max(0.0, quota.reset_at.timestamp() - (time.time() if date is None else date)), _HOUR)


def waiting(requests: int, quota: Quota, left: float) -> float:
    """Return the seconds that requests will wait for the quota, `left` seconds before the present window ends.

    What remains is free; the rest comes with the next windows, or as a bucket refills.
    """
    over = requests - quota.remaining
    if over <= 0:
        return 0.0
    if quota.kind != "window":
        return over * _HOUR / quota.limit
    return left + (math.ceil(over / quota.limit) - 1) * _HOUR


def check_wait(plan: Plan, max_wait: float) -> None:
    """Raise `QuotaExhausted` when a plan waits longer for the quota than a caller allows."""
    if plan.wait <= max_wait or plan.quota is None:
        return
    raise QuotaExhausted(
        f"the export takes {plan.requests:,} requests and would wait about {plan.wait:,.0f} seconds for the hourly "
        f"quota, of which {plan.quota.remaining:,} of {plan.quota.limit:,} are left; more than max_wait={max_wait:g} "
        "allows, unless by force",
        reset_at=plan.quota.reset_at,
    )
