"""The commands that read and show: list, get and count."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, NamedTuple

from cyclopts import Parameter
from cyclopts.validators import Number

from .._read import PAGE_LIMIT
from .._values import checked_id
from ..export import resource_names
from ..records import Record
from ._columns import table_of
from ._options import DIRECTORY, PAGING, Directory, Json, Paging, Positive, ResourceName
from ._output import for_people, write_json, write_lines, write_table

_ON_SCREEN = 50
"""Rows that a table has when the caller does not say."""


async def list_command(  # noqa: PLR0913 - every choice a user can make
    resource: ResourceName,
    /,
    *,
    limit: Annotated[Positive | None, Parameter(help="Rows at most.")] = None,
    offset: Annotated[int, Parameter(help="Rows to skip.", validator=Number(gte=0))] = 0,
    json: Json = False,
    directory: Directory = DIRECTORY,
    paging: Paging = PAGING,
) -> None:
    """Show the records of a resource.

    On a terminal, a table of the fields that fit, of 50 rows unless --limit says otherwise.
    With --json, and where stdout is not a terminal, all rows and all fields: one JSON object a line.
    """
    as_table = for_people() and not json
    rows = _ON_SCREEN if as_table and limit is None else limit
    async with (
        directory.client(max_concurrency=paging.concurrency) as meitner,
        aclosing(_parts(getattr(meitner, resource), rows, offset, paging)) as parts,
    ):
        if as_table:
            await _show(parts, resource)
        else:
            async for part in parts:
                # In a thread: while a pager waits for its reader, requests under way must not time out.
                await asyncio.to_thread(write_lines, part.records)


class _Part(NamedTuple):
    records: Sequence[Record]
    total: int
    """Records that the server has."""


async def _parts(
    resource: Any,  # noqa: ANN401 - any resource
    rows: int | None,
    offset: int,
    paging: Paging,
) -> AsyncGenerator[_Part]:
    """Yield what is wanted of each page. A limit on the rows costs no request that it does not need."""
    if rows is None:
        listing = resource.list(limit=paging.page_size, offset=offset, concurrency=paging.concurrency)
    else:
        listing = resource.list(limit=min(rows, paging.page_size or PAGE_LIMIT), offset=offset, concurrency=1)
    async with aclosing(listing.pages()) as pages:
        async for page in pages:
            yield _Part(page.data[:rows], page.pagination.total)
            if rows is not None:
                rows -= len(page)
                if rows <= 0:
                    return


async def _show(parts: AsyncGenerator[_Part], resource: str) -> None:
    records: list[Record] = []
    total = 0
    async for part in parts:
        records += part.records
        total = part.total
    table, lacking = table_of(records, shutil.get_terminal_size().columns) if records else ([], 0)
    note = f"{len(records):,} of {total:,} {resource}"
    write_table(table, note=f"{note}; --json shows {lacking} more fields" if lacking else note)


def _uuid(_: type, value: Any) -> None:  # noqa: ANN401 - cyclopts' protocol
    checked_id(value)


async def get_command(
    resource: ResourceName,
    id: Annotated[str, Parameter(help="The record's UUID.", validator=_uuid)],  # noqa: A002 - the API's own word
    /,
    *,
    json: Json = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Show one record, as JSON.

    Indented on a terminal; on one line with --json, and where stdout is not a terminal.
    """
    async with directory.client() as meitner:
        record = await getattr(meitner, resource).get(id)
    write_json(record, indented=for_people() and not json)


async def count_command(*resources: ResourceName, json: Json = False, directory: Directory = DIRECTORY) -> None:
    """Count the records of resources.

    All resources when none is named; one request each.
    """
    async with directory.client() as meitner:
        counts = {name: await getattr(meitner, name).list().count() for name in resource_names(resources)}
    if json:
        write_json(counts)
    else:
        write_table(
            [["resource", "records"], *([name, f"{count:,}"] for name, count in counts.items())],
            numbers=frozenset({1}),
        )
