"""A share that grows and shrinks, and what single calls will need: arithmetic, without a clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meitner_aio._fair_share import FairShare, SingleCalls


def _even(low: float, high: float) -> float:
    return (low + high) / 2


def test_a_share_is_paced():
    """Half of four a second is one each half second; a tenth of jitter at most."""
    share = FairShare(_even)
    share.begin(0.5)
    assert share.due(4.0) == float("-inf")
    share.sent(10.0)
    assert share.due(4.0) == pytest.approx(10.5)
    jittered = FairShare(random.Random(1).uniform)
    jittered.sent(10.0)
    jittered.sent(11.0)
    assert 11.9 <= jittered.due(1.0) <= 12.1


def test_it_grows_by_adding_and_shrinks_by_a_part():
    """Once in one and a half of its intervals, and never out of its bounds."""
    share = FairShare(_even)
    share.begin(0.5)
    share.grow()
    assert share.part == pytest.approx(0.53)
    for now in (0.0, 1.0, 2.0, 2.84):
        share.shrink(now, 1.0)
    assert share.part == pytest.approx(0.53 * 0.85)
    for now in range(10, 100_000, 100):
        share.shrink(float(now), 1.0)
    assert share.part == 1 / 32
    for _ in range(100):
        share.grow()
    assert share.part == 1.25


@given(st.lists(st.floats(0.05, 1.0), min_size=2, max_size=5))
def test_shares_that_see_the_same_signal_become_equal(parts):
    """However they began: what additive increase and multiplicative decrease are for."""
    shares = [FairShare(_even) for _ in parts]
    for share, part in zip(shares, parts, strict=True):
        share.begin(part)
    for turn in range(400):
        plenty = sum(share.part for share in shares) <= 1.0
        for share in shares:
            if plenty:
                share.grow()
            else:
                share.shrink(turn * 1000.0, 1.0)
    assert max(share.part for share in shares) < 1.5 * min(share.part for share in shares)


def test_single_calls_have_a_rate_once_there_are_two():
    """One each five seconds; a lone one needs little, and is forgotten after ten minutes."""
    singles = SingleCalls()
    assert singles.need(0.0, 3600) == 0
    singles.came(0.0)
    assert singles.rate(4.0) == 0
    for at in range(5, 1205, 5):
        singles.came(float(at))
    assert singles.rate(1200.0) == pytest.approx(0.2, rel=0.05)
    assert singles.need(1200.0, 1000) == pytest.approx(200, rel=0.25)
    assert singles.recent(1799.0)
    assert not singles.recent(1801.0)
    assert singles.need(1801.0, 1000) == 0


def test_the_rate_is_right_from_the_second_call_on():
    """Pages must not spend a window in the seconds in which nobody knows that calls come."""
    singles = SingleCalls()
    singles.came(100.0)
    singles.came(105.0)
    assert singles.rate(105.0) == pytest.approx(0.2, rel=0.1)
