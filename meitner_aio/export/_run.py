"""Reading resources to their end and writing them down, a page at a time. The event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, get_args

import msgspec

from ._files import Folder, PartFile
from ._manifest import Manifest
from ._names import resource_names
from ._report import Progress, Report, ResourceReport

if TYPE_CHECKING:
    from .._listing import Listing
    from ..client import Meitner

P = ParamSpec("P")
T = TypeVar("T")

Format = Literal["ndjson"]
FORMATS: tuple[str, ...] = get_args(Format)
"""ndjson: one record a line, named and spelled as the API does."""

_encode_lines = msgspec.json.Encoder().encode_lines


async def export(  # noqa: PLR0913 - every choice a user can make
    meitner: Meitner,
    resources: Iterable[str] = (),
    *,
    to: str | os.PathLike[str],
    format: Format = "ndjson",  # noqa: A002 - the public contract's word
    progress: Callable[[Progress], object] | None = None,
    page_size: int | None = None,
    concurrency: int | None = None,
) -> Report:
    """Write every row of the resources named (all when none is) to `<resource>.<format>` in the folder `to`.

    A file takes its name when it is whole: whatever ends the export early, the files and the manifest of what was
    exported before stay as they are. Raises `ValueError` for a resource or a format that does not exist, before any
    I/O, and what reading and writing raise: `MeitnerError`, `OSError`. Memory holds twice `concurrency` pages at most.
    """
    names = resource_names(resources)
    if format not in FORMATS:
        raise ValueError(f"there is no format {format!r}; there is {', '.join(FORMATS)}")
    began = time.perf_counter()
    tell = progress or _silent
    done: list[ResourceReport] = []
    with Folder(to) as folder:
        manifest = Manifest.of(folder)
        for name in names:
            listing = getattr(meitner, name).list(limit=page_size, concurrency=concurrency).paged(exact=True)
            part = PartFile(folder, f"{name}.{format}")
            try:
                report = await _written(listing, part, name, format, tell)
                manifest.resources[name] = report
                await _threaded(_settle, part, manifest, folder)
            finally:
                part.discard()
            done.append(report)
            tell(Progress(name, report.rows, report.total, finished=True))
    return Report(tuple(done), time.perf_counter() - began)


async def _written(
    listing: Listing[Any],
    part: PartFile,
    name: str,
    format: str,  # noqa: A002 - as in export
    tell: Callable[[Progress], object],
) -> ResourceReport:
    """Write every page down as it comes, and return what the file then holds."""
    began = time.perf_counter()
    rows = 0
    async with aclosing(listing.pages()) as pages:
        async for page in pages:
            await _threaded(_append, part, page.data)
            rows += len(page)
            tell(Progress(name, rows, page.pagination.total))
    seen = listing.report
    return ResourceReport(
        resource=name,
        file=part.name,
        format=format,
        rows=seen.rows,
        total=seen.total or 0,
        requests=seen.requests,
        complete=seen.complete,
        level=seen.level,
        bytes=part.size,
        sha256=part.sha256,
        seconds=time.perf_counter() - began,
        exported_at=datetime.now(UTC),
    )


def _append(part: PartFile, records: list[Any]) -> None:
    part.write(_encode_lines(records))


def _settle(part: PartFile, manifest: Manifest, folder: Folder) -> None:
    part.keep()
    manifest.save(folder)


def _silent(_: Progress) -> None:
    """Tell nobody."""


async def _threaded(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in a thread. A cancellation waits for it: nobody closes a file while it is written."""
    running = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.gather(running, return_exceptions=True)
        raise
