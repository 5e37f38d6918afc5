"""Directories that store whole seconds, and may cut the fractions of bounds: no proof depends on a fraction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise, product

import pytest
from fake_directory import BEGIN, FakeDirectory, Row, row
from fake_history import History, Plot
from virtual_time import run

from meitner_aio._listing.listing import Listing
from meitner_aio._listing.source import PageRequest
from meitner_aio._wire.decoding import DecodedPage
from meitner_aio.records import Meta


def cut(instant: datetime) -> datetime:
    """Drop the fraction of a second."""
    return instant.replace(microsecond=0)


BOUNDS: dict[str, Callable[[datetime], datetime]] = {
    "as they are": lambda bound: bound,
    "cut off": cut,
    "rounded": lambda bound: cut(bound + timedelta(seconds=0.5)),
}
"""What a directory may make of the bounds of a window before it compares them with its stamps."""

SEEDS = (58, 90, 120, 167, 186, 227, 245, 350, 369, 404)
"""Each a history in which windows with fractions are called whole and lack a row, in one order or another."""


class WholeSeconds(FakeDirectory):
    """Stamps whole seconds, whatever the clock says."""

    bound: Callable[[datetime], datetime]

    def _page(self, ask: PageRequest, low: datetime | None, high: datetime | None) -> DecodedPage[Row]:
        exact = self.rows
        self.rows = [one._replace(meta=_cut(one.meta)) for one in exact]
        try:
            bounds = [None if edge is None else self.bound(edge) for edge in (low, high)]
            return super()._page(ask, *bounds)
        finally:
            self.rows = exact


def _cut(meta: Meta | None) -> Meta:
    assert meta is not None
    updated = None if meta.updated_at is None else cut(meta.updated_at)
    return Meta(created_at=cut(meta.created_at), updated_at=updated)


def _history(plot: Plot, bound: Callable[[datetime], datetime]) -> History:
    history = History(plot)
    history.directory.__class__ = WholeSeconds
    history.directory.bound = bound  # type: ignore[attr-defined]
    return history


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
@pytest.mark.parametrize("order", ["created", "updated", "any"])
def test_no_repair_is_proven_that_lacks_a_row(order: str, bound: Callable[[datetime], datetime]) -> None:
    """Histories in which rows move all the time, with many stamps alike: what is called whole is whole."""
    for seed, crowded in product(SEEDS, (False, True)):
        plot = Plot(seed, rows=80, order=order, busy=0.6, limit=10, concurrency=1, crowded=crowded, kinds="ddcu")
        history = _history(plot, bound)
        got, report = history.read("exact")
        assert not (report.complete and history.missing(got)), seed
        assert report.complete, seed


def test_windows_between_whole_seconds_begin_and_end_at_whole_seconds() -> None:
    """Also in the second of many rows: its window begins with it and ends with it."""
    rows = [row(number, BEGIN - 10_000.0 + number // 25) for number in range(300)]
    directory = WholeSeconds(rows, before=lambda one: one.delete(0) if len(one.rows) > 200 else None)
    directory.bound = BOUNDS["cut off"]
    listing = Listing(directory, limit=10, concurrency=1, exact=True)
    run(listing.all())
    assert listing.report.level == "repaired"
    edges = {edge for window in directory.windows for edge in window if edge is not None}
    assert len(edges) > 10
    assert {edge.microsecond for edge in edges} == {0}
    assert min(later - earlier for earlier, later in pairwise(sorted(edges))) == timedelta(seconds=1)
