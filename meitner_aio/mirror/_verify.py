"""One run of `verify`: totals of the directory against the file, and the part that differs read again.

Only what differs is followed first, so that nothing is asked but totals where nothing differs.

Where a total differs, halves of the time of creation are counted, until the part that differs fits a page or two. The
median of the file's own rows is where a part is cut: rows come in heaps (imports), time does not tell where.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast

from .._listing.listing import Listing
from .._operations.operations import operations
from ..changes import Upserted
from ..client import Meitner
from ..query import MetaQuery, Range
from ..resources import RESOURCES
from ._follow import Batch, Following
from ._report import VerifyReport
from ._run import Run
from ._state import instant
from ._table import Table
from ._worker import Worker

_log = logging.getLogger("meitner_aio.mirror")

_FITS = 1000
"""Rows that are read sooner than they are counted: they fit one of the server's pages."""
_SECOND = timedelta(seconds=1)
"""The finest that the server tells apart."""


class Window(NamedTuple):
    """A part of the time of creation, in whole seconds; None is without a bound."""

    low: datetime | None = None
    high: datetime | None = None
    """The first instant behind it."""

    @property
    def where(self) -> tuple[str, list[object]]:
        """The rows of a table in it, as SQL."""
        bounds = {"meta_created_at >= ?": self.low, "meta_created_at < ?": self.high}
        asked = {condition: instant(bound) for condition, bound in bounds.items() if bound is not None}
        return " AND ".join(["meta_created_at IS NOT NULL", *asked]), list(asked.values())

    @property
    def condition(self) -> Range[datetime]:
        """The rows of the directory in it."""
        bounds = {"greaterOrEqual": self.low, "smallerThan": self.high}
        return Range(tuple((group, bound) for group, bound in bounds.items() if bound is not None))

    def cut(self, middle: datetime) -> tuple[Window, Window] | None:
        """Return two windows that are this one; None when there is no whole second between its bounds to cut at."""
        second = middle.replace(microsecond=0)
        if self.low is not None and second <= self.low:
            second = self.low + _SECOND
        if self.high is not None and second >= self.high:
            return None
        return Window(self.low, second), Window(second, self.high)


class Comparison:
    """Compares resources, and repairs what differs, in a run."""

    def __init__(self, meitner: Meitner, run: Run, worker: Worker) -> None:
        self.following = Following(meitner, run, worker)
        self._anew: set[str] = set()
        self._meitner, self._run, self._worker = meitner, run, worker
        self._requests = 0
        self._mismatches: dict[str, int] = {}

    @property
    def whole(self) -> set[str]:
        """Resources that were read in full."""
        return self.following.whole | self._anew

    def report(self) -> VerifyReport:
        """Return what was found, once the run has finished."""
        return VerifyReport(
            self._run.counts,
            self._requests + self.following.requests,
            complete=self.following.complete,
            read_anew=frozenset(self.following.anew | self._anew),
            mismatches=self._mismatches,
        )

    async def compare(self, names: Iterable[str]) -> None:
        """Compare resources. The directory may have moved on: what differs is followed, and compared again."""
        totals = {name: await self._totals(name) for name in names}
        differing = [name for name, (total, rows) in totals.items() if total != rows]
        if not differing:
            return
        await self.following.follow(differing)
        await self._worker.do(self._run.delete)
        for name in differing:
            await self._compare(name)

    async def _totals(self, name: str) -> tuple[int, int]:
        """Return how many rows the directory has, and how many the file."""
        total = await self._total(getattr(self._meitner, name).list())
        rows = await self._worker.do(self._run.tables[name].count)
        if total == rows:
            await self._worker.do(self._run.state.matched, name)
        return total, rows

    async def _compare(self, name: str) -> None:
        total, rows = await self._totals(name)
        if total == rows:
            return
        self._mismatches[name] = total - rows
        times = await self._worker.do(self._run.state.mismatched, name)
        _log.warning("%s: the directory has %d rows, the mirror %d", name, total, rows)
        if "search" not in operations(RESOURCES[name]) or times > 1:
            await self._read_anew(name)
            return
        async for window in self._differing(name, Window(), total):
            if window == Window():  # no condition can say so
                await self._read(name, getattr(self._meitner, name).list(), None)
            else:
                await self._read(name, self._search(name, window), window)

    async def _total(self, listing: Listing[Any]) -> int:
        self._requests += 1
        return await listing.count()

    def _search(self, name: str, window: Window) -> Listing[Any]:
        listing = getattr(self._meitner, name).search(meta=MetaQuery(created_at=window.condition))
        return cast("Listing[Any]", listing)

    async def _differing(self, name: str, window: Window, total: int) -> AsyncGenerator[Window, None]:
        """Yield the smallest parts of a window, that has `total` rows in the directory, whose numbers differ."""
        table, left = self._run.tables[name], [(window, total)]
        while left:
            window, total = left.pop()
            rows, middle = await self._worker.do(_middle, table, window)
            if rows == total:
                continue
            parts = None if middle is None or max(rows, total) <= _FITS else window.cut(middle)
            if parts is None:
                yield window
                continue
            earlier = await self._total(self._search(name, parts[0]))
            left += [(parts[0], earlier), (parts[1], total - earlier)]

    async def _read_anew(self, name: str) -> None:
        await self._read(name, getattr(self._meitner, name).list(), None)
        self._anew.add(name)
        await self._worker.do(self._run.state.matched, name)

    async def _read(self, name: str, listing: Listing[Any], window: Window | None) -> None:
        """Put the rows of a listing in the table, in the place of those in a window, or of all."""
        proven, batch = listing.paged(exact=True, strict=True), Batch(self._run, self._worker)
        try:
            async for row in proven:
                await batch.add(Upserted(name, row))
        finally:
            self._requests += proven.report.requests
        await batch.handed()
        where, values = ("true", list[object]()) if window is None else window.where
        await self._worker.do(self._run.bury_unseen, name, where, values)


def _middle(table: Table, window: Window) -> tuple[int, datetime | None]:
    where, values = window.where
    rows = table.count(where, values)
    middle = table.middle(where, values, rows)
    return rows, None if middle is None else datetime.fromisoformat(middle).astimezone(UTC)
