"""What the sandbox refuses of a write, and with which status."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import api_table
import pytest
from sandbox_calls import NOBODY, Clock, call, made, person, placed_employee, placed_student, school, search

from meitner_aio.records import Record, fields
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Sandbox
from meitner_aio.sandbox.http.dialect import Dialect
from meitner_aio.sandbox.store.directory import Directory
from meitner_aio.sandbox.store.rules import REFERENCES, Write, allowed
from meitner_aio.sandbox.store.schemas import resource_schemas
from meitner_aio.sandbox.store.tables import Table
from meitner_aio.sandbox.store.writes import read_write

API = api_table.parse()
WRITTEN = [resource for resource in API.resources.values() if "create" in resource.operations]


@pytest.fixture
def clock():
    """Give a clock that stands still on 2 February 2026."""
    return Clock()


@pytest.fixture
def sandbox(clock):
    """Give an empty directory that refuses what it does not know."""
    return Sandbox(students=0, schools=0, clock=clock, unknown="refuse")


async def _bodies(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Return a good create of every resource, with all that it refers to in place."""
    place = await school(sandbox)
    student, employee = await placed_student(sandbox, place), await placed_employee(sandbox, place)
    grade = {"studentID": student, "schoolID": place}
    return {
        "schools": {"title": "Nya skolan", "schoolType": "GY"},
        "units": {"title": "Norr"},
        "groups": {"title": "7A", "schoolID": place},
        "employees": person(),
        "employee_placements": {"employeeID": employee, "schoolID": place, "startDate": "2026-01-01"},
        "guardians": person(studentIDs=[student]),
        "students": person(),
        "student_placements": {**grade, "schoolType": "GR", "startDate": "2026-01-01"},
        "grade_elementaries": {
            **grade, "subjectCode": "MA", "academicYear": "2025/2026", "term": "HT", "schoolYear": "7", "finalGrade": True,
            "isEnded": False,
        },
        "grade_upper_secondaries": {**grade, "courseCode": "MATMAT01a", "includeOnFinalGrade": True},
    }  # fmt: skip


async def _one_of_each(sandbox: Sandbox, resource: api_table.Resource) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Create a record; return its path, the body of the create, and that of an update that changes nothing."""
    body = (await _bodies(sandbox))[resource.attribute]
    row = await made(sandbox, resource.path, **body)
    same = {wire: row[wire] for wire, field in resource.part("u").items() if field.required}
    return f"{resource.path}/{row['id']}", body, same


# What a body may hold


def _wrong(field: api_table.Field) -> list[Any]:
    """Return values that the field's declared type does not have."""
    wrong: dict[str, list[Any]] = {
        "uuid": ["5", NOBODY[:-1], 5],
        "string": [5, True, ["x"], {}],
        "boolean": ["true", 0, 1],
        "integer": ["5", 1.5, True, 2**70],
        "date": ["2026-02-30", "2026-1-1", "20260101", "2026-01-01T00:00:00Z", 20260101],
        "enum": ["", "unknown", 5],
        "object": ["x", [], {"unknown": 1}, {"postalCity": 5, "sourceID": 5}],
    }
    values = wrong[field.element.partition(":")[0]]
    if field.kind.startswith("list<"):
        return ["x", {}, *([value] for value in values), [None]]
    return values


@pytest.mark.parametrize("resource", WRITTEN, ids=lambda resource: resource.attribute)
async def test_every_field_is_held_to_its_type(resource, sandbox):
    """A value of another type and a null where none may be are 422, in creates and updates; other nulls are fine.

    One that may be is kept; that of a list or an object says nothing.
    """
    path, body, same = await _one_of_each(sandbox, resource)
    for letter, method, where, good in (("c", "POST", resource.path, body), ("u", "PATCH", path, same)):
        for wire, field in resource.part(letter).items():
            for value in _wrong(field):
                answer = await call(sandbox, method, where, {**good, wire: value})
                assert answer.code == "UnprocessableEntity", (method, wire, value)
            silent = field.kind.startswith(("list<", "object:"))
            if not field.nullable and not silent:
                assert (await call(sandbox, method, where, {**good, wire: None})).status == 422, (method, wire)
            elif method == "PATCH":
                before = (await call(sandbox, "GET", path)).data[wire]
                after = (await call(sandbox, method, where, {**good, wire: None})).data[wire]
                assert after == (before if silent else None)


@pytest.mark.parametrize("resource", WRITTEN, ids=lambda resource: resource.attribute)
async def test_required_fields_must_be_there(resource, sandbox):
    """In an update, too: it is a PATCH with required fields."""
    path, body, same = await _one_of_each(sandbox, resource)
    for letter, method, where, good in (("c", "POST", resource.path, body), ("u", "PATCH", path, same)):
        required = [wire for wire, field in resource.part(letter).items() if field.required]
        assert required
        for wire in required:
            answer = await call(sandbox, method, where, {name: value for name, value in good.items() if name != wire})
            assert answer.code == "UnprocessableEntity"
            assert wire in answer.message


@pytest.mark.parametrize("resource", WRITTEN, ids=lambda resource: resource.attribute)
async def test_other_fields_are_refused(resource, sandbox):
    """If asked for: what the server sets, what is fixed at birth and what does not exist is 422, changed or not."""
    path, body, same = await _one_of_each(sandbox, resource)
    row = (await call(sandbox, "GET", path)).data
    fixed = resource.part("c").keys() - resource.part("u").keys()
    server_side = resource.part("r").keys() - resource.part("c").keys()
    for wire, reason in [
        *((wire, "is fixed when the record is created") for wire in fixed),
        *((wire, "is set by the server") for wire in server_side),
        ("nickname", "is not a field"),
        ("external.source", "is not a field"),
    ]:
        name, _, inner = wire.partition(".")
        extra = {name: {"sourceID": "x", inner: "x"} if inner else row.get(name)}
        answer = await call(sandbox, "PATCH", path, {**same, **extra})
        assert (answer.status, answer.message) == (422, f"{wire} {reason}")
        if wire not in fixed:
            answer = await call(sandbox, "POST", resource.path, {**body, **extra})
            assert (answer.status, answer.message) == (422, f"{wire} {reason}")


@pytest.mark.parametrize("resource", WRITTEN, ids=lambda resource: resource.attribute)
async def test_other_fields_count_for_nothing(resource, clock):
    """The usual way: a write with them does what the same write does without them, nested ones included."""
    sandbox = Sandbox(students=0, schools=0, clock=clock)
    path, body, same = await _one_of_each(sandbox, resource)
    before = (await call(sandbox, "GET", path)).data
    known, external = resource.part("r").keys(), {"sourceID": "7", "source": "api"}
    others = {"nickname": "Bosse", "external": {"sourceID": "7", "source": "me", "age": 5}}
    fixed = dict.fromkeys(known - resource.part("u").keys(), "x")
    updated = await call(sandbox, "PATCH", path, {**same, **others, **fixed})
    assert (updated.status, updated.data) == (200, {**before, "external": external, "meta": updated.data["meta"]})
    fixed = dict.fromkeys(known - resource.part("c").keys(), "x")
    again = {**body, "title": "another", "identityNumber": "20150101-9999", **others, **fixed}
    created = await call(sandbox, "POST", resource.path, again)
    assert created.status == 201
    assert created.data["id"] not in (NOBODY, before["id"])
    assert created.data["external"] == external


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"title": "\\ud800"}', b'{"title":1e999}']
)
async def test_a_body_that_is_no_object_is_malformed(body, sandbox):
    """400, before any field is looked at."""
    unit = await made(sandbox, "/unit", title="a")
    assert (await call(sandbox, "POST", "/unit", body)).code == "BadRequest"
    assert (await call(sandbox, "PATCH", f"/unit/{unit['id']}", body)).code == "BadRequest"


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_a_body_of_another_type_is_refused(content_type, sandbox):
    """400 for what does not claim to be JSON; parameters and case of the type do not matter."""
    assert (await call(sandbox, "POST", "/unit", {"title": "a"}, content_type=content_type)).code == "BadRequest"
    answer = await call(sandbox, "POST", "/unit", {"title": "a"}, content_type="Application/JSON; charset=utf-8")
    assert answer.status == 201


FORMATS = [
    (
        "identityNumber",
        ["20150101-0001"],
        ["201501010001", "150101-0001", "20150101-000", "20150101 -0001", "2015010a-0001"],
    ),
    ("eduPersonPrincipalName", ["kalko@edu.example"], ["kalko", "@edu.example", "kalko@", "a@b@c", "a b@c"]),
    ("address.municipalityCode", ["0184"], ["184", "01840", "018a", "٠١٨٤"]),
    ("address.countryCode", ["SWE", "swe"], ["SE", "SWED"]),
]
PLACEMENT_FORMATS = [
    (name, ["swe"], ["sv", "SWE", "swed", "sw1"])
    for name in ("motherTongue", "modernLanguageInSchoolChoice", "modernLanguageInLanguageChoice")
]


@pytest.mark.parametrize(("wire", "good", "bad"), FORMATS, ids=[one[0] for one in FORMATS])
async def test_formats_of_a_person(wire, good, bad, sandbox):
    """The formats that the API names are held, within objects too."""
    name, _, inner = wire.partition(".")
    for value in good + bad:
        answer = await call(sandbox, "POST", "/student", {**person(), name: {inner: value} if inner else value})
        assert answer.status == (201 if value in good else 422), value
        if value in bad:
            assert wire in answer.message
            assert value not in answer.message


@pytest.mark.parametrize(("wire", "good", "bad"), PLACEMENT_FORMATS, ids=[one[0] for one in PLACEMENT_FORMATS])
async def test_formats_of_a_placement(wire, good, bad, sandbox):
    """Languages are three letters."""
    body = (await _bodies(sandbox))["student_placements"]
    for value in good + bad:
        answer = await call(sandbox, "POST", "/student-placement", {**body, wire: value})
        assert answer.status == (201 if value in good else 422), value


@pytest.mark.parametrize(
    ("year", "status"),
    [("2025/2026", 201), ("1999/2000", 201), ("2025/2027", 422), ("2026/2025", 422), ("2025_2026", 422), ("25/26", 422),
     ("2025/2026\n", 201), ("2025/\n2026", 422), ("٢٠٢٥/٢٠٢٦", 422)],
)  # fmt: skip
async def test_the_academic_year_is_two_years_that_follow(year, status, sandbox):
    """`YYYY/YYYY`."""
    body = (await _bodies(sandbox))["grade_elementaries"]
    assert (await call(sandbox, "POST", "/grade-elementary", {**body, "academicYear": year})).status == status


# Uniqueness and references


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        *(
            (path, wire)
            for path in ("/student", "/employee", "/guardian")
            for wire in ("identityNumber", "emailAddress1")
        ),
        ("/employee", "phoneNumber1"),
    ],
)
async def test_what_is_unique_in_a_resource(path, wire, sandbox):
    """Taken is 409, for a create and an update; one's own value is not taken, and other resources are no concern."""
    value = person()["identityNumber"] if wire == "identityNumber" else "x@x.example"
    mine = await made(sandbox, path, **person(**{wire: value}))
    other = await made(sandbox, path, **person())
    answer = await call(sandbox, "POST", path, person(**{wire: value}))
    assert answer.code == "Conflict"
    assert wire in answer.message
    assert value not in answer.message
    assert (await call(sandbox, "PATCH", f"{path}/{other['id']}", person(**{wire: value}))).code == "Conflict"
    assert (await call(sandbox, "PATCH", f"{path}/{mine['id']}", person(**{wire: value}))).status == 200
    elsewhere = "/guardian" if path == "/student" else "/student"
    assert (await call(sandbox, "POST", elsewhere, person(**{wire: value}))).status == 201


async def test_what_is_not_unique(sandbox):
    """Nulls, the second address, and the telephone of everyone but employees."""
    for path in ("/student", "/guardian"):
        for _ in range(2):
            await made(sandbox, path, **person(phoneNumber1="070", emailAddress2="x@x.example", emailAddress1=None))
    for _ in range(2):
        await made(sandbox, "/employee", **person(phoneNumber2="070", phoneNumber1=None))


async def test_a_group_title_is_unique_within_its_school(sandbox):
    """Another school may have a group of the same name."""
    here, there = await school(sandbox), await school(sandbox)
    await made(sandbox, "/group", schoolID=here, title="7A")
    second = await made(sandbox, "/group", schoolID=here, title="7B")
    assert (await call(sandbox, "POST", "/group", {"schoolID": here, "title": "7A"})).code == "Conflict"
    assert (await call(sandbox, "PATCH", f"/group/{second['id']}", {"title": "7A"})).code == "Conflict"
    assert (await call(sandbox, "PATCH", f"/group/{second['id']}", {"title": "7B"})).status == 200
    await made(sandbox, "/group", schoolID=there, title="7A")


@pytest.mark.parametrize("resource", WRITTEN, ids=lambda resource: resource.attribute)
async def test_a_reference_leads_somewhere(resource, sandbox):
    """An id of nothing, and of a record of another kind, is 422."""
    path, body, same = await _one_of_each(sandbox, resource)
    unit = (await made(sandbox, "/unit", title="x"))["id"]
    a_school = await school(sandbox)
    for letter, method, where, good in (("c", "POST", resource.path, body), ("u", "PATCH", path, same)):
        for wire, field in resource.part(letter).items():
            if field.element == "uuid":
                for target in (NOBODY, a_school if wire == "unitID" else unit):
                    value = [target] if field.kind.startswith("list<") else target
                    answer = await call(sandbox, method, where, {**good, wire: value})
                    assert answer.code == "UnprocessableEntity", (method, wire)
                    assert wire in answer.message


def test_every_reference_is_known():
    """Each UUID field must refer to an existing record, except those about the past."""
    names = {
        field.name
        for schema in resource_schemas().values()
        for field in fields(schema.model)
        if field.kind == "uuid" and field.name not in ("id", "resource_id")
    }
    assert names == REFERENCES.keys()
    assert {home for homes in REFERENCES.values() for home in homes} <= RESOURCES.keys()


# Placements


@pytest.mark.parametrize(("path", "attribute"), [("/student-placement", "student_placements"), ("/employee-placement", "employee_placements"), ("/grade-upper-secondary", "grade_upper_secondaries")])  # fmt: skip
async def test_a_period_ends_no_earlier_than_it_starts(path, attribute, sandbox):
    """Checked on what comes of an update, not only on what it says."""
    body = (await _bodies(sandbox))[attribute]
    backwards = {**body, "startDate": "2026-01-01", "endDate": "2025-12-31"}
    assert (await call(sandbox, "POST", path, backwards)).code == "UnprocessableEntity"
    row = await made(sandbox, path, **{**body, "startDate": "2026-01-01", "endDate": "2026-01-01"})
    same = {wire: body[wire] for wire in ("schoolType", "includeOnFinalGrade") if wire in body}
    assert (await call(sandbox, "PATCH", f"{path}/{row['id']}", {**same, "startDate": "2026-01-02"})).status == 422
    assert (await call(sandbox, "PATCH", f"{path}/{row['id']}", {**same, "startDate": "2025-01-02"})).status == 200


# Groups


async def test_an_education_group_is_of_its_school(sandbox):
    """Moderators are employees and members students of the school; each other, and those of other schools, are not."""
    here, there = await school(sandbox), await school(sandbox)
    student, teacher = await placed_student(sandbox, here), await placed_employee(sandbox, here)
    stranger, outsider = await placed_student(sandbox, there), await placed_employee(sandbox, there)
    good = {"schoolID": here, "title": "7A", "moderatorIDs": [teacher], "memberIDs": [student]}
    group = await made(sandbox, "/group", **good)
    assert group["category"] == "Education"
    for wire, ids in (("memberIDs", [teacher]), ("memberIDs", [student, stranger]), ("moderatorIDs", [student]), ("moderatorIDs", [outsider])):  # fmt: skip
        answer = await call(sandbox, "POST", "/group", {**good, "title": "7B", wire: ids})
        assert (answer.status, wire in answer.message) == (422, True)
        assert (await call(sandbox, "PATCH", f"/group/{group['id']}", {"title": "7A", wire: ids})).status == 422


async def test_members_that_an_update_leaves_alone_are_not_checked(sandbox):
    """Who left the school after joining the group does not stand in the way of a new title."""
    here = await school(sandbox)
    student = await placed_student(sandbox, here)
    group = await made(sandbox, "/group", schoolID=here, title="7A", memberIDs=[student])
    placement = (await search(sandbox, "/student-placement", equals={"studentID": student})).rows[0]
    await call(sandbox, "DELETE", f"/student-placement/{placement['id']}")
    answer = await call(sandbox, "PATCH", f"/group/{group['id']}", {"title": "8A"})
    assert (answer.status, answer.data["memberIDs"]) == (200, [student])


async def test_any_person_may_be_in_another_group(sandbox):
    """A group of category Other takes students, employees and guardians, and no types."""
    here = await school(sandbox)
    people = [(await made(sandbox, path, **person()))["id"] for path in ("/student", "/employee", "/guardian")]
    other = {"schoolID": here, "title": "Kören", "category": "Other"}
    await made(sandbox, "/group", **other, memberIDs=people, moderatorIDs=people)
    assert (await call(sandbox, "POST", "/group", {**other, "title": "x", "types": ["Class"]})).status == 422
    assert (await call(sandbox, "POST", "/group", {**other, "title": "x", "memberIDs": [here]})).status == 422


@pytest.mark.parametrize(
    ("types", "kept"),
    [
        ([], []),
        (["Mentor"], ["Mentor"]),
        (["Class"], ["Class", "Childcare"]),
        (["Childcare", "Mentor"], ["Childcare", "Mentor", "Class"]),
        (["Childcare", "Class"], ["Childcare", "Class"]),
    ],
)
async def test_a_preschool_pairs_class_and_childcare(types, kept, sandbox):
    """One brings the other, in creates and updates; other schools keep what was sent."""
    preschool, compulsory = await school(sandbox, schoolType="FS"), await school(sandbox)
    group = await made(sandbox, "/group", schoolID=preschool, title="a", types=types)
    assert group["types"] == kept
    await call(sandbox, "PATCH", f"/group/{group['id']}", {"title": "a", "types": []})
    updated = await call(sandbox, "PATCH", f"/group/{group['id']}", {"title": "a", "types": types})
    assert updated.data["types"] == kept
    assert (await made(sandbox, "/group", schoolID=compulsory, title="a", types=types))["types"] == types


# Grades


@pytest.mark.parametrize("attribute", ["grade_elementaries", "grade_upper_secondaries"])
@pytest.mark.parametrize(
    ("terms", "status"),
    [
        ({}, 201),
        ({"startDate": "2026-02-02"}, 201),
        ({"endDate": "2026-02-02"}, 201),
        ({"startDate": "2026-02-03"}, 422),
        ({"endDate": "2026-02-01"}, 422),
    ],
)
async def test_a_grade_needs_active_placements(attribute, terms, status, sandbox):
    """Of the student, and of every teacher that is named, at the school of the grade on the day of the write."""
    path = API.resources[{r.attribute: name for name, r in API.resources.items()}[attribute]].path
    body = (await _bodies(sandbox))[attribute]
    student = await placed_student(sandbox, body["schoolID"], **terms)
    assert (await call(sandbox, "POST", path, {**body, "studentID": student})).status == status
    teacher = await placed_employee(sandbox, body["schoolID"], **terms)
    for wire in ("teacher1EmployeeID", "teacher2EmployeeID"):
        assert (await call(sandbox, "POST", path, {**body, wire: teacher})).status == status
    grade = await made(sandbox, path, **body)
    required = [wire for wire in ("academicYear", "term", "schoolYear", "finalGrade", "isEnded", "includeOnFinalGrade") if wire in body]  # fmt: skip
    same = {wire: body[wire] for wire in required}
    answer = await call(sandbox, "PATCH", f"{path}/{grade['id']}", {**same, "teacher1EmployeeID": teacher})
    assert answer.status == (200 if status == 201 else 422)


async def test_a_placement_elsewhere_or_archived_does_not_count(sandbox, clock):
    """Only an active one at the grade's own school does; a grade that exists outlives it."""
    body = (await _bodies(sandbox))["grade_elementaries"]
    elsewhere = await placed_student(sandbox, await school(sandbox))
    assert (await call(sandbox, "POST", "/grade-elementary", {**body, "studentID": elsewhere})).status == 422
    archived = await placed_student(sandbox, body["schoolID"], endDate="2026-02-02")
    grade = await made(sandbox, "/grade-elementary", **{**body, "studentID": archived})
    clock.now += 86400
    placement = (await search(sandbox, "/student-placement", equals={"studentID": archived})).rows[0]
    assert (await call(sandbox, "PATCH", f"/student-placement/{placement['id']}/archive")).status == 200
    clock.now -= 86400
    assert (await call(sandbox, "POST", "/grade-elementary", {**body, "studentID": archived})).status == 422
    same = {wire: body[wire] for wire in ("academicYear", "term", "schoolYear", "finalGrade", "isEnded")}
    assert (await call(sandbox, "PATCH", f"/grade-elementary/{grade['id']}", {**same, "grade": "A"})).status == 200


# The synthetic data


def _written(record: Record, wire_value: Callable[[Any], Any]) -> dict[str, Any]:
    return {field.wire: wire_value(getattr(record, field.name)) for field in fields(type(record))}


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return _written(value, _plain)
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize("attribute", [resource.attribute for resource in WRITTEN])
def test_the_synthetic_data_obeys_the_rules(attribute):
    """Every record is one that the sandbox itself would have kept: formats, references, uniqueness, placements."""
    sandbox = Sandbox(students=600, schools=9, seed=5)
    tables = {name: Table(sandbox.records(name), "created") for name in RESOURCES}
    schema, today = resource_schemas()[attribute], datetime.now(UTC).date()
    taken = {field.wire for field in fields(schema.bodies["create"])}
    assert sandbox.records(attribute)
    for record in sandbox.records(attribute):
        body = {wire: value for wire, value in _written(record, _plain).items() if wire in taken}
        external = body.pop("external", None)
        body |= {} if external is None else {"external": {"sourceID": external["sourceID"]}}
        read_write(schema, "create", body, Dialect(unknown="refuse"))
        assert allowed(attribute, Write(tables, record, record.__struct_fields__, today)) == record


def test_the_same_seed_makes_the_same_directory_all_day():
    """Whenever it is made: times of creation and update are the same, too."""
    morning, evening = (Sandbox(students=60, clock=lambda at=at: at) for at in (1_795_219_200.25, 1_795_305_599.75))
    for attribute in RESOURCES:
        assert morning.records(attribute) == evening.records(attribute)


def test_the_same_seed_makes_the_same_directory():
    """And another seed another one."""
    clock = Clock()
    one, same, other = (Sandbox(seed=seed, clock=clock) for seed in (1, 1, 2))
    for attribute in RESOURCES:
        assert one.records(attribute) == same.records(attribute)
    assert one.records("students") != other.records("students")


def test_the_history_is_of_records_that_are_gone():
    """Some were deleted before the sandbox was made: each event is a deletion, long ago, of an id that is nowhere."""
    sandbox = Sandbox(students=2000, schools=9)
    events = sandbox.records("audit_events")
    ids = {record.id for attribute in RESOURCES for record in sandbox.records(attribute)}
    assert {event.type.value for event in events} == {"Delete"}
    assert {event.resource.value for event in events} == set(API.enums["AuditEventResource"])
    assert not {event.resource_id for event in events} & ids
    assert all(event.timestamp == event.meta.created_at for event in events)
    assert len({event.resource_id for event in events}) == len(events)


@pytest.mark.parametrize("resolution", ["second", "microsecond"])
async def test_a_deletion_comes_after_the_history(resolution):
    """What is deleted now is the last event, and no id of the past is given to what is created."""
    sandbox = Sandbox(students=400, resolution=resolution)
    past = sandbox.records("audit_events")
    gone = sandbox.records("guardians")[0]
    await call(sandbox, "DELETE", f"/guardian/{gone.id}")
    *before, last = sandbox.records("audit_events")
    assert before == past
    assert (last.resource_id, last.resource.value) == (gone.id, "Guardian")
    assert last.timestamp > past[-1].timestamp


def test_an_empty_directory_has_no_history():
    """Nobody left where nobody was; nor does a store begin with what it was not given."""
    assert Sandbox(students=0, schools=0).records("audit_events") == []
    assert Directory({}, order="created", seed=1, clock=Clock(), dialect=Dialect()).rows("students") == []
