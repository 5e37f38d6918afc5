"""The commands that read and show: list, search, get and count."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ..._wire.validation import checked_id
from ...export import resource_names
from ...resources import resource_in
from .._exit import Exit
from .._options import DIRECTORY, PAGING, DirectoryName, DirectoryOptions, Json, PagingOptions, ResourceName, Where
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

    On a terminal: a table in which personal values are hidden. In a pipe or a
    file: all rows and fields, one JSON object per line (ndjson).
    A line on stderr tells whether all rows were read; when some may be missing,
    the exit code is 3.

    Example: meitner-aio list students -n 5 --fields id,external.source_id
    """
    return await show_records(resource, (), showing, directory, paging)


async def search_command(
    resource: DirectoryName,
    /,
    *,
    where: Where | None = None,
    showing: ShowingOptions = SHOWING,
    directory: DirectoryOptions = DIRECTORY,
    paging: PagingOptions = PAGING,
) -> Exit:
    """Show the records of a resource that meet all conditions.

    The output is that of list. Without a condition, all records are shown.

    A condition is a field, an operator and a value, in quotes for your shell:

    =  !=          is one of these values, or is not: gender=Female,Other
                   (text may hold commas: repeat --where for more values)
    ~  !~          text matches a pattern: % is any text, _ is one character
    >=  <=  >  <   dates, times and numbers: date_of_birth>=2015-01-01
    =null  !=null  has no value, has a value

    Nested fields have a dot: meta.updated_at, address.postal_city.
    The API's spelling works too: lastName, meta.updatedAt.
    A time needs a zone: 2026-01-31T08:00+01:00. A date means midnight UTC.
    7d means seven days ago (m, h, d, w).

    Example: meitner-aio search students --where 'last_name~E%' --since 7d
    """
    return await show_records(resource, where or (), showing, directory, paging)


def _uuid(_: type, value: object) -> None:
    checked_id(value)


async def get_command(
    resource: DirectoryName,
    id: Annotated[str, Parameter(help="The record's UUID.", validator=_uuid)],
    /,
    *,
    json: Json = False,
    directory: DirectoryOptions = DIRECTORY,
) -> None:
    """Show one record as JSON.

    Indented on a terminal. On one line with --json, in a pipe and in a file.

    Example: meitner-aio get schools 5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64
    """
    async with directory.client(directory.settings()) as meitner:
        record = await getattr(meitner, resource).get(id)
    write_json(record, indented=for_people() and not json)


async def count_command(*resources: ResourceName, json: Json = False, directory: DirectoryOptions = DIRECTORY) -> None:
    """Count the records of each resource.

    Counts all resources of the directory unless you name some. One request per
    resource.

    Example: meitner-aio count students groups
    """
    async with directory.client(directory.settings()) as meitner:
        counts = {name: await resource_in(meitner, name).list().count() for name in resource_names(resources)}
    if json:
        write_json(counts)
    else:
        write_table(
            [["resource", "records"], *([name, f"{count:,}"] for name, count in counts.items())],
            numbers=frozenset({1}),
        )
