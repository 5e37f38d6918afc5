"""What a read proves: certificates compared with generated histories, and everything that prevents one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

import pytest
from fake_directory import BEGIN, FakeDirectory, Row, row, row_id, stamp
from fake_history import MODES, ORDERS, History, Plot
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run

from meitner_aio import IncompleteListing
from meitner_aio._listing.completeness import CompletenessTracker
from meitner_aio._listing.listing import Listing
from meitner_aio._wire.decoding import DecodedPage
from meitner_aio.records import Meta, Pagination

OLD = BEGIN - 3600.0
LEVELS_THAT_PROVE = ("certified", "repaired", "stable")


def _page(rows: list[Row], *, offset: int = 0, total: int | None = None, date: float | None = BEGIN, **how: Any) -> Any:
    pagination = Pagination(offset=offset, limit=10, total=len(rows) if total is None else total)
    return DecodedPage(rows, pagination, how.get("invalid", ()), date)


def _open(*pages: Any, **how: Any) -> CompletenessTracker:
    """Return the books of a read, all its pages entered."""
    tracker = CompletenessTracker(**{"offset": 0, "updates": False} | how)
    for page in pages:
        tracker.admit(page)
    return tracker


def _tracker(*pages: Any, gone: frozenset[str] | None = None, **how: Any) -> CompletenessTracker:
    """Return the books of a read that came to its end."""
    tracker = _open(*pages, **how)
    tracker.conclude(gone=gone)
    return tracker


def _rows(first: int, count: int, created: float | None = OLD, updated: float | None = None) -> list[Row]:
    return [row(number, created, updated) for number in range(first, first + count)]


# -- histories


PLOTS = st.builds(
    Plot,
    seed=st.integers(0, 2**32),
    rows=st.sampled_from([0, 5, 30, 80]),
    order=st.sampled_from(ORDERS),
    busy=st.sampled_from([0.05, 0.3, 0.6, 0.8]),
    kinds=st.sampled_from(["cdu", "cd", "d", "u", "c", "cdddu"]),
    limit=st.sampled_from([3, 10, 25]),
    cap=st.sampled_from([5, 10**9]),
    concurrency=st.sampled_from([1, 3, 8]),
    search=st.booleans(),
    audited=st.booleans(),
    crowded=st.booleans(),
    late=st.sampled_from([0.0, 55.0]),
    youngest=st.just(BEGIN),
)


@settings(max_examples=300, deadline=None)
@given(plot=PLOTS, mode=st.sampled_from(MODES))
def test_a_read_that_is_proven_lacks_no_row(plot: Plot, mode: str) -> None:
    """P6: whatever happens between two answers, certified and repaired mean every row that was there throughout."""
    history = History(plot)
    got, report = history.read(mode)
    assert len(got) == len(set(got)) == report.rows
    assert report.complete == (report.level in LEVELS_THAT_PROVE)
    if report.complete:
        assert not history.missing(got)
    if mode == "exact" and not plot.crowded and plot.audited and plot.busy < 0.8:
        assert report.complete


def test_the_histories_would_catch_who_claims_too_much() -> None:
    """Control: in many of the histories a plain read loses rows, also where the counts agree."""
    lost = fooled = 0
    for seed in range(200):
        history = History(Plot(seed))
        got, report = history.read("plain")
        lost += bool(history.missing(got))
        fooled += bool(history.missing(got)) and len(set(got)) >= (report.total or 0)
    assert lost > 50
    assert fooled > 15


@settings(max_examples=120, deadline=None)
@given(plot=PLOTS, mode=st.sampled_from(MODES))
def test_a_quiet_directory_is_certified(plot: Plot, mode: str) -> None:
    """Old rows that nobody touches are certified without further requests."""
    history = History(plot._replace(busy=0.0, youngest=OLD))
    got, report = history.read(mode)
    assert not history.missing(got)
    assert (report.level, report.complete, report.drifted, report.problems) == ("certified", True, False, ())
    assert report.requests == history.directory.requests == max(1, -(-report.rows // history.step))


# -- the proof, piece by piece


def test_as_many_old_rows_as_were_counted_are_all_of_them() -> None:
    """N different old rows out of N counted are all of them, however pages overlap and totals change."""
    tracker = _tracker(
        _page(_rows(0, 10), total=25), _page(_rows(5, 10), total=24), _page(_rows(15, 10), total=25), _page(_rows(0, 3))
    )
    assert (tracker.level, tracker.rows, tracker.duplicates) == ("certified", 25, 8)
    assert tracker.report().drifted


def test_a_young_row_stands_for_no_old_one() -> None:
    """One deletion and one creation leave the count unchanged; the read is not certified."""
    tracker = _tracker(_page(_rows(0, 10), total=20), _page([*_rows(11, 9), row(50, BEGIN + 1.0)], total=20))
    assert tracker.rows == 20 == tracker.total
    assert (tracker.level, tracker.report().complete) == ("unverified", False)


@pytest.mark.parametrize(("gone", "level"), [
    ([], "certified"), ([99], "certified"), ([15], "unverified"), (None, "unverified"),
])  # fmt: skip
def test_young_rows_are_proven_by_none_of_them_being_deleted(gone: list[int] | None, level: str) -> None:
    """If every answer counts as many rows as were read and none was deleted since, the read is certified."""
    pages = _page(_rows(0, 10), total=20), _page(_rows(10, 10, BEGIN), total=20)
    assert _open(*pages).doubtful
    deleted = None if gone is None else frozenset(map(row_id, gone))
    assert _tracker(*pages, gone=deleted).level == level


@pytest.mark.parametrize(
    "spoil",
    [
        lambda page: _page(page.rows, total=21),
        lambda page: _page(page.rows[1:], total=20),
        lambda page: _page([row(0, BEGIN), *page.rows[1:]], total=20),
    ],
)
def test_no_deletions_prove_nothing_where_something_moved(spoil: Callable[[Any], Any]) -> None:
    """A total, a missing slot or a duplicate says that the set did not stand still."""
    pages = _page(_rows(0, 10, BEGIN), total=20), spoil(_page(_rows(10, 10, BEGIN), total=20))
    assert not _open(*pages).doubtful
    assert _tracker(*pages, gone=frozenset()).level == "unverified"


def test_a_single_answer_is_a_snapshot() -> None:
    """Everything in one page needs neither dates nor times."""
    for rows in ([], _rows(0, 10), _rows(0, 10, None), _rows(0, 10, BEGIN + 5.0)):
        assert _tracker(_page(rows, date=None)).level == "certified"
    assert _tracker(_page(_rows(0, 10, None), total=11)).level == "unverified"
    assert _tracker(_page(_rows(0, 10), total=9)).level == "unverified"


@pytest.mark.parametrize("date", [BEGIN, None])
@pytest.mark.parametrize("created", [OLD, None])
def test_without_times_a_steady_read_is_consistent_and_no_more(date: float | None, created: float | None) -> None:
    """Without dates, a read in which no change was seen is `consistent`, not complete."""
    pages = _page(_rows(0, 10, created), total=20, date=date), _page(_rows(10, 10), total=20, date=date)
    tracker = _tracker(*pages)
    proven = date is not None and created is not None
    assert tracker.level == ("certified" if proven else "consistent")
    assert tracker.datable is proven
    assert tracker.report().complete is proven


def test_undated_rows_can_hide_a_deletion_behind_an_insertion() -> None:
    """Equal totals without duplicates are no proof: a row can be missing, and the read is not complete."""

    def swap(directory: FakeDirectory) -> None:
        if len(directory.asks) == 2:
            directory.delete(0)
            directory.rows.append(row(50, None))

    for how in ({}, {"strict": True}):
        directory = FakeDirectory(_rows(0, 30, None), before=swap)
        listing = Listing(directory, limit=10, concurrency=1, **how)
        got: list[Row] = []

        async def read(listing: Listing[Row] = listing, got: list[Row] = got) -> None:
            async for one in listing:
                got.append(one)

        if how:
            with pytest.raises(IncompleteListing):
                run(read())
        else:
            run(read())
        assert len(set(got)) == 30
        assert set(_rows(0, 30, None)) - set(got) - {row(0, None)}
        assert (listing.report.level, listing.report.complete) == ("consistent", False)
        assert directory.requests == 3


YEARS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-2))),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
]


@pytest.mark.parametrize("at", YEARS)
def test_a_year_that_is_none_is_no_date(at: datetime) -> None:
    """Rows dated in year 1 or 9999 count as undated."""
    odd = Row(row_id(99), Meta(created_at=at, updated_at=at))
    for updates in (False, True):
        tracker = _tracker(
            _page(_rows(0, 10), total=20), _page([*_rows(10, 9), odd], total=20), updates=updates, keep=True
        )
        assert (tracker.level, tracker.datable) == ("consistent", False)
    changed = Row(row_id(99), Meta(created_at=stamp(OLD), updated_at=at))
    tracker = _tracker(_page(_rows(0, 10), total=20), _page([*_rows(10, 9), changed], total=20), updates=True)
    assert tracker.level in ("certified", "unverified")


def test_an_event_is_dated_by_its_own_timestamp() -> None:
    """It has no meta, and nothing deletes it: a log that grows while it is read is certified all the same."""

    class Event(NamedTuple):
        id: str
        timestamp: datetime
        meta: None = None

    events = [Event(row_id(number), stamp(OLD)) for number in range(20)]
    late = Event(row_id(50), stamp(BEGIN + 1.0))
    assert _tracker(_page(events[:10], total=20), _page([*events[10:], late], total=21)).level == "certified"
    assert _tracker(_page(events[:10], total=20), _page([*events[11:], late], total=20)).level == "unverified"


def test_without_times_whatever_moves_is_unverified() -> None:
    """A duplicate, a changed total or a gap is enough for `unverified`; one undated row prevents a certificate."""
    first = _page(_rows(0, 10, None), total=20)
    assert _tracker(first, _page(_rows(9, 10, None), total=20)).level == "unverified"
    assert _tracker(first, _page(_rows(10, 10, None), total=21)).level == "unverified"
    assert _tracker(first, _page(_rows(10, 9, None), total=20)).level == "unverified"
    assert (
        _tracker(_page(_rows(0, 10), total=20), _page([*_rows(9, 10), row(50, None)], total=20)).level == "unverified"
    )


@pytest.mark.parametrize(("age", "youngest", "level"), [
    (59.5, 0.5, "unverified"), (62.5, 0.5, "certified"), (62.5, 62.5, "unverified"), (121.0, 100.0, "unverified"),
    (162.0, 100.0, "certified"), (359.0, 359.0, "unverified"), (361.5, 358.0, "certified"), (62.5, -4000.0, "unverified"),
])  # fmt: skip
def test_a_row_is_old_by_a_minute_and_by_as_much_as_clocks_may_differ(age: float, youngest: float, level: str) -> None:
    """A minute for late commits, and five for a clock that is behind, unless stamps are seen that say it is not.

    A stamp from an hour ahead is an error and says nothing.
    """
    pages = _page(_rows(0, 10), total=20), _page([*_rows(10, 10, BEGIN - age), row(77, BEGIN - youngest)], total=21)
    assert _tracker(*pages).level == level


def test_a_replayed_answer_says_nothing_about_clocks() -> None:
    """The Date of a replayed answer is not used to compare clocks."""
    pages = _page(_rows(0, 10), total=20), _page([*_rows(10, 10, BEGIN - 62.5), row(77, BEGIN - 0.5)], total=21)
    tracker = CompletenessTracker(updates=False)
    for page in pages:
        tracker.admit(page, replayed=True)
    tracker.conclude()
    assert tracker.level == "unverified"


def test_rows_are_old_by_when_the_first_answer_was_asked_for() -> None:
    """An answer that took a minute counted at its beginning, and its Date is of its end."""
    first = _page(_rows(0, 10), total=20)
    second = _page([*_rows(10, 10, BEGIN - 100.0), row(77, BEGIN)], total=21)
    assert _tracker(first, second).level == "certified"
    assert _tracker(first._replace(waited=60.0), second).level == "unverified"


@pytest.mark.parametrize(("how", "level"), [
    ({"updates": True}, "unverified"), ({"updates": False}, "certified"), ({"offset": 1}, "unverified"),
])  # fmt: skip
def test_where_an_update_can_bring_a_row_in_a_changed_row_is_young(how: dict[str, Any], level: str) -> None:
    """In a search it may match only since then; behind an offset it may have come from before it."""
    total = 20 + how.get("offset", 0)
    pages = _page(_rows(0, 10), total=total), _page(_rows(10, 10, OLD, BEGIN + 1.0), total=total)
    assert _tracker(*pages, gone=frozenset(), **how).level == level
    assert not _open(*pages, **how).doubtful  # no event tells of updates: asking would be in vain


@pytest.mark.parametrize(("gone", "level"), [([], "certified"), ([99], "consistent"), (None, "consistent")])
def test_rows_behind_an_offset_are_proven_by_nothing_being_deleted(gone: list[int] | None, level: str) -> None:
    """Their number says nothing, but where none was deleted and the total stands, none was inserted."""
    tracker = _tracker(
        _page(_rows(5, 10), offset=5, total=25),
        _page(_rows(15, 10), offset=15, total=25),
        offset=5,
        gone=None if gone is None else frozenset(map(row_id, gone)),
    )
    assert tracker.level == level


@pytest.mark.parametrize(("total", "offset"), [(0, 5), (3, 3), (3, 100)])
def test_nothing_behind_the_end_is_all_there_is(total: int, offset: int) -> None:
    """An empty page at an offset beyond the last row is certified."""
    assert _tracker(_page([], offset=offset, total=total), offset=offset).level == "certified"


def test_a_skipped_row_counts_as_read_and_as_missing() -> None:
    """It fills its slot, so that nothing seems to have moved, but the read is not complete. It is named once."""
    tracker = _tracker(_page(_rows(0, 9), total=19, invalid=("x",)), _page(_rows(9, 9), total=19, invalid=("x", "y")))
    tracker.found(_page([], invalid=("y", "z")))
    report = tracker.report()
    assert (report.complete, report.drifted, report.invalid) == (False, True, ("x", "y", "z"))
    steady = _tracker(_page(_rows(0, 9), total=19, invalid=("x",)), _page(_rows(9, 9), total=19))
    assert (steady.level, steady.report().complete, steady.report().drifted) == ("consistent", False, False)
    assert not steady.doubtful
    pages = _page(_rows(0, 9), total=19, invalid=("x",)), _page(_rows(9, 9), total=19)
    repairable = _tracker(*pages, keep=True, gone=frozenset())
    assert (repairable.level, repairable.report().complete) == ("certified", False)


def test_the_report_says_in_words_what_stands_against_completeness() -> None:
    """Each problem is one sentence, without values of rows."""
    first = _page(_rows(0, 10), total=30)
    assert _tracker(first, _page(_rows(10, 10), total=29)).report().problems == (
        "the total changed during the read",
        "10 rows fewer arrived than the first answer counted",
    )
    assert _tracker(first, _page(_rows(8, 20), total=30)).report().problems == ("2 rows arrived twice",)
    assert _tracker(_page(_rows(0, 10), total=7)).report().problems == ("3 rows more arrived than any answer counted",)
    young = _page(_rows(10, 20, BEGIN), total=30)
    assert "were created during" in _tracker(first, young).report().problems[0]
    assert "created or changed" in _tracker(first, young, updates=True).report().problems[0]


def test_gone_names_only_rows_that_were_delivered() -> None:
    """Deleted rows that were never delivered are not in `gone`."""
    tracker = _tracker(_page(_rows(0, 3)))
    tracker.mended(gone=frozenset({row_id(2), row_id(7)}))
    assert (tracker.report().gone, tracker.report().level) == ((row_id(2),), "repaired")


def test_a_read_whose_witness_is_needed_asks_for_it_once() -> None:
    """Only a steady read of several pages with recent rows queries the audit events, once."""
    for count, created, witnessed in ((30, BEGIN, 1), (30, OLD, 0), (10, BEGIN, 0)):
        directory = FakeDirectory(_rows(0, count, created))
        listing = Listing(directory, limit=10)
        run(listing.all())
        assert (directory.witnessed, listing.report.level) == (witnessed, "certified")
        assert listing.report.requests == directory.requests
