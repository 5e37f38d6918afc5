"""What listings ask of a directory, and how they read its answers: requests, windows, deletions, invalid rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from virtual_time import run

from meitner_aio import (
    APIConnectionError,
    APITimeoutError,
    AuditEvent,
    Group,
    Meitner,
    QuotaExhausted,
    ResponseValidationError,
    StudentQuery,
    like,
    one_of,
)
from meitner_aio._listing.endpoints import Listed, RecordSource
from meitner_aio._listing.source import Deletions, PageRequest
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio._wire.page_size import PageSizes
from meitner_aio._wire.paths import Place
from meitner_aio.errors import InternalServerError, MeitnerError, PermissionDeniedError
from meitner_aio.resources import Groups, Students

DATE = "Mon, 21 Sep 2026 14:13:20 GMT"
SINCE = datetime(2026, 9, 21, 14, tzinfo=UTC)
SECRET = "Svea-Lovisa"


def _id(number: int) -> str:
    return f"5f0c8a52-6b1e-4c58-9d0e-{number:012}"


def _group(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": _id(number), "schoolID": _id(0), "title": f"g{number}"} | fields


def _event(number: int, gone: int) -> dict[str, Any]:
    return {"id": _id(number), "resourceID": _id(gone)}


class Scripted:
    """A `Send` that answers from rows, by the offset and limit of each request, and keeps what it was asked."""

    def __init__(self, rows: list[Any], *, cap: int = 10**9, total: int | None = None) -> None:
        self.rows = rows
        self.cap = cap
        self.total = total
        self.requests: list[Request] = []
        self.error: MeitnerError | None = None
        self.shift = 0

    async def __call__(self, request: Request) -> RawResponse:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        asked = dict(part.split("=") for part in request.query.split("&"))
        limit, offset = min(int(asked["limit"]), self.cap), int(asked["offset"])
        total = len(self.rows) if self.total is None else self.total
        body = {
            "data": self.rows[offset : offset + limit],
            "pagination": {"offset": offset + self.shift, "limit": limit, "total": total},
        }
        return RawResponse(200, Headers({"Date": DATE, "Content-Type": "application/json"}), json.dumps(body).encode())

    @property
    def bodies(self) -> list[Any]:
        """The filters that were sent."""
        return [json.loads(request.body or b"null")["filter"] for request in self.requests]


def _source(send: Scripted, audited: bool | None = True, filter: dict[str, Any] | None = None) -> Any:
    return RecordSource[Group](send, Listed(Place("/group", "/group"), Group, True, audited), filter, PageSizes())


# -- pages


async def test_a_page_is_asked_for_and_read() -> None:
    """A list is a GET, a search a POST of its filter; limit and offset are in the query, the Date comes along."""
    send = Scripted([_group(number) for number in range(9)])
    fetched = await _source(send).fetch(PageRequest(4, 2))
    assert [one.id for one in fetched.rows] == [_id(number) for number in range(2, 6)]
    assert (fetched.pagination.total, fetched.invalid) == (9, ())
    assert fetched.server_time == datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC).timestamp()
    condition = {"equals": {"title": "x"}, "orCondition": False}
    await _source(send, filter=condition).fetch(PageRequest(4, 2, bulk=True))
    listed, searched = send.requests
    assert (listed.method, listed.path, listed.query, listed.body, listed.bulk) == (
        "GET", "/group", "limit=4&offset=2", None, False,
    )  # fmt: skip
    assert (searched.method, searched.path, searched.query, searched.bulk) == (
        "POST", "/group/_search", "limit=4&offset=2", True,
    )  # fmt: skip
    assert json.loads(searched.body or b"") == {"filter": condition}


async def test_a_sealed_page_is_read_when_it_is_opened() -> None:
    """A raw page is decoded when it is taken: an invalid one raises then, not in the task that fetched it."""
    send = Scripted([_group(1), {"id": 7}])
    opened = await _source(send).fetch_raw(PageRequest(2, 0))
    with pytest.raises(ResponseValidationError):
        opened()
    good = await _source(send).fetch_raw(PageRequest(1, 0))
    assert [one.title for one in good().rows] == ["g1"]


async def test_a_page_of_another_offset_is_refused() -> None:
    """A page that reports another offset raises: its rows would be lost or repeated."""
    send = Scripted([_group(number) for number in range(9)])
    send.shift = 1
    with pytest.raises(ResponseValidationError, match="another offset"):
        await _source(send).fetch(PageRequest(4, 4))
    with pytest.raises(ResponseValidationError, match="another offset"):
        await Groups(send).list(limit=4).all()


# -- windows


async def test_a_window_is_a_search_by_creation() -> None:
    """From one instant until before another, in microseconds; open at the beginning where no instant is given."""
    send = Scripted([])
    low, high = SINCE.replace(microsecond=1), SINCE.replace(hour=15)
    await _source(send).created(low, high, PageRequest(5, 0))
    await _source(send).created(None, high, PageRequest(5, 5, bulk=True))
    assert [request.path for request in send.requests] == ["/group/_search"] * 2
    assert [request.query for request in send.requests] == ["limit=5&offset=0", "limit=5&offset=5"]
    assert send.bodies == [
        {
            "greaterOrEqual": {"meta": {"createdAt": "2026-09-21T14:00:00.000001Z"}},
            "smallerThan": {"meta": {"createdAt": "2026-09-21T15:00:00Z"}},
            "orCondition": False,
        },
        {"smallerThan": {"meta": {"createdAt": "2026-09-21T15:00:00Z"}}, "orCondition": False},
    ]


async def test_a_window_of_a_search_keeps_its_conditions() -> None:
    """The user's filter is nested whole, so that its `or` stays its own, and the source's filter is not changed."""
    send = Scripted([])
    condition = {"equals": {"title": "x"}, "like": {"title": "y%"}, "orCondition": True}
    source = _source(send, filter=condition)
    await source.created(None, SINCE, PageRequest(5, 0))
    await source.fetch(PageRequest(5, 0))
    assert send.bodies[0]["nestedFilters"] == [condition]
    assert send.bodies[0]["orCondition"] is False
    assert send.bodies[1] == condition


async def test_a_window_of_every_row_leaves_the_conditions_out() -> None:
    """That is how a row which a search does not find any more is told from one that an index has lost."""
    send = Scripted([])
    await _source(send, filter={"equals": {"title": "x"}, "orCondition": False}).created(
        None, SINCE, PageRequest(5, 0, every=True)
    )
    assert send.bodies == [{"smallerThan": {"meta": {"createdAt": "2026-09-21T14:00:00Z"}}, "orCondition": False}]


async def test_a_window_of_events_is_one_of_their_timestamps() -> None:
    """Windows of audit events use the timestamp, because they have no meta."""
    send = Scripted([])
    source = RecordSource[AuditEvent](
        send, Listed(Place("/audit-event", "/audit-event"), AuditEvent, True, None), None, PageSizes()
    )
    await source.created(SINCE, SINCE, PageRequest(5, 0))
    assert send.bodies[0]["smallerThan"] == {"timestamp": "2026-09-21T14:00:00Z"}
    assert send.bodies[0]["greaterOrEqual"] == {"timestamp": "2026-09-21T14:00:00Z"}


@pytest.mark.parametrize("elapsed", [0.0, 90.0])
def test_an_answer_says_when_it_was_asked_for(elapsed: float) -> None:
    """Its Date is of its end; what it counts may be as old as the request, attempts and waits included."""
    scripted = Scripted([])

    async def slow(request: Request) -> RawResponse:
        await asyncio.sleep(40.0)
        response = await scripted(request)
        response.elapsed = elapsed
        return response

    for ask in (PageRequest(5, 0), PageRequest(5, 0, open=True)):
        fetched = run(_source(slow).fetch(ask))  # type: ignore[arg-type]
        assert fetched.server_time is not None
        assert fetched.waited == pytest.approx(max(40.0, elapsed))
        assert fetched.asked_at == fetched.server_time - fetched.waited


async def test_an_exact_search_repairs_within_its_conditions() -> None:
    """Against the sandbox, with a filter that nests an `or`: rows that match, each once, and no others."""
    async with Meitner.sandbox(students=120, seed=3) as meitner:
        students = await meitner.students.list().all()
        names = sorted({one.first_name for one in students})[:20]
        search = meitner.students.search(
            any_of=(StudentQuery(first_name=one_of(*names)), StudentQuery(last_name=like("%a%")))
        ).paged(limit=7, exact=True, concurrency=1)
        expected = {one.id for one in students if one.first_name in names or "a" in one.last_name}
        got, victim = [], None
        async for page in search.pages():
            got += [one.id for one in page]
            if victim is None:
                victim = page.data[0].id
                await meitner.students.delete(victim)
        assert search.report.level == "repaired"
        assert len(got) == len(set(got))
        assert {one.id for one in students if one.id in got} == set(got)
        assert set(got) == expected


# -- the witness


async def test_deletions_are_read_from_the_audit_events() -> None:
    """Of this resource, since an instant, of the type that deletions have; a page of a thousand at a time."""
    send = Scripted([_event(number, number + 100) for number in range(2500)])
    deletions = await _source(send).deleted(SINCE)
    assert deletions == Deletions(frozenset(_id(number + 100) for number in range(2500)), 3)
    assert [request.query for request in send.requests] == [f"limit=1000&offset={at}" for at in (0, 1000, 2000)]
    assert {request.path for request in send.requests} == {"/audit-event/_search"}
    assert send.bodies[0] == {
        "equals": {"resource": "Group", "type": "Delete"},
        "greaterOrEqual": {"timestamp": "2026-09-21T14:00:00Z"},
        "orCondition": False,
    }


async def test_deletions_are_read_whole_from_small_pages() -> None:
    """The server may clamp the page: the next one starts where the rows end."""
    send = Scripted([_event(number, number) for number in range(25)], cap=10)
    assert await _source(send).deleted(SINCE) == Deletions(frozenset(map(_id, range(25))), 3)


@pytest.mark.parametrize(
    "error",
    [
        PermissionDeniedError("no", status_code=403),
        InternalServerError("no", status_code=503),
        APIConnectionError("cut"),
        APITimeoutError("late"),
        QuotaExhausted("later"),
        ResponseValidationError("what"),
    ],
)
async def test_a_witness_that_cannot_be_asked_knows_nothing_and_ends_no_read(error: MeitnerError) -> None:
    """If the audit events cannot be read, the read goes on and is not proven."""
    send = Scripted([])
    send.error = error
    assert await _source(send).deleted(SINCE) == Deletions(None, 1)


async def test_a_witness_that_contradicts_itself_knows_nothing() -> None:
    """If fewer events arrive than are counted, they are not used."""
    send = Scripted([_event(1, 2)], total=10**9)
    assert await _source(send).deleted(SINCE) == Deletions(None, 2)


@pytest.mark.parametrize(("audited", "known"), [(None, Deletions(frozenset())), (False, Deletions(None))])
async def test_what_leaves_no_event_is_not_asked_about(audited: bool | None, known: Deletions) -> None:
    """No events are requested for schools and grades, which leave none."""
    send = Scripted([])
    assert await _source(send, audited=audited).deleted(SINCE) == known
    assert send.requests == []


async def test_what_a_source_can_tell_follows_from_its_resource() -> None:
    """A search of groups may gain rows by updates, a list may not; grades cannot be searched by date."""
    assert _source(Scripted([])).searchable
    assert not _source(Scripted([])).updates_matter
    assert _source(Scripted([]), filter={"orCondition": False}).updates_matter


# -- rows that break the contract


def _broken(number: int, **fields: Any) -> dict[str, Any]:
    return _group(number, title=[SECRET]) | fields


async def test_a_broken_row_is_named_by_place_and_id_and_never_by_value() -> None:
    """By default it ends the read at its turn, after the rows before it."""
    send = Scripted([_group(number) if number != 5 else _broken(5) for number in range(9)])
    listing, got = Groups(send).list(limit=2), list[str]()

    async def reading() -> None:
        async for group in listing:
            got.append(group.title)

    with pytest.raises(ResponseValidationError) as caught:
        await reading()
    assert got == ["g0", "g1", "g2", "g3"]
    assert "$.data[1].title" in str(caught.value)
    assert _id(5) in str(caught.value)
    assert SECRET not in f"{caught.value!r} {caught.value.message} {caught.value.args} {vars(caught.value)}"
    assert listing.report.level == "unfinished"


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_skipped_rows_leave_the_others_and_are_named(concurrency: int) -> None:
    """With `on_invalid="skip"`: every other row once, the read not complete, and the ids in the report."""
    send = Scripted([_broken(number) if number in (0, 5, 8) else _group(number) for number in range(9)])
    listing = Groups(send).list(limit=2, concurrency=concurrency).paged(on_invalid="skip")
    assert [group.title for group in await listing.all()] == ["g1", "g2", "g3", "g4", "g6", "g7"]
    report = listing.report
    assert report.invalid == (_id(0), _id(5), _id(8))
    assert (report.complete, report.rows, report.total, report.requests) == (False, 6, 9, 5)
    assert len(send.requests) == 5


@pytest.mark.parametrize("bad", [SECRET, 7, None, ["x"], "5f0c8a52"])
async def test_a_row_whose_id_is_none_is_named_by_its_place(bad: Any) -> None:
    """What stands where an id should be may be anything: it is not repeated."""
    send = Scripted([_group(1), _group(2), _broken(3, id=bad), _group(4)])
    listing = Groups(send).list(limit=2).paged(on_invalid="skip")
    assert len(await listing.all()) == 3
    (named,) = listing.report.invalid
    assert "2" in named
    assert SECRET not in named
    with pytest.raises(ResponseValidationError) as caught:
        await Groups(send).list(limit=2).all()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.replace(b'"data"', b'"dada"'),
        lambda body: body.replace(b'"total"', b'"sum"'),
        lambda body: body[:-5],
        lambda _: b"",
        lambda body: b"\xff" + body,
        lambda _: b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("on_invalid", ["raise", "skip"])
async def test_what_is_no_page_at_all_cannot_be_skipped(spoil: Callable[[bytes], bytes], on_invalid: str) -> None:
    """An invalid envelope raises even with `on_invalid="skip"`."""
    plain = Scripted([_group(1)])

    async def send(request: Request) -> RawResponse:
        answer = await plain(request)
        return msgspec.structs.replace(answer, body=spoil(answer.body))

    with pytest.raises(ResponseValidationError):
        await Groups(send).list().paged(on_invalid=on_invalid).all()


async def test_a_page_that_is_broken_once_is_asked_for_again() -> None:
    """A page that was cut off is requested again, and both requests are counted."""
    plain, cut = Scripted([_group(number) for number in range(9)]), []

    async def send(request: Request) -> RawResponse:
        answer = await plain(request)
        if "offset=4" in request.query and not cut:
            cut.append(request)
            return msgspec.structs.replace(answer, body=answer.body[:-9])
        return answer

    listing = Groups(send).list(limit=2)
    assert [group.title for group in await listing.all()] == [f"g{number}" for number in range(9)]
    assert listing.report.requests == len(plain.requests) == 6


async def test_first_and_count_of_a_listing_are_one_row_each() -> None:
    """Both request one row; `count` accepts an invalid one."""
    send = Scripted([_broken(0), *(_group(number) for number in range(1, 9))])
    listing = Groups(send).list(limit=50)
    assert await listing.count() == 9
    with pytest.raises(ResponseValidationError):
        await listing.first()
    found = await listing.paged(offset=3).first()
    assert found is not None
    assert found.title == "g3"
    assert [request.query for request in send.requests] == [
        "limit=1&offset=0", "limit=1&offset=0", "limit=1&offset=3",
    ]  # fmt: skip
    assert await Students(Scripted([])).list().first() is None
