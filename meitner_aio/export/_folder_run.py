"""One export into a folder: resources side by side, each in place as soon as it is whole."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from datetime import UTC, datetime

from .._pipeline.identity import Reader, Stamp
from .._runtime.cleanup import stopped
from .._runtime.private_files import check_file
from .._runtime.threads import stoppable, threaded
from ._held import check_key, check_wholes, directory_of, warn_given_up
from ._journal import LONGEST, Choices, Journal, ReadSummary, check_choices, left_in
from ._leftovers import forget, warn_abandoned, warn_outlived
from ._log import ExportLine, Log, Taken
from ._manifest import Manifest
from ._names import SHARED
from ._read import Emit, read_into
from ._report import Progress, ResourceReport
from ._selection import ResourceJob, Selection
from ._source import Turns
from ._spool import Spool
from .destinations._destination import Destination
from .formats.written import Target, put_in_place

_AT_ONCE = 4
"""Resources that are read at the same time: their pages leave in turn, and memory holds some of each."""


class FolderRun:
    """One export into a folder."""

    def __init__(
        self,
        destination: Destination,
        jobs: list[tuple[ResourceJob, Target]],
        selection: Selection,
        turns: Turns,
        emit: Emit,
        *,
        reader: Reader | None,
        resume: bool,
    ) -> None:
        """Prepare an export; nothing is touched yet."""
        self._destination = destination
        self._folder = destination.folder
        self._jobs = jobs
        self._selection = selection
        self.key = None if selection.pseudonyms is None else selection.pseudonyms.fingerprint
        self._turns = turns
        self._emit = self._counted(emit)
        self._rows: dict[str, int] = {}
        self._published: set[str] = set()
        self._reports: tuple[ResourceReport, ...] = ()
        self._reader = reader
        self._resume = resume
        self._directory: Stamp | None = None
        self._before: dict[str, ResourceReport] = {}
        self._reading = asyncio.Semaphore(_AT_ONCE)
        self._writing = asyncio.Lock()

    async def all(self) -> tuple[ResourceReport, ...]:
        """Export resources side by side. The first that fails ends the others; what is finished by then stays."""
        with self._folder, Log(self._destination.log) as log:
            try:
                await self._everything()
            except BaseException as error:
                with suppress(OSError):  # the first error is raised
                    await threaded(log.add, self._line(log, error))
                raise
            await threaded(log.add, self._line(log))
        return self._reports

    async def _everything(self) -> None:
        left = await threaded(self._begin)
        await self._destination.begin()
        tasks = [asyncio.create_task(self._one(one, target, left.get(one.name))) for one, target in self._jobs]
        try:
            await asyncio.gather(*tasks)
        finally:
            await stopped(*tasks)
        self._reports = await self._destination.publish(self._manifest, [one.name for one, _ in self._jobs])
        await threaded(self._end)
        await self._destination.end()

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
            pseudonymised=self.key is not None,
            key=self.key,
            resources=taken,
            to=self._destination.address,
        )

    def _taken(self, one: ResourceJob) -> Taken:
        names = one.fields or one.model.__struct_fields__
        rows = self._rows.get(one.name, 0)
        places = {report.resource: report for report in self._reports}
        if self._destination.address is None:  # in place one by one
            places = {name: self._manifest.resources[name] for name in self._published}
        known = places.get(one.name)
        if known is None:
            return Taken(one.name, names, rows)
        return Taken(one.name, names, rows, known.file, known.sha256, known.level, known.complete)

    def allowed(self) -> dict[str, Journal]:
        """Return the journals of an interrupted export that this one resumes.

        Raises `MeitnerError` when that was another export, when the folder is of another directory, or when a part
        would take the place of a whole. Changes nothing.
        """
        self._folder.check()
        names = [one.name for one, _ in self._jobs]
        self._manifest = Manifest.of(self._folder)
        check_key(self._folder, self._manifest, self.key, names, resume=self._resume)
        tables = any(target.file == SHARED for _, target in self._jobs)
        self._directory = directory_of(
            self._folder, self._manifest, self._reader, names, tables=tables, resume=self._resume
        )
        left = left_in(self._folder, names) if self._resume else {}
        for one, target in self._jobs:
            if one.name in left:
                check_choices(left[one.name], _choices(one, target))
        check_wholes(self._folder, self._manifest, [target for _, target in self._jobs], left)
        return left

    def _begin(self) -> dict[str, Journal]:
        """Check again, now that the folder is locked. Without `resume`, what an interrupted export left is given up."""
        left = self.allowed()
        self._before = {one.name: known for one, _ in self._jobs if (known := self._manifest.resources.get(one.name))}
        self._manifest.directory = self._directory
        self._manifest.pseudonymised, self._manifest.key = self.key is not None, self.key
        if not self._resume:
            warn_given_up(self._folder, left_in(self._folder, [one.name for one, _ in self._jobs]))
            self._forget()
        return left

    def _forget(self) -> None:
        """Remove journals and spools of these resources."""
        for one, _ in self._jobs:
            forget(self._folder, one.name)

    def _end(self) -> None:
        """Remove journals and spools; warn of those that others abandoned, and of files that nothing replaces."""
        self._forget()
        warn_outlived(self._folder, self._before, self._manifest.resources)
        warn_abandoned(self._folder, [one.name for one, _ in self._jobs], LONGEST)

    async def _one(self, one: ResourceJob, target: Target, journal: Journal | None) -> None:
        if journal is not None and journal.kept and self._is_there(target):
            self._published.add(one.name)
            self._emit_end(self._manifest.resources[one.name])
            return
        if journal is None or journal.kept:
            journal = Journal(self._folder, one.name, _choices(one, target), self._directory)
        spool = Spool(self._folder, journal)
        try:
            async with self._reading:
                await threaded(spool.open)
                summary = spool.journal.summary
                if summary is None:
                    summary = await read_into(spool, one, self._selection.limit, self._turns, self._emit)
            async with self._writing:
                await stoppable(lambda stop: self._publish(spool, summary, one, target, stop))
        finally:
            spool.close()
        self._emit_end(self._manifest.resources[one.name])

    def _is_there(self, target: Target) -> bool:
        known = self._manifest.resources.get(target.name)
        return known is not None and known.file == target.file and check_file(self._folder.path / target.file)

    def _publish(
        self, spool: Spool, summary: ReadSummary, one: ResourceJob, target: Target, stop: threading.Event
    ) -> None:
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
            dialect=target.dialect,
            **one.selection.reported(target.fields, summary.level),
        )
        self._manifest.enter(report)
        self._manifest.save(self._folder)
        self._published.add(target.name)
        spool.discard()

    def _emit_end(self, report: ResourceReport) -> None:
        rows = report.rows if report.updated is None else report.updated
        self._emit(Progress(report.resource, rows, rows, finished=True, requests=report.requests))


def _choices(one: ResourceJob, target: Target) -> Choices:
    selection = one.selection
    since = None if selection.since is None else selection.since.isoformat()
    key = None if selection.pseudonyms is None else selection.pseudonyms.fingerprint
    asked = target.format, target.fields, one.fingerprint, since, selection.limit, selection.page_size
    return Choices(*asked, key, target.dialect)
