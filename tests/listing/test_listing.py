"""Reading ahead: order, bounds, requests, wrong answers, ways to leave. Seconds are virtual."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
import raw_server
from conftest import Scripted
from fake_directory import FakeDirectory, Row, row, row_id
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import VirtualLoop, run

from meitner_aio import IncompleteListing, Meitner, MeitnerError, like
from meitner_aio._listing.listing import Listing, at_most
from meitner_aio._listing.prefetch import Idle
from meitner_aio._listing.source import PageRequest
from meitner_aio._wire.decoding import DecodedPage
from meitner_aio.records import Pagination

LIMIT = 10


@pytest.fixture(autouse=True, scope="module")
def _on_a_network() -> Iterator[None]:
    """Virtual seconds pass in no time, which looks like a busy processor: say that it is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Idle, "busy", lambda _: False)
        yield


def _rows(count: int) -> list[Row]:
    return [row(number) for number in range(count)]


def _saying(**what: Any) -> Callable[[DecodedPage[Any], PageRequest], DecodedPage[Any]]:
    """Return an `answer` that reports something else than the truth."""

    def answer(fetched: DecodedPage[Any], ask: PageRequest) -> DecodedPage[Any]:
        truth = {"offset": ask.offset, "limit": fetched.pagination.limit, "total": fetched.pagination.total}
        return fetched._replace(pagination=Pagination(**truth | what))

    return answer


async def _read(listing: Listing[Row]) -> tuple[list[Row], Exception | None]:
    """Return the rows that arrived, and the error that ended the read."""
    got: list[Row] = []
    try:
        async for one in listing:
            got.append(one)
    except Exception as error:
        return got, error
    return got, None


def _whole(directory: FakeDirectory, **how: Any) -> Listing[Row]:
    """Read a listing on virtual time: every row of the directory, in order, once."""
    listing = Listing(directory, **{"limit": LIMIT} | how)
    got, error = run(_read(listing))
    assert error is None
    assert got == directory.rows[how.get("offset", 0) :]
    return listing


# -- order and bounds


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_pages_come_in_order_and_no_more_of_them_than_allowed(data: st.DataObject) -> None:
    """P5: whatever the latencies, in the server's order, within `concurrency` in flight and twice as many waiting."""
    total = data.draw(st.integers(0, 200), "total")
    limit = data.draw(st.integers(1, 20), "limit")
    concurrency = data.draw(st.integers(1, 9), "concurrency")
    pace = data.draw(st.sampled_from([0.0, 0.5, 20.0]), "seconds the reader takes for a page")
    waits = data.draw(st.lists(st.sampled_from([0.0, 0.1, 1.0, 30.0]), min_size=1, max_size=7), "latencies")
    taken, most = 0, 0

    def latency(ask: PageRequest) -> float:
        nonlocal most
        most = max(most, len(directory.asks) - taken)
        return waits[ask.offset // limit % len(waits)]

    directory = FakeDirectory(_rows(total), latency=latency)

    async def reading() -> list[Row]:
        nonlocal taken
        got: list[Row] = []
        async for page in Listing(directory, limit=limit, concurrency=concurrency).pages():
            taken += 1
            await asyncio.sleep(pace)
            got += page.data
        return got

    assert run(reading()) == directory.rows
    assert directory.most_flying <= concurrency
    assert most <= 2 * concurrency
    assert len(directory.asks) == max(1, -(-total // limit))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_first_failure_is_raised_at_its_turn_as_itself(data: st.DataObject) -> None:
    """P5: all rows before it arrive, then the very exception; what was under way is gone, and nothing new was asked."""
    pages = data.draw(st.integers(1, 30), "pages")
    broken = data.draw(st.sets(st.integers(0, pages - 1), min_size=1, max_size=3), "broken pages")
    concurrency = data.draw(st.integers(1, 9), "concurrency")
    waits = data.draw(st.lists(st.sampled_from([0.0, 0.1, 1.0, 30.0]), min_size=1, max_size=7), "latencies")
    failures: dict[int, BaseException] = {page * LIMIT: KeyError(page) for page in broken}
    directory = FakeDirectory(
        _rows(pages * LIMIT), failures=failures, latency=lambda ask: waits[ask.offset // LIMIT % len(waits)]
    )

    async def reading() -> tuple[list[Row], Exception | None, int]:
        got, error = await _read(Listing(directory, limit=LIMIT, concurrency=concurrency))
        return got, error, len(asyncio.all_tasks())

    got, error, tasks = run(reading())
    first = min(failures)
    assert error is failures[first]
    assert got == directory.rows[:first]
    assert (tasks, directory.flying) == (1, 0)
    assert directory.asked_in_vain == 0


@pytest.mark.parametrize("concurrency", [1, 2, 8, 20])
def test_a_slow_reader_finds_its_window_full_and_no_fuller(concurrency: int) -> None:
    """L5: pages are fetched ahead up to the limit, and no further until the reader takes one."""
    directory = FakeDirectory(_rows(100 * LIMIT), latency=lambda _: 1.0)
    waiting = []

    async def reading() -> None:
        taken = 0
        async with aclosing(Listing(directory, limit=LIMIT, concurrency=concurrency).pages()) as pages:
            async for _ in pages:
                taken += 1
                await asyncio.sleep(100.0)
                waiting.append(len(directory.asks) - taken)
                if taken == 30:
                    return

    run(reading())
    assert set(waiting) == {2 * concurrency}
    assert directory.most_flying == concurrency


@pytest.mark.parametrize(("limit", "concurrency", "most"), [(500, 8, 2), (500, 1, 1), (499, 8, 8)])
def test_a_busy_processor_narrows_the_look_ahead_of_large_pages(
    monkeypatch: pytest.MonkeyPatch, limit: int, concurrency: int, most: int
) -> None:
    """Where computing is what takes the time, more requests would only be in each other's way."""
    monkeypatch.setattr(Idle, "busy", lambda _: True)
    directory = FakeDirectory(_rows(20 * limit), latency=lambda _: 1.0)
    _whole(directory, limit=limit, concurrency=concurrency)
    assert directory.most_flying == most


# -- requests


@pytest.mark.parametrize("total", [0, 1, LIMIT - 1, LIMIT, LIMIT + 1, 5 * LIMIT, 5 * LIMIT + 1])
@pytest.mark.parametrize("how", [{}, {"exact": True}, {"strict": True}, {"concurrency": 1}])
@pytest.mark.parametrize("tag", [None, ""])
def test_an_undisturbed_read_takes_one_request_a_page(total: int, how: dict[str, Any], tag: str | None) -> None:
    """No page is requested twice or in vain; `exact` and `strict` cost nothing when nothing moved."""
    directory = FakeDirectory(_rows(total), tag=tag)
    report = _whole(directory, **how).report
    assert [(ask.offset, ask.limit) for ask in directory.asks] == [(at, LIMIT) for at in range(0, max(total, 1), LIMIT)]
    assert directory.requests == len(directory.asks) == report.requests
    assert (report.complete, report.level, report.rows, report.total) == (True, "certified", total, total)


@pytest.mark.parametrize("offset", [1, LIMIT, 34, 35, 1000])
def test_an_offset_is_where_the_read_starts(offset: int) -> None:
    """Rows before it are not read; beyond the end there is nothing, and that is complete."""
    directory = FakeDirectory(_rows(35))
    report = _whole(directory, offset=offset, strict=True).report
    assert [ask.offset for ask in directory.asks] == list(range(offset, max(35, offset + 1), LIMIT))
    assert (report.complete, report.total, report.rows) == (True, 35, max(0, 35 - offset))


@pytest.mark.parametrize("cap", [1, 3, 7, 9])
def test_a_clamped_limit_is_the_step(cap: int) -> None:
    """The server gives fewer rows a page than were asked for and says so: no row is skipped, none asked for twice."""
    directory = FakeDirectory(_rows(50), cap=cap)
    report = _whole(directory).report
    assert len(directory.asks) == report.requests == -(-50 // cap)
    assert (report.level, report.problems) == ("certified", ())


def test_a_larger_limit_that_is_kept_is_the_step() -> None:
    """A server with a smallest page of its own says which, and gives that many rows."""

    def generous(_: DecodedPage[Any], ask: PageRequest) -> DecodedPage[Any]:
        rows, total = directory.rows, len(directory.rows)
        return DecodedPage(
            rows[ask.offset : ask.offset + 25], Pagination(offset=ask.offset, limit=25, total=total), (), directory.now
        )

    directory = FakeDirectory(_rows(60), answer=generous)
    assert _whole(directory).report.requests == 3


@pytest.mark.parametrize("limit", [0, -1, 1000])
def test_a_limit_that_cannot_be_true_is_not_believed(limit: int) -> None:
    """An impossible limit is replaced by the number of rows that came, and reported."""
    directory = FakeDirectory(_rows(50), answer=_saying(limit=limit))
    report = _whole(directory).report
    assert report.requests == 5
    assert str(limit) in report.problems[0]
    assert (report.complete, report.drifted) == (True, True)


def test_a_limit_that_shrinks_on_the_way_leaves_no_gap() -> None:
    """Pages asked for under the first limit come short; the rest of each is fetched."""

    def shrinking(fetched: DecodedPage[Any], ask: PageRequest) -> DecodedPage[Any]:
        size = 4 if ask.offset >= 20 else LIMIT
        return fetched._replace(
            rows=fetched.rows[:size], pagination=Pagination(offset=ask.offset, limit=min(ask.limit, size), total=50)
        )

    report = _whole(FakeDirectory(_rows(50), answer=shrinking)).report
    assert (report.requests, report.level) == (2 + 3 * 3, "certified")


@pytest.mark.parametrize("concurrency", [1, 2, 8])
def test_the_rest_of_a_short_page_is_fetched_within_the_bounds(concurrency: int) -> None:
    """A gap costs a request, which takes the place of another: never one more in flight than allowed."""

    def short(fetched: DecodedPage[Any], ask: PageRequest) -> DecodedPage[Any]:
        return fetched._replace(rows=fetched.rows[:3]) if ask.offset == 30 and ask.limit == LIMIT else fetched

    directory = FakeDirectory(_rows(200), answer=short, latency=lambda _: 1.0)
    report = _whole(directory, concurrency=concurrency).report
    assert (report.requests, len(directory.asks), report.level) == (21, 21, "certified")
    assert directory.asks[-1] != directory.asks[0]
    assert (33, 7) in [(ask.offset, ask.limit) for ask in directory.asks]
    assert directory.most_flying == concurrency


def test_a_page_that_stays_short_is_reported_and_ends() -> None:
    """Rows that the server counts and does not give: the read goes on after them, and says that it lacks some."""

    def short(fetched: DecodedPage[Any], _: PageRequest) -> DecodedPage[Any]:
        return fetched._replace(rows=[one for one in fetched.rows if one not in directory.rows[33:40]])

    directory = FakeDirectory(_rows(100), answer=short)
    listing = Listing(directory, limit=LIMIT)
    got, _ = run(_read(listing))
    assert got == directory.rows[:33] + directory.rows[40:]
    assert len(directory.asks) == listing.report.requests == 11
    assert not listing.report.complete
    assert "30" in listing.report.problems[0]


# -- totals that move, and totals that lie


def test_a_total_that_grows_is_followed() -> None:
    """Rows that appear behind the end while the read is on its way are read, too; the growth is noted."""

    def grow(directory: FakeDirectory) -> None:
        if len(directory.asks) in (2, 5):
            directory.rows += [row(len(directory.rows) + number) for number in range(15)]

    listing = _whole(FakeDirectory(_rows(50), before=grow), concurrency=1)
    assert (listing.report.rows, listing.report.total, listing.report.drifted) == (80, 80, True)


def test_a_total_that_shrinks_ends_the_read_early_and_is_noted() -> None:
    """Deleted rows are not waited for; a read that lost rows to the shift does not say complete."""

    def shrink(directory: FakeDirectory) -> None:
        if len(directory.asks) == 3 and len(directory.rows) == 100:
            del directory.rows[:40]

    directory = FakeDirectory(_rows(100), before=shrink)
    listing = Listing(directory, limit=LIMIT, concurrency=1)
    got, error = run(_read(listing))
    assert error is None
    assert len(got) == 60 == listing.report.rows
    assert set(directory.rows) - set(got)
    assert (listing.report.total, listing.report.complete, len(directory.asks)) == (60, False, 6)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_total_that_flaps_loses_nothing(concurrency: int) -> None:
    """Every other answer counts half the rows, and gives them all the same: every row arrives."""

    def flapping(fetched: DecodedPage[Any], ask: PageRequest) -> DecodedPage[Any]:
        total = 40 if ask.offset // LIMIT % 2 else 100
        return _saying(total=total)(fetched, ask)

    directory = FakeDirectory(_rows(100), answer=flapping)
    assert _whole(directory, concurrency=concurrency).report.drifted


@pytest.mark.parametrize("total", [26, 1000, 10**6, 10**18])
@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_total_larger_than_the_directory_comes_to_an_end(total: int, concurrency: int) -> None:
    """The pages stay empty: the read ends a window later, having taken every row, and says what was wrong."""
    directory = FakeDirectory(_rows(25), answer=_saying(total=total))
    report = _whole(directory, concurrency=concurrency).report
    assert (report.complete, report.total, report.rows) == (False, total, 25)
    assert len(directory.asks) <= 5 + 2 * (1 + 2 * concurrency)


@pytest.mark.parametrize("total", [-1, 0, 5, 15, 55, 95])
def test_a_total_smaller_than_the_directory_is_not_believed_over_rows(total: int) -> None:
    """A page that reaches beyond the total proves it wrong: full pages are followed to their end."""
    directory = FakeDirectory(_rows(120), answer=_saying(total=total))
    report = _whole(directory, concurrency=3).report
    assert (report.complete, report.drifted, report.rows) == (False, True, 120)
    assert "counted" in report.problems[0]


@pytest.mark.parametrize("times", [1, 3])
def test_a_page_that_is_empty_for_a_while_does_not_end_the_read(times: int) -> None:
    """An answer without rows is asked for again, three times, before it is believed."""
    missed = []

    def hiccup(fetched: DecodedPage[Any], ask: PageRequest) -> DecodedPage[Any]:
        if ask.offset == 30 and len(missed) < times:
            missed.append(ask)
            return fetched._replace(rows=[])
        return fetched

    assert _whole(FakeDirectory(_rows(300), answer=hiccup)).report.requests == 30 + times


def test_a_duplicate_is_delivered_once_and_counted() -> None:
    """An insertion at the front shifts every page: the row that arrives twice is passed on once."""

    def insert(directory: FakeDirectory) -> None:
        if len(directory.asks) == 3:
            directory.rows.insert(0, row(1000))

    directory = FakeDirectory(_rows(50), before=insert)
    listing = Listing(directory, limit=LIMIT, concurrency=1)
    got, _ = run(_read(listing))
    assert got == directory.rows[1:]
    assert (listing.report.duplicates, listing.report.drifted) == (1, True)


# -- leaving


def _losing(*answers: int) -> Callable[[FakeDirectory], None]:
    """Return a `before` that deletes the first row before the answers with these numbers."""
    count = 0

    def before(directory: FakeDirectory) -> None:
        nonlocal count
        count += 1
        if count in answers:
            directory.delete(0)

    return before


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _break(listing: Listing[Row]) -> None:
    async for _ in listing:
        break


async def _break_pages(listing: Listing[Row]) -> None:
    async for page in listing.pages():
        if page.pagination.offset == 30:
            break


async def _fail(listing: Listing[Row]) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async for _ in listing:
            raise ZeroDivisionError


async def _drop(listing: Listing[Row]) -> None:
    rows = aiter(listing)
    await anext(rows)
    del rows
    gc.collect()


async def _close(listing: Listing[Row]) -> None:
    async with aclosing(aiter(listing)) as rows:
        await anext(rows)


async def _time_out(listing: Listing[Row]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3.5):
            await listing.all()


@pytest.mark.parametrize("leave", [_break, _break_pages, _fail, _drop, _close, _time_out])
@pytest.mark.parametrize("exact", [False, True])
def test_leaving_leaves_nothing_behind(leave: Callable[[Listing[Row]], Any], exact: bool) -> None:
    """No task, no request in flight, nothing for the loop to complain of; the listing can be read again."""
    complaints: list[Any] = []

    async def leaving() -> list[Row]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        await leave(listing)
        await _turns()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert directory.flying == 0
        assert (listing.report.level, listing.report.complete) == ("unfinished", False)
        asked = len(directory.asks)
        await asyncio.sleep(1000.0)
        assert len(directory.asks) == asked
        return await listing.all()

    directory = FakeDirectory(_rows(500), latency=lambda _: 1.0)
    listing = Listing(directory, limit=LIMIT, exact=exact)
    assert run(leaving()) == directory.rows
    assert complaints == []


class _Meddling(VirtualLoop):
    """Cancels a task when its turn number `at` begins."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.turn = at, 0
        self.victim: asyncio.Task[Any] | None = None

    def _run_once(self) -> None:
        if self.victim is not None:
            self.turn += 1
            if self.turn == self.at:
                self.victim.cancel()
        super()._run_once()  # type: ignore[misc]


def _stumbling(fetched: DecodedPage[Any], ask: PageRequest) -> DecodedPage[Any]:
    return fetched._replace(rows=fetched.rows[:2]) if ask.offset == 20 and ask.limit == LIMIT else fetched


@pytest.mark.parametrize("exact", [False, True])
def test_cancelling_at_any_step_leaves_nothing_behind(exact: bool) -> None:
    """F12: at every turn of the loop from the first to the last, in the read and in its repair."""
    at, finished, repaired = 0, False, 0
    while not finished:
        at += 1
        complaints: list[Any] = []
        directory = FakeDirectory(
            _rows(150), before=_losing(3, 5), answer=_stumbling, latency=lambda ask: 1.0 + ask.offset / 90
        )
        listing = Listing(directory, limit=LIMIT, concurrency=3, exact=exact)
        with asyncio.Runner(loop_factory=lambda at=at: _Meddling(at)) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, _Meddling)
            finished = runner.run(_cancelled(listing, loop, complaints))
        repaired += bool(directory.windows)
        assert directory.flying == 0
        assert complaints == []
    assert at > 20
    assert bool(repaired) is exact


async def _cancelled(listing: Listing[Row], loop: _Meddling, complaints: list[Any]) -> bool:
    """Return whether the read came to its end before it was cancelled."""
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    loop.victim = asyncio.create_task(listing.all())
    await asyncio.wait([loop.victim])
    victim, loop.victim = loop.victim, None
    await _turns(3)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert len(await listing.all()) >= 146
    return not victim.cancelled()


@pytest.mark.parametrize("read", [aiter, lambda listing: listing.pages()])
@pytest.mark.parametrize("where", ["read", "repair"])
def test_a_loop_that_ends_before_the_read_closes_it_in_silence(
    read: Callable[[Listing[Row]], AsyncIterator[Any]], where: str
) -> None:
    """`asyncio.run` closes all generators at once: none may wait for another that is closing already."""
    complaints: list[Any] = []
    kept = []

    directory = FakeDirectory(_rows(100), latency=lambda _: 1.0, before=_losing(4))

    async def leaving() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        rows = read(Listing(directory, limit=LIMIT, exact=True, concurrency=2))
        kept.append(rows)
        async for _ in rows:
            if where == "read" or directory.windows:
                return

    run(leaving())
    assert bool(directory.windows) is (where == "repair")
    assert complaints == []


def test_one_listing_can_be_read_twice_at_once() -> None:
    """Each iteration has its own window; the report is that of the one that started last."""
    directory = FakeDirectory(_rows(95), latency=lambda _: 1.0)
    listing = Listing(directory, limit=LIMIT, concurrency=2)

    async def both() -> tuple[list[Row], list[Row]]:
        async with asyncio.TaskGroup() as group:
            one, other = group.create_task(listing.all()), group.create_task(listing.all())
        return one.result(), other.result()

    assert run(both()) == (directory.rows, directory.rows)
    assert directory.most_flying == 4
    assert (listing.report.rows, listing.report.requests, listing.report.complete) == (95, 10, True)


async def test_closing_the_client_ends_every_read_in_flight(scripted: Scripted) -> None:
    """F13: a hundred requests on the wire, and more waiting for their turn: each reader is told, nothing is left."""
    arrived = asyncio.Event()
    stalled = 0

    async def stall(_: asyncio.StreamWriter) -> None:
        nonlocal stalled
        stalled += 1
        if stalled == 100:
            arrived.set()
        await asyncio.Event().wait()

    quota = {"RateLimit-Limit": "5000", "RateLimit-Remaining": "4999", "RateLimit-Reset": "3600"}
    nothing = {"data": [], "pagination": {"offset": 0, "limit": 1, "total": 0}}
    client, server = await scripted(raw_server.answer(200, nothing, headers=quota), stall, max_concurrency=100)
    assert await client.students.list().count() == 0  # until the quota is known, few may leave at once
    reads = [asyncio.create_task(client.students.list(limit=LIMIT).all()) for _ in range(130)]
    async with asyncio.timeout(20):
        await arrived.wait()
        await client.close()
        ends = await asyncio.gather(*reads, return_exceptions=True)
    assert [type(end) for end in ends] == [MeitnerError] * 130
    assert all("closed" in str(end) for end in ends)
    assert len(server.seen) == 101
    with pytest.raises(MeitnerError, match="closed"):
        await client.students.list().all()


LEAVING = """
import asyncio, gc, logging
from meitner_aio import Meitner
from meitner_aio.sandbox import Sandbox

async def some(listing, rows):
    async for _ in listing:
        if (rows := rows - 1) < 1:
            break

async def fails(listing):
    try:
        async for _ in listing:
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass

kept = []

async def leave(meitner):
    students = meitner.students.list(limit=10)
    await some(students, 35)
    await some(students.pages(), 2)
    await fails(students)
    rows = aiter(students)
    await anext(rows)
    del rows
    gc.collect()
    reading = asyncio.create_task(students.all())
    await asyncio.sleep(0.005)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    gone = students.paged(exact=True, concurrency=1)
    pages = gone.pages()
    kept.append(pages)
    async for page in pages:
        if gone.report.requests == 1:
            await meitner.students.delete(page.data[0].id)
        if gone.report.requests > 22:
            break
    for left in (aiter(students), students.pages()):
        await anext(left)
        kept.append(left)

async def main(how):
    asyncio.get_running_loop().slow_callback_duration = 60.0
    if how == "in process":
        await leave(Meitner.sandbox(students=200, latency=0.001))
        return
    async with Sandbox(students=200) as sandbox:
        async with Meitner("an-id", "a-secret", base_url=sandbox.url) as meitner:
            await leave(meitner)

for how in ("in process", "over http"):
    asyncio.run(main(how))
kept.clear()
gc.collect()
print("left")
"""


def test_no_way_to_leave_makes_python_complain() -> None:
    """A process of its own with every warning an error, in asyncio's debug mode, to the end of the interpreter."""
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", LEAVING],
        env=os.environ | {"PYTHONASYNCIODEBUG": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("left\n", "", 0)


# -- pages


def test_a_page_knows_its_rows_and_the_way_on() -> None:
    """`await listing` is the first page; from it the others are reached one by one, until there is none."""

    async def walk() -> None:
        page = await Listing(directory, limit=LIMIT)
        assert (page.data, len(page), list(page)) == (directory.rows[:10], 10, directory.rows[:10])
        assert page.pagination == Pagination(offset=0, limit=LIMIT, total=25)
        assert page.has_next_page()
        assert page.next_page_info() == (LIMIT, 10)
        page = await page.get_next_page()
        assert page.data == directory.rows[10:20]
        last = await page.next()
        assert last is not None
        assert (last.data, last.has_next_page(), last.next_page_info()) == (directory.rows[20:], False, None)
        assert await last.next() is None
        with pytest.raises(MeitnerError, match="last page"):
            await last.get_next_page()

    directory = FakeDirectory(_rows(25))
    run(walk())
    assert len(directory.asks) == 3


@pytest.mark.parametrize("answer", [_saying(limit=1000), _saying(limit=0), None])
@pytest.mark.parametrize("cap", [4, LIMIT])
def test_walking_from_page_to_page_loses_no_row(answer: Any, cap: int) -> None:
    """The next page begins where this one ended, whatever limit the server reports."""

    async def walk() -> list[Row]:
        page = await Listing(directory, limit=LIMIT)
        got = list(page)
        while page.has_next_page():
            page = await page.get_next_page()
            got += page
        return got

    directory = FakeDirectory(_rows(45), cap=cap, **{} if answer is None else {"answer": answer})
    assert run(walk()) == directory.rows


def test_a_page_without_rows_has_no_next() -> None:
    """A total that lies cannot make a walk endless."""
    directory = FakeDirectory([], answer=_saying(total=10**9))

    async def walk() -> bool:
        return (await Listing(directory, limit=LIMIT)).has_next_page()

    assert not run(walk())


def test_pages_hold_each_row_once() -> None:
    """Every page as the server sent it, without rows that came before; fetched again rows in pages at the end."""
    directory = FakeDirectory(_rows(50), before=_losing(3))
    listing = Listing(directory, limit=LIMIT, concurrency=1, exact=True)

    async def walk() -> list[Any]:
        return [page async for page in listing.pages()]

    pages = run(walk())
    assert [page.pagination.offset for page in pages[:5]] == [0, 10, 20, 30, 40]
    rows = [one for page in pages for one in page]
    assert set(rows) >= set(directory.rows)
    assert len(rows) == len(set(rows)) == listing.report.rows == 50
    assert sum(map(len, pages[5:])) == 1
    assert not any(page.has_next_page() for page in pages[4:])


@pytest.mark.parametrize("total", [0, 1, 500])
@pytest.mark.parametrize("offset", [0, 3])
def test_first_and_count_take_one_request_of_one_row(total: int, offset: int) -> None:
    """`first` respects the offset, `count` is the whole."""

    async def ask() -> tuple[Row | None, int]:
        return await listing.first(), await listing.count()

    directory = FakeDirectory(_rows(total))
    listing = Listing(directory, limit=LIMIT, offset=offset)
    first, count = run(ask())
    assert (first, count) == (directory.rows[offset] if offset < total else None, total)
    assert [(ask.limit, ask.offset) for ask in directory.asks] == [(1, offset), (1, 0)]


def test_first_passes_over_rows_that_are_skipped_and_count_minds_none() -> None:
    """With `on_invalid="skip"` the first row is the first good one; a count looks at no row at all."""

    def broken(fetched: DecodedPage[Any], ask: PageRequest) -> DecodedPage[Any]:
        if ask.offset < 2 and ask.skip_invalid:
            return fetched._replace(rows=[], invalid=(fetched.rows[0].id,))
        if ask.offset < 2:
            raise MeitnerError("invalid")
        return fetched

    async def ask() -> tuple[Row | None, int]:
        assert await Listing(directory).count() == 9
        with pytest.raises(MeitnerError):
            await Listing(directory).first()
        return await listing.first(), await listing.count()

    directory = FakeDirectory(_rows(9), answer=broken)
    listing = Listing(directory, on_invalid="skip")
    assert run(ask()) == (directory.rows[2], 9)


def test_pages_walked_by_hand_skip_what_the_listing_skips() -> None:
    """`on_invalid` of the listing holds for every page reached from it, and a skipped row still counts as a row."""
    directory = FakeDirectory(_rows(25), answer=lambda fetched, _: _spoiled(fetched))

    async def walk() -> list[Row]:
        page = await Listing(directory, limit=LIMIT, on_invalid="skip")
        got = list(page)
        while following := await page.next():
            page = following
            got += page
        return got

    assert run(walk()) == [one for number, one in enumerate(directory.rows) if number % LIMIT]
    assert [(ask.offset, ask.skip_invalid) for ask in directory.asks] == [(0, True), (10, True), (20, True)]


def _spoiled(fetched: DecodedPage[Any]) -> DecodedPage[Any]:
    """Make the first row of a page invalid."""
    first = fetched.rows[0]
    return fetched._replace(rows=fetched.rows[1:], invalid=(first.id,))


# -- what a listing is told


def test_paged_keeps_what_it_is_not_given() -> None:
    """Each way to read is changed alone; the listing it is called on stays as it was."""
    how = {"limit": 3, "offset": 2, "concurrency": 5, "strict": True, "exact": False, "on_invalid": "skip"}
    plain = at_most(Listing(FakeDirectory(_rows(9))), 30)
    told = plain.paged(**how)
    how |= {"largest": 30, "widest": None}
    assert told._reading._asdict() == how
    assert told.paged()._reading == told._reading
    assert told.paged(limit=7)._reading._asdict() == how | {"limit": 7}
    assert told.paged(offset=0, exact=True, strict=False)._reading._asdict() == how | {
        "offset": 0,
        "exact": True,
        "strict": False,
    }
    assert plain._reading == at_most(Listing(FakeDirectory([])), 30)._reading


@pytest.mark.parametrize(
    "how",
    [
        {"limit": 0},
        {"limit": -1},
        {"offset": -1},
        {"concurrency": 0},
        {"on_invalid": "ignore"},
        {"exact": True, "offset": 1},
    ],
)
def test_what_makes_no_listing_is_refused_before_anything_is_asked(how: dict[str, Any]) -> None:
    """At the call, where the mistake is."""
    directory = FakeDirectory(_rows(9))
    with pytest.raises(ValueError, match=r"must|exact"):
        Listing(directory, **how)
    with pytest.raises(ValueError, match=r"must|exact"):
        Listing(directory).paged(**how)
    assert directory.requests == 0


# -- the report


def test_a_for_loop_is_told_how_the_rows_are_had() -> None:
    """Every way that takes an iterable says it, before anything is asked; a checker says it earlier still."""
    directory = FakeDirectory(_rows(9))
    listing: Any = Listing(directory)
    for use in (list, sorted, lambda rows: [*rows], lambda rows: next(iter(rows))):
        with pytest.raises(TypeError, match=r"async for.*await listing\.all\(\).*portal\.iterate\(listing\)"):
            use(listing)
    assert not directory.asks


def test_counting_and_indexing_a_listing_say_what_to_await() -> None:
    """Who takes it for a list is told the way; nothing is asked, and it is true as before."""
    directory = FakeDirectory(_rows(9))
    listing: Any = Listing(directory)
    with pytest.raises(TypeError, match=r"await listing\.count\(\)"):
        len(listing)
    for index in (0, slice(5)):
        with pytest.raises(TypeError, match=r"await listing\.first\(\).*await listing\.all\(\)"):
            listing[index]
    assert listing
    assert not directory.asks


async def test_the_repr_says_what_a_listing_is_and_what_it_can() -> None:
    """In a shell one sees which request it stands for, how far it was read, and the ways on: no row, no condition."""
    async with Meitner.sandbox(students=3, schools=1) as meitner:
        found = meitner.students.search(last_name=like("Hemlig%"))
        assert repr(found) == (
            "<Listing of POST /student/_search (not read yet): async for gives every row, await the first page; "
            "all(), first(), count(), pages(), paged(), report>"
        )
        listing = meitner.students.list()
        (one, *_) = await listing.all()
        shown = repr(listing)
    assert "GET /student (3 rows read, certified)" in shown
    assert all(name in shown for name in dir(listing) if not name.startswith("_"))
    assert not any(value in shown for value in (one.id, one.last_name, one.identity_number))


def test_the_report_tells_before_during_and_after() -> None:
    """Unfinished until the end, counting on the way; a new read starts a new report."""
    directory = FakeDirectory(_rows(25))
    listing = Listing(directory, limit=LIMIT, concurrency=1)
    seen = [listing.report]

    async def reading() -> None:
        async for page in listing.pages():
            seen.append(listing.report)
            assert listing.report.rows == page.pagination.offset + len(page)

    run(reading())
    seen.append(listing.report)
    assert [report.level for report in seen] == ["unfinished"] * 4 + ["certified"]
    assert [report.complete for report in seen] == [False] * 4 + [True]
    assert [report.requests for report in seen] == [0, 1, 2, 3, 3]
    assert [report.total for report in seen] == [None, 25, 25, 25, 25]


def test_after_an_error_the_report_is_unfinished() -> None:
    """What arrived is counted; nothing is claimed."""
    directory = FakeDirectory(_rows(50), failures={20: MeitnerError("no")})
    listing = Listing(directory, limit=LIMIT)
    run(_read(listing))
    assert (listing.report.level, listing.report.complete, listing.report.rows) == ("unfinished", False, 20)


def test_a_strict_read_that_may_lack_rows_raises_after_the_last_of_them() -> None:
    """Every row that came is delivered first; the error says in words what was seen."""
    directory = FakeDirectory(_rows(50), answer=_saying(total=60))
    got, error = run(_read(Listing(directory, limit=LIMIT, strict=True)))
    assert got == directory.rows
    assert isinstance(error, IncompleteListing)
    assert "may lack rows" in str(error)


# -- memory


def test_memory_does_not_grow_with_the_length_of_a_listing() -> None:
    """L2: rows are dropped as they are read; what stays is a note of each id, not the rows."""

    class Endless(FakeDirectory):
        """Makes rows when they are asked for."""

        async def fetch(self, ask: PageRequest) -> DecodedPage[Row]:
            rows = [Row(f"{row_id(0)[:-7]}{number:07}") for number in range(ask.offset, ask.offset + ask.limit)]
            return DecodedPage(rows, Pagination(offset=ask.offset, limit=ask.limit, total=total), (), self.now)

        async def fetch_raw(self, ask: PageRequest) -> Callable[[], DecodedPage[Row]]:
            fetched = await self.fetch(ask)
            return lambda: fetched

    async def peaks() -> list[int]:
        found, number = [], 0
        async for _ in Listing(Endless([]), limit=500):
            number += 1
            if number in (total // 10, total):
                found.append(tracemalloc.get_traced_memory()[1])
        return found

    total = 100_000
    tracemalloc.start()
    try:
        early, late = run(peaks())
    finally:
        tracemalloc.stop()
    assert late - early < 100 * total
