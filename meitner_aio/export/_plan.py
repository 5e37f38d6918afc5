"""What an export will cost, from one request for each resource."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from msgspec import Struct

from .._listing.listing import inside
from .._pipeline.server_limiter import Quota
from .._runtime.amounts import duration
from ..errors import QuotaExhausted, ResponseValidationError
from ._journal import Journal, PageCheckpoint
from ._read import advised
from ._selection import ResourceJob, Selection, chosen

if TYPE_CHECKING:
    from .._wire.decoding import DecodedPage
    from ..client import Meitner

_HOUR = 3600.0
"""Seconds of a window; the wait for one that is spent is no longer."""


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
    """The hourly quota as it was after the plan's own requests; None when the server names none."""
    seconds: float
    """Expected duration: as fast as the plan's requests were answered, and the waits for the quota."""
    wait: float = 0.0
    """Seconds among them of waiting for the quota: for a new window, or for what a bucket gives."""

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


async def plan(
    meitner: Meitner,
    resources: Iterable[str] = (),
    *,
    page_size: int | None = None,
    where: Mapping[str, object] | None = None,
    since: datetime | None = None,
    limit: int | None = None,
    on_invalid: Literal["raise", "skip"] = "raise",
) -> Plan:
    """Return what `export` with the same arguments will cost; one request for each resource, its first page.

    Raises what `export` raises for arguments, and what reading raises.
    """
    selection = Selection.of(where, since, limit=limit, page_size=page_size, on_invalid=on_invalid)
    try:
        return await planned(meitner, chosen(meitner, resources, selection, where), selection)
    except ResponseValidationError as error:
        raise advised(error) from None


async def planned(
    meitner: Meitner,
    everything: Sequence[ResourceJob],
    selection: Selection,
    left: Mapping[str, Journal] | None = None,
    *,
    begins: bool = False,
) -> Plan:
    """Ask for each first page, one after the other, so that the time of an answer is its own.

    What an interrupted export `left`, by the name of the resource, says what is missing without a request. An export
    that `begins` with these very pages does not ask for them again.
    `QuotaExhausted` when the quota is spent, and its next window more than a minute away.
    """
    marks = {name: journal.marks for name, journal in (left or {}).items() if journal.marks}
    fresh = [one for one in everything if one.name not in marks]
    seen: dict[str, _FirstPage] = {}
    for one in fresh:
        seen[one.name] = await _first_page(one)
    for one in () if fresh else everything[-1:]:  # one answer at least, for the quota
        seen[one.name] = await _first_page(one, small=True)
    if begins:
        for one in fresh:
            one.first.append(seen[one.name].page)
    found = [
        _continued(one, marks[one.name], selection)
        if one.name in marks
        else _begun(one, seen[one.name].page, selection)
        for one in everything
    ]
    return _costs(found, getattr(meitner, "quota", None), list(seen.values()), made=len(fresh) if begins else 0)


class _FirstPage(NamedTuple):
    """A first page, and how it came: seconds until it was there, requests in flight that a read may have."""

    page: DecodedPage[Any]
    latency: float
    width: int


async def _first_page(one: ResourceJob, *, small: bool = False) -> _FirstPage:
    clock = asyncio.get_running_loop().time
    source, reading = inside(one.listing)
    began = clock()
    ask = reading.ask._replace(bulk=False, first=False)
    page = await source.fetch(ask._replace(limit=1, open=False) if small else ask)
    return _FirstPage(page, clock() - began, reading.concurrency)


def _costs(found: Sequence[PlannedResource], quota: Quota | None, first: Sequence[_FirstPage], made: int) -> Plan:
    """Return the plan of what was found, of which so many requests were `made`."""
    requests = sum(resource.requests for resource in found)
    answers = requests * median([one.latency for one in first]) / first[-1].width if first else 0.0
    if quota is None:
        return Plan(tuple(found), None, answers)
    wait = waiting(requests - made, quota, _left(quota, first[-1].page.server_time if first else None))
    return Plan(tuple(found), quota, max(answers, wait) if refills(quota) else answers + wait, wait)


def _begun(one: ResourceJob, page: DecodedPage[Any], selection: Selection) -> PlannedResource:
    reported, asked = page.pagination, page.asked or inside(one.listing)[1].ask.limit
    step = reported.limit if 1 <= reported.limit <= asked else asked
    return _resource(one, reported.total, step, 0, selection)


def _continued(one: ResourceJob, marks: Sequence[PageCheckpoint], selection: Selection) -> PlannedResource:
    last = marks[-1]
    return _resource(one, last.total, max(mark.limit for mark in marks), last.offset + last.size, selection)


def _resource(one: ResourceJob, total: int, step: int, reached: int, selection: Selection) -> PlannedResource:
    """Return what is missing of a resource, of which so many rows are there.

    Rows without ids that take several pages are read twice, unless a limit ends the read.
    """
    rows = total if selection.limit is None else min(total, selection.limit)
    requests = max(0 if reached else 1, -(-(rows - reached) // step))
    again = "id" not in one.model.__struct_fields__ and rows == total and rows > step
    return PlannedResource(one.name, rows, requests + (-(-total // step) if again else 0), step)


def _left(quota: Quota, date: float | None) -> float:
    """Return the seconds until the window ends, by the server's clock where an answer has its time."""
    return min(max(0.0, quota.reset_at.timestamp() - (time.time() if date is None else date)), _HOUR)


def refills(quota: Quota | None) -> bool:
    """Whether a quota is a bucket, which fills all the time, or is taken for one; a window is full again at its end."""
    return quota is not None and quota.kind != "window"


def waiting(requests: int, quota: Quota, left: float) -> float:
    """Return the seconds that requests will wait for the quota, `left` seconds before a present window ends.

    What remains is free. A bucket gives the rest at its rate; a window so many at each of its ends.
    """
    missing = requests - quota.remaining
    if missing <= 0:
        return 0.0
    if refills(quota):
        return missing * _HOUR / quota.limit
    return left + (-(-missing // quota.limit) - 1) * _HOUR


def check_wait(plan: Plan, max_wait: float) -> None:
    """Raise `QuotaExhausted` when a plan waits longer for the quota than a caller allows."""
    if plan.wait <= max_wait or plan.quota is None:
        return
    raise QuotaExhausted(
        f"the export takes {plan.requests:,} requests and would wait about {duration(plan.wait)} for the hourly quota, "
        f"of which {plan.quota.remaining:,} of {plan.quota.limit:,} are left: longer than "
        f"max_wait={max_wait:g} seconds allow; to export anyway, use force",
        reset_at=plan.quota.reset_at,
    )
