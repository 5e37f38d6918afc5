"""The parts of a run by themselves: what time it is, and whether a listing is all there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_send import DATE, EPOCH
from virtual_time import run

from meitner_aio import APIConnectionError, Group, ListingReport, Page, Pagination
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio.changes._checkpoint import Checkpoint, Digest, parse
from meitner_aio.changes._digest import Comparison, cipher
from meitner_aio.changes._feed import Feed
from meitner_aio.changes._watch import Watch

ASKED = Request("search", "POST", "/group/_search", "/group/_search")
NOBODY = "00000000-0000-4000-8000-000000000000"


def test_a_run_began_when_the_first_request_was_sent():
    """Its answer may take minutes: Date says when that was over."""

    async def send(request: Request) -> RawResponse:
        assert request.bulk  # a run waits for its quota
        await asyncio.sleep(40.0)
        return RawResponse(200, Headers({"Date": DATE}), b"", attempts=2)

    async def watched() -> Watch:
        watch = Watch(send)
        await asyncio.gather(watch.send(ASKED), watch.send(ASKED))
        await watch.send(ASKED)
        return watch

    watch = run(watched())
    assert watch.began == pytest.approx(EPOCH - 40.0, abs=0.1)
    assert watch.requests == 6


def test_what_fails_was_spent_too():
    """A request that was sent three times costs three."""

    async def send(_: Request) -> RawResponse:
        raise APIConnectionError("cut", attempts=3)

    async def watched() -> Watch:
        watch = Watch(send)
        with pytest.raises(APIConnectionError):
            await watch.send(ASKED)
        return watch

    watch = run(watched())
    assert (watch.requests, watch.began) == (3, None)


@pytest.mark.parametrize(("later", "ahead"), [(0.5, 0.0), (-500.0, 0.0), (61.0, 60.0), (10 * 86_400.0, 0.0)])
def test_a_stamp_later_than_its_answer_shows_a_clock_ahead(later, ahead):
    """A whole second is the rounding of Date, and days are an error that says nothing of a clock."""

    async def send(_: Request) -> RawResponse:
        return RawResponse(200, Headers({"Date": DATE}), b"")

    async def watched() -> Watch:
        watch = Watch(send)
        await watch.send(ASKED)
        watch.compare([datetime.fromtimestamp(EPOCH, UTC) + timedelta(seconds=later)])
        watch.compare([])
        return watch

    assert run(watched()).ahead == ahead


class Pages:
    """A listing of pages as they are told, which shows nothing to be complete."""

    def __init__(self, totals: list[int], sizes: list[int], **report: Any) -> None:
        self.report = ListingReport(**report)
        self._pages = list(zip(totals, sizes, strict=True))

    async def pages(self) -> AsyncGenerator[Any, None]:
        number = 0
        for total, size in self._pages:
            rows = [group(number + place) for place in range(size)]
            number += size
            yield Page(rows, Pagination(offset=0, limit=10, total=total), None, None)  # type: ignore[arg-type]


def group(number: int) -> Group:
    """Return a group with an id that says its number."""
    return Group(id=f"{number:08d}-0000-4000-8000-000000000000", school_id=NOBODY, title="7A")


LOST = "00000001-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("totals", "sizes", "report", "gone", "complete"),
    [
        ([3, 3], [2, 1], {}, (), True),
        ([3, 3], [2, 1], {}, [NOBODY], False),  # the first row has this id
        ([3, 3], [2, 1], {}, [LOST], False),
        ([3, 3], [2, 1], {}, ["99999999-0000-4000-8000-000000000000"], True),
        ([3, 3], [2, 1], {}, None, False),
        ([3, 3], [2, 0], {}, (), False),
        ([3, 4], [2, 2], {}, (), False),
        ([3, 3], [2, 1], {"duplicates": 1}, (), False),
        ([3, 3], [2, 1], {"invalid": ("x",)}, (), False),
        ([3, 4], [2, 2], {"complete": True, "level": "repaired"}, None, True),
    ],
)
async def test_a_search_is_proven_by_what_is_left(totals, sizes, report, gone, complete):
    """As many rows as every answer counted, none of which has been deleted; otherwise nothing is claimed."""
    pages: Any = Pages(totals, sizes, **report)
    feed = Feed("groups", pages)
    while await feed.next() is not None:
        pass
    settled = feed.settled(gone)
    assert (settled is not None) == complete
    assert settled is None or settled.complete
    await feed.close()


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=40))
def test_what_is_enciphered_comes_back(rows, key):
    """With the key and the resource that it was enciphered with."""
    assert cipher(cipher(rows, key, "a"), key, "a") == rows


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_a_comparison_tells_what_differs_and_what_is_gone(before, after, changed):
    """New rows and changed ones differ; rows that were not seen again have vanished."""
    old = Comparison(b"one")
    assert all(old.differs(group(number)) for number in before)
    new = Comparison(b"two", old.rows(), b"one")
    rows = [Group(id=group(n).id, school_id=NOBODY, title="8B" if n in changed else "7A") for n in after]
    assert [new.differs(row) for row in rows] == [n not in before or n in changed for n in after]
    assert {*new.vanished()} == {group(number).id for number in before - after}
    assert len(new.rows()) == 24 * len(after)


@given(st.integers(0, 4_000_000_000), st.integers(0, 86_400), st.binary(max_size=100))
def test_a_checkpoint_is_read_as_it_was_written(at, ahead, rows):
    """Whatever it holds."""
    checkpoint = Checkpoint(at, ahead, "salt", "digest", ("units", "grade_elementaries"), {"x": Digest("s", at, rows)})
    assert parse(checkpoint.text()) == checkpoint
    assert parse(f" {checkpoint.text()}\n") == checkpoint


@given(st.text())
def test_any_text_is_a_checkpoint_or_refused(text):
    """With `ValueError`, and nothing else."""
    for form in (text, f"meitner-changes-1:{text}"):
        try:
            parse(form)
        except ValueError as error:
            assert "checkpoint" in str(error)
