"""Which rows were seen before: compared with a plain set, for every order in which rows can arrive."""

from __future__ import annotations

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
    table: Any = seen_ids._Table(10)
    assert len(table.fresh(list(range(1, 5001)))) == 5000
    assert table.fresh(list(range(4990, 5011))) == list(range(11, 21))
    assert 5010 in table
    assert 5011 not in table


@pytest.mark.parametrize("total", [10**8, 10**12, 10**30])
def test_a_total_beyond_belief_reserves_no_memory_for_it(total: int) -> None:
    """A huge total in an answer does not allocate memory for it."""
    distinct = Distinct(total)
    assert distinct.fresh([row_id(1), row_id(2), row_id(1)], None) == [0, 1]
    assert len(distinct._keys._slots) <= 2**23  # type: ignore[union-attr]
