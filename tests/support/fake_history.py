"""What can happen to a directory while it is read: rows come, go, change and move between two answers."""

from __future__ import annotations

import contextlib
import random
from typing import Any, NamedTuple

from fake_directory import BEGIN, FakeDirectory, Row, row, stamp
from virtual_time import run

from meitner_aio import IncompleteListing
from meitner_aio._listing.completeness import ListingReport
from meitner_aio._listing.listing import Listing
from meitner_aio._listing.source import PageRequest
from meitner_aio.records import Meta

ORDERS = ("created", "-created", "updated", "by date", "any")
"""Rows at the end as they are created, at the front, moved to the end by an update, sorted, or put anywhere."""


MODES = ("plain", "strict", "exact")


class Plot(NamedTuple):
    """What a history is made of."""

    seed: int
    rows: int = 60
    order: str = "created"
    busy: float = 0.3
    """How likely one more thing happens before an answer."""
    kinds: str = "cdu"
    """Creations, deletions, updates."""
    limit: int = 10
    cap: int = 10**9
    concurrency: int = 3
    search: bool = False
    audited: bool = True
    crowded: bool = False
    """Whether more rows than a page holds may be made at one instant."""
    late: float = 0.0
    """Seconds by which a row may be stamped before it can be seen."""
    youngest: float = BEGIN
    """When the last row was made before the read."""


class History:
    """A directory with a past, read while things happen, all of it written in the plot."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self.chance = random.Random(repr(plot))
        self.order = plot.order
        self.search = plot.search
        self.numbers = 0
        self.directory = FakeDirectory(
            [],
            before=self._before,
            latency=self._latency,
            cap=plot.cap,
            audited=plot.audited,
            tag="in" if plot.search else None,
        )
        self.step = min(plot.limit, plot.cap)
        self._fill(plot.rows, plot.youngest)
        self.most = self.numbers + 50
        self.created: set[str] = set()
        self.touched: set[str] = set()
        self.there: set[str] | None = None

    def _fill(self, count: int, youngest: float) -> None:
        ages = [self.chance.choice((0.5, 20.0, 5000.0)) * self.chance.random() for _ in range(count)]
        times = sorted(youngest - sum(ages[number:]) for number in range(count))
        for at in times:
            for _ in range(self.chance.choice((1,) * 9 + (15,)) if self.plot.crowded else 1):
                self._insert(at)

    def _insert(self, at: float) -> Row:
        made = row(self.numbers, at, tag=self.chance.choice(("in", "in", "out")))
        self.numbers += 1
        rows = self.directory.rows
        place = {"-created": 0, "any": self.chance.randrange(len(rows) + 1)}.get(self.order, len(rows))
        rows.insert(place, made)
        if self.order == "by date":
            rows.sort(key=_by_date)
        return made

    def _latency(self, _: PageRequest) -> float:
        return self.chance.choice((0.0, 0.01, 0.5, 2.0))

    def _before(self, directory: FakeDirectory) -> None:
        if self.there is None:
            self.there = self._matching()
            return
        while self.chance.random() < self.plot.busy:
            self._happen()
        directory.now += self.chance.choice((0.0, 0.0, 0.3, 2.0))

    def _happen(self) -> None:
        directory, kind = self.directory, self.chance.choice(self.plot.kinds)
        directory.now += self.chance.choice((0.0, 1e-6, 0.1))
        if kind == "c" and self.numbers < self.most:
            early = self.plot.late * self.chance.random() if self.chance.random() < 0.3 else 0.0
            self.created.add(self._insert(directory.now - early).id)
        elif kind == "d" and directory.rows:
            directory.delete(self.chance.randrange(len(directory.rows)))
        elif kind == "u" and directory.rows:
            self._update(self.chance.randrange(len(directory.rows)))

    def _update(self, place: int) -> None:
        directory = self.directory
        old = directory.rows.pop(place)
        assert old.meta is not None
        tag = self.chance.choice(("in", "out"))
        if tag == "out":
            self.touched.add(old.id)
        meta = Meta(created_at=old.meta.created_at, updated_at=stamp(directory.now))
        to = {"updated": len(directory.rows), "any": self.chance.randrange(len(directory.rows) + 1)}
        directory.rows.insert(to.get(self.order, place), old._replace(meta=meta, tag=tag))

    def _matching(self) -> set[str]:
        return {one.id for one in self.directory.rows if not self.search or one.tag == "in"}

    def missing(self, got: list[str]) -> set[str]:
        """Return the rows that were there from the first answer to the last, and did not arrive."""
        assert self.there is not None
        return (self.there & self._matching()) - (self.touched if self.search else set()) - set(got)

    def read(self, mode: str) -> tuple[list[str], ListingReport]:
        """Read it all in a mode: plain, strict or exact."""
        how: dict[str, Any] = {} if mode == "plain" else {mode: True}
        listing = Listing(self.directory, limit=self.plot.limit, concurrency=self.plot.concurrency, **how)
        return run(_ids(listing)), listing.report


async def _ids(listing: Listing[Row]) -> list[str]:
    got: list[str] = []
    with contextlib.suppress(IncompleteListing):
        async for page in listing.pages():
            got += [one.id for one in page]
    return got


def _by_date(one: Row) -> Any:
    assert one.meta is not None
    return one.meta.created_at, one.id
