"""Operations of several requests: get_many, find, modify and upsert; and the create of every resource."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import UNSET, structs
from samples import ID, NOON, OTHER_ID, Recorder, answer, page
from sandbox_calls import KEY, NOBODY, Clock

from meitner_aio import (
    RESOURCES,
    Address,
    AddressQuery,
    ConflictError,
    External,
    ExternalRequest,
    Gender,
    GroupCategory,
    IncompleteListing,
    InternalServerError,
    Meitner,
    Meta,
    MultipleFound,
    NotFoundError,
    School,
    SchoolType,
    StudentQuery,
    UnprocessableEntityError,
    to_dict,
)
from meitner_aio._operations.operations import operations
from meitner_aio._wire.messages import RawResponse, Request, error_from
from meitner_aio.records import fields
from meitner_aio.resources import GradeElementaries, Schools, Students
from meitner_aio.sandbox import Sandbox

Before = Callable[[Request], Awaitable[RawResponse | None]]


class Desk:
    """A `Send` onto a sandbox that keeps what goes by; `before` may do something first, or answer itself."""

    def __init__(self, before: Before | None = None, **size: Any) -> None:
        self.clock = Clock()
        self.sandbox = Sandbox(**{"students": 0, "schools": 1, "clock": self.clock, **size})
        self.requests: list[Request] = []
        self.before = before

    async def __call__(self, request: Request) -> RawResponse:
        """Carry a request; what the answer refuses is raised, as the client does."""
        self.requests.append(request)
        await asyncio.sleep(0)
        response = await self.before(request) if self.before is not None else None
        if response is None:
            response = await self.sandbox.send(structs.replace(request, headers=KEY))
        await asyncio.sleep(0)
        if response.status >= 300:
            raise error_from(request, response)
        return response

    def __getattr__(self, attribute: str) -> Any:
        """Give a resource behind this desk, anew each time: every one is a client of its own."""
        return RESOURCES[attribute](self)

    @property
    def said(self) -> list[str]:
        """What was asked for, by operation."""
        return [request.operation for request in self.requests]

    @property
    def bodies(self) -> list[Any]:
        """What was said, decoded."""
        return [None if request.body is None else json.loads(request.body) for request in self.requests]


PERSON = {"identity_number": "20150101-0000", "first_name": "Bo", "last_name": "Ek"}


def person(number: int = 0, **more: Any) -> dict[str, Any]:
    """Return what a person needs."""
    return {**PERSON, "identity_number": f"20150101-{number:04d}", **more}


# get_many


async def test_a_thousand_records_come_in_ten_requests():
    """A thousand ids take ten requests of a hundred; the result has them in the order given."""
    desk = Desk(students=1000)
    ids = [row.id for row in reversed(desk.sandbox.records("students"))]
    many = await desk.students.get_many(iter(ids))
    assert list(many) == ids
    assert [record.id for record in many.values()] == ids
    assert set(desk.said) == {"search"}
    assert len(desk.requests) <= 10
    assert max(len(request.body or b"") for request in desk.requests) < 8192


async def test_get_many_asks_for_an_id_once():
    """Equal ids in different spellings are requested once; missing records are left out."""
    desk = Desk(students=3)
    one, two, _ = (row.id for row in desk.sandbox.records("students"))
    many = await desk.students.get_many([two.upper(), NOBODY, one, two, one.upper()])
    assert {id_: record.id for id_, record in many.items()} == {two.upper(): two, one: one, two: two, one.upper(): one}
    assert desk.bodies[0]["filter"]["contains"]["id"] == [two, NOBODY, one]
    assert len(desk.requests) == 1
    assert await desk.students.get_many([]) == {}
    assert len(desk.requests) == 1


async def test_get_many_reads_ids_in_any_case():
    """Ids that the server writes in capitals match."""
    row = {"id": ID.upper(), "identityNumber": "x", "firstName": "Bo", "lastName": "Ek"}
    assert list(await Students(Recorder(page(row))).get_many([ID])) == [ID]


@pytest.mark.parametrize(
    ("ids", "error"), [([ID, "7"], ValueError), ([ID, None], TypeError), (ID, ValueError), (["../school"], ValueError)]
)
@pytest.mark.parametrize("attribute", ["students", "grade_elementaries"])
async def test_get_many_refuses_what_is_no_id_before_any_io(ids, error, attribute):
    """One invalid id among valid ones is refused, and so is a single string."""
    desk = Desk()
    with pytest.raises(error, match="UUID"):
        await getattr(desk, attribute).get_many(ids)
    assert desk.requests == []


@pytest.mark.parametrize("age", [0.0, 3600.0], ids=["just made", "old"])
async def test_get_many_stands_a_server_with_small_pages(age):
    """All records are found when the server's pages are smaller than asked for, also rows made a moment ago."""
    desk = Desk(page_cap=7)
    made = [(await desk.students.create(**person(number))).id for number in range(30)]
    desk.clock.now += age
    many = await desk.students.get_many([*made, NOBODY])
    assert list(many) == made


async def test_get_many_asks_again_for_what_moved_out_of_sight():
    """A row that an update moves from an unread page to a read one is requested again, not reported as missing."""

    async def move(request: Request) -> None:
        """Update the row that comes next, when the first page was read: it goes to the end, the last comes up."""
        if "offset=4" in request.query and not moved:
            moved.append(True)
            first = desk.sandbox.records("students")[0]
            await desk.sandbox.send(
                Request("", "PATCH", "", f"/student/{first.id}", "", json.dumps(wire).encode(), headers=KEY)
            )

    wire = {"identityNumber": "20150101-0000", "firstName": "Al", "lastName": "Ek"}
    moved: list[bool] = []
    desk = Desk(page_cap=4, order="updated")
    made = [(await desk.students.create(**person(number))).id for number in range(10)]
    desk.before = move
    assert list(await desk.students.get_many(made)) == made
    assert moved


async def test_get_many_does_not_take_silence_for_absence():
    """If the server counts rows and sends none, `get_many` raises instead of reporting them missing."""
    with pytest.raises(IncompleteListing):
        await Students(Recorder(page(total=2))).get_many([ID, OTHER_ID])


async def test_get_many_raises_what_a_chunk_raises():
    """An error in one chunk is raised, and no task is left."""
    desk = Desk(students=250)
    ids = [row.id for row in desk.sandbox.records("students")]

    async def fail(request: Request) -> RawResponse | None:
        return answer({}, 500) if request is desk.requests[1] else None

    desk.before = fail
    with pytest.raises(InternalServerError):
        await desk.students.get_many(ids)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_grades_are_read_one_by_one_side_by_side():
    """Grades cannot be searched: one request each, several at a time; missing ones are left out."""
    flying = most = 0

    async def look(_: Request) -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.01)
        flying -= 1

    desk = Desk(look, students=40)
    ids = [row.id for row in desk.sandbox.records("grade_elementaries")][:20]
    assert len(ids) == 20
    many = await GradeElementaries(desk, concurrency=4).get_many([*ids, NOBODY, ids[0]])
    assert list(many) == ids
    assert desk.said == ["get"] * 21
    assert most == 4


async def test_grades_raise_other_errors_than_absence():
    """Only a 404 counts as a missing grade; other errors are raised."""

    async def fail(request: Request) -> RawResponse | None:
        return answer({}, 500) if request.path.endswith(OTHER_ID) else None

    desk = Desk(fail)
    with pytest.raises(InternalServerError):
        await desk.grade_elementaries.get_many([ID, OTHER_ID, NOBODY])
    assert asyncio.all_tasks() == {asyncio.current_task()}


# find


async def test_find_is_one_request_of_two_rows():
    """None, one, or an error that says how many; the first page tells them apart."""
    desk = Desk()
    await desk.students.create(**person(1))
    two = await desk.students.create(**person(2, first_name="Al", address=Address(postal_city="Solna")))
    desk.requests.clear()
    assert await desk.students.find(first_name="Xi") is None
    assert await desk.students.find(first_name="Al", address=AddressQuery(postal_city="Solna")) == two
    assert await desk.students.find(any_of=[StudentQuery(first_name="Al"), StudentQuery(id=two.id)]) == two
    with pytest.raises(MultipleFound, match="2 records of Students"):
        await desk.students.find(last_name="Ek")
    assert [(request.operation, request.query) for request in desk.requests] == [("search", "limit=2&offset=0")] * 4


@pytest.mark.parametrize("conditions", [{}, {"first_nam": "Bo"}, {"first_name": None}, {"date_of_birth": "2015"}])
def test_find_refuses_what_search_refuses(conditions):
    """The call itself refuses what `search` refuses, before anything is awaited."""
    desk = Desk()
    with pytest.raises((TypeError, ValueError)) as found:
        desk.students.find(**conditions)
    with pytest.raises(type(found.value), match=str(found.value).split("(", maxsplit=1)[0][:30]):
        desk.students.search(**conditions)
    assert desk.requests == []


def test_find_takes_keywords_only():
    """Like `search`, `find` takes keywords only."""
    with pytest.raises(TypeError):
        Desk().students.find("Bo")


# modify

SCHOOL = School(
    id=ID, title="Norr", school_type=SchoolType.GR, unit_code="7", external=External(source_id="a", source="api")
)


async def test_modify_sends_the_required_fields_and_the_changes():
    """Fields that are not named are not sent, and so not reset; None clears a field."""
    send = Recorder(answer(SCHOOL))
    assert await Schools(send).modify(SCHOOL, unit_code=None, municipality_code="0184") == SCHOOL
    (request,) = send.requests
    assert (request.method, request.path) == ("PATCH", f"/school/{ID}")
    assert json.loads(request.body) == {"title": "Norr", "unitCode": None, "municipalityCode": "0184"}


async def test_modify_changes_a_required_field():
    """A changed value replaces that of the record."""
    send = Recorder(answer(SCHOOL))
    await Schools(send).modify(SCHOOL, title="Söder")
    assert json.loads(send.requests[0].body) == {"title": "Söder"}


@pytest.mark.parametrize("changes", [{}, {"title": UNSET}], ids=["none", "unset"])
@pytest.mark.parametrize("guard", [False, True])
async def test_modify_without_a_change_is_no_request(changes, guard):
    """Without changes, the record itself is returned and nothing is sent."""
    send = Recorder(answer(SCHOOL))
    assert await Schools(send).modify(SCHOOL, guard=guard, **changes) is SCHOOL
    assert send.requests == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "Norr"}, r"titel.*did you mean 'title'\?"),
        ({"school_type": SchoolType.GY}, "school_type"),
        ({"id": OTHER_ID}, "'id'"),
        ({"meta": None}, "'meta'"),
        ({"title": None}, "title cannot be null"),
        ({"unit_code": 7}, "unit_code must be a str"),
    ],
)
def test_modify_refuses_before_any_io(changes, message):
    """The call itself refuses unknown fields, fields fixed at creation, and invalid values."""
    send = Recorder(answer(SCHOOL))
    with pytest.raises(TypeError, match=message):
        Schools(send).modify(SCHOOL, **changes)
    assert send.requests == []


def test_modify_refuses_a_record_of_another_kind():
    """A guardian passed to students.modify is refused, although it has the same fields."""
    send = Recorder(answer(SCHOOL))
    with pytest.raises(TypeError, match="takes a Unit, not School"):
        RESOURCES["units"](send).modify(SCHOOL, title="Norr")
    assert send.requests == []


async def test_modify_carries_over_what_we_do_not_know():
    """An unknown value of a required enum does not prevent a change of another field."""
    desk = Desk(students=1)
    placement = desk.sandbox.records("student_placements")[0]
    kind = type(placement.school_type)
    send = Recorder(answer(placement))
    await RESOURCES["student_placements"](send).modify(
        structs.replace(placement, school_type=kind("NEW")), has_childcare=True
    )
    sent = json.loads(send.requests[0].body)
    assert sent == {"schoolType": "NEW", "startDate": placement.start_date.isoformat(), "hasChildcare": True}


async def test_modify_with_guard_reads_first():
    """If nobody else wrote, `guard` costs one more request, and the update is sent."""
    desk = Desk()
    made = await desk.students.create(**person())
    desk.requests.clear()
    desk.clock.now += 5
    changed = await desk.students.modify(made, guard=True, first_name="Al")
    assert changed.first_name == "Al"
    assert desk.said == ["get", "update"]
    again = await desk.students.modify(changed, guard=True, first_name="Bo")
    assert again.first_name == "Bo"


async def test_modify_with_guard_sees_another_write():
    """A record that was updated since it was read is not overwritten."""
    desk = Desk()
    made = await desk.students.create(**person())
    desk.clock.now += 5
    await desk.students.modify(made, last_name="Al")
    desk.requests.clear()
    with pytest.raises(ConflictError, match=made.id):
        await desk.students.modify(made, guard=True, first_name="Xi")
    assert desk.said == ["get"]
    assert desk.sandbox.records("students")[0].first_name == "Bo"


@pytest.mark.parametrize("meta", [None, Meta(created_at=NOON)], ids=["neither", "one"])
async def test_modify_with_guard_needs_no_meta(meta):
    """Records that do not say when they were updated are compared as they are."""
    schools = Schools(Recorder(answer(structs.replace(SCHOOL, meta=meta))))
    await schools.modify(SCHOOL, guard=True, title="Söder")
    with pytest.raises(ConflictError):
        await schools.modify(structs.replace(SCHOOL, title="Öster"), guard=True, unit_code="8")


async def test_modify_with_guard_of_what_is_gone():
    """A record that was deleted raises `NotFoundError`."""
    desk = Desk()
    made = await desk.students.create(**person())
    await desk.students.delete(made.id)
    with pytest.raises(NotFoundError):
        await desk.students.modify(made, guard=True, first_name="Al")


@pytest.mark.parametrize("attribute", [name for name, kind in RESOURCES.items() if "update" in operations(kind)])
async def test_every_writable_resource_is_modified(attribute):
    """For every resource, an update with one change changes no other field."""
    desk = Desk(students=60, schools=4)
    record = desk.sandbox.records(attribute)[0]
    external = External(source_id="hr-7")
    changed = await getattr(desk, attribute).modify(record, external=external)
    assert changed.external.source_id == "hr-7"
    assert structs.replace(changed, external=None, meta=None) == structs.replace(record, external=None, meta=None)
    body = operations(RESOURCES[attribute])["update"].body
    assert set(desk.bodies[0]) == {field.wire for field in fields(body) if field.required} | {"external"}
    assert desk.bodies[0]["external"] == {"sourceID": "hr-7"}


# upsert


async def test_upsert_creates_changes_and_leaves_alone():
    """It creates, updates or does nothing, with no write where nothing would change."""
    desk = Desk()
    made = await desk.students.upsert("identity_number", **PERSON, gender=Gender.FEMALE)
    assert (made.created, made.changed, made.record.gender) == (True, True, Gender.FEMALE)
    assert desk.said == ["search", "create"]
    desk.requests.clear()
    same = await desk.students.upsert("identity_number", **PERSON)
    assert (same.created, same.changed, same.record) == (False, False, made.record)
    assert desk.said == ["search"]
    desk.requests.clear()
    other = await desk.students.upsert("identity_number", **person(first_name="Al"), gender=None)
    assert (other.created, other.changed) == (False, True)
    assert (other.record.first_name, other.record.gender, other.record.id) == ("Al", None, made.record.id)
    assert desk.said == ["search", "update"]
    assert desk.bodies[1] == {
        "identityNumber": "20150101-0000",
        "firstName": "Al",
        "lastName": "Ek",
        "gender": None,
    }


async def test_upsert_by_source_id():
    """The key is the id in the other system; the identity number may change then."""
    desk = Desk()
    external = External(source_id="hr-1")
    made = await desk.students.upsert("source_id", **PERSON, external=external)
    assert (made.created, made.record.external.source_id) == (True, "hr-1")
    assert desk.said == ["search", "create", "search"]
    desk.requests.clear()
    spelled = ExternalRequest(source_id="hr-1")
    changed = await desk.students.upsert("source_id", **person(7), external=spelled)
    assert (changed.created, changed.changed, changed.record.id) == (False, True, made.record.id)
    assert changed.record.identity_number == "20150101-0007"
    assert desk.said == ["search", "update"]
    desk.requests.clear()
    assert not (await desk.students.upsert("source_id", **person(7), external=external)).changed
    assert desk.said == ["search"]


async def test_upsert_compares_what_is_given_of_an_address():
    """Of an address, only the given fields count, and only the address is written."""
    desk = Desk()
    await desk.students.create(**PERSON, address=Address(postal_city="Solna", postal_code="17100"))
    desk.requests.clear()
    same = await desk.students.upsert("identity_number", **PERSON, address=Address(postal_city="Solna"))
    assert not same.changed
    other = await desk.students.upsert("identity_number", **PERSON, address=Address(postal_code=None))
    assert other.changed
    assert to_dict(other.record.address)["postal_city"] == "Solna"
    assert other.record.address.postal_code is None
    assert desk.bodies[-1]["address"] == {"postalCode": None}


async def test_upsert_compares_lists():
    """A list is one value: a tuple says the same as a list, another element is a change, a shorter one too."""
    desk = Desk()
    pupils = [(await desk.students.create(**person(number))).id for number in (1, 2)]
    guardian = person(9, student_ids=tuple(pupils))
    await desk.guardians.upsert("identity_number", **guardian)
    assert not (await desk.guardians.upsert("identity_number", **guardian)).changed
    fewer = await desk.guardians.upsert("identity_number", **{**guardian, "student_ids": pupils[:1]})
    assert (fewer.changed, fewer.record.student_ids) == (True, pupils[:1])
    none = await desk.guardians.upsert("identity_number", **{**guardian, "student_ids": []})
    assert (none.changed, none.record.student_ids) == (True, [])


async def test_upsert_compares_ids_whatever_their_case():
    """An id in capitals is the same id: nothing to write, and no conflict with what is fixed at birth."""
    desk = Desk()
    school = desk.sandbox.records("schools")[0].id
    given = {"title": "7A", "category": GroupCategory.OTHER, "external": External(source_id="g-1")}
    pupil = (await desk.students.create(**PERSON)).id
    made = await desk.groups.upsert("source_id", school_id=school, member_ids=[pupil], **given)
    same = await desk.groups.upsert("source_id", school_id=school.upper(), member_ids=[pupil.upper()], **given)
    assert (same.changed, same.record) == (False, made.record)


async def test_upsert_of_an_address_without_content():
    """Clearing an address that is empty changes nothing."""
    desk = Desk()
    await desk.students.create(**PERSON)
    assert not (await desk.students.upsert("identity_number", **PERSON, address=Address(postal_code=None))).changed


@pytest.mark.parametrize(
    ("attribute", "key", "given", "error", "message"),
    [
        ("students", "email_address1", PERSON, ValueError, "cannot be upserted by 'email_address1'"),
        ("units", "identity_number", {"title": "Norr"}, ValueError, "cannot be upserted by 'identity_number'"),
        ("students", "source_id", PERSON, ValueError, "needs external"),
        ("students", "source_id", {**PERSON, "external": External(source="x")}, TypeError, "needs a source_id"),
        ("students", "identity_number", {"first_name": "Bo", "last_name": "Ek"}, TypeError, "identity_number"),
        ("students", "identity_number", {**PERSON, "first_nam": "Bo"}, TypeError, "did you mean 'first_name'"),
        ("students", "identity_number", {**PERSON, "gender": 7}, TypeError, "gender must be a Gender"),
        ("students", "identity_number", {**PERSON, "id": ID}, TypeError, "'id'"),
    ],
)
def test_upsert_refuses_before_any_io(attribute, key, given, error, message):
    """The call itself refuses invalid keys, and fields that a create refuses."""
    desk = Desk()
    with pytest.raises(error, match=message):
        getattr(desk, attribute).upsert(key, **given)
    assert desk.requests == []


async def test_upsert_does_not_change_what_never_changes():
    """A different value in a field fixed at creation is a conflict that names field and record; nothing is sent."""
    desk = Desk()
    external = External(source_id="s-1")
    made = await desk.schools.create(title="Norr", school_type=SchoolType.GR, external=external)
    desk.requests.clear()
    with pytest.raises(ConflictError, match=f"record {made.id} differs in school_type"):
        await desk.schools.upsert("source_id", title="Söder", school_type=SchoolType.GY, external=external)
    assert desk.said == ["search"]


async def test_upsert_of_what_is_deleted_in_between():
    """A record deleted between the search and the update is created again."""
    desk = Desk()
    made = await desk.students.create(**PERSON)
    desk.requests.clear()

    async def delete(request: Request) -> None:
        if request.operation == "update":
            await desk.sandbox.send(Request("", "DELETE", "", f"/student/{made.id}", headers=KEY))

    desk.before = delete
    new = await desk.students.upsert("identity_number", **person(first_name="Al"))
    assert (new.created, new.changed) == (True, True)
    assert new.record.id != made.id
    assert desk.said == ["search", "update", "search", "create"]


async def test_upsert_gives_up_on_a_record_that_is_never_there():
    """After three 404s for a record that the search finds, the error is raised."""
    desk = Desk()
    await desk.students.create(**PERSON)
    desk.requests.clear()

    async def deny(request: Request) -> RawResponse | None:
        return answer({}, 404) if request.operation == "update" else None

    desk.before = deny
    with pytest.raises(NotFoundError):
        await desk.students.upsert("identity_number", **person(first_name="Al"))
    assert desk.said == ["search", "update"] * 3


async def test_upsert_raises_what_the_server_refuses():
    """A refusal for another reason than the key is raised."""
    desk = Desk()
    with pytest.raises(UnprocessableEntityError):
        await desk.students.upsert("identity_number", **{**PERSON, "identity_number": "7"})
    taken = {"email_address1": "bo@example.se"}
    await desk.students.create(**person(1), **taken)
    with pytest.raises(ConflictError):
        await desk.students.upsert("identity_number", **person(2), **taken)
    await desk.students.create(**person(3))
    with pytest.raises(ConflictError):
        await desk.students.upsert("identity_number", **person(3), **taken)
    assert len(desk.sandbox.records("students")) == 2


async def test_upsert_does_not_choose_between_several():
    """A source id that two records have raises `MultipleFound`."""
    desk = Desk()
    for number in (1, 2):
        await desk.students.create(**person(number), external=External(source_id="same"))
    desk.requests.clear()
    with pytest.raises(MultipleFound):
        await desk.students.upsert("source_id", **person(3), external=External(source_id="same"))
    assert desk.said == ["search"]


KEYED = [("identity_number", person()), ("source_id", person(external=External(source_id="hr-1")))]


@pytest.mark.parametrize(("key", "given"), KEYED, ids=[key for key, _ in KEYED])
@pytest.mark.parametrize("racers", [2, 20])
async def test_racers_of_one_client_make_one_record(key, given, racers):
    """Of many equal upserts at once through one client, one creates and the others find its record."""
    desk = Desk()
    students = desk.students
    done = await asyncio.gather(*(students.upsert(key, **given) for _ in range(racers)))
    (row,) = desk.sandbox.records("students")
    assert {one.record.id for one in done} == {row.id}
    assert sorted(one.created for one in done) == [False] * (racers - 1) + [True]
    assert sorted(one.changed for one in done) == [False] * (racers - 1) + [True]
    assert desk.said.count("create") == 1


@pytest.mark.parametrize(("key", "given"), KEYED, ids=[key for key, _ in KEYED])
async def test_racers_of_several_clients_make_one_record(key, given):
    """Several clients that create at the same time end up with one record, which each returns."""
    desk = Desk()
    if key == "source_id":
        pairs = [{**given, "identity_number": f"20150101-{number:04d}"} for number in range(5)]
    else:
        pairs = [{**given, "first_name": name} for name in ("Al", "Bo", "Cy", "Di", "Ed")]
    done = await asyncio.gather(*(desk.students.upsert(key, **one) for one in pairs))
    (row,) = desk.sandbox.records("students")
    assert {one.record.id for one in done} == {row.id}
    assert desk.said.count("create") == 5
    assert sum(one.created for one in done) == 1
    assert all(one.changed for one in done)


async def test_who_creates_late_takes_the_older_record():
    """A client that creates after another one deletes its own record and returns the older."""
    late = asyncio.Event()

    async def wait(request: Request) -> None:
        if request.operation == "create" and b"Late" in (request.body or b""):
            await late.wait()
            desk.clock.now += 1

    desk = Desk(wait)
    external = External(source_id="hr-1")
    slow = asyncio.create_task(desk.students.upsert("source_id", **person(2, first_name="Late"), external=external))
    while "create" not in desk.said:
        await asyncio.sleep(0)
    early = await desk.students.upsert("source_id", **person(1), external=external)
    late.set()
    assert early.created
    assert (await slow).record.id == early.record.id
    assert [row.id for row in desk.sandbox.records("students")] == [early.record.id]


async def test_a_race_for_what_cannot_be_deleted_is_told():
    """Schools cannot be deleted: the client that creates second gets a ConflictError."""
    desk = Desk(schools=0)
    given = {"title": "Norr", "school_type": SchoolType.GR, "external": External(source_id="s-1")}
    done = await asyncio.gather(*(desk.schools.upsert("source_id", **given) for _ in range(2)), return_exceptions=True)
    lost = [one for one in done if isinstance(one, ConflictError)]
    assert len(lost) == 1
    assert all(row.id in str(lost[0]) for row in desk.sandbox.records("schools"))


async def test_upserts_of_different_keys_do_not_wait_for_each_other():
    """Only upserts with the same key take turns; a cancelled or failed turn ends."""
    rate_limiter = asyncio.Event()

    async def wait(request: Request) -> None:
        if b"0001" in (request.body or b""):
            await rate_limiter.wait()

    desk = Desk(wait)
    students = desk.students
    stuck = asyncio.create_task(students.upsert("identity_number", **person(1)))
    assert (await students.upsert("identity_number", **person(2))).created
    following = asyncio.create_task(students.upsert("identity_number", **person(1)))
    await asyncio.sleep(0)
    stuck.cancel()
    rate_limiter.set()
    assert (await following).created


# create


UPSERTED = [name for name, kind in RESOURCES.items() if hasattr(kind, "upsert")]


def _writable(record: Any, body: Any) -> dict[str, Any]:
    """Return what a create would say to make this record, under names of its own."""
    given = {field.name: getattr(record, field.name) for field in fields(body)}
    for name in ("identity_number", "title"):
        if isinstance(given.get(name), str):
            given[name] = {"identity_number": "19990101-9999", "title": "Nytt"}[name]
    for name in ("email_address1", "phone_number1"):
        given.pop(name, None)
    given["external"] = External(source_id="hr-1")
    return {name: value for name, value in given.items() if value is not None}


@pytest.mark.parametrize("attribute", [name for name, kind in RESOURCES.items() if "create" in operations(kind)])
async def test_every_writable_resource_creates(attribute):
    """For every resource, the returned record is the stored one and has the given fields."""
    desk = Desk(students=60, schools=4)
    resource = getattr(desk, attribute)
    body = operations(RESOURCES[attribute])["create"].body
    given = _writable(desk.sandbox.records(attribute)[0], body)
    made = await resource.create(**given)
    assert made in desk.sandbox.records(attribute)
    assert {name: getattr(made, name) for name in given if name != "external"} == {
        name: value for name, value in given.items() if name != "external"
    }
    assert made.external.source_id == "hr-1"


@pytest.mark.parametrize("attribute", UPSERTED)
async def test_every_writable_resource_is_upserted(attribute):
    """By source id: created once, then unchanged, then changed back after another client's update."""
    desk = Desk(students=60, schools=4)
    resource = getattr(desk, attribute)
    given = _writable(desk.sandbox.records(attribute)[0], operations(RESOURCES[attribute])["create"].body)
    count = len(desk.sandbox.records(attribute))
    assert (await resource.upsert("source_id", **given)).created
    same = await resource.upsert("source_id", **given)
    assert (same.created, same.changed) == (False, False)
    assert len(desk.sandbox.records(attribute)) == count + 1


async def test_through_the_front_door():
    """With a whole client: get_many, find, modify and upsert."""
    async with Meitner.sandbox(students=30) as meitner:
        students = await meitner.students.list().all()
        assert list(await meitner.students.get_many([one.id for one in students])) == [one.id for one in students]
        one = await meitner.students.find(id=students[0].id)
        assert one == students[0]
        changed = await meitner.students.modify(one, guard=True, first_name="Al")
        assert changed.first_name == "Al"
        done = await asyncio.gather(*(meitner.students.upsert("identity_number", **PERSON) for _ in range(10)))
        assert sum(upserted.created for upserted in done) == 1
