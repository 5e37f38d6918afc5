"""The commands that read and show: list, search, get and count."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ..._wire.validation import checked_id
from ...export import resource_names
from .._exit import Exit
from .._options import DIRECTORY, PAGING, DirectoryOptions, Json, PagingOptions, ResourceName, Where
from .._reading import SHOWING, ShowingOptions, show_records
from ..rendering.output import for_people, write_json, write_table


async def list_command(
    resource: ResourceName,
    /,
    *,
    showing: ShowingOptions = SHOWING,
    directory: DirectoryOptions = DIRECTORY,
    paging: PagingOptions = PAGING,
) -> Exit:
    """Show the records of a resource.

    meitner-aio list students -n 5 --fields id,external.source_id

    On a terminal, a table in which personal values are hidden; where stdout is
    a pipe or a file, all rows and fields: a JSON object a line (ndjson).
    What the read proved is said on stderr; when rows may be missing, the exit
    code is 3.
    """
    return await show_records(resource, (), showing, directory, paging)


async def search_command(
    resource: ResourceName,
    /,
    *,
    where: Where | None = None,
    showing: ShowingOptions = SHOWING,
    directory: DirectoryOptions = DIRECTORY,
    paging: PagingOptions = PAGING,
) -> Exit:
    """Show the records of a resource that meet every condition.

    They are shown as list shows them; without a condition, all of them.

    A condition is FIELD, an operator, and a value; your shell needs quotes:

    meitner-aio search students --where 'last_name~E%' --since 7d

    =  !=          the value, or one of several: gender=Female,Other
                   (in text, a comma is a comma: repeat --where instead)
    ~  !~          text like a pattern: % is any run of characters, _ is one
    >=  <=  >  <   dates, times and numbers: date_of_birth>=2015-01-01
    =null  !=null  has no value, has one

    A dot leads into an object: meta.updated_at, address.postal_city.
    The API's spelling will do: lastName, meta.updatedAt.
    A time has a zone, 2026-01-31T08:00+01:00; a date is its midnight in UTC;
    7d is seven days ago (m, h, d, w).
    """
    return await show_records(resource, where or (), showing, directory, paging)


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
