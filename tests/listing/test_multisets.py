"""Rows without ids: no claim is false, nothing is dropped, by an oracle that knows which row is which."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest
from rows_without_ids import Past, Rows, past

from meitner_aio import IncompleteListing
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio.resources import Attendances

HISTORIES = 500
CLAIMS = {"certified", "repaired", "stable"}


class Told(NamedTuple):
    """What a read told, and what was so."""

    level: str
    complete: bool
    duplicates: int
    got: Counter[str]
    missing: int
    """Rows that were there throughout and did not arrive."""
    requests: int
    answered: int

    @property
    def false(self) -> bool:
        """Whether it claims what is not so."""
        return bool(self.missing) and (self.complete or self.level in CLAIMS)


async def read(past: Past, how: str, *, concurrency: int = 1) -> Told:
    """Read the rows: plain, strict or exact."""
    rows = Rows(past)

    async def send(request: Request) -> RawResponse:
        return RawResponse(200, Headers({"Content-Type": "application/json"}), rows.answer(request.query))

    listing = Attendances(send).list(concurrency=concurrency)
    listing = listing.paged(strict=how == "strict" or None, exact=how == "exact" or None)
    got: Counter[str] = Counter()
    try:
        async for row in listing:
            got[row.report.week] += 1
    except IncompleteListing:
        assert how == "strict"
    report = listing.report
    assert report.rows == got.total()
    missing = (rows.throughout - got).total()
    return Told(report.level, report.complete, report.duplicates, got, missing, report.requests, rows.answered)


@pytest.mark.parametrize("how", ["plain", "strict", "exact"])
async def test_no_claim_is_false(how):
    """Whatever moves between two answers: what is called complete has every row that was there throughout."""
    told = [await read(past(seed), how, concurrency=1 + seed % 3) for seed in range(HISTORIES)]
    assert [seed for seed, one in enumerate(told) if one.false] == []
    assert all(one.requests == one.answered and not one.duplicates for one in told)
    levels = Counter(one.level for one in told)
    assert levels["consistent"] + levels["unverified"] > HISTORIES / 8
    assert any(one.missing for one in told), "nothing was ever missed: the histories are too tame"
    assert (levels["stable"] > HISTORIES / 8) is (how == "exact")


async def test_naive_reads_claim_what_is_not_so():
    """The histories are hard enough: to drop equal rows, or to believe one steady pass, would have been wrong."""
    told = [await read(past(seed), "plain") for seed in range(HISTORIES)]
    steady = [one for one in told if one.level == "consistent"]
    assert any(one.missing for one in steady), "one pass called stable would have been right"
    deduplicated = [one for one in steady if one.got.total() > len(one.got)]
    assert deduplicated, "no equal rows: to drop them would have been right"


async def test_two_equal_rows_are_two_rows():
    """At rest every row arrives as often as it is there, and a second pass says so at the cost of as many pages."""
    rows = Past(7, rows=40, page=9, busy=0.0)
    there = Rows(rows).throughout
    assert max(there.values()) > 1
    for concurrency in (1, 4):
        told = await read(rows, "exact", concurrency=concurrency)
        assert (told.got, told.level, told.complete) == (there, "stable", True)
        assert told.answered == 2 * 5


async def test_a_steady_read_without_a_second_pass_is_consistent():
    """One pass proves nothing: a removal and an insertion can hide each other."""
    told = await read(Past(7, rows=40, page=9, busy=0.0), "plain")
    assert (told.level, told.complete, told.answered) == ("consistent", False, 5)


async def test_one_answer_that_holds_everything_is_a_snapshot():
    """It is proven by itself, and not asked for twice."""
    told = await read(Past(3, rows=4, page=9, busy=0.0), "exact")
    assert (told.level, told.complete, told.answered) == ("certified", True, 1)


async def test_a_read_whose_total_moved_is_not_read_again():
    """No second pass could take back what was delivered: its pages would be spent for nothing."""
    moved = Past(1, rows=40, page=9, busy=0.9, kinds="i", calm=3)
    plain, exact = await read(moved, "plain"), await read(moved, "exact")
    assert (exact.level, exact.answered) == ("unverified", plain.answered)


async def test_a_change_of_one_row_between_the_passes_ends_the_proof():
    """As many rows, one of them other: not stable, and it is said."""
    level = {(await read(Past(seed, rows=24, page=5, busy=0.6, kinds="c"), "exact")).level for seed in range(20)}
    assert level == {"consistent"}
