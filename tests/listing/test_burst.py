"""Reads that begin with several pages, because an earlier one counted the listing. Seconds are virtual."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from conftest import Scripted
from fake_directory import BEGIN, FakeDirectory, Row, row
from virtual_time import run

from meitner_aio import APIStatusError, InternalServerError, Meitner
from meitner_aio._listing.listing import Listing
from meitner_aio._listing.prefetch import Idle
from meitner_aio._listing.source import PageRequest
from meitner_aio._wire.decoding import DecodedPage
from meitner_aio._wire.last_counts import LIFETIME, LastCount, LastCounts
from meitner_aio.sandbox import Sandbox

LIMIT = 10


@pytest.fixture(autouse=True, scope="module")
def _on_a_network() -> Any:
    """Virtual seconds pass in no time, which looks like a busy processor: say that it is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Idle, "busy", lambda _: False)
        yield


def _directory(rows: int, counted: int | None, **how: Any) -> FakeDirectory:
    count = None if counted is None else LastCount(counted, LIMIT)
    return FakeDirectory([row(number) for number in range(rows)], counted=count, **how)


def _seconds(directory: FakeDirectory, concurrency: int = 16) -> float:
    """Read it all, and return how long it took."""

    async def read() -> float:
        import asyncio

        listing = Listing(directory, limit=LIMIT, concurrency=concurrency)
        began = asyncio.get_running_loop().time()
        assert [one.id for one in await listing.all()] == [one.id for one in directory.rows]
        assert (listing.report.level, listing.report.requests) == ("certified", len(directory.asks))
        return asyncio.get_running_loop().time() - began

    return run(read())


@pytest.mark.parametrize("rows", [11, 155, 160])
def test_a_count_saves_the_time_of_one_answer_and_costs_no_request(rows: int) -> None:
    """Up to as many pages as may be in flight take the time of one answer, where they took that of two."""
    unknown, known = (_directory(rows, counted, latency=lambda _: 0.05) for counted in (None, rows))
    assert (_seconds(unknown), _seconds(known)) == (pytest.approx(0.1), pytest.approx(0.05))
    assert len(known.asks) == len(unknown.asks) == -(-rows // LIMIT)


@pytest.mark.parametrize(("rows", "counted"), [(155, 35), (35, 30), (30, 11)])
def test_a_listing_that_grew_takes_no_more_requests(rows: int, counted: int) -> None:
    """What is beyond the count is asked for when the first page tells of it."""
    _seconds(directory := _directory(rows, counted))
    assert len(directory.asks) == -(-rows // LIMIT)


@pytest.mark.parametrize(("rows", "counted"), [(5, 35), (0, 12), (20, 31)])
def test_a_listing_that_shrank_takes_requests_in_vain_and_no_empty_page_is_shown(rows: int, counted: int) -> None:
    """As many as its pages are fewer; the read is proven all the same."""

    async def read() -> list[int]:
        return [len(page) async for page in Listing(directory, limit=LIMIT).pages()]

    directory = _directory(rows, counted)
    assert run(read()) == [LIMIT] * (rows // LIMIT) + ([rows % LIMIT] if rows % LIMIT or not rows else [])
    assert len(directory.asks) == -(-counted // LIMIT)


@pytest.mark.parametrize("counted", [3, 10])
def test_a_count_of_one_page_changes_nothing(counted: int) -> None:
    """The first page may be asked for in another size than the others."""
    _seconds(directory := _directory(35, counted))
    assert not [ask for ask in directory.asks if ask.early]


def test_a_read_that_comes_to_its_end_is_remembered_and_one_that_is_left_is_not() -> None:
    """Who leaves after some rows pays for one page again the next time."""

    async def leave(listing: Listing[Row]) -> None:
        async with aclosing(listing.pages()) as pages:
            await anext(pages)

    directory = _directory(35, None)
    run(Listing(directory, limit=LIMIT).all())
    run(leave(Listing(directory, limit=LIMIT)))
    assert directory.remembered == [LastCount(35, LIMIT), None]


def _refusing(status: int) -> Callable[[DecodedPage[Any], PageRequest], DecodedPage[Any]]:
    def answer(page: DecodedPage[Any], ask: PageRequest) -> DecodedPage[Any]:
        if ask.early:
            kind = InternalServerError if status >= 500 else APIStatusError
            raise kind("no", status_code=status, method="GET", route="/group")
        return page

    return answer


@pytest.mark.parametrize("status", [400, 413, 500])
def test_pages_that_are_refused_now_are_followed_by_one_of_another_size(status: int) -> None:
    """A server that became smaller meanwhile is met as if nothing had been known of it."""
    directory = _directory(35, 35, answer=_refusing(status))
    listing = Listing(directory, concurrency=2)
    assert len(run(listing.all())) == 35
    assert listing.report.requests == len(directory.asks)
    assert directory.remembered == [None, LastCount(35, directory.asks[-1].limit)]


def test_another_failure_of_the_first_page_is_raised() -> None:
    """It says nothing of the size of pages."""
    directory = _directory(35, 35, answer=_refusing(403))
    with pytest.raises(APIStatusError):
        run(Listing(directory, limit=LIMIT).all())
    assert all(ask.early for ask in directory.asks)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize(
    ("total", "older", "level"), [(20, 5.0, "certified"), (21, 5.0, "unverified"), (20, 90.0, "consistent")]
)
def test_an_answer_older_than_the_first_counts_the_same_or_proves_nothing(
    total: int, older: float, level: str, *, cached: bool
) -> None:
    """The proof begins with the oldest answer, also if a cache has it; dates prove nothing if that is a minute older."""

    def answer(page: DecodedPage[Any], ask: PageRequest) -> DecodedPage[Any]:
        if not ask.offset:
            return page
        pagination = page.pagination.__class__(offset=ask.offset, limit=LIMIT, total=total)
        return page._replace(pagination=pagination, server_time=BEGIN - older, kept=cached)

    async def read() -> str:
        await listing.all()
        return listing.report.level

    directory = _directory(20, None if cached else 20, answer=answer, audited=False)
    listing = Listing(directory, limit=LIMIT)
    assert run(read()) == level


def test_a_count_is_forgotten_after_its_time_and_of_many_the_oldest_goes() -> None:
    """Five minutes, and 256 listings; what is kept is a number, whatever was asked."""

    async def pass_time() -> None:
        import asyncio

        counts = LastCounts()
        for listing in range(300):
            counts.note(listing, LastCount(listing, 1))
        assert [counts.of(0), counts.of(43), counts.of(44)] == [None, None, LastCount(44, 1)]
        await asyncio.sleep(LIFETIME - 1)
        assert counts.of(299) is not None
        await asyncio.sleep(1)
        assert counts.of(299) is None

    run(pass_time())


async def test_a_client_learns_from_its_own_reads(scripted: Scripted) -> None:
    """The second read of a listing sends its pages together; another listing, or other conditions, begin with one."""
    del scripted
    sandbox = Sandbox(students=90, latency=0.001)
    async with Meitner.sandbox(sandbox) as meitner:
        sent: list[str] = []
        students = meitner.with_options(on_event=lambda event: sent.append(type(event).__name__)).students
        for _ in range(2):
            sent.append("read")
            assert len(await students.list(limit=20).all()) == 90
        sent.append("read")
        await students.search(first_name="A").all()
    first, second, other = " ".join(sent).split("read")[1:]
    assert first.split()[:2] == ["RequestSent", "ResponseReceived"]
    assert second.split()[:5] == ["RequestSent"] * 5
    assert len(other.split()) == 2
    assert first.count("RequestSent") == second.count("RequestSent") == 5
