"""The command that writes the directory to disk, and what a person sees of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..export import Format, Report, export
from ._exit import Exit
from ._options import DIRECTORY, PAGING, Directory, Json, Paging, ResourceName
from ._output import write_json, write_table
from ._progress import shown_progress


async def export_command(
    *resources: ResourceName,
    to: Annotated[Path, Parameter(help="The folder for the files; made where it does not exist.")],
    format: Annotated[Format, Parameter(help="Of the files.")] = "ndjson",  # noqa: A002 - the contract's word
    json: Json = False,
    directory: Directory = DIRECTORY,
    paging: Paging = PAGING,
) -> Exit:
    """Write every record of resources to files.

    All resources when none is named. A file takes its name when it is whole, and only you can read it.
    manifest.json, beside the files, says what they hold.
    """
    async with directory.client(max_concurrency=paging.concurrency) as meitner:
        with shown_progress() as progress:
            report = await export(
                meitner,
                resources,
                to=to,
                format=format,
                progress=progress,
                page_size=paging.page_size,
                concurrency=paging.concurrency,
            )
    if json:
        write_json(report)
    else:
        _summarise(report, to)
    return Exit.COMPLETE if report.complete else Exit.PARTIAL


def _summarise(report: Report, to: Path) -> None:
    rows = [["resource", "rows", "size", "seconds"]]
    rows += ([one.resource, *_amounts(one.rows, one.bytes, one.seconds)] for one in report.resources)
    rows.append(["all", *_amounts(report.rows, sum(one.bytes for one in report.resources), report.seconds)])
    if not report.complete:
        states = ("" if one.complete else f"incomplete: the server has {one.total:,}" for one in report.resources)
        rows = [[*row, state] for row, state in zip(rows, ("", *states, ""), strict=True)]
    write_table(rows, numbers=frozenset({1, 2, 3}), note=f"in {to}, described by manifest.json")


def _amounts(rows: int, size: int, seconds: float) -> tuple[str, str, str]:
    return f"{rows:,}", _size(size), f"{seconds:.2f}"


def _size(count: int) -> str:
    """Return a number of bytes as people read it: 999 B, 1.2 kB, 34.5 MB."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:  # a kilo
            break
        size, unit = size / 1000, larger
    return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
