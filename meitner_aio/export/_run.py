"""An export: several resources at once, each read to its end and then written down."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from io import TextIOBase
from typing import TYPE_CHECKING, BinaryIO, Literal, get_args

from .._cleanup import stopped
from ._asked import Turns
from ._files import Folder
from ._journal import Choices, Journal, check_choices
from ._manifest import Manifest
from ._plan import check_wait, planned
from ._read import Tell, read_into
from ._report import Progress, Report, ResourceReport
from ._selection import Chosen, Selection, chosen
from ._spool import Spool, forget
from ._stream import streamed
from ._threads import stoppable, threaded
from ._written import Target, put_in_place

if TYPE_CHECKING:
    from ..client import Meitner

Format = Literal["ndjson", "csv", "parquet", "sqlite"]
FORMATS: tuple[str, ...] = get_args(Format)
"""ndjson: one record a line, named and spelled as the API does. csv: a header, flat columns. parquet: typed columns.
sqlite: a table for each resource in one file, which a filtered export brings up to date."""

_AT_ONCE = 4
"""Resources that are read at the same time: their pages leave in turn, and memory holds some of each."""


async def export(  # noqa: PLR0913 - every choice a user can make
    meitner: Meitner,
    resources: Iterable[str] = (),
    *,
    to: str | os.PathLike[str] | BinaryIO,
    format: Format = "ndjson",  # noqa: A002 - the public contract's word
    progress: Callable[[Progress], object] | None = None,
    page_size: int | None = None,
    concurrency: int | None = None,
    where: Mapping[str, object] | None = None,
    since: datetime | None = None,
    fields: Sequence[str] | None = None,
    limit: int | None = None,
    resume: bool = False,
    force: bool = False,
    max_wait: float | None = None,
    bom: bool = False,
) -> Report:
    """Write the rows of the resources named (all when none is) to `<resource>.<format>` in the folder `to`.

    `where` holds conditions as `search` takes them, `since` asks for what was created or updated since then, `limit`
    for that many rows of each resource at most, `fields` for those of a record that matter (the id always does). A
    `format` of sqlite has one file, `directory.sqlite`: all rows of a resource replace its table, a part of them
    updates it. `bom` lets CSV begin with a byte order mark. `to` may be a binary stream, for ndjson.

    A file takes its name when it is whole: whatever ends the export early, the files and the manifest of what was
    exported before stay as they are. With `resume`, the next export of the same takes up what an interrupted one left
    within a day, and asks again for no more than was in flight since the last checkpoint. With `max_wait`, an export
    that would wait more seconds for the hourly quota is not begun (`QuotaExhausted`), unless by `force`.

    Raises `TypeError` or `ValueError` for what cannot be meant, before any I/O, and what reading and writing raise:
    `MeitnerError`, `OSError`. Pages have `page_size` rows, or as many as the server gives. Up to four resources are
    read at a time, with at most `concurrency` requests in flight; memory holds no more than about 6,000 rows of each.
    """
    began = time.perf_counter()
    selection = Selection.of(where, since, fields, limit, page_size)
    everything = chosen(meitner, resources, selection, where, concurrency)
    where = None  # its values may be personal: no crash report shows them as a local of this frame
    _check(to, format, resume=resume, bom=bom)
    turns: Turns = nullcontext() if concurrency is None else asyncio.Semaphore(concurrency)
    tell = progress or _silent
    if max_wait is not None and not force:
        left = await threaded(_left, Folder(to), everything) if resume and isinstance(to, (str, os.PathLike)) else {}
        missing = [one for one in everything if one.name not in left or not left[one.name].kept]
        check_wait(await planned(meitner, missing, selection, left, begins=True), max_wait)
    if not isinstance(to, (str, os.PathLike)):
        return await streamed(everything, selection, to, turns, tell)
    with Folder(to) as folder:
        targets = [_target(one, selection, format, bom=bom) for one in everything]
        run = _Run(folder, selection, turns, tell, resume=resume)
        reports = await run.all(list(zip(everything, targets, strict=True)))
    return Report(reports, time.perf_counter() - began)


def _check(to: object, format: str, *, resume: bool, bom: bool) -> None:  # noqa: A002 - as in export
    if format not in FORMATS:
        raise ValueError(f"there is no format {format!r}; there is {', '.join(FORMATS)}")
    if bom and format != "csv":
        raise ValueError("bom is for csv")
    if format != "ndjson":
        from ._writers import check_format  # noqa: PLC0415 - only who asks for a format loads what writes it

        check_format(format)
    if isinstance(to, (str, os.PathLike)):
        return
    if not hasattr(to, "write") or isinstance(to, TextIOBase):
        raise TypeError(f"to must be a folder or a binary stream, not {type(to).__name__}")
    if format != "ndjson" or resume:
        raise ValueError("a stream takes ndjson, and cannot be resumed")


def _silent(_: Progress) -> None:
    """Tell nobody."""


def _target(one: Chosen, selection: Selection, format: str, *, bom: bool) -> Target:  # noqa: A002 - as in export
    whole = not selection.filtered and selection.limit is None
    return Target(one.name, format, one.model, one.fields, whole, bom)


def _left(folder: Folder, everything: Iterable[Chosen]) -> dict[str, Journal]:
    found = {one.name: Journal.left(folder, one.name) for one in everything}
    return {name: journal for name, journal in found.items() if journal is not None}


class _Run:
    """One export into a folder."""

    def __init__(self, folder: Folder, selection: Selection, turns: Turns, tell: Tell, *, resume: bool) -> None:
        self._folder = folder
        self._selection = selection
        self._turns = turns
        self._tell = tell
        self._resume = resume
        self._manifest = Manifest.of(folder)
        self._reading = asyncio.Semaphore(_AT_ONCE)
        self._writing = asyncio.Lock()

    async def all(self, jobs: list[tuple[Chosen, Target]]) -> tuple[ResourceReport, ...]:
        """Export resources side by side. The first that fails ends the others; what is finished by then stays."""
        left = await threaded(self._left, jobs)
        tasks = [asyncio.create_task(self._one(one, target, left.get(one.name))) for one, target in jobs]
        try:
            await asyncio.gather(*tasks)
        finally:
            await stopped(*tasks)
        await threaded(self._forget, jobs)
        return tuple(self._manifest.resources[one.name] for one, _ in jobs)

    def _left(self, jobs: list[tuple[Chosen, Target]]) -> dict[str, Journal]:
        """Return what an interrupted export left of these resources; `MeitnerError` when it was another export.

        Whoever does not resume it gives it up, for every resource alike.
        """
        if not self._resume:
            self._forget(jobs)
        left = _left(self._folder, [one for one, _ in jobs])
        for one, target in jobs:
            if one.name in left:
                check_choices(left[one.name], _choices(one, target, self._selection))
        return left

    def _forget(self, jobs: list[tuple[Chosen, Target]]) -> None:
        """Remove what could be continued, where all is over or begins again."""
        for one, _ in jobs:
            forget(self._folder, one.name)

    async def _one(self, one: Chosen, target: Target, journal: Journal | None) -> None:
        if journal is not None and journal.kept and self._is_there(target):
            self._tell_end(self._manifest.resources[one.name])
            return
        if journal is None or journal.kept:
            journal = Journal(self._folder, one.name, _choices(one, target, self._selection))
        spool = Spool(self._folder, journal)
        try:
            async with self._reading:
                await threaded(spool.open)
                if spool.journal.facts is None:
                    await read_into(spool, one, self._selection.limit, self._turns, self._tell)
            async with self._writing:
                await stoppable(lambda stop: self._settle(spool, target, stop))
        finally:
            spool.close()
        self._tell_end(self._manifest.resources[one.name])

    def _is_there(self, target: Target) -> bool:
        known = self._manifest.resources.get(target.name)
        return known is not None and known.file == target.file and (self._folder.path / target.file).exists()

    def _settle(self, spool: Spool, target: Target, stop: threading.Event) -> None:
        """Make the file, enter it in the manifest, and forget how it came about: each step can be taken again."""
        size, sha256 = put_in_place(spool, self._folder, target, stop)
        facts = spool.journal.facts
        assert facts is not None  # noqa: S101 - it was read to its end
        report = ResourceReport(
            resource=target.name,
            file=target.file,
            format=target.format,
            rows=facts.rows - len(facts.gone),
            total=facts.total,
            requests=facts.requests,
            complete=facts.complete,
            level=facts.level,
            bytes=size,
            sha256=sha256,
            seconds=facts.seconds,
            exported_at=datetime.now(UTC),
            gone=len(facts.gone),
            **self._selection.told(target.fields),
        )
        self._manifest.enter(report)
        self._manifest.save(self._folder)
        spool.discard()

    def _tell_end(self, report: ResourceReport) -> None:
        self._tell(Progress(report.resource, report.rows, report.rows, finished=True, requests=report.requests))


def _choices(one: Chosen, target: Target, selection: Selection) -> Choices:
    since = None if selection.since is None else selection.since.isoformat()
    return Choices(target.format, target.fields, one.fingerprint, since, selection.limit, selection.page_size)
