"""What the sandbox does for each operation, called in process."""

from __future__ import annotations

import uuid

import api_table
import pytest
from sandbox_calls import (
    KEY,
    NOBODY,
    Clock,
    call,
    made,
    moment,
    person,
    placed_employee,
    placed_student,
    school,
    search,
)

from meitner_aio.sandbox import Sandbox

API = api_table.parse()
OPERATIONS = [(resource, API.operations[name]) for resource in API.resources.values() for name in resource.operations]
RESOURCES = list(API.resources.values())


@pytest.fixture
def clock():
    """Give a clock that stands still."""
    return Clock()


@pytest.fixture
def sandbox(clock):
    """Give an empty directory."""
    return Sandbox(students=0, schools=0, clock=clock)


@pytest.fixture(scope="module")
def filled():
    """Give a small directory with something in every resource, to be read only."""
    return Sandbox(students=120, schools=6, clock=Clock(), limiter="none")


@pytest.mark.parametrize(
    ("resource", "operation"), OPERATIONS, ids=[f"{resource.attribute}.{op.name}" for resource, op in OPERATIONS]
)
async def test_every_operation_of_the_api_exists(resource, operation, filled):
    """All 61 have their method and path: what is missing is the record or the body, never the operation."""
    path = resource.path + operation.suffix.replace("{id}", NOBODY)
    body = {"filter": {"orCondition": False}} if operation.name == "search" else {}
    answer = await call(filled, operation.method, path, body)
    expected = {"list": 200, "search": 200, "create": 422}.get(operation.name, 404)
    assert answer.status == expected


def test_there_are_61_operations():
    """The table above is the whole API."""
    assert len(OPERATIONS) == 61


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.attribute)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("name", ["list", "search", "get", "archive"])
async def test_no_other_method_exists(resource, method, name, filled):
    """A method that the API lacks on a path is 405 and names those it has; a path without any is 404."""
    suffix = API.operations[name].suffix
    taken = {API.operations[other].method for other in resource.operations if API.operations[other].suffix == suffix}
    if method in taken:
        return
    answer = await call(filled, method, resource.path + suffix.replace("{id}", NOBODY), {})
    assert answer.status == (405 if taken else 404)
    if taken:
        assert set(answer.headers["Allow"].split(", ")) == taken


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("", 404),
        ("/nothing", 404),
        ("/student/", 404),
        ("/students", 404),
        ("/student/_find", 400),
        ("/student/{id}", 400),
        ("/student/__dict__", 400),
        (f"/student/{NOBODY}/archive", 404),
        (f"/student-placement/{NOBODY}/delete", 404),
        (f"/student/{NOBODY}/", 404),
        (f"/student/{NOBODY}", 404),
        ("/student/5", 400),
        (f"/student/{NOBODY[:-1]}", 400),
        (f"/student/{NOBODY}0", 400),
    ],
)
async def test_paths_that_lead_nowhere(path, status, filled):
    """An unknown path and an unknown record are 404, the first in plain text; an id that is no UUID is 400."""
    answer = await call(filled, "GET", path)
    assert answer.status == status
    assert (answer.headers["Content-Type"] == "text/plain") is (status == 404 and path != f"/student/{NOBODY}")


async def test_an_error_is_the_error_body_of_the_api(filled):
    """Code, message and a request id that is a UUID and rides in a header, too; nothing else."""
    answer = await call(filled, "GET", f"/student/{NOBODY}")
    assert answer.data.keys() == {"error"}
    assert answer.data["error"].keys() == {"code", "message", "requestID"}
    assert answer.code == "NotFound"
    assert NOBODY in answer.message
    assert str(uuid.UUID(answer.data["error"]["requestID"])) == answer.headers["X-Request-ID"]
    assert answer.headers["Content-Type"] == "application/json"


async def test_every_success_has_a_request_id_of_its_own(filled):
    """A success carries the id in the header alone."""
    first, second = [await call(filled, "GET", "/student") for _ in range(2)]
    assert uuid.UUID(first.headers["X-Request-ID"]) != uuid.UUID(second.headers["X-Request-ID"])


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.attribute)
async def test_a_row_has_the_fields_of_the_api(resource, filled):
    """A listed row holds every field that is read, and a null only where the API allows one; `get` gives the same row."""
    listed = (await call(filled, "GET", resource.path, query="limit=1000")).rows
    assert listed
    for row in listed:
        assert row.keys() == resource.part("r").keys()
        nulls = {wire for wire, value in row.items() if value is None}
        assert all(resource.part("r")[wire].nullable for wire in nulls)
    assert (await call(filled, "GET", f"{resource.path}/{listed[0]['id'].upper()}")).data == listed[0]


# Pages


async def test_a_page_has_fifty_rows_when_nobody_says(filled):
    """The API's documented default."""
    answer = await call(filled, "GET", "/student")
    assert len(answer.rows) == 50
    assert answer.data["pagination"] == {"offset": 0, "limit": 50, "total": 120}


async def test_pages_tile_the_listing(filled):
    """Pages of any size, put together, are the listing."""
    whole = (await call(filled, "GET", "/student", query="limit=1000")).rows
    parts = [await call(filled, "GET", "/student", query=f"limit=33&offset={offset}") for offset in range(0, 150, 33)]
    assert [len(part.rows) for part in parts] == [33, 33, 33, 21, 0]
    assert [row for part in parts for row in part.rows] == whole


async def test_the_limit_is_clamped_and_says_so():
    """`pagination.limit` is what the server used; the default is clamped like any other."""
    sandbox = Sandbox(students=30, page_cap=20)
    for query in ("limit=1000", "limit=21", "limit=999999999999999999", ""):
        answer = await call(sandbox, "GET", "/student", query=query)
        assert (len(answer.rows), answer.data["pagination"]["limit"]) == (20, 20)


@pytest.mark.parametrize("offset", [120, 121, 999999999999999999])
async def test_beyond_the_end_there_is_an_empty_page(offset, filled):
    """No error: the total is still given."""
    answer = await call(filled, "GET", "/student", query=f"offset={offset}")
    assert (answer.status, answer.rows) == (200, [])
    assert answer.data["pagination"] == {"offset": offset, "limit": 50, "total": 120}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=1.5", "limit=ten", "limit=", "limit=%20", "limit=٣", "limit=1e3", "limit=0x10",
        "offset=-1", "offset=", "offset=1.0", "limit=5&limit=5", "offset=1&offset=2", "ofset=3", "limit=1&page=2",
        f"limit={'9' * 5000}",
    ],
)  # fmt: skip
async def test_a_page_that_cannot_be(query, filled):
    """What is repeated, unknown, or no whole number in range is 400, in listings and searches."""
    assert (await call(filled, "GET", "/student", query=query)).code == "BadRequest"
    assert (await search(filled, "/student", query=query)).status == 400


async def test_rows_come_in_the_order_asked_of_the_sandbox():
    """As created, the newest first, or with an update moving its row to the end; searches, too."""
    for order, expected in (("created", "abc"), ("-created", "cba"), ("updated", "bca")):
        sandbox = Sandbox(students=0, schools=0, order=order)
        ids = [(await made(sandbox, "/unit", title=title))["id"] for title in "abc"]
        await call(sandbox, "GET", "/unit")
        await call(sandbox, "PATCH", f"/unit/{ids[0]}", {"title": "a"})
        listed = (await call(sandbox, "GET", "/unit")).rows
        assert "".join(row["title"] for row in listed) == expected
        assert (await search(sandbox, "/unit")).rows == listed
        assert (await search(sandbox, "/unit", contains={"id": sorted(ids)})).rows == listed
        assert [row.id for row in sandbox.records("units")] == [row["id"] for row in listed]


async def test_the_order_of_updates_holds_from_the_start():
    """Rows that were updated before the sandbox was made stand where their update puts them."""
    rows = (await call(Sandbox(order="updated"), "GET", "/student", query="limit=1000")).rows
    moments = [row["meta"]["updatedAt"] or row["meta"]["createdAt"] for row in rows]
    parsed = [moment(text) for text in moments]
    assert parsed == sorted(parsed)
    assert any(row["meta"]["updatedAt"] for row in rows)


# Writes


async def test_a_created_record_is_there(sandbox):
    """It is answered as it is kept, with what the server sets; what was not said is null, empty or false."""
    answer = await call(sandbox, "POST", "/student", person(identityNumber="20150102-0000", external={"sourceID": "7"}))
    row = answer.data
    assert answer.status == 201
    assert uuid.UUID(row["id"]).version == 4
    assert row["external"] == {"sourceID": "7", "source": "api"}
    assert row["identityTemporary"] is False
    assert row["emailAddress1"] is None
    assert row["address"] == dict.fromkeys(
        ("postalAddress", "postalCode", "postalCity", "countryCode", "municipalityCode")
    )
    assert row["meta"]["createdAt"].startswith("2026-02-02T02:40:00")
    assert row["meta"]["updatedAt"] is row["meta"]["updatedBy"] is None
    assert uuid.UUID(row["meta"]["createdBy"])
    assert (await call(sandbox, "GET", f"/student/{row['id']}")).data == row
    assert (await call(sandbox, "GET", "/student")).rows == [row]


async def test_an_update_says_what_changes(sandbox):
    """What is left out stays, null clears, and an object is merged in the same way."""
    row = await made(
        sandbox,
        "/student",
        **person(gender="Female", emailAddress1="a@x.example", address={"postalCity": "Umeå", "postalCode": "90325"}),
    )
    changes = person(lastName="Ask", gender=None, address={"postalCode": None, "countryCode": "SWE"})
    changes["identityNumber"] = row["identityNumber"]
    answer = await call(sandbox, "PATCH", f"/student/{row['id']}", changes)
    meta = answer.data["meta"]
    address = {**row["address"], "postalCode": None, "countryCode": "SWE"}
    assert answer.status == 200
    assert answer.data == {**row, "lastName": "Ask", "gender": None, "address": address, "meta": meta}
    assert {**meta, "updatedAt": None, "updatedBy": None} == row["meta"]
    assert (await call(sandbox, "GET", f"/student/{row['id']}")).data == answer.data


async def test_a_list_is_replaced_as_a_whole(sandbox):
    """An update that says something of a list says all of it."""
    ids = [(await made(sandbox, "/student", **person()))["id"] for _ in range(3)]
    guardian = await made(sandbox, "/guardian", **person(studentIDs=ids[:2]))
    same = {name: guardian[name] for name in ("identityNumber", "firstName", "lastName")}
    for students in (ids[1:], []):
        answer = await call(sandbox, "PATCH", f"/guardian/{guardian['id']}", {**same, "studentIDs": students})
        assert answer.data["studentIDs"] == students


async def test_stamps_of_microseconds_rise_though_the_clock_stands_still(clock):
    """No two changes share a moment, and none lies before another."""
    sandbox = Sandbox(students=0, schools=0, clock=clock, resolution="microsecond")
    row = await made(sandbox, "/unit", title="a")
    stamps = [row["meta"]["createdAt"]]
    for _ in range(3):
        row = (await call(sandbox, "PATCH", f"/unit/{row['id']}", {"title": "a"})).data
        stamps.append(row["meta"]["updatedAt"])
        assert row["meta"]["createdAt"] == stamps[0]
    moments = [moment(text) for text in stamps]
    assert moments == sorted(set(moments))


async def test_stamps_are_whole_seconds(sandbox, clock):
    """Two updates within one second look alike; what is sent is what is kept, and no stamp lies before another."""
    clock.now += 0.9
    row = await made(sandbox, "/unit", title="a")
    assert row["meta"]["createdAt"] == "2026-02-02T02:40:00Z"
    stamps = []
    for step in (0.05, 0.0, 1.0, -5.0):
        clock.now += step
        row = (await call(sandbox, "PATCH", f"/unit/{row['id']}", {"title": "b"})).data
        stamps.append(row["meta"]["updatedAt"][-4:])
    assert stamps == [":00Z", ":00Z", ":01Z", ":01Z"]
    assert sandbox.records("units")[0].meta.updated_at == moment(row["meta"]["updatedAt"])


@pytest.mark.parametrize(("resolution", "whole"), [("second", True), ("microsecond", False)])
async def test_every_stamp_has_the_resolution(resolution, whole):
    """Those of the synthetic data too, archiving and audit events included."""
    sandbox = Sandbox(students=200, resolution=resolution, limiter="none")
    stamps = []
    for resource in RESOURCES:
        for row in (await call(sandbox, "GET", resource.path, query="limit=1000")).rows:
            given = [*row["meta"].values(), row.get("archivedAt"), row.get("timestamp")]
            stamps += [text for text in given if text and text.endswith("Z")]
    assert len(stamps) > 500
    assert all(moment(text).microsecond == 0 for text in stamps) is whole


async def test_the_resolution_changes_nothing_else():
    """A directory of whole seconds is the other one, with its stamps cut."""
    coarse, fine = (Sandbox(students=60, resolution=resolution) for resolution in ("second", "microsecond"))
    for resource in RESOURCES:
        for one, other in zip(coarse.records(resource.attribute), fine.records(resource.attribute), strict=True):
            assert (one.id, one.meta.created_at) == (other.id, other.meta.created_at.replace(microsecond=0))


async def test_who_acts_is_the_client(sandbox):
    """`createdBy` and `updatedBy` name the clients that wrote, the same one always by the same id."""
    clients = [{**KEY, "Client-ID": client} for client in ("one", "two", "one")]
    rows = [(await call(sandbox, "POST", "/unit", {"title": "a"}, headers=client)).data for client in clients]
    first, second, third = (row["meta"]["createdBy"] for row in rows)
    assert first == third != second
    updated = await call(sandbox, "PATCH", f"/unit/{rows[0]['id']}", {"title": "x"}, headers=clients[1])
    assert (updated.data["meta"]["createdBy"], updated.data["meta"]["updatedBy"]) == (first, second)


async def test_a_refused_write_changes_nothing(sandbox):
    """After 4xx the directory is as it was, stamps included."""
    row = await made(sandbox, "/student", **person(emailAddress1="a@x.example"))
    other = await made(sandbox, "/student", **person(emailAddress1="b@x.example"))
    same = {name: row[name] for name in ("identityNumber", "firstName", "lastName")}
    for changes, status in (
        ({"emailAddress1": other["emailAddress1"]}, 409),
        ({"gender": "x"}, 422),
        ({"identityNumber": "1"}, 422),
    ):
        assert (await call(sandbox, "PATCH", f"/student/{row['id']}", {**same, **changes})).status == status
    assert (await call(sandbox, "GET", "/student")).rows == [row, other]


# Archive and restore


async def test_archive_and_restore(sandbox, clock):
    """Archiving waits for the end date, names the school year from August on, and can be undone; each moves `updatedAt`."""
    student = await placed_student(sandbox, await school(sandbox))
    row = (await search(sandbox, "/student-placement", equals={"studentID": student})).rows[0]
    path = f"/student-placement/{row['id']}"
    assert (await call(sandbox, "PATCH", f"{path}/archive")).code == "Conflict"
    end = {"schoolType": "GR", "startDate": row["startDate"], "endDate": "2026-02-02"}
    assert (await call(sandbox, "PATCH", path, end)).status == 200
    assert (await call(sandbox, "PATCH", f"{path}/archive")).code == "Conflict", "the end date is today"
    assert (await call(sandbox, "PATCH", f"{path}/restore")).code == "Conflict"

    clock.now += 86400
    archived = (await call(sandbox, "PATCH", f"{path}/archive")).data
    assert archived["archiveYear"] == "2025_2026"
    assert archived["archivedAt"] == archived["meta"]["updatedAt"]
    assert (await call(sandbox, "PATCH", f"{path}/archive")).code == "Conflict"
    assert (await call(sandbox, "GET", path)).data == archived

    restored = (await call(sandbox, "PATCH", f"{path}/restore")).data
    assert restored["archiveYear"] is restored["archivedAt"] is None
    assert moment(restored["meta"]["updatedAt"]) >= moment(archived["meta"]["updatedAt"])
    clock.now += 181 * 86400  # 3 August
    assert (await call(sandbox, "PATCH", f"{path}/archive")).data["archiveYear"] == "2026_2027"


# Delete


async def _events(sandbox):
    return [(row["resource"], row["resourceID"]) for row in (await call(sandbox, "GET", "/audit-event")).rows]


async def test_a_deleted_record_is_gone(sandbox):
    """204 without a body, then 404 to everything; the search does not find it either."""
    row = await made(sandbox, "/student", **person())
    answer = await call(sandbox, "DELETE", f"/student/{row['id']}")
    assert (answer.status, answer.data) == (204, None)
    for method in ("GET", "DELETE"):
        assert (await call(sandbox, method, f"/student/{row['id']}")).code == "NotFound"
    assert (await call(sandbox, "PATCH", f"/student/{row['id']}", person())).status == 404
    assert (await search(sandbox, "/student", equals={"id": row["id"]})).rows == []
    assert (await call(sandbox, "GET", "/student")).data["pagination"]["total"] == 0


async def test_a_deleted_unique_value_is_free_again(sandbox):
    """So is one that an update gave up."""
    row = await made(sandbox, "/student", **person(identityNumber="20150101-9999", emailAddress1="a@x.example"))
    await call(sandbox, "PATCH", f"/student/{row['id']}", person(emailAddress1="b@x.example"))
    again = await made(sandbox, "/student", **person(identityNumber="20150101-9999", emailAddress1="a@x.example"))
    await call(sandbox, "DELETE", f"/student/{again['id']}")
    await made(sandbox, "/student", **person(identityNumber="20150101-9999", emailAddress1="a@x.example"))


async def test_an_audit_event_records_a_deletion(sandbox, clock):
    """What, which and when, by whom, and it can be got and searched for."""
    row = await made(sandbox, "/guardian", **person())
    clock.now += 1
    await call(sandbox, "DELETE", f"/guardian/{row['id']}")
    (event,) = (await call(sandbox, "GET", "/audit-event")).rows
    assert (event["resource"], event["resourceID"], event["type"]) == ("Guardian", row["id"], "Delete")
    assert event["timestamp"] == event["meta"]["createdAt"]
    assert moment(event["timestamp"]) > moment(row["meta"]["createdAt"])
    assert event["meta"]["createdBy"] == row["meta"]["createdBy"]
    assert (await call(sandbox, "GET", f"/audit-event/{event['id']}")).data == event
    since = await search(sandbox, "/audit-event", greaterThan={"timestamp": row["meta"]["createdAt"]})
    assert since.rows == [event]
    assert (await search(sandbox, "/audit-event", equals={"resource": "Student"})).rows == []


async def _a_school_with_everything(sandbox):
    """Return the ids of a school's student, teacher, guardian, group and grades that all refer to each other."""
    place = await school(sandbox)
    student, teacher = await placed_student(sandbox, place), await placed_employee(sandbox, place)
    guardian = await made(sandbox, "/guardian", **person(studentIDs=[student]))
    group = await made(
        sandbox, "/group", schoolID=place, title="7A", types=["Class"], moderatorIDs=[teacher], memberIDs=[student]
    )
    other = await made(
        sandbox, "/group", schoolID=place, title="Kören", category="Other", moderatorIDs=[guardian["id"]],
        memberIDs=[guardian["id"], teacher, student],
    )  # fmt: skip
    grade = await made(
        sandbox, "/grade-elementary", studentID=student, schoolID=place, subjectCode="MA", academicYear="2025/2026",
        term="HT", schoolYear="7", finalGrade=False, isEnded=False, teacher1EmployeeID=teacher, teacher2EmployeeID=teacher,
    )  # fmt: skip
    course = await made(
        sandbox, "/grade-upper-secondary", studentID=student, schoolID=place, courseCode="MATMAT01a",
        includeOnFinalGrade=True, teacher1EmployeeID=teacher,
    )  # fmt: skip
    ids = {"guardian": guardian, "group": group, "other": other, "grade": grade, "course": course}
    return {"student": student, "teacher": teacher, **{name: row["id"] for name, row in ids.items()}}


async def test_deleting_a_student_leaves_nothing_dangling(sandbox):
    """Placements and grades go, groups and guardians let go; every deletion but that of grades leaves an event."""
    ids = await _a_school_with_everything(sandbox)
    placement = (await call(sandbox, "GET", "/student-placement")).rows[0]["id"]
    await call(sandbox, "DELETE", f"/student/{ids['student']}")
    for path in ("/student", "/student-placement", "/grade-elementary", "/grade-upper-secondary"):
        assert (await call(sandbox, "GET", path)).rows == []
    assert (await call(sandbox, "GET", f"/group/{ids['group']}")).data["memberIDs"] == []
    assert (await call(sandbox, "GET", f"/group/{ids['other']}")).data["memberIDs"] == [ids["guardian"], ids["teacher"]]
    guardian = (await call(sandbox, "GET", f"/guardian/{ids['guardian']}")).data
    assert guardian["studentIDs"] == []
    assert guardian["meta"]["updatedAt"] is not None
    assert await _events(sandbox) == [("StudentPlacement", placement), ("Student", ids["student"])]


async def test_deleting_an_employee_leaves_nothing_dangling(sandbox):
    """Placements go, grades keep their mark and lose their teacher, groups let go."""
    ids = await _a_school_with_everything(sandbox)
    placement = (await call(sandbox, "GET", "/employee-placement")).rows[0]["id"]
    await call(sandbox, "DELETE", f"/employee/{ids['teacher']}")
    assert (await call(sandbox, "GET", "/employee-placement")).rows == []
    grade = (await call(sandbox, "GET", f"/grade-elementary/{ids['grade']}")).data
    assert grade["teacher1EmployeeID"] is grade["teacher2EmployeeID"] is None
    assert (await call(sandbox, "GET", f"/grade-upper-secondary/{ids['course']}")).data["teacher1EmployeeID"] is None
    assert (await call(sandbox, "GET", f"/group/{ids['group']}")).data["moderatorIDs"] == []
    assert await _events(sandbox) == [("EmployeePlacement", placement), ("Employee", ids["teacher"])]


async def test_deleting_the_rest(sandbox):
    """A guardian leaves the groups it was in; a group leaves an event, a grade none."""
    ids = await _a_school_with_everything(sandbox)
    await call(sandbox, "DELETE", f"/guardian/{ids['guardian']}")
    other = (await call(sandbox, "GET", f"/group/{ids['other']}")).data
    assert (other["moderatorIDs"], other["memberIDs"]) == ([], [ids["teacher"], ids["student"]])
    for path in (
        f"/grade-elementary/{ids['grade']}",
        f"/grade-upper-secondary/{ids['course']}",
        f"/group/{ids['group']}",
    ):
        assert (await call(sandbox, "DELETE", path)).status == 204
    assert await _events(sandbox) == [("Guardian", ids["guardian"]), ("Group", ids["group"])]
    assert (await call(sandbox, "GET", "/student-placement")).data["pagination"]["total"] == 1


async def test_an_id_that_stands_in_a_list_twice(sandbox):
    """It is kept as it was sent, found once, and gone altogether when its record is."""
    student = await placed_student(sandbox, await school(sandbox))
    guardian = await made(sandbox, "/guardian", **person(studentIDs=[student, student]))
    assert guardian["studentIDs"] == [student, student]
    await call(sandbox, "DELETE", f"/student/{student}")
    assert (await call(sandbox, "GET", f"/guardian/{guardian['id']}")).data["studentIDs"] == []
    assert (await call(sandbox, "DELETE", f"/guardian/{guardian['id']}")).status == 204
