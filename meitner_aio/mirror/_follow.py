"""One run of `sync`: changes from the directory, in batches, to the thread that writes them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime
from typing import Any

from ..changes import Deleted, Upserted
from ..client import Meitner
from ..errors import ResyncRequired
from ..records import DirectoryRecord
from ._joined import joined
from ._report import SyncReport
from ._run import Run
from ._worker import Worker

_log = logging.getLogger("meitner_aio.mirror")
_BATCH = 500
"""Rows that are handed over at a time."""


class Following:
    """Follows the directory from checkpoints on, into a run."""

    def __init__(self, meitner: Meitner, run: Run, worker: Worker, **how: Any) -> None:
        self.complete = True
        self.whole: set[str] = set()
        self._meitner, self._run, self._worker, self._how = meitner, run, worker, how
        self.requests = 0
        self.anew: set[str] = set()
        self._followed_to: dict[str, list[str]] = {}

    async def follow(self, names: Iterable[str], *, full: bool = False) -> None:
        """Follow resources from where the mirror is; what cannot be followed, and all with `full`, is read in full."""
        plan = await self._worker.do(self._run.state.plan, names, full=full)
        for since, group in plan.items():
            await self._follow(since, group)
        await self._join()

    async def _follow(self, since: str | None, names: list[str]) -> None:
        if since is not None:
            try:
                await self._followed(since, names)
            except ResyncRequired as error:
                _log.warning("%s: %s are read anew: %s", self._run.path, ", ".join(names), error)
            else:
                return
        await self._followed(None, names)

    async def _followed(self, since: str | None, names: list[str]) -> None:
        changes = self._meitner.changes(since=since, resources=names, **self._how)
        batch = Batch(self._run, self._worker)
        try:
            async with aclosing(changes):
                async for change in changes:
                    await batch.add(change)
            await batch.handed()
        finally:
            self.requests += changes.requests
        self.anew |= changes.full
        if not changes.complete:
            self.complete = False
            return
        for name in changes.full:
            await self._worker.do(self._run.bury_unseen, name)
        self.whole |= changes.full
        self._followed_to[changes.checkpoint] = names
        await self._worker.do(self._run.keep, changes.checkpoint, names)

    async def _join(self) -> None:
        """Let one run follow next time what this one followed from several checkpoints."""
        if len(self._followed_to) > 1:
            checkpoint = await self._worker.do(joined, list(self._followed_to))
            if checkpoint is not None:
                names = [name for group in self._followed_to.values() for name in group]
                await self._worker.do(self._run.keep, checkpoint, names)

    def report(self) -> SyncReport:
        """Return what was done, once the run has finished."""
        return SyncReport(self._run.counts, self.requests, self.complete, frozenset(self.anew))


class Batch:
    """Changes on their way to the thread: rows of one resource at a time, in the order told."""

    def __init__(self, run: Run, worker: Worker) -> None:
        self._run, self._worker = run, worker
        self._resource = ""
        self._rows: list[DirectoryRecord] = []
        self._deaths: list[tuple[str, datetime | None]] = []

    async def add(self, change: Upserted[Any] | Deleted) -> None:
        """Take a change; hand over those before it when they are many, or of another resource."""
        if change.resource != self._resource or len(self._rows) + len(self._deaths) >= _BATCH:
            await self.handed()
            self._resource = change.resource
        if isinstance(change, Deleted):
            self._deaths.append((change.id, change.at))
        else:
            self._rows.append(change.record)

    async def handed(self) -> None:
        """Hand over what there is."""
        rows, self._rows = self._rows, []
        deaths, self._deaths = self._deaths, []
        if rows:
            await self._worker.do(self._run.put, self._resource, rows)
        if deaths:
            await self._worker.do(self._run.bury, self._resource, deaths)
