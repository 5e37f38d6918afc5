"""Which rows were seen before: compared with a plain set, for every order in which rows can arrive."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from operator import gt, lt
from typing import Any

import pytest
from fake_directory import row_id
from hypothesis import given, settings
from hypothesis import strategies as st

from meitner_aio._listing import seen_ids
from meitner_aio._listing.creation import CreationTimes, in_order
from meitner_aio._listing.seen_ids import Distinct

DAWN = datetime(2026, 1, 1, tzinfo=UTC)


def _made(number: int) -> datetime:
    """Return when a row was created: three in a row at the same instant now and then."""
    return DAWN + timedelta(seconds=number - number % 3 if number % 50 > 40 else number)


def _times(stamps: list[datetime]) -> CreationTimes | None:
    return in_order(stamps) if stamps else None


def _places(known: set[int], numbers: list[int]) -> list[int]:
    """Return the places of those that are new, as anybody would find them."""
    new = []
    for place, number in enumerate(numbers):
        if number not in known:
            known.add(number)
            new.append(place)
    return new


NUMBERS = st.lists(st.integers(0, 300), max_size=30)
PAGES = st.lists(st.one_of(NUMBERS, NUMBERS.map(sorted), NUMBERS.map(lambda them: sorted(set(them)))), max_size=12)
STRAIGHT = st.integers(1, 30).flatmap(
    lambda size: st.tuples(
        st.booleans(),
        st.lists(st.integers(0, 2), max_size=3),
        st.just([list(range(at, at + size)) for at in range(0, 300, size)]),
    )
)


def _drifting(straight: tuple[bool, list[int], list[list[int]]]) -> list[list[int]]:
    """Return pages in the order of creation or against it, in which the last rows of some pages come again."""
    backwards, again, pages = straight
    for at in again:
        if at + 1 < len(pages):
            pages[at + 1] = [pages[at][-1], *pages[at + 1]]
    return [page[::-1] for page in pages[::-1]] if backwards else pages


def _shuffled(order: list[int]) -> list[list[int]]:
    """Return pages that are in order within, and follow each other in any order."""
    return [list(range(at * 20, at * 20 + 25)) for at in order]


@pytest.mark.parametrize("expected", [0, 300, seen_ids._SHORT + 1])
@settings(max_examples=150, deadline=None)
@given(pages=st.one_of(PAGES, STRAIGHT.map(_drifting)), dated=st.sampled_from(["all", "none", "some"]))
def test_what_is_new_is_what_a_set_says(expected: int, pages: list[list[int]], dated: str) -> None:
    """In and against the order of creation and in none, with and without dates, with repeats in a page."""
    distinct, known = Distinct(expected), set[int]()
    for at, numbers in enumerate(pages):
        made = None if dated == "none" or (dated == "some" and at % 3 == 2) else [_made(number) for number in numbers]
        new = distinct.fresh([row_id(number) for number in numbers], None if made is None else _times(made))
        assert (list(range(len(numbers))) if new is None else new) == _places(known, numbers)
    assert all(row_id(number) in distinct for number in known)
    assert not any(row_id(number) in distinct for number in range(1000, 1100))


@pytest.mark.parametrize(("step", "follows"), [(1, lt), (-1, gt)])
def test_strict_order_tells_the_earliest_and_the_latest(step: int, follows: object) -> None:
    """Forwards and backwards: they are the two ends, and no row of the page is there twice."""
    stamps = [DAWN + timedelta(seconds=step * number) for number in range(5)]
    assert in_order(stamps) == (stamps, min(stamps), max(stamps), follows)


@pytest.mark.parametrize("steps", [[1, 1, 0], [-1, -1, 0], [0, 1, 1], [1, -1, 1], [1, 1, -9]])
def test_stamps_that_are_not_in_strict_order_have_none(steps: list[int]) -> None:
    """Rows of one instant may be one row twice; and the earliest and the latest are found wherever they are."""
    stamps = [DAWN]
    for step in steps:
        stamps.append(stamps[-1] + timedelta(seconds=step))
    times = in_order(stamps)
    assert times.follows is None
    assert (times.earliest, times.latest) == (min(stamps), max(stamps))


@pytest.mark.parametrize("ids", ["a\nb", "a\x00b", "\N{SNOWMAN}", ""])
def test_ids_of_any_characters_are_told_apart(ids: str) -> None:
    """Ids that contain a possible separator are told apart."""
    distinct = Distinct()
    assert distinct.fresh([ids, "c"], _times([DAWN, DAWN + timedelta(seconds=1)])) is None
    assert distinct.fresh(["a", "b", ids], None) == [0, 1]


def test_every_row_new_is_told_without_a_list() -> None:
    """If all rows of a page are new, the result is None."""
    for expected in (0, seen_ids._SHORT + 1):
        distinct = Distinct(expected)
        for at in range(0, 500, 50):
            numbers = range(at, at + 50)
            assert distinct.fresh([row_id(number) for number in numbers], _times([DAWN] * 50)) is None


@pytest.mark.parametrize("lengths", [(36, 36), (35, 37), (1, 71), (0, 72)])
def test_ids_of_any_length_are_told_apart(lengths: tuple[int, int]) -> None:
    """Ids of other lengths than that of a UUID are told apart."""
    ids = [letter * length for letter, length in zip("ab", lengths, strict=True)]
    distinct = Distinct()
    assert distinct.fresh(ids, _times([DAWN, DAWN + timedelta(seconds=1)])) is None
    assert distinct.fresh(ids, None) == []
    assert distinct.fresh(["b" * 36, *ids[:1]], None) == ([] if lengths == (36, 36) else [0])


def test_a_table_holds_more_than_it_was_made_for() -> None:
    """A total may be wrong: more rows than it says, even in one page, find their place."""
    table: Any = seen_ids._Table()
    list(table.room(10))
    assert len(table.fresh(list(range(1, 50_001)))) == 50_000
    assert table.fresh(list(range(49_990, 50_011))) == list(range(11, 21))
    assert 50_010 in table
    assert 50_011 not in table


@pytest.mark.parametrize("total", [10**8, 10**12, 10**30])
def test_a_total_beyond_belief_reserves_no_memory_for_it(total: int) -> None:
    """A huge total in an answer does not allocate memory for it."""
    distinct = Distinct(total)
    assert distinct.fresh([row_id(1), row_id(2), row_id(1)], None) == [0, 1]
    assert isinstance(distinct._keys, seen_ids._Table)
    assert len(distinct._keys._slots) <= 2**23


def _instants(page: list[int], ties: int) -> CreationTimes | None:
    """Return when rows were created, of which so many share each instant."""
    return _times([DAWN + timedelta(seconds=number // ties) for number in page])


def _halfway(distinct: Distinct, created: CreationTimes | None, steps: int) -> None:
    """Begin to prepare for a page, as a reader does that is cancelled meanwhile."""
    for _, _ in zip(distinct.preparing(created), range(steps), strict=False):
        pass


@settings(max_examples=300, deadline=None)
@given(
    pages=st.one_of(PAGES, STRAIGHT.map(_drifting), st.permutations(range(12)).map(_shuffled)),
    ties=st.sampled_from([1, 3, 7, 40, 1000]),
    limits=st.tuples(st.sampled_from([0, 20, 10**6]), st.sampled_from([0, 20, 10**6]), st.sampled_from([1, 7, 4096])),
    halfway=st.integers(0, 3),
)
def test_whatever_is_kept_and_however_it_is_moved_what_is_new_is_what_a_set_says(
    pages: list[list[int]], ties: int, limits: tuple[int, int, int], halfway: int
) -> None:
    """Notes of ids and of hashes, set and table, many rows of one instant, and a move that was left at any step."""
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in zip(("_SHORT", "_WHOLE", "STEP"), limits, strict=True):
            patch.setattr(seen_ids, name, limit)
        distinct, known = Distinct(0), set[int]()
        for numbers in pages:
            created = _instants(numbers, ties)
            _halfway(distinct, created, halfway)
            new = distinct.fresh([row_id(number) for number in numbers], created)
            assert (list(range(len(numbers))) if new is None else new) == _places(known, numbers)
        _halfway(distinct, None, halfway)
        assert all(row_id(number) in distinct for number in known)
        assert not any(row_id(number) in distinct for number in range(1000, 1100))


@pytest.mark.parametrize("expected", [0, seen_ids._SHORT + 1])
def test_ids_of_one_hash_are_new_where_the_order_says_so_and_seen_before_elsewhere(
    expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is not delivered is told as a duplicate, so that the read is not proven; none is told as new twice."""
    monkeypatch.setattr(seen_ids, "hash", lambda _: 1, raising=False)
    distinct = Distinct(expected)
    assert distinct.fresh(["a", "b"], _instants([0, 1], 1)) is None
    assert distinct.fresh(["c", "b"], _instants([1, 2], 1)) == [0]
    assert distinct.fresh(["d"], None) == []


@pytest.mark.parametrize("ties", [1, 7])
@pytest.mark.parametrize("step", [1, -1])
def test_rows_in_order_are_noted_and_not_looked_up(step: int, ties: int) -> None:
    """Forwards and backwards, with rows of one instant on both sides of a boundary, and rows that come again there."""
    distinct = Distinct(seen_ids._SHORT + 1)
    numbers = list(range(1000))[::step]
    for start in range(0, 1000, 50):
        page = numbers[max(0, start - 3) : start + 50]
        new = distinct.fresh([row_id(number) for number in page], _instants(page, ties))
        assert new == (list(range(3, 53)) if start else None)
    assert distinct._keys is None


def test_of_a_long_listing_nine_bytes_a_row_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that were noted as they are become hashes when many rows follow; else a row would take fifteen bytes."""
    monkeypatch.setattr(seen_ids, "_WHOLE", 10_000)
    pages = [list(range(at, at + 500)) for at in range(0, 50_000, 500)]
    distinct = Distinct(50_000)
    tracemalloc.start()
    try:
        for page in pages:
            distinct.fresh(
                [f"{number:036}" for number in page], _times([DAWN + timedelta(seconds=number) for number in page])
            )
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 50_000 * 11


def test_one_page_out_of_order_does_not_have_the_others_looked_up() -> None:
    """A read that drifts once goes on at the cost of one that did not."""
    distinct = Distinct(1000)
    for start in [*range(0, 500, 50), 100, *range(500, 1000, 50)]:
        page = list(range(start, start + 50))
        distinct.fresh([row_id(number) for number in page], _instants(page, 1))
    assert distinct._notes.rows == 500


@pytest.mark.parametrize("short", [0, 10**6])
def test_the_notes_of_a_long_listing_are_moved_in_short_steps(short: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two turns of the event loop, no more is looked up or allocated than a step may; and nothing is left."""
    monkeypatch.setattr(seen_ids, "_SHORT", short)
    monkeypatch.setattr(seen_ids, "_WHOLE", 10_000)
    distinct = Distinct(10**6)
    for start in range(0, 40_000, 500):
        page = list(range(start, start + 500))
        assert distinct.fresh([row_id(number) for number in page], _instants(page, 1)) is None
    work = _Work(monkeypatch)
    largest = steps = 0
    for _ in distinct.preparing():
        largest, work.done, steps = max(largest, work.done), 0, steps + 1
    assert max(largest, work.done) <= seen_ids.STEP + 500
    assert steps >= 40_000 // (seen_ids.STEP + 500)
    work.done = 0
    assert row_id(39_999) in distinct
    assert work.done == 0


def test_a_table_grows_in_short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its slots are allocated, and its hashes moved, a step at a time; until the last, it is as it was."""
    table = seen_ids._Table()
    table.fresh(list(range(1, 100_001)))
    work = _Work(monkeypatch)
    before, largest = table._slots, 0
    for _ in table.room(400_000):
        assert table._slots is before
        largest, work.done = max(largest, work.done), 0
    assert 0 < largest <= seen_ids.STEP
    assert len(table._slots) > len(before)
    work.done = 0
    assert table.fresh([5, 400_001]) == [1]
    assert work.done == 2


class _Work:
    """Counts the hashes that are entered into sets and tables."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.done = 0
        enter, fresh = seen_ids._enter, seen_ids._Set.fresh

        def entered(slots: Any, keys: Any) -> Any:
            self.done += len(keys)
            return enter(slots, keys)

        def added(self_: Any, keys: Any) -> Any:
            self.done += len(keys)
            return fresh(self_, keys)

        patch.setattr(seen_ids, "_enter", entered)
        patch.setattr(seen_ids._Set, "fresh", added)
