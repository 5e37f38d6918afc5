"""Rows in the order of their creation."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meitner_aio._listing.steps import at_once
from meitner_aio._listing.timeline import Timeline

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = st.integers(0, 50).map(lambda second: second / 4)


def _at(second: float) -> datetime:
    return BEGAN + timedelta(seconds=second)


def _of(pages: list[list[float]]) -> Timeline:
    rows, number = Timeline(), count()
    for page in pages:
        rows.append([f"id {next(number)}" for _ in page], [_at(second) for second in page])
    return rows


def _pairs(rows: Timeline) -> list[tuple[float, int]]:
    return list(zip(rows.stamps, rows.keys, strict=True))


@given(st.lists(st.lists(SECONDS, max_size=5), max_size=6), st.sets(st.integers(0, 30)))
def test_rows_come_in_order_and_none_but_those_left_out_is_lost(pages: list[list[float]], gone: set[int]) -> None:
    """Rows of any order come out by time, each once, without those of the ids that were named."""
    rows = _of(pages)
    lost = frozenset(f"id {number}" for number in gone)
    expected = sorted(pair for pair in _pairs(rows) if pair[1] not in set(map(hash, lost)))
    found = at_once(rows.ordered(without=lost))
    assert list(found.stamps) == [stamp for stamp, _ in expected]
    assert sorted(_pairs(found)) == expected


@given(st.lists(SECONDS), st.lists(SECONDS), SECONDS, st.none() | SECONDS)
def test_a_span_holds_the_rows_of_a_window(
    page: list[float], more: list[float], high: float, low: float | None
) -> None:
    """A span has as many rows as were created in the window, also rows that were put in afterwards."""
    rows = at_once(_of([page]).ordered())
    for number, second in enumerate(more):
        rows.insert(_at(second), f"more {number}")
    inside = [s for s in page + more if (low is None or s >= low) and s < high]
    span = rows.span(None if low is None else _at(low), _at(high))
    assert [rows.stamps[place] for place in span] == sorted(_at(second).timestamp() for second in inside)
    assert [*rows.stamps] == sorted(rows.stamps)


def test_a_copy_is_a_copy() -> None:
    """What is put into the copy, or added to the original, is not in the other."""
    rows = _of([[1.0, 2.0]])
    copy = at_once(rows.ordered())
    copy.insert(_at(1.5), "another")
    rows.append(["late"], [_at(0.5)])
    assert (len(copy.keys), len(rows.keys)) == (3, 3)
    assert [*at_once(rows.ordered()).stamps] == [_at(s).timestamp() for s in (0.5, 1.0, 2.0)]


@pytest.mark.parametrize("shuffled", [False, True])
def test_no_step_moves_many_rows(*, shuffled: bool) -> None:
    """Rows are looked at a thousand in a step, and put in order about a thousand in a step."""
    seconds = [float(number) for number in range(40_000, 0, -1)]
    if shuffled:
        Random(1).shuffle(seconds)
    rows = _of([seconds[start : start + 1000] for start in range(0, len(seconds), 1000)])
    assert sum(1 for _ in rows.ordered()) >= 2 * len(seconds) // 1024


def test_rows_of_one_instant_do_not_mix_with_others() -> None:
    """Nearly all rows of one instant, as after an import, and a few others between them come out in order."""
    rows = _of([[float(number) if number % 1000 == 0 else 7.0 for number in range(10_000)]])
    assert [*at_once(rows.ordered()).stamps] == sorted(rows.stamps)


def test_a_row_takes_sixteen_bytes_and_its_order_little_more() -> None:
    """Putting rows in order needs less than 48 bytes a row; a list of pairs would need 140."""
    seconds = [float(number) for number in range(100_000)]
    Random(1).shuffle(seconds)
    rows = _of([seconds[start : start + 1000] for start in range(0, len(seconds), 1000)])
    del seconds
    tracemalloc.start()
    try:
        at_once(rows.ordered())
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 100_000 * 48
