"""Reading a resource, a page at a time, into a spool. The event loop never waits for a disk.

A read that is continued is the same read: it is shown every answer that it had before, in their order, each with the
time and the total that it came with, and goes on after the last. What it proves at its end is proven as if nothing had
happened in between.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from .._listing.listing import inside
from .._listing.reader import Read
from .._runtime.threads import threaded
from ..errors import ResponseValidationError
from ._journal import ReadSummary
from ._pseudonymised import Pseudonymised, pseudonymised
from ._report import InvalidRow, Progress
from ._source import ExportSource, Turns
from ._spool import Spool

if TYPE_CHECKING:
    from .._listing.completeness import ListingReport
    from .._listing.page import Page
    from .._wire.decoding import DecodedPage
    from ._selection import ResourceJob

Emit: TypeAlias = Callable[[Progress], object]


def begun(chosen: ResourceJob, limit: int | None, turns: Turns) -> tuple[Read[Any], ExportSource[Any]]:
    """Return a read of a resource, from its beginning, and its source."""
    source, how = inside(chosen.listing)
    first, names = chosen.first, chosen.selection.pseudonyms
    if names is not None:
        source, first = Pseudonymised(source, names), [pseudonymised(first.pop(), names) for _ in tuple(first)]
    asked = ExportSource(source, turns, limit, first)
    return Read(asked, how), asked


async def pages_of(read: Read[Any], limit: int | None, rows: int = 0) -> AsyncGenerator[Page[Any], None]:
    """Yield pages until there are `limit` rows, `rows` of which are there already; close the read.

    A read that the limit ends is left `unfinished`.
    """
    total = read.tracker.total or 0
    try:
        while limit is None or not rows == limit < total:
            page = await read.next()
            if page is None or (limit is not None and page.pagination.offset >= limit):
                return
            if limit is not None:
                del page.data[limit - rows :]
            rows += len(page)
            total = page.pagination.total
            yield page
    finally:
        await read.close()


def progress(chosen: ResourceJob, read: Read[Any], rows: int, limit: int | None) -> Progress:
    """Return how far a resource has come."""
    total = read.tracker.total or 0
    return Progress(chosen.name, rows, total if limit is None else min(total, limit), requests=read.tracker.requests)


async def read_into(spool: Spool, chosen: ResourceJob, limit: int | None, turns: Turns, emit: Emit) -> ReadSummary:
    """Read what the spool lacks, to the end. Whatever ends this early, the spool can be continued from there."""
    began = time.perf_counter()
    read, asked = begun(chosen, limit, turns)
    answers = spool.replay(chosen.model)
    while (answer := await threaded(_next, answers)) is not None:
        read.again(answer)
        asked.noted(answer)
    rows = spool.rows
    if rows:
        emit(progress(chosen, read, rows, limit))
    try:
        async with aclosing(pages_of(read, limit, rows)) as pages:
            async for page in pages:
                await threaded(spool.append, page.data, page.pagination)
                rows += len(page)
                emit(progress(chosen, read, rows, limit))
    except BaseException:
        with suppress(OSError):  # the first error is raised
            await threaded(spool.checkpoint)
        raise
    invalid = tuple(asked.invalid.values())
    return await threaded(_finish, spool, read.tracker.report(), rows, invalid, time.perf_counter() - began)


def advised(error: ResponseValidationError) -> ResponseValidationError:
    """Return an error whose message says how to skip a row that cannot be read; any other as it is."""
    if error.row is None:
        return error
    known = {name: getattr(error, name) for name in ("request_id", "method", "route", "attempts")}
    better = ResponseValidationError(
        f'{error.message}; on_invalid="skip" (--on-invalid skip) leaves such rows out and names them', **known
    )
    better.row = error.row
    return better


def _next(answers: Iterator[DecodedPage[Any]]) -> DecodedPage[Any] | None:
    # No thread can raise the end of an iterator.
    return next(answers, None)


def _finish(
    spool: Spool, seen: ListingReport, rows: int, invalid: tuple[InvalidRow, ...], seconds: float
) -> ReadSummary:
    summary = ReadSummary(
        rows=rows,
        total=seen.total or 0,
        requests=seen.requests,
        complete=seen.complete,
        level=level(seen),
        seconds=seconds,
        gone=spool.places(frozenset(seen.gone)),
        end=spool.size,
        crc=spool.crc,
        sha256=spool.sha256,
        invalid=invalid,
    )
    spool.finish(summary)
    return summary


def level(seen: ListingReport) -> str:
    """Return how completeness was shown: a read that did not come to its end met the limit."""
    return "limited" if seen.level == "unfinished" else seen.level
