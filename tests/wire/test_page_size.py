"""How large pages are: what is asked for, what it costs to learn it, who learns it, and what is never learnt."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from fake_directory import FakeDirectory, row
from hypothesis import given, settings
from hypothesis import strategies as st
from paged_server import Page, Rule, Server, breaks, clamps, gives_more, hangs, lies, refuses
from virtual_time import run

from meitner_aio import (
    APITimeoutError,
    BadRequestError,
    InternalServerError,
    Meitner,
    MeitnerError,
    RetryPolicy,
    Student,
    UnprocessableEntityError,
    like,
)
from meitner_aio._listing.endpoints import Listed, RecordSource
from meitner_aio._listing.listing import Listing
from meitner_aio._listing.prefetch import ROWS, Idle
from meitner_aio._listing.source import Deletions, PageRequest
from meitner_aio._wire.page_size import LARGEST, USUAL, Fitting, PageSizes
from meitner_aio._wire.paths import Place
from meitner_aio.errors import ResponseValidationError
from meitner_aio.export import export

CAPS = (1000, 999, 501, 500, 250, 100, 73, 51, 50)


@pytest.fixture(autouse=True)
def _on_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual seconds pass in no time, which looks like a busy processor: say that it is not."""
    monkeypatch.setattr(Idle, "busy", lambda _: False)


def _pages(rows: int, size: int) -> int:
    return max(1, -(-rows // size))


async def _ids(listing: Any) -> list[str]:
    return [one.id async for one in listing]


async def _read(server: Server, listing: Any) -> int:
    """Read a listing to its end, every row once and in order; return the requests that it took."""
    before = len(server.asked)
    ids = await _ids(listing)
    assert [int(id_[-12:]) for id_ in ids] == list(range(server.rows))
    assert listing.report.complete
    assert listing.report.requests == len(server.asked) - before
    return listing.report.requests


# -- what it costs


def _sought(cap: int, total: int, sizes: PageSizes) -> int:
    """Read so many rows of a server that refuses more than `cap`, as the rules of sizes alone say; return requests."""
    size, offset, requests, known = sizes.of("/x"), 0, 0, 0
    while offset < total or not requests:
        fitting = Fitting(size, LARGEST, known)
        while (limit := fitting.limit) > cap:
            assert fitting.failed(limit, BadRequestError("no", status_code=400))
        larger = fitting.gave(limit, limit, total)
        requests, offset, known = requests + fitting.requests, offset + limit, total
        if not larger:
            return requests + max(0, -(-(total - offset) // limit))
    return requests


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("totals", [range(0, 400, 7), range(400, 3000, 131), (30_000, 777_777, 10**9)])
def test_the_search_costs_six_requests_at_most_whatever_the_largest_page(totals: Any, step: int) -> None:
    """For every largest page and every total: the numbers of the search are good, and the second read needs none."""

    async def main() -> None:
        for cap in {*range(USUAL, LARGEST + 1, step), LARGEST}:
            for total in totals:
                sizes = PageSizes()
                assert _sought(cap, total, sizes) <= _pages(total, cap) + 6, (cap, total)
                # A listing that ended before the search did leaves one step of it to the next.
                assert _sought(cap, total, sizes) <= _pages(total, cap) + (total < 3_000), (cap, total)

    run(main())


@pytest.mark.parametrize("cap", CAPS)
@pytest.mark.parametrize("how", [clamps, refuses, lambda cap: refuses(cap, 422), lambda cap: refuses(cap, 413)])
@pytest.mark.parametrize("searching", [False, True])
def test_a_read_takes_the_largest_pages_that_the_server_gives(cap: int, how: Any, *, searching: bool) -> None:
    """At most six requests more than whoever knows it; a clamp costs none, and the second read nothing."""

    async def main() -> None:
        server = Server(3_210, how(cap))
        async with server.client() as meitner:
            listing = meitner.students.search(last_name="Ek") if searching else meitner.students.list()
            first = await _read(server, listing)
            assert server.limits[0] == LARGEST
            assert first <= _pages(server.rows, cap) + (0 if how is clamps else 6)
            assert await _read(server, listing) == _pages(server.rows, cap)

    run(main())


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_row_once_in_few_requests(data: st.DataObject) -> None:
    """Whatever the rule, the total and the way to read: the law of requests, and every row exactly once, in order."""
    cap = data.draw(st.integers(50, 1100), "largest page")
    total = data.draw(st.integers(0, 4000), "total")
    how = data.draw(st.sampled_from([clamps, refuses, lambda cap: refuses(cap, 422), lies]), "rule")
    concurrency = data.draw(st.integers(1, 8), "concurrency")
    exact = data.draw(st.booleans(), "exact")

    async def main() -> None:
        server = Server(total, how(cap))
        async with server.client() as meitner:
            listing = meitner.students.list(concurrency=concurrency).paged(exact=exact)
            ideal = _pages(total, min(cap, LARGEST))
            assert await _read(server, listing) <= ideal + 6
            assert await _read(server, listing.paged()) <= ideal + 1
            assert server.most_flying <= concurrency

    run(main())


def test_a_page_larger_than_asked_for_is_the_step() -> None:
    """Nothing is asked for twice; more than the largest page that there is would be no page."""

    async def main() -> None:
        server = Server(5_000, gives_more(1_000))
        async with server.client() as meitner:
            assert await _read(server, meitner.students.list(limit=300)) == 5
            assert await _read(server, meitner.students.list(limit=50)) == 5
            server.rule = gives_more(1_001)
            with pytest.raises(ResponseValidationError, match="more than"):
                await meitner.students.list(limit=50).all()

    run(main())


@pytest.mark.parametrize("cap", [50, 73, 400])
def test_a_server_that_lies_about_the_limit_is_found_out(cap: int) -> None:
    """Two pages as short as each other are what pages are: those that follow are fetched ahead, none in vain."""

    async def main() -> None:
        server = Server(3_000, lies(cap))
        async with server.client() as meitner:
            assert await _read(server, meitner.students.list()) == _pages(3_000, cap)
        assert server.limits[:2] == [LARGEST, LARGEST]
        assert set(server.limits[2:]) == {cap}
        assert server.most_flying > 1

    run(main())


def test_through_a_socket() -> None:
    """As on the wire."""

    async def main() -> None:
        server = Server(2_000, refuses(300, 422))
        async with server.raw() as raw, Meitner("id", "secret", base_url=raw.url) as meitner:
            assert await _read(server, meitner.students.list()) <= 7 + 6
            assert await _read(server, meitner.students.list()) == 7

    asyncio.run(main())


@pytest.mark.parametrize("cap", [1000, 500, 100, 73, 50])
@pytest.mark.parametrize("over", ["clamp", "refuse"])
async def test_the_sandbox_is_read_by_its_largest_page(cap: int, over: str) -> None:
    """A directory that obeys every rule of the API, with searches and audit events."""
    async with Meitner.sandbox(students=1_200, limiter="none", page_cap=cap, over_cap=over) as meitner:
        for listing in (meitner.students.list(), meitner.students.search(first_name=like("%")).paged(exact=True)):
            for more in (6, 0):
                with meitner.capture() as seen:
                    assert len({one.id async for one in listing}) == 1_200
                assert listing.report.complete
                assert len(seen) <= _pages(1_200, cap) + more * (over == "refuse")
        ids = [one.id for one in await meitner.students.list().all()]
        assert list(await meitner.students.get_many(ids)) == ids


# -- what is left alone


def test_one_page_has_fifty_rows() -> None:
    """`await` asks for the API's own default, and so do the pages after it."""

    async def main() -> None:
        server = Server(120, refuses(50))
        async with server.client() as meitner:
            page: Any = await meitner.students.list()
            sizes = [len(page)]
            while page := await page.next():
                sizes.append(len(page))
            assert sizes == [50, 50, 20]
            assert server.limits == [50, 50, 50]
            assert (await meitner.students.list().first(), await meitner.students.list().count()) is not None
            assert server.limits[3:] == [1, 1]

    run(main())


@pytest.mark.parametrize("limit", [7, 100, 1000, 5000])
def test_a_limit_that_was_given_stays(limit: int) -> None:
    """It is asked for as it is; a refusal of it is an error, and teaches nothing."""

    async def main() -> None:
        server = Server(2_000, refuses(100))
        async with server.client() as meitner:
            listing = meitner.students.list(limit=limit)
            if limit <= 100:
                assert await _read(server, listing) == _pages(2_000, limit)
                assert set(server.limits) == {limit}
            else:
                with pytest.raises(BadRequestError):
                    await _ids(listing)
                assert server.limits == [limit]
            server.rule, server.asked = clamps(1000), []
            assert await _read(server, meitner.students.list()) == 2

    run(main())


@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_that_is_not_about_the_size_is_raised_and_teaches_nothing(status: int) -> None:
    """A search that the server does not understand costs a few requests once, then one, and pages stay large."""

    async def main() -> None:
        server = Server(2_000, clamps(1000), {"/student/_search": refuses(0, status)})
        async with server.client() as meitner:
            for most in (8, 1, 1):  # for a minute they begin small
                before = len(server.asked)
                with pytest.raises((BadRequestError, UnprocessableEntityError)):
                    await meitner.students.search(last_name="Ek").all()
                assert len(server.asked) - before <= most
            server.rules = {}
            server.asked.clear()
            assert await _read(server, meitner.students.search(last_name="Ek")) == 3
            server.rules = {"/student/_search": refuses(0, status)}
            with pytest.raises((BadRequestError, UnprocessableEntityError)):
                await meitner.students.search(last_name="Ek").all()
            assert server.limits[3:] == [1000, 1000, 1000, 50]  # both pages at once, as counted a moment ago, then one

    run(main())


def test_a_search_that_is_understood_is_read_after_one_that_was_not() -> None:
    """The refusal of one does not stand in the way of another, whatever the server's largest page."""

    async def main() -> None:
        server = Server(2_000, refuses(0))
        async with server.client() as meitner:
            with pytest.raises(BadRequestError):
                await meitner.students.search(last_name="?").all()
            server.rule = refuses(200)
            assert await _read(server, meitner.students.search(last_name="Ek")) <= 10 + 7

    run(main())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_other_refusals_are_raised_at_once(status: int) -> None:
    """They have nothing to do with how much was asked for."""

    async def main() -> None:
        server = Server(2_000, refuses(0, status))
        async with server.client() as meitner:
            with pytest.raises(MeitnerError):
                await meitner.students.list().all()
        assert server.limits == [LARGEST]

    run(main())


# -- who learns


def test_copies_and_resources_learn_from_each_other() -> None:
    """What one read learnt no other pays for: of a copy, of another resource, of a cached view."""

    async def main() -> None:
        server = Server(260, refuses(73))
        async with server.client() as meitner:
            await _read(server, meitner.students.list())
            others = (
                meitner.with_options(max_retries=0).students.list(),
                meitner.guardians.list(),
                meitner.guardians.search(last_name="Ek"),
                meitner.cached().employees.list(),
            )
            for listing in others:
                assert await _read(server, listing) == _pages(260, 73)

    run(main())


@pytest.mark.parametrize("cap", CAPS)
def test_first_reads_at_the_same_time_learn_together(cap: int) -> None:
    """Four resources whose first pages leave at once pay together what one would, and a request to see it is so."""

    async def main() -> None:
        server = Server(1_500, refuses(cap))
        async with server.client() as meitner:
            kinds = (meitner.students, meitner.guardians, meitner.employees, meitner.schools)
            read = await asyncio.gather(*(_ids(kind.list()) for kind in kinds))
            assert [len(ids) for ids in read] == [1_500] * 4
            refused = [limit for limit in server.limits if limit > cap]
            assert len(refused) <= min(6, len(set(refused))) + 1
            assert len(server.asked) <= 4 * _pages(1_500, cap) + 6 + 4

    run(main())


def test_who_waits_for_the_first_goes_on_at_once() -> None:
    """A server that gives what is asked for is read by all at the same time, one answer later."""

    async def main() -> None:
        server = Server(900, lambda limit: Page(limit, limit, seconds=1.0))
        async with server.client() as meitner:
            kinds = (meitner.students, meitner.guardians, meitner.employees, meitner.schools)
            await asyncio.gather(*(_ids(kind.list()) for kind in kinds))
            assert asyncio.get_running_loop().time() < 3.1  # one alone, and two while the quota is not known

    run(main())


@pytest.mark.parametrize(("small", "large"), [(50, 1000), (73, 500), (100, 1000), (300, 700)])
@pytest.mark.parametrize("how", [clamps, refuses])
@pytest.mark.parametrize("order", [("small", "large"), ("large", "small")])
def test_a_resource_of_its_own_kind_pays_for_itself_alone(small: int, large: int, how: Any, order: Any) -> None:
    """One that gives less than the others, or more: each is read by its own largest page, whoever was read first."""

    async def main() -> None:
        caps = {"small": ("/student", small), "large": ("/guardian", large)}
        server = Server(4_000, how(large), {"/student": how(small)})
        async with server.client() as meitner:
            listings = {"small": meitner.students.list(), "large": meitner.guardians.list()}
            for name in order:
                assert await _read(server, listings[name]) <= _pages(4_000, caps[name][1]) + 7
            for name in order:
                assert await _read(server, listings[name]) == _pages(4_000, caps[name][1])

    run(main())


def test_list_and_search_may_differ() -> None:
    """They are two routes."""

    async def main() -> None:
        server = Server(3_000, clamps(1000), {"/student/_search": refuses(120), "/guardian": refuses(120)})
        async with server.client() as meitner:
            for listing, other in (
                (meitner.students.list(), meitner.students.search(last_name="Ek")),
                (meitner.guardians.search(last_name="Ek"), meitner.guardians.list()),
            ):
                for _ in range(2):
                    assert await _read(server, listing) == 3
                    assert await _read(server, other) <= 25 + 6
                assert await _read(server, other) == 25
        server.asked.clear()
        async with server.client() as meitner:
            assert await _read(server, meitner.guardians.list()) <= 25 + 6
            assert await _read(server, meitner.guardians.search(last_name="Ek")) <= 3 + 6
            assert await _read(server, meitner.guardians.search(last_name="Ek")) == 3

    run(main())


def test_a_server_that_gives_less_than_it_did_is_learnt_anew() -> None:
    """A client lives for months; what was true when it was built need not be."""

    async def main() -> None:
        server = Server(3_000, clamps(1000))
        async with server.client() as meitner:
            assert await _read(server, meitner.students.list()) == 3
            server.rule = refuses(200)
            assert await _read(server, meitner.students.list()) <= 3 + 15 + 7
            assert await _read(server, meitner.students.list()) == 15

    run(main())


# -- pages that fail for their weight


@pytest.mark.parametrize("cap", [900, 500, 250, 62, 50])
@pytest.mark.parametrize("how", [breaks, hangs])
def test_a_page_that_fails_for_its_weight_is_halved(cap: int, how: Any) -> None:
    """1,000 rows, 500, 250: what comes is the size, and the next read begins with it."""

    async def main() -> None:
        server = Server(2_000, how(cap))
        size = next(size for size in (500, 250, 125, 62, 50) if size <= cap)
        async with server.client(retry=RetryPolicy(max_retries=0)) as meitner:
            failed = [1000, 500, 250, 125, 62][: (500, 250, 125, 62, 50).index(size) + 1]
            assert await _read(server, meitner.students.list()) <= _pages(1_950, size) + 1 + len(failed)
            assert [limit for limit in server.limits if limit > cap] == failed
            assert await _read(server, meitner.students.list()) == _pages(2_000, size)

    run(main())


def test_a_page_that_takes_too_long_is_not_waited_for_again() -> None:
    """A minute for each size, where retries would take three."""

    async def main() -> None:
        server = Server(2_000, hangs(500))
        async with server.client() as meitner:
            await _read(server, meitner.students.list())
        assert server.limits.count(1000) == 1
        assert asyncio.get_running_loop().time() < 61.0

    run(main())


def test_a_failure_that_passes_does_not_make_pages_small() -> None:
    """One 502 is tried again as it is."""

    async def main() -> None:
        answers = iter([502])
        server = Server(3_000, lambda limit: Page(limit, limit, status=next(answers, 200)))
        async with server.client() as meitner:
            assert len(await _ids(meitner.students.list())) == 3_000
        assert server.limits == [1000, 1000, 1000, 1000]

    run(main())


@pytest.mark.parametrize("how", [breaks, hangs])
def test_what_failed_is_tried_again_later(how: Any) -> None:
    """A bad hour shrinks no page for good: after ten minutes the large one is asked for, then ever more rarely."""

    async def main() -> None:
        server = Server(2_000, how(500))
        async with server.client(retry=RetryPolicy(max_retries=0)) as meitner:
            tries = []
            for _ in range(240):
                server.asked.clear()
                await _read(server, meitner.students.list())
                tries.append(1000 in server.limits)
                await asyncio.sleep(600.0)
            assert 5 < sum(tries) < 12
            server.rule = clamps(1000)
            await asyncio.sleep(86_400.0)
            assert await _read(server, meitner.students.list()) == 2
            server.rule = how(500)
            await _read(server, meitner.students.list())
            await asyncio.sleep(601.0)
            server.rule = clamps(1000)
            assert await _read(server, meitner.students.list()) == 2

    run(main())


@pytest.mark.parametrize("rule", [breaks(0), breaks(0, 503), hangs(0)])
def test_an_outage_teaches_nothing(rule: Rule) -> None:
    """Where the smallest page fails, too, its error is raised; after it, all is as before but for one small page."""

    async def main() -> None:
        server = Server(3_000, rule)
        async with server.client() as meitner:
            for _ in range(2):
                before = len(server.asked)
                with pytest.raises((InternalServerError, APITimeoutError)):
                    await meitner.students.list().all()
                assert len(server.asked) - before <= 6
            assert set(server.limits) == {1000, 50}
            server.rule, server.asked = clamps(1000), []
            assert await _read(server, meitner.students.list()) <= 4
            assert server.limits[-3:] == [1000, 1000, 1000]

    run(main())


@pytest.mark.parametrize("status", [500, 503])
def test_an_outage_costs_a_thousand_reads_what_it_always_did(status: int) -> None:
    """One of them tries smaller pages for all; the retries of the others are bounded as ever."""

    async def main() -> None:
        server = Server(3_000, breaks(0, status))
        async with server.client() as meitner:
            reads = (meitner.students.list().all() for _ in range(1_000))
            failed = await asyncio.gather(*reads, return_exceptions=True)
            assert {type(error) for error in failed} == {InternalServerError}
        assert len(server.asked) <= 1_000 + 35 + 3

    run(main())


def test_an_outage_is_outlasted_as_ever() -> None:
    """A policy that waits for the end of an outage waits with the small page, and goes on with large ones."""

    async def main() -> None:
        server = Server(3_000, breaks(0))
        policy = RetryPolicy(initial=0.0, maximum=0.0, outage=3600.0)
        async with server.client(retry=policy) as meitner:
            asyncio.get_running_loop().call_later(600.0, setattr, server, "rule", clamps(1000))
            await _read_through(meitner.students.list())
            assert 600.0 < asyncio.get_running_loop().time() < 700.0
            assert len(server.asked) < 40

    async def _read_through(listing: Any) -> None:
        assert len(await _ids(listing)) == 3_000
        assert listing.report.complete

    run(main())


def test_a_page_larger_than_any_answer_may_be_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the real transport, which stops reading at its cap."""
    monkeypatch.setattr("meitner_aio._pipeline.transport.LARGEST_BODY", 60_000)

    async def main() -> None:
        server = Server(600, clamps(1000))
        policy = RetryPolicy(initial=0.0, maximum=0.0)
        async with server.raw() as raw, Meitner("id", "secret", base_url=raw.url, retry=policy) as meitner:
            assert len(await meitner.students.list().all()) == 600
            assert server.limits.count(1000) == 3
            with pytest.raises(ResponseValidationError) as raised:
                await meitner.students.list(limit=600).all()
            assert raised.value.too_large

    asyncio.run(main())


# -- memory


@pytest.mark.parametrize("size", [50, 100, 500, 1000, 4000, 9000])
@pytest.mark.parametrize("concurrency", [1, 4, 8, 32])
def test_rows_ahead_are_bounded(size: int, concurrency: int) -> None:
    """Rows that were asked for and not taken: 5,000, and of larger pages two; small pages are as many as ever."""

    async def main() -> None:
        server = Server(60_000, lambda limit: Page(min(limit, size), min(limit, size)))
        ahead = []
        async with server.client(concurrency=concurrency) as meitner:
            taken = 0
            async for page in meitner.students.list(limit=size, concurrency=concurrency).pages():
                taken += len(page)
                await asyncio.sleep(10.0)  # everything arrives that may
                ahead.append(min(server.rows, sum(server.limits)) - taken)
                if taken >= 20_000:
                    break
        assert max(ahead) <= max(ROWS, 2 * size)
        assert max(ahead) >= min(2 * concurrency * size, ROWS - size + 1)

    run(main())


# -- what the rate limiter is told


def _upcoming(server: Server) -> list[int | None]:
    """Return what the pages said, in the order of the listing."""
    asked = zip(server.asked, server.requests, strict=True)
    pages = [(where, request) for (path, _, where), request in asked if path == "/student"]
    return [request.upcoming for _, request in sorted(pages, key=itemgetter(0))]


@pytest.mark.parametrize("how", [{}, {"limit": 1000}, {"limit": 300, "offset": 100}])
def test_pages_say_how_many_will_follow(how: dict[str, Any]) -> None:
    """The first knows nothing; each one after it knows how many are left."""

    async def main() -> None:
        server = Server(4_500, clamps(1000))
        async with server.client() as meitner:
            await meitner.students.list(**how).all()
            left = _pages(4_500 - how.get("offset", 0), how.get("limit", 1000))
            assert _upcoming(server) == [None, *reversed(range(left - 1))]
            assert [request.first for request in server.requests[:left]] == [True] + [False] * (left - 1)

    run(main())


def test_other_requests_say_that_nothing_follows() -> None:
    """A single call is no part of a read."""

    async def main() -> None:
        server = Server(10, clamps(1000))
        async with server.client() as meitner:
            await meitner.students.list()
            await meitner.students.list().count()
        assert _upcoming(server) == [None, None]

    run(main())


# -- who uses it


@pytest.mark.parametrize("how", [clamps, refuses])
async def test_an_export_reads_by_the_largest_page(tmp_path: Path, how: Any) -> None:
    """What a refusal costs is shared: six requests together, and what the smaller first pages of each come to."""
    server = Server(2_600, how(260))
    async with server.client() as meitner:
        report = await export(meitner, ["students", "guardians", "employees", "schools"], to=tmp_path)
        assert (report.rows, report.complete) == (4 * 2_600, True)
        assert len(server.asked) <= 4 * 10 + (6 + 4 if how is refuses else 0)
        server.asked.clear()
        assert (await export(meitner, ["students", "schools"], to=tmp_path)).complete
        assert len(server.asked) == 20
        server.asked.clear()
        report = await export(meitner, ["students", "schools"], to=tmp_path, page_size=100)
        assert (len(server.asked), set(server.limits)) == (52, {100})


@pytest.mark.parametrize("limit", [1, 40, 60, 700, 1_500])
async def test_an_export_of_a_few_rows_asks_for_no_more(tmp_path: Path, limit: int) -> None:
    """A limit on the rows is one on the first page, too, and on what is said to follow."""
    server = Server(5_000, clamps(1000))
    async with server.client() as meitner:
        report = await export(meitner, ["students"], to=tmp_path, limit=limit)
    assert report.rows == limit
    assert server.limits == [min(limit, 1000)] * _pages(limit, 1000)
    assert _upcoming(server) == ([None] if limit <= 1000 else [None, 0])


@pytest.mark.parametrize("how", [clamps, refuses])
def test_records_by_their_ids_come_in_as_few_requests_as_pages_hold(how: Any) -> None:
    """200 ids a search, or as many as a page is known to hold."""

    async def main() -> None:
        ids = [f"00000000-0000-4000-8000-{number:012d}" for number in range(390)]
        server = Server(65, how(65))
        async with server.client() as meitner:
            await meitner.students.search(last_name="Ek").all()
            server.requests.clear()
            with contextlib.suppress(MeitnerError):  # this server takes no ids, and gives the same rows every time
                await meitner.students.get_many(ids)
            asked = [len(json.loads(request.body or b"")["filter"]["contains"]["id"]) for request in server.requests]
            assert asked[: 390 // 65] == [65] * 6
        many = Server(200, how(1000))
        async with many.client() as meitner:
            assert len(await meitner.students.get_many(ids[:200])) == 200
            assert many.limits == [200]

    run(main())


def test_a_witness_is_asked_for_pages_that_it_gives() -> None:
    """Deletions are looked up in the audit events, whose pages have a largest size, too."""

    async def main() -> None:
        server = Server(10, refuses(80))
        facts = Listed(Place("/student", "/student"), Student, searchable=True, audited=True)
        source = RecordSource[Any](server.client()._calls.send, facts, None, PageSizes())
        deletions = await source.deleted(datetime(2026, 1, 1, tzinfo=UTC))
        assert deletions.ids == frozenset()
        assert deletions.requests == len(server.asked) <= 7
        assert await source.deleted(datetime(2026, 1, 1, tzinfo=UTC)) == Deletions(frozenset(), 1)

    run(main())


@pytest.mark.parametrize("searchable", [True, False])
def test_a_repair_asks_for_the_largest_pages(*, searchable: bool) -> None:
    """What moved is fetched again by pages as large as the server gives, through a source that learns their size."""

    def lose(directory: FakeDirectory) -> None:
        if len(directory.asks) == 2 and len(directory.rows) == 3_000:
            directory.delete(5)

    async def main() -> None:
        directory = FakeDirectory([row(number) for number in range(3_000)], before=lose, searchable=searchable)
        listing = Listing(directory, exact=True, concurrency=1)
        assert {one.id for one in await listing.all()} >= {one.id for one in directory.rows}
        assert listing.report.complete
        counts = {(False, 1)} if searchable else set()
        assert {(ask.open, ask.limit) for ask in directory.asks[3:]} == {(True, LARGEST)} | counts
        server, now = Server(400, refuses(80)), datetime(2026, 12, 1, tzinfo=UTC)
        facts = Listed(Place("/student", "/student"), Student, searchable=True, audited=True)
        source = RecordSource[Any](server.client()._calls.send, facts, None, PageSizes())
        ask = PageRequest(LARGEST, 0, bulk=True, open=True)
        assert (await source.created(None, now, ask)).requests == len(server.asked) > 1
        assert (await source.created(None, now, ask)).requests == 1

    run(main())
