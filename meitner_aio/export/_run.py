"""An export: several resources at once, each read to its end and then written down."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, Literal, get_args

from .._pipeline.identity import Reader, Stamp, reader_of
from .._pseudonyms import Pseudonyms
from .._runtime.cleanup import stopped
from .._runtime.private_files import check_file
from .._runtime.threads import stoppable, threaded
from ..errors import ResponseValidationError
from ._files import Folder
from ._held import check_key, check_wholes, directory_of, warn_given_up
from ._journal import LONGEST, Choices, Journal, ReadSummary, check_choices, left_in
from ._leftovers import forget, warn_abandoned
from ._log import ExportLine, Log, Taken
from ._manifest import Manifest
from ._names import SHARED
from ._place import check_place
from ._plan import check_wait, planned
from ._read import Emit, advised, read_into
from ._report import Progress, Report, ResourceReport
from ._selection import ResourceJob, Selection, chosen
from ._source import Turns
from ._spool import Spool
from ._stream import streamed
from .formats.written import Target, put_in_place

if TYPE_CHECKING:
    from ..client import Meitner

Format = Literal["ndjson", "csv", "parquet", "sqlite"]
FORMATS: tuple[str, ...] = get_args(Format)
"""ndjson: one record a line, named and spelled as the API does. csv: a header, flat columns. parquet: typed columns.
sqlite: a table for each resource in one file, which a filtered export brings up to date."""

_AT_ONCE = 4
"""Resources that are read at the same time: their pages leave in turn, and memory holds some of each."""


async def export(
    meitner: Meitner,
    resources: Iterable[str] = (),
    *,
    to: str | os.PathLike[str] | BinaryIO,
    format: Format = "ndjson",
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
    replace: bool = False,
    on_invalid: Literal["raise", "skip"] = "raise",
    pseudonymise: str | os.PathLike[str] | None = None,
) -> Report:
    """Write the rows of the resources named (all when none is) to `<resource>.<format>` in the folder `to`.

    `where` holds conditions as `search` takes them, `since` asks for what was created or updated since then, `limit`
    for that many rows of each resource at most, `fields` for those of a record that matter (the id always does). A
    `format` of sqlite has one file, `directory.sqlite`: all rows of a resource replace its table, a part of them
    updates it. `bom` lets CSV begin with a byte order mark. `to` may be a binary stream, for ndjson.

    A part (of the rows, or of their fields) takes the place of a whole only with `replace`, and says that it is one. A
    folder is of one directory: what another server or other credentials wrote is refused. A row that breaks the
    contract of the API ends the export, or with `on_invalid="skip"` is left out and named in report and manifest.
    `pseudonymise` names the file of a key: no name, contact or identity number is written then, on the way neither; ids
    become pseudonyms that are the same wherever the key is, birth dates their year (`docs/privacy.md`).

    `exports.log` in the folder has a line for each run: who, when, which fields of what; no row.

    A file takes its name when it is whole: whatever ends the export early, the files and the manifest of what was
    exported before stay as they are. With `resume`, the next export of the same takes up what an interrupted one left
    within a day, and asks again for no more than was in flight since the last checkpoint. With `max_wait`, an export
    that would wait more seconds for the hourly quota is not begun (`QuotaExhausted`), unless by `force`.

    Raises `TypeError` or `ValueError` for what cannot be meant, before any I/O, and what reading and writing raise:
    `MeitnerError`, `OSError`. Pages have `page_size` rows, or as many as the server gives. Up to four resources are
    read at a time, with at most `concurrency` requests in flight; memory holds no more than about 6,000 rows of each.
    """
    began = time.perf_counter()
    names = None if pseudonymise is None else await threaded(Pseudonyms.of_file, pseudonymise, _folder(to))
    selection = Selection.of(
        where, since, fields, limit=limit, page_size=page_size, on_invalid=on_invalid, pseudonyms=names
    )
    everything = chosen(meitner, resources, selection, where, concurrency)
    where = None  # its values may be personal: no crash report shows them as a local of this frame
    _check(to, format, resume=resume, bom=bom)
    turns: Turns = nullcontext() if concurrency is None else asyncio.Semaphore(concurrency)
    emit = progress or _silent
    patience = None if force else max_wait
    try:
        if not isinstance(to, (str, os.PathLike)):
            await _within(patience, meitner, everything, selection)
            return await streamed(everything, selection, to, turns, emit)
        reader = await reader_of(meitner, _how(names))
        targets = [Target.of(one, selection, format, replace=replace, bom=bom) for one in everything]
        jobs = list(zip(everything, targets, strict=True))
        run = _Run(Folder(to), jobs, selection, turns, emit, reader=reader, resume=resume)
        await _within(patience, meitner, everything, selection, await threaded(run.allowed))
        return Report(await run.all(), time.perf_counter() - began)
    except ResponseValidationError as error:
        raise advised(error) from None


async def _within(
    max_wait: float | None,
    meitner: Meitner,
    everything: Iterable[ResourceJob],
    selection: Selection,
    left: Mapping[str, Journal] | None = None,
) -> None:
    """Raise `QuotaExhausted` for an export that waits longer for the quota, beside what an interrupted one `left`."""
    if max_wait is None:
        return
    left = left or {}
    missing = [one for one in everything if one.name not in left or not left[one.name].kept]
    check_wait(await planned(meitner, missing, selection, left, begins=True), max_wait)


def _check(to: object, format: str, *, resume: bool, bom: bool) -> None:
    if format not in FORMATS:
        raise ValueError(f"there is no format {format!r}; there is {', '.join(FORMATS)}")
    if bom and format != "csv":
        raise ValueError(f"bom is for format='csv' (--format csv), not {format!r}: leave it out")
    if format != "ndjson":
        from .formats.writers import check_format

        check_format(format)
    check_place(to)
    if not isinstance(to, (str, os.PathLike)) and (format != "ndjson" or resume):
        raise ValueError("a stream takes format='ndjson' without resume: name a folder for anything else")


def _how(names: Pseudonyms | None) -> str:
    return "" if names is None else f", under pseudonyms of the key {names.fingerprint}"


def _folder(to: str | os.PathLike[str] | BinaryIO) -> str | os.PathLike[str] | None:
    return to if isinstance(to, (str, os.PathLike)) else None


def _silent(_: Progress) -> None:
    """Emit nothing."""


class _Run:
    """One export into a folder."""

    def __init__(
        self,
        folder: Folder,
        jobs: list[tuple[ResourceJob, Target]],
        selection: Selection,
        turns: Turns,
        emit: Emit,
        *,
        reader: Reader | None,
        resume: bool,
    ) -> None:
        """Prepare an export; nothing is touched yet."""
        self._folder = folder
        self._jobs = jobs
        self._selection = selection
        self._key = None if selection.pseudonyms is None else selection.pseudonyms.fingerprint
        self._turns = turns
        self._emit = self._counted(emit)
        self._rows: dict[str, int] = {}
        self._published: set[str] = set()
        self._reader = reader
        self._resume = resume
        self._directory: Stamp | None = None
        self._reading = asyncio.Semaphore(_AT_ONCE)
        self._writing = asyncio.Lock()

    async def all(self) -> tuple[ResourceReport, ...]:
        """Export resources side by side. The first that fails ends the others; what is finished by then stays."""
        with self._folder, Log(self._folder.path) as log:
            try:
                await self._everything()
            except BaseException as error:
                with suppress(OSError):  # the first error is raised
                    await threaded(log.add, self._line(log, error))
                raise
            await threaded(log.add, self._line(log))
        return tuple(self._manifest.resources[one.name] for one, _ in self._jobs)

    async def _everything(self) -> None:
        left = await threaded(self._begin)
        tasks = [asyncio.create_task(self._one(one, target, left.get(one.name))) for one, target in self._jobs]
        try:
            await asyncio.gather(*tasks)
        finally:
            await stopped(*tasks)
        await threaded(self._end)

    def _counted(self, emit: Emit) -> Emit:
        def counted(news: Progress) -> object:
            self._rows[news.resource] = news.rows
            return emit(news)

        return counted

    def _line(self, log: Log, error: BaseException | None = None) -> ExportLine:
        """Return what the log keeps of this export, however it ended."""
        taken = tuple(self._taken(one) for one, _ in self._jobs)
        interrupted = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
        read = all(self._manifest.resources[one.resource].as_asked for one in taken if one.file is not None)
        return ExportLine(
            began=log.began,
            ended=datetime.now(UTC),
            outcome=("interrupted" if interrupted else "failed") if error else "complete" if read else "partial",
            error=None if error is None else type(error).__name__,
            by=log.by,
            server=None if self._reader is None else self._reader.place,
            format=self._jobs[0][1].format,
            where=self._selection.where,
            since=self._selection.since is not None,
            limit=self._selection.limit,
            resumed=self._resume,
            pseudonymised=self._key is not None,
            key=self._key,
            resources=taken,
        )

    def _taken(self, one: ResourceJob) -> Taken:
        names = one.fields or one.model.__struct_fields__
        rows = self._rows.get(one.name, 0)
        if one.name not in self._published:
            return Taken(one.name, names, rows)
        known = self._manifest.resources[one.name]
        return Taken(one.name, names, rows, known.file, known.sha256, known.level, known.complete)

    def allowed(self) -> dict[str, Journal]:
        """Return the journals of an interrupted export that this one resumes.

        Raises `MeitnerError` when that was another export, when the folder is of another directory, or when a part
        would take the place of a whole. Changes nothing.
        """
        self._folder.check()
        names = [one.name for one, _ in self._jobs]
        self._manifest = Manifest.of(self._folder)
        check_key(self._folder, self._manifest, self._key, names, resume=self._resume)
        tables = any(target.file == SHARED for _, target in self._jobs)
        self._directory = directory_of(
            self._folder, self._manifest, self._reader, names, tables=tables, resume=self._resume
        )
        left = left_in(self._folder, names) if self._resume else {}
        for one, target in self._jobs:
            if one.name in left:
                check_choices(left[one.name], _choices(one, target, self._selection))
        check_wholes(self._folder, self._manifest, [target for _, target in self._jobs], left)
        return left

    def _begin(self) -> dict[str, Journal]:
        """Check again, now that the folder is locked. Without `resume`, what an interrupted export left is given up."""
        left = self.allowed()
        self._manifest.directory = self._directory
        self._manifest.pseudonymised, self._manifest.key = self._key is not None, self._key
        if not self._resume:
            warn_given_up(self._folder, left_in(self._folder, [one.name for one, _ in self._jobs]))
            self._forget()
        return left

    def _forget(self) -> None:
        """Remove journals and spools of these resources."""
        for one, _ in self._jobs:
            forget(self._folder, one.name)

    def _end(self) -> None:
        """Remove journals and spools; warn of those that others abandoned."""
        self._forget()
        warn_abandoned(self._folder, [one.name for one, _ in self._jobs], LONGEST)

    async def _one(self, one: ResourceJob, target: Target, journal: Journal | None) -> None:
        if journal is not None and journal.kept and self._is_there(target):
            self._published.add(one.name)
            self._emit_end(self._manifest.resources[one.name])
            return
        if journal is None or journal.kept:
            journal = Journal(self._folder, one.name, _choices(one, target, self._selection), self._directory)
        spool = Spool(self._folder, journal)
        try:
            async with self._reading:
                await threaded(spool.open)
                summary = spool.journal.summary
                if summary is None:
                    summary = await read_into(spool, one, self._selection.limit, self._turns, self._emit)
            async with self._writing:
                await stoppable(lambda stop: self._publish(spool, summary, target, stop))
        finally:
            spool.close()
        self._emit_end(self._manifest.resources[one.name])

    def _is_there(self, target: Target) -> bool:
        known = self._manifest.resources.get(target.name)
        return known is not None and known.file == target.file and check_file(self._folder.path / target.file)

    def _publish(self, spool: Spool, summary: ReadSummary, target: Target, stop: threading.Event) -> None:
        """Make the file, enter it in the manifest, and remove its spool. Each step can be repeated."""
        placed = put_in_place(spool, summary, self._folder, target._replace(directory=self._directory), stop)
        report = ResourceReport(
            resource=target.name,
            file=target.file,
            format=target.format,
            rows=placed.rows,
            total=summary.total,
            requests=summary.requests,
            complete=summary.complete and placed.updated is None,
            level=summary.level,
            bytes=placed.bytes,
            sha256=placed.sha256,
            seconds=summary.seconds,
            exported_at=datetime.now(UTC),
            gone=len(summary.gone),
            updated=placed.updated,
            deletions_applied=placed.updated is None,
            invalid=summary.invalid,
            **self._selection.reported(target.fields, summary.level),
        )
        self._manifest.enter(report)
        self._manifest.save(self._folder)
        self._published.add(target.name)
        spool.discard()

    def _emit_end(self, report: ResourceReport) -> None:
        rows = report.rows if report.updated is None else report.updated
        self._emit(Progress(report.resource, rows, rows, finished=True, requests=report.requests))


def _choices(one: ResourceJob, target: Target, selection: Selection) -> Choices:
    since = None if selection.since is None else selection.since.isoformat()
    key = None if selection.pseudonyms is None else selection.pseudonyms.fingerprint
    return Choices(target.format, target.fields, one.fingerprint, since, selection.limit, selection.page_size, key)
