"""The commands that read and show: list, search, get and count."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import Parameter

from ..._listing.listing import Listing, at_most
from ..._runtime.threads import threaded
from ..._wire.validation import checked_id
from ...export import resource_names
from ...records import Record
from .._exit import Exit, UsageError
from .._options import (
    DIRECTORY,
    PAGING,
    DirectoryOptions,
    Json,
    Natural,
    PagingOptions,
    Positive,
    ResourceName,
    Where,
)
from ..conditions import conditions
from ..rendering.amounts import counted
from ..rendering.columns import table_of
from ..rendering.output import for_people, say, visible, write_json, write_lines, write_table

if TYPE_CHECKING:
    from ...client import Meitner

_ON_SCREEN = 50
"""Rows that a table has when the caller does not say."""

Limit = Annotated[Positive | None, Parameter(help="Rows at most.")]
Offset = Annotated[Natural, Parameter(help="Rows to skip.")]
Exact = Annotated[
    bool, Parameter(help="Fetch again what moved, until nothing is shown to be missing.", show_default=False)
]


async def list_command(
    resource: ResourceName,
    /,
    *,
    limit: Limit = None,
    offset: Offset = 0,
    exact: Exact = False,
    json: Json = False,
    directory: DirectoryOptions = DIRECTORY,
    paging: PagingOptions = PAGING,
) -> Exit:
    """Show the records of a resource.

    On a terminal, a table of the fields that fit, of 50 rows unless --limit says otherwise.
    With --json, and where stdout is not a terminal, all rows and all fields: one JSON object a line.
    When rows may be missing, a line on stderr says so, and the exit code is 3.
    """
    return await _shown(_Wanted(resource, {}, limit, offset, exact), directory, paging, json=json)


async def search_command(
    resource: ResourceName,
    /,
    *,
    where: Annotated[Where, Parameter(required=True)],
    limit: Limit = None,
    offset: Offset = 0,
    exact: Exact = False,
    json: Json = False,
    directory: DirectoryOptions = DIRECTORY,
    paging: PagingOptions = PAGING,
) -> Exit:
    """Show the records of a resource that meet every condition.

    They are shown as list shows them.

    A condition is FIELD, an operator, and a value; your shell needs quotes:
    --where 'last_name~E%'

    =  !=          the value, or one of several: gender=Female,Other
                   (in text, a comma is a comma: repeat --where instead)
    ~  !~          text like a pattern: % is any run of characters, _ is one
    >=  <=  >  <   dates, times and numbers: date_of_birth>=2015-01-01
    =null  !=null  has no value, has one

    A dot leads into an object: meta.updated_at, address.postal_city.
    A time has a zone, 2026-01-31T08:00+01:00; a date is its midnight in UTC;
    7d is seven days ago (m, h, d, w).
    """
    found = conditions(where, [resource], datetime.now(UTC))
    return await _shown(_Wanted(resource, found, limit, offset, exact), directory, paging, json=json)


class _Wanted(NamedTuple):
    resource: str
    conditions: dict[str, object]
    """None for every record."""
    rows: int | None
    offset: int
    exact: bool


async def _shown(wanted: _Wanted, directory: DirectoryOptions, paging: PagingOptions, *, json: bool) -> Exit:
    if wanted.exact and wanted.offset:
        raise UsageError("--exact begins at the first row: leave out --offset")
    as_table = for_people() and not json
    if as_table and wanted.rows is None:
        wanted = wanted._replace(rows=_ON_SCREEN)
    profile = directory.settings()
    paging = paging.completed(profile)
    async with directory.client(profile, max_concurrency=paging.concurrency) as meitner:
        listing = _listing(meitner, wanted, paging)
        async with aclosing(_parts(listing, wanted.rows)) as parts:
            if as_table:
                await _show(parts, wanted.resource)
            else:
                async for part in parts:
                    # In a thread: while a pager waits for its reader, requests under way must not time out.
                    await threaded(write_lines, part.records)
    return _judged(listing, wanted)


class _Part(NamedTuple):
    records: Sequence[Record]
    total: int
    """Records that the server has."""


def _listing(
    meitner: Meitner,
    wanted: _Wanted,
    paging: PagingOptions,
) -> Listing[Record]:
    """Return what is to be read. A limit on the rows costs no request that it does not need."""
    resource = getattr(meitner, wanted.resource)
    listing: Listing[Record] = resource.search(**wanted.conditions) if wanted.conditions else resource.list()
    listing = listing.paged(offset=wanted.offset, exact=wanted.exact)
    rows = wanted.rows
    if rows is None:
        return listing.paged(limit=paging.page_size, concurrency=paging.concurrency)
    listing = at_most(listing, rows) if paging.page_size is None else listing.paged(limit=min(rows, paging.page_size))
    return listing.paged(concurrency=1)


async def _parts(listing: Listing[Record], rows: int | None) -> AsyncGenerator[_Part]:
    """Yield what is wanted of each page."""
    async with aclosing(listing.pages()) as pages:
        async for page in pages:
            yield _Part(page.data[:rows], page.pagination.total)
            if rows is not None:
                rows -= len(page)
                if rows <= 0:
                    return


def _judged(listing: Listing[Record], wanted: _Wanted) -> Exit:
    """Say when rows may be lacking. Of a read that a limit ended nothing is known, and nothing more was asked for."""
    report = listing.report
    if report.complete or report.level == "unfinished":
        return Exit.COMPLETE
    exist = max(0, (report.total or 0) - wanted.offset)
    what = "another try may read them all" if wanted.exact or wanted.offset else "--exact reads again what moved"
    of = f"{report.rows:,} of {counted(exist, 'row')}" if report.rows < exist else counted(report.rows, "row")
    say(f"meitner-aio: {wanted.resource} may lack rows: {of} read, {report.level}; {what}")
    return Exit.PARTIAL


async def _show(parts: AsyncGenerator[_Part], resource: str) -> None:
    records: list[Record] = []
    total = 0
    async for part in parts:
        records += part.records
        total = part.total
    table, lacking = table_of(records, shutil.get_terminal_size().columns, visible) if records else ([], 0)
    note = f"{len(records):,} of {total:,} {resource}"
    write_table(table, note=f"{note}; --json shows {counted(lacking, 'more field')}" if lacking else note)


def _uuid(_: type, value: object) -> None:
    checked_id(value)


async def get_command(
    resource: ResourceName,
    id: Annotated[str, Parameter(help="The record's UUID.", validator=_uuid)],
    /,
    *,
    json: Json = False,
    directory: DirectoryOptions = DIRECTORY,
) -> None:
    """Show one record, as JSON.

    Indented on a terminal; on one line with --json, and where stdout is not a terminal.
    """
    async with directory.client(directory.settings()) as meitner:
        record = await getattr(meitner, resource).get(id)
    write_json(record, indented=for_people() and not json)


async def count_command(*resources: ResourceName, json: Json = False, directory: DirectoryOptions = DIRECTORY) -> None:
    """Count the records of resources.

    All resources when none is named; one request each.
    """
    async with directory.client(directory.settings()) as meitner:
        counts = {name: await getattr(meitner, name).list().count() for name in resource_names(resources)}
    if json:
        write_json(counts)
    else:
        write_table(
            [["resource", "records"], *([name, f"{count:,}"] for name, count in counts.items())],
            numbers=frozenset({1}),
        )
