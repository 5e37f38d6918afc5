"""Endpoints declared in ten lines, against a server that knows nothing of the client."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from conftest import AT_ONCE, CREDENTIALS, NO_QUOTA
from declared_server import Spaces, deep, flat, usual

from meitner_aio import AmbiguousWriteError, Meitner, NotFoundError, Portal, ResponseValidationError
from meitner_aio.declare import Action, Get, List, Paging, Personal, Record, Resource

NO_IDS = r"m-\d+"


class Member(Record):
    """A member of a space."""

    id: str
    first_name: Personal[str]
    role: str = "guest"


class Filter(Record):
    """What members are listed by."""

    role: str


class Count(Record):
    """How many there are."""

    count: int


class Members(Resource[Member]):
    """Who is in a space."""

    path = "/space/{space}/members"
    model = Member
    id_pattern = NO_IDS

    list = List()
    by = List(Filter)
    get = Get()
    invite = Action("POST", "/{id}/invite", answer=Member)
    nudge = Action("POST", "/{id}/nudge", safe=True)
    badge = Action("GET", "/{id}/badge", answer=bytes)
    count = Action("POST", "/_count", one=False, answer=Count, safe=True)


class Version(Record):
    """What is at the root."""

    name: str
    version: int


class Root(Resource[Version]):
    """The root of the API."""

    path = "/"
    model = Version

    show = Action("GET", "/", one=False, answer=Version)


@asynccontextmanager
async def client(api, **options):
    """Give a client of the server, which retries at once."""
    options = {"retry": AT_ONCE, "quota": NO_QUOTA} | options
    async with api.raw() as server, Meitner(*CREDENTIALS, base_url=server.url, **options) as meitner:
        yield meitner


async def test_a_declared_list_reads_every_page_once():
    """1,000 rows are asked for first, the server gives 100: three pages for 250 rows, and a report of it."""
    api = Spaces()
    async with client(api) as meitner:
        listing = meitner.resource(Members, space="a").list()
        rows = [row async for row in listing]
    assert [row.id for row in rows] == [f"m-{number}" for number in range(250)]
    assert (listing.report.level, listing.report.requests, api.counted["GET members"]) == ("consistent", 3, 3)


@pytest.mark.parametrize(
    ("envelope", "names", "paging"),
    [
        (usual, ("limit", "offset"), Paging()),
        (flat, ("limit", "offset"), Paging(items="items", total="total", limit="limit", offset="offset")),
        (flat, ("top", "skip"), Paging(items="items", total="total", limit="top", offset="skip")),
        (deep, ("size", "start"), Paging(items="result.rows", total="page.count", limit="size", offset="start")),
    ],
)
@pytest.mark.parametrize("cap", [40, 100, 1000])
async def test_pages_may_be_wrapped_and_asked_for_by_other_names(envelope, names, paging, cap):
    """Every row arrives once, whatever the envelope tells of the page, and no page is asked for twice."""

    class Elsewhere(Resource[Member]):
        path = "/space/{space}/members"
        model = Member
        list = List()

    Elsewhere.paging = paging
    api = Spaces(envelope, cap=cap, names=names)
    async with client(api) as meitner:
        listing = meitner.resource(Elsewhere, space="a").list()
        rows = await listing.all()
    assert [row.id for row in rows] == [f"m-{number}" for number in range(250)]
    assert listing.report.problems == ()
    assert listing.report.requests == api.counted["GET members"] == -(-250 // cap)


async def test_a_page_of_another_offset_is_refused_where_the_envelope_tells_it():
    """A server that answers the first page to every request is found out."""

    class Deep(Resource[Member]):
        path = "/space/{space}/members"
        model = Member
        paging = Paging(items="result.rows", total="page.count", limit="size", offset="start")
        list = List()

    api = Spaces(lambda rows, limit, _, total: deep(rows, limit, 0, total), names=("size", "start"))
    async with client(api) as meitner:
        with pytest.raises(ResponseValidationError, match="another offset"):
            await meitner.resource(Deep, space="a").list().all()


async def test_a_list_may_have_parameters_of_its_own():
    """They are part of every page's request."""
    api = Spaces(cap=50)
    async with client(api) as meitner:
        listing = meitner.resource(Members, space="a").by(role="admin")
        rows = await listing.paged(concurrency=2).all()
    assert [row.id for row in rows] == [f"m-{number}" for number in range(0, 250, 3)]
    assert api.counted["GET members"] == 2


async def test_a_record_is_got_by_its_id_and_must_be_that_record():
    """An id is checked before anything is asked, and a 404 is the usual error."""
    api = Spaces()
    async with client(api) as meitner:
        members = meitner.resource(Members, space="b c")
        assert (await members.get("m-7")).first_name == "Kim7"
        with pytest.raises(NotFoundError):
            await members.get("m-8")
        api.spaces["b c"][0] |= {"id": "m-7 "}
        api.spaces["b c"].append({"id": "m-9", "firstName": "Bo", "role": "x"})
        with pytest.raises(ValueError, match="must match"):
            members.get("m-x")
    assert api.counted["GET member"] == 2


async def test_an_answer_about_another_record_is_refused():
    """A server that mixes its answers up does not get through."""
    api = Spaces()
    api.of = lambda *_: b"HTTP/1.1 200 X\r\nContent-Length: 30\r\n\r\n" + b'{"id":"m-2","firstName":"Kim"}'
    async with client(api, max_retries=0, retry=None) as meitner:
        with pytest.raises(ResponseValidationError, match="another record"):
            await meitner.resource(Members, space="a").get("m-1")


async def test_actions_answer_what_they_declare():
    """A record, bytes, nothing; on one record, on all, at the root."""
    api = Spaces()
    async with client(api) as meitner:
        members = meitner.resource(Members, space="a")
        assert await members.invite("m-3") == await members.get("m-3")
        assert await members.nudge("m-3") is None
        assert await members.badge("m-3") == b"\x89PNG"
        assert await members.count() == Count(count=250)
        assert await meitner.resource(Root).show() == Version(name="the root", version=3)
    assert api.invited["m-3"] == 2


@pytest.mark.parametrize(("name", "sent"), [("invite", 1), ("nudge", 3)])
async def test_only_a_safe_action_is_repeated_after_it_may_have_arrived(name, sent):
    """`invite` may have happened, and says so; `nudge` is declared safe, and is tried again."""
    api = Spaces(loses=1.0)
    async with client(api) as meitner:
        with pytest.raises(Exception) as caught:
            await getattr(meitner.resource(Members, space="a"), name)("m-1")
    assert (type(caught.value) is AmbiguousWriteError) is (sent == 1)
    assert sum(api.counted.values()) <= sent == caught.value.attempts


async def test_a_sibling_api_is_below_the_same_origin_and_its_rows_may_lack_ids():
    """None of the rows is dropped as a duplicate; a second pass with the same rows shows that none moved."""

    class Attendance(Record):
        minutes: int

    class Attendances(Resource[Attendance]):
        path = "/attendances"
        api = "data-export/v1"
        model = Attendance
        list = List()

    api = Spaces()
    async with client(api) as meitner:
        listing = meitner.resource(Attendances).list()
        assert len(await listing.all()) == 250
        assert (listing.report.level, listing.report.complete, api.counted["GET attendances"]) == (
            "consistent",
            False,
            3,
        )
        exact = listing.paged(exact=True)
        assert len(await exact.all()) == 250
        assert (exact.report.level, exact.report.complete, api.counted["GET attendances"]) == ("stable", True, 9)


async def test_rows_without_ids_that_change_between_two_passes_prove_nothing():
    """As many rows, but others: the report says so."""

    class Minutes(Record):
        minutes: int

    class Moving(Resource[Minutes]):
        path = "/attendances"
        api = "data-export/v1"
        model = Minutes
        list = List()

    api = Spaces()
    api.page = lambda _rows, query: Spaces.page(
        api, [{"minutes": api.counted["GET attendances"]} for _ in range(150)], query
    )
    async with client(api) as meitner:
        listing = meitner.resource(Moving).list().paged(exact=True)
        assert len(await listing.all()) == 150
    assert (listing.report.level, listing.report.complete) == ("consistent", False)
    assert "a second pass brought other rows" in listing.report.problems


async def test_personal_fields_are_masked():
    """As those of every record."""
    assert repr(Member(id="m-1", first_name="Kim")) == "Member(id='m-1', first_name=***, role='guest')"


def test_a_portal_runs_what_is_declared(meitner_sandbox):
    """Without asyncio the calls are the same."""
    with Portal(Meitner.sandbox(meitner_sandbox)) as portal, pytest.raises(NotFoundError):
        portal.run(portal.meitner.resource(Members, space="a").get("m-1"))
