"""Making an unproven read whole: which windows are asked for, when a count is believed, what it costs, when it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from fake_directory import BEGIN, FakeDirectory, Row, row, row_id
from fake_history import ORDERS, History, Plot
from virtual_time import run

from meitner_aio import IncompleteListing, MeitnerError
from meitner_aio._listing.completeness import ListingReport
from meitner_aio._listing.listing import Listing
from meitner_aio._listing.source import Deletions, PageRequest
from meitner_aio._wire.decoding import DecodedPage
from meitner_aio.records import Pagination

DAYS = 86_400.0
Happening = Callable[[FakeDirectory], None]


def _rows(count: int, *, apart: float = 60.0, start: float = BEGIN - 30 * DAYS, first: int = 0) -> list[Row]:
    return [row(first + number, start + number * apart) for number in range(count)]


def _deleting(*answers: int, last: bool = False) -> Happening:
    """Return what deletes a row, the first or the last, before the answers with these numbers."""
    count = 0

    def happen(directory: FakeDirectory) -> None:
        nonlocal count
        count += 1
        if count in answers and directory.rows:
            directory.delete(-1 if last else 0)

    return happen


def _always(directory: FakeDirectory) -> None:
    """Delete a row before every answer."""
    if directory.rows:
        directory.delete(len(directory.rows) // 3)


def _repaired(directory: FakeDirectory, **how: Any) -> tuple[list[Row], ListingReport]:
    """Read exactly, and return what arrived; no row that is there at the end may be missing."""
    listing = Listing(directory, **{"limit": 10, "concurrency": 1, "exact": True} | how)
    before = list(directory.rows)
    got = run(listing.all())
    assert len(got) == len(set(got)) == listing.report.rows
    assert not {one for one in directory.rows if one in before} - set(got)
    assert listing.report.requests == directory.requests
    return got, listing.report


# -- what a lost row needs


def test_a_row_that_slipped_away_is_found() -> None:
    """A deletion before the page shifts it out of every page to come; the control shows that it is lost otherwise."""
    directory = FakeDirectory(_rows(50), before=_deleting(3))
    got, report = _repaired(directory)
    assert len(got) == 50
    assert (report.level, report.complete, report.drifted) == ("repaired", True, True)
    assert report.gone == (got[0].id,)

    naive = FakeDirectory(_rows(50), before=_deleting(3))
    plain = Listing(naive, limit=10, concurrency=1)
    assert set(naive.rows) - set(run(plain.all()))
    assert not plain.report.complete


def test_distinct_rows_counted_against_the_total_would_be_fooled() -> None:
    """A deletion and a creation: as many rows as counted, none twice, and one missing. Dates tell."""

    def swap(directory: FakeDirectory) -> None:
        if len(directory.asks) == 3 and len(directory.rows) == 50 and not directory.log:
            directory.delete(0)
            directory.rows.append(row(1000, directory.now + 1.0))

    naive = FakeDirectory(_rows(50), before=swap)
    plain = Listing(naive, limit=10, concurrency=1)
    got = run(plain.all())
    assert len(set(got)) == len(got) == plain.report.total == 50
    assert set(naive.rows) - set(got)
    assert not plain.report.complete

    _, report = _repaired(FakeDirectory(_rows(50), before=swap))
    assert (report.level, report.rows) == ("repaired", 51)


# -- windows


def test_windows_tile_time() -> None:
    """Each window is split into two that touch; the leaves, taken together, leave no instant out."""
    directory = FakeDirectory(_rows(300), before=_deleting(5), tag="")
    _repaired(directory)
    leaves = {
        (low, high)
        for low, high in directory.windows
        if not any(other != (low, high) and _within(other, (low, high)) for other in directory.windows)
    }
    edges = sorted(leaves, key=lambda window: window[1])
    assert edges[0][0] is None
    assert all(earlier[1] == later[0] for earlier, later in pairwise(edges))
    assert edges[-1][1] == max(high for _, high in directory.windows)
    assert edges[-1][1] > datetime.fromtimestamp(BEGIN, UTC)


def _within(inner: tuple[datetime | None, datetime], outer: tuple[datetime | None, datetime]) -> bool:
    dawn = datetime.min.replace(tzinfo=UTC)
    return (outer[0] or dawn) <= (inner[0] or dawn) and inner[1] <= outer[1]


def test_a_count_is_worth_a_window() -> None:
    """Where nothing is deleted during the repair, only the windows that lack rows are read again."""
    directory = FakeDirectory(_rows(2000), before=_deleting(4, 9, 15), cap=100)
    _, report = _repaired(directory, limit=100)
    assert report.level == "repaired"
    assert report.requests <= 20 + 30


def test_in_a_search_only_snapshots_count() -> None:
    """Rows leave it without an event: every window is read in one answer."""
    directory = FakeDirectory(_rows(2000), before=_deleting(4, 9, 15), tag="")
    _, report = _repaired(directory, limit=100)
    assert report.level == "repaired"
    assert report.requests <= 20 + 80
    assert len(report.gone) == 3


def test_without_a_witness_the_listing_is_read_again() -> None:
    """Audit events forbidden: nothing tells a deleted row from one that an index lacks, so that no window counts."""
    directory = FakeDirectory(_rows(2000), before=_deleting(4, 9, 15), audited=False)
    _, report = _repaired(directory, limit=100)
    assert (report.level, report.complete, report.gone) == ("stable", True, ())
    assert report.requests <= 20 + 2 + 2 * 20
    assert directory.windows == []


# -- what must not be believed


class Index(FakeDirectory):
    """Answers windows from an index of its own, which `known` fills."""

    known: Callable[[Row], bool] = staticmethod(lambda _: True)

    def _page(self, ask: PageRequest, low: datetime | None, high: datetime | None) -> DecodedPage[Row]:
        rows = self.rows
        try:
            if high is not None:
                self.rows = [one for one in rows if self.known(one)]
            return super()._page(ask, low, high)
        finally:
            self.rows = rows


def test_an_index_that_is_empty_is_not_believed() -> None:
    """Six hundred rows were delivered: windows that hold none of them prove nothing, and the listing is read again."""
    directory = Index(_rows(600), before=_deleting(3))
    directory.known = lambda _: False  # type: ignore[assignment]
    _, report = _repaired(directory, limit=100)
    assert (report.level, report.complete) == ("stable", True)
    assert len(directory.windows) == 2
    assert report.requests <= 6 + 6 + 2 * 6


def test_an_index_that_lags_is_not_believed_where_nothing_speaks_against_it() -> None:
    """It lacks one row alone, the one that the read missed: the listing still counts it."""
    rows = _rows(60)
    directory = Index(rows, before=_deleting(3))
    directory.known = lambda one: one.id != rows[20].id  # type: ignore[assignment]
    got, report = _repaired(directory)
    assert rows[20] in got
    assert (report.level, report.complete) == ("stable", True)


def test_a_search_whose_index_loses_rows_is_not_believed() -> None:
    """They are neither deleted nor changed: whoever lost them may have lost others."""
    directory = Index(_rows(60), before=_deleting(3), tag="")
    directory.known = lambda one: one.id not in {row_id(number) for number in range(30)}  # type: ignore[assignment]
    listing = Listing(directory, limit=10, concurrency=1, exact=True)
    run(listing.all())
    assert (listing.report.level, listing.report.complete) == ("unverified", False)
    assert "can no longer be found" in listing.report.problems[-2]


@pytest.mark.parametrize("ahead", [62.0, 3600.0])
def test_rows_stamped_by_a_clock_that_is_ahead_are_found(ahead: float) -> None:
    """Two young rows slip away, and none that was delivered says that clocks differ: windows reach beyond them."""
    young = [row(1000 + number, BEGIN - 5.0 + ahead) for number in range(2)]
    rows = [*_rows(20), *young, *_rows(28, first=100)]
    directory = FakeDirectory(rows, before=_deleting(3, 3))

    def slip(directory: FakeDirectory) -> None:
        if len(directory.asks) == 3 and not directory.log:
            directory.delete(0)
            directory.delete(0)

    directory.before = slip
    got, report = _repaired(directory)
    assert set(young) <= set(got)
    assert report.level == "repaired"


def test_a_deletion_before_the_read_is_no_doubt_about_it() -> None:
    """Of a row that was never delivered nobody has to know."""
    directory = FakeDirectory(_rows(30, start=BEGIN - 100.0, apart=1.0))
    directory.log.append((BEGIN - 5.0, row_id(999)))
    _, report = _repaired(directory)
    assert (report.level, report.requests, directory.witnessed) == ("certified", 4, 1)


def test_rows_that_only_moved_cost_two_requests() -> None:
    """A row that was created meanwhile, and read: the listing counts as many as arrived, and none is deleted."""

    def create(directory: FakeDirectory) -> None:
        if len(directory.asks) == 3 and len(directory.rows) == 50:
            directory.rows.append(row(1000, directory.now))

    rows = [*_rows(49), row(60, BEGIN - 10.0)]
    _, report = _repaired(FakeDirectory(rows, before=create))
    assert (report.level, report.requests) == ("repaired", 6 + 2)


def test_a_count_that_a_deletion_overtakes_is_not_believed() -> None:
    """The window counts as many rows as were delivered, but one of those was deleted, and another is missing."""

    class Sly(FakeDirectory):
        """Deletes a row that was delivered just before the first count."""

        async def created(self, low: datetime | None, high: datetime, ask: PageRequest) -> DecodedPage[Row]:
            if not self.windows:
                self.delete(5)
            return await super().created(low, high, ask)

    directory = Sly(_rows(50), before=_deleting(3))
    _, report = _repaired(directory)
    assert report.level == "repaired"
    assert len(report.gone) == 2


def test_rows_of_one_instant_are_read_from_the_end() -> None:
    """A bulk import stamps more rows alike than a page holds: no window tells them apart, and they are read whole."""
    alike = _rows(45, apart=0.0, start=BEGIN - 5 * DAYS, first=1000)
    for order in (lambda rows: rows, lambda rows: rows[::-1]):
        for how in ({"audited": False}, {"tag": ""}, {}, {"cap": 7}):
            rows = order([*_rows(30), *alike, *_rows(30, start=BEGIN - DAYS, first=2000)])
            directory = FakeDirectory(rows, before=_deleting(3, 12, last=True), **how)
            _, report = _repaired(directory)
            assert report.level == ("stable" if how.get("audited") is False else "repaired")


def test_a_crowd_under_deletions_is_settled_by_counting() -> None:
    """Reading from the end loses no row to deletions; the count, less what is known to be deleted, says so."""
    crowd = _rows(60, apart=0.0)
    directory = FakeDirectory(crowd, before=_deleting(2, 4, 6, 11, 15, 20, 26))
    _, report = _repaired(directory)
    assert report.level == "repaired"


def test_a_crowd_that_never_rests_is_reported() -> None:
    """Rows of one instant in a search whose rows come and go: nothing proves it, and nothing is claimed."""

    def swapping(directory: FakeDirectory) -> None:
        directory.rows.append(directory.rows.pop(0)._replace(tag="in"))
        directory.rows[0] = directory.rows[0]._replace(tag="out")

    crowd = [row(number, BEGIN - 5 * DAYS, tag="in") for number in range(60)]
    directory = FakeDirectory(crowd, before=swapping, tag="in", cap=10)
    listing = Listing(directory, limit=10, exact=True)
    run(listing.all())
    assert (listing.report.level, listing.report.complete) == ("unverified", False)
    assert "gave up" in listing.report.problems[-1]


def test_rows_that_nobody_saw_are_found() -> None:
    """Far from those that the read saw: what an answer holds says where to look."""
    hidden = [row(number, BEGIN - 4000 * DAYS + number) for number in range(1000, 1040)]

    def appear(directory: FakeDirectory) -> None:
        if len(directory.asks) == 4:
            directory.rows[0:0] = hidden
            directory.delete(45)

    directory = FakeDirectory(_rows(50), before=appear)
    got = run(Listing(directory, limit=10, concurrency=1, exact=True).all())
    assert set(hidden) <= set(got)


def test_rows_a_microsecond_apart_can_be_told_apart() -> None:
    """Where only snapshots count, windows become as narrow as the clock allows."""
    directory = FakeDirectory(_rows(64, apart=1e-6), before=_deleting(3), tag="")
    directory.before = _deleting(*range(3, 1000, 2))
    _, report = _repaired(directory, limit=4)
    assert report.level == "repaired"


# -- directories that never rest


@pytest.mark.parametrize("count", [200, 2000])
def test_a_search_that_never_rests_is_read_to_the_end(count: int) -> None:
    """A deletion before every single answer: snapshots end it, within six requests for each of the plain read."""
    directory = FakeDirectory(_rows(count), before=_always, tag="")
    _, report = _repaired(directory, limit=20)
    assert (report.level, report.complete) == ("repaired", True)
    assert report.requests <= 6 * (count / 20)


@pytest.mark.parametrize("how", [{}, {"audited": False}])
@pytest.mark.parametrize("count", [200, 2000])
def test_a_list_that_never_rests_is_read_to_the_end_and_not_proven(count: int, how: dict[str, Any]) -> None:
    """A deletion between every count and every look at the events: nothing is missing, and nobody can know."""
    directory = FakeDirectory(_rows(count), before=_always, **how)
    _, report = _repaired(directory, limit=20)
    assert (report.level, report.complete) == ("unverified", False)
    assert report.requests <= 8 * (count / 20)


def test_a_list_that_rests_in_the_end_is_proven() -> None:
    """Once, between a count and the look at the events after it, is enough."""

    def busy(directory: FakeDirectory) -> None:
        if directory.requests < 70 and directory.rows:
            directory.delete(len(directory.rows) // 3)

    directory = FakeDirectory(_rows(600), before=busy, cap=20)
    _, report = _repaired(directory, limit=100)
    assert report.level == "repaired"


@pytest.mark.parametrize("order", ORDERS)
def test_no_order_of_the_server_keeps_a_repair_from_ending(order: str) -> None:
    """Creations, deletions and updates before most answers, rows in any order: whole in the end."""
    for seed in range(20):
        history = History(Plot(seed, rows=200, order=order, busy=0.8, search=seed % 2 == 0))
        got, report = history.read("exact")
        assert report.complete
        assert not history.missing(got)


def test_a_server_that_ignores_the_window_ends_the_repair() -> None:
    """Answers that have nothing to do with the question cost a bounded number of requests and prove nothing."""

    class Deaf(FakeDirectory):
        async def created(self, low: datetime | None, high: datetime, ask: PageRequest) -> DecodedPage[Row]:
            self.windows.append((low, high))
            return await self.fetch(ask)

    directory = Deaf(_rows(500), before=_deleting(3, 30))
    listing = Listing(directory, limit=10, concurrency=1, exact=True)
    run(listing.all())
    assert (listing.report.level, listing.report.complete) == ("unverified", False)
    assert directory.requests <= 50 + 30 * (50 + 10) + 60


# -- directories that cannot be searched


def test_undated_rows_are_read_again_until_two_passes_agree() -> None:
    """No creation times, no windows: passes from end to end, and the weaker word for it."""
    directory = FakeDirectory([row(number, None) for number in range(50)], before=_deleting(3))
    _, report = _repaired(directory)
    assert (report.level, report.complete) == ("stable", True)
    assert directory.windows == []


def test_a_pass_that_proves_itself_is_enough() -> None:
    """Grades cannot be searched, but their dates still make a proof: one undisturbed pass."""
    directory = FakeDirectory(_rows(50), before=_deleting(3), searchable=False)
    _, report = _repaired(directory)
    assert (report.level, report.requests) == ("stable", 10)


def test_a_pass_takes_late_commits_into_account_as_the_read_did() -> None:
    """Rows of the last minute prove nothing in a pass either: it has to be confirmed by another."""
    rows = _rows(50)
    rows[45:] = [row(number, BEGIN - 30.0) for number in range(45, 50)]
    directory = FakeDirectory(rows, before=_deleting(3), searchable=False, audited=False)
    _, report = _repaired(directory)
    assert (report.level, report.requests) == ("stable", 15)


def test_passes_that_never_agree_are_given_up() -> None:
    """Six of them; then the report says that rows may be missing, and `strict` raises."""
    directory = FakeDirectory([row(number, None) for number in range(300)], before=_always)
    listing = Listing(directory, limit=10, concurrency=1, exact=True, strict=True)
    with pytest.raises(IncompleteListing):
        run(listing.all())
    assert listing.report.level == "unverified"
    assert directory.requests <= 7 * 30


def test_an_answer_without_a_date_leaves_passes() -> None:
    """The server's clock is what windows are made of."""
    directory = FakeDirectory(_rows(50), before=_deleting(3), dated=False)
    _, report = _repaired(directory)
    assert (report.level, directory.windows) == ("stable", [])


# -- rows that break the contract


@pytest.mark.parametrize("dated", [True, False])
def test_a_row_that_is_skipped_is_skipped_by_the_repair(dated: bool) -> None:
    """The other rows are made whole; the read stays incomplete, and names the row, wherever it was met first."""
    broken = row(44, BEGIN - 30 * DAYS + 44 * 60.0)

    def spoil(fetched: DecodedPage[Row], ask: PageRequest) -> DecodedPage[Row]:
        if broken not in fetched.rows:
            return fetched
        if not ask.skip_invalid:
            raise MeitnerError("a row that breaks the contract")
        return fetched._replace(rows=[one for one in fetched.rows if one != broken], invalid=(broken.id,))

    for happening in (_deleting(3), _hiding(broken, 5)):
        directory = FakeDirectory(_rows(50), before=happening, answer=spoil, dated=dated)
        listing = Listing(directory, limit=10, concurrency=1, exact=True, on_invalid="skip")
        got = run(listing.all())
        assert set(directory.rows) - {broken} <= set(got)
        assert (listing.report.invalid, listing.report.complete) == ((broken.id,), False)


def _hiding(one: Row, answer: int) -> Happening:
    """Return what moves a row out of the reader's sight just before an answer, so that only a repair meets it."""

    def happen(directory: FakeDirectory) -> None:
        if len(directory.asks) == answer:
            directory.rows.remove(one)
            directory.rows.insert(0, one)
            directory.delete(1)

    return happen


# -- the witness


def test_a_witness_that_falls_silent_is_not_believed_before_either() -> None:
    """Counts stand only when the deletions are known afterwards: without that, the listing is read again."""

    class Moody(FakeDirectory):
        async def deleted(self, since: datetime) -> Deletions:
            known = await super().deleted(since)
            return known if self.witnessed == 1 else known._replace(ids=None)

    directory = Moody(_rows(200), before=_deleting(5))
    _, report = _repaired(directory)
    assert (report.level, report.gone) == ("stable", ())


def test_a_window_that_says_less_than_it_gives_is_no_reason_to_stop() -> None:
    """A total below the rows in hand: they are taken, whatever was counted."""

    def modest(fetched: DecodedPage[Row], ask: PageRequest) -> DecodedPage[Row]:
        pagination = Pagination(offset=ask.offset, limit=10, total=1)
        return fetched._replace(pagination=pagination) if directory.windows else fetched

    directory = FakeDirectory(_rows(50), before=_deleting(3), answer=modest)
    listing = Listing(directory, limit=10, concurrency=1, exact=True)
    assert len(run(listing.all())) == 49
