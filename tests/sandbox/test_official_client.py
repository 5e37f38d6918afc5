"""The vendor's own client against the sandbox, unchanged: what it understands is the API, not an idea of ours of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from meitner import Meitner as Official
from meitner import errors, models
from meitner.utils import BackoffStrategy, RetryConfig
from sandbox_calls import NOBODY, NOON, Clock, call, placed_employee, placed_student

from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Fault, Sandbox

# A library that the official client depends on speaks to the `ast` of older Pythons.
pytestmark = pytest.mark.filterwarnings("ignore:ast:DeprecationWarning")

NO_RETRIES = RetryConfig("none", BackoffStrategy(1, 1, 1, 1), retry_connection_errors=False)
AT_ONCE = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 10_000, jitter_ms=0), retry_connection_errors=False)
API_KEY = models.Security(option1=models.SecurityOption1(client_credentials="tests", client_secret="secret"))
TODAY = datetime.fromtimestamp(NOON, UTC).date()


@asynccontextmanager
async def _official(sandbox: Sandbox, security: Any = API_KEY, retries: RetryConfig = NO_RETRIES):
    """Give the official client of a sandbox; it does not close the half of its connections that it does not use."""
    with httpx.Client() as client:
        async with httpx.AsyncClient() as async_client:
            yield Official(
                security=security,
                server_url=sandbox.url,
                client=client,
                async_client=async_client,
                retry_config=retries,
            )


@pytest.fixture
async def sandbox():
    """Give a small directory that is served."""
    async with Sandbox(students=60, schools=4, clock=Clock()) as sandbox:
        yield sandbox


@pytest.fixture
async def client(sandbox):
    """Give the official client of the sandbox."""
    async with _official(sandbox) as client:
        yield client


def _plain(record: Any) -> dict[str, Any]:
    """Return what the official client read, as JSON again, with every instant spelt alike."""
    return _spelt(record.model_dump(mode="json", by_alias=True))


def _spelt(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _spelt(inner) for name, inner in value.items()}
    if isinstance(value, str) and value[10:11] == "T":
        return datetime.fromisoformat(value).isoformat()
    return value


@pytest.mark.parametrize("attribute", list(RESOURCES))
async def test_it_lists_and_gets(attribute, client, sandbox):
    """Every row of every resource passes its validation, and says to it what the sandbox sent."""
    resource = getattr(client, attribute)
    page = (await resource.list_async(limit=1000)).result
    sent = (await call(sandbox, "GET", RESOURCES[attribute].path, query="limit=1000")).rows
    assert sent
    assert [_plain(row) for row in page.data] == [_spelt(row) for row in sent]
    assert (page.pagination.offset, page.pagination.limit, page.pagination.total) == (0, 1000, len(sent))
    got = await resource.get_async(id=sent[-1]["id"])
    assert _plain(got.result) == _spelt(sent[-1])
    assert got.headers["ratelimit-limit"] == ["1500"]


async def test_its_pages(client):
    """Its own default is fifty rows; limit and offset are the sandbox's too."""
    first = (await client.students.list_async()).result
    rest = (await client.students.list_async(offset=50, limit=30)).result
    assert (len(first.data), len(rest.data), rest.pagination.total) == (50, 10, 60)
    assert not {row.id for row in first.data} & {row.id for row in rest.data}


async def test_it_writes_people(client, sandbox):
    """Create, update and delete, with nested objects, nulls and lists; its own fillings-in are accepted."""
    student = (
        await client.students.create_async(
            identity_number="20150101-0001",
            first_name="Bo",
            last_name="Ek",
            gender="Other",
            date_of_birth=date(2015, 1, 1),
            external=models.StudentCreateExternal(source_id="7"),
            address=models.StudentCreateAddress(postal_city="Umeå", municipality_code="2480"),
            email_address1="bo@x.example",
        )
    ).result
    assert (student.external.source_id, student.external.source) == ("7", "api")
    assert (student.address.postal_city, student.address.postal_code) == ("Umeå", None)
    assert student.meta.updated_at is None
    updated = (
        await client.students.update_async(
            id=student.id, identity_number="20150101-0001", first_name="Bo", last_name="Ask", email_address1=None
        )
    ).result
    assert (updated.last_name, updated.email_address1, updated.gender) == ("Ask", None, "Other")
    assert updated.meta.updated_at >= student.meta.created_at
    guardian = (
        await client.guardians.create_async(
            identity_number="19800101-0001", first_name="Al", last_name="Ek", student_i_ds=[student.id]
        )
    ).result
    assert guardian.student_i_ds == [student.id]
    await client.students.delete_async(id=student.id)
    assert (await client.guardians.get_async(id=guardian.id)).result.student_i_ds == []
    event = (await client.audit_events.list_async()).result.data[-1]
    assert (event.resource, event.resource_id, event.type) == ("Student", student.id, "Delete")
    with pytest.raises(errors.Error404ResponseBody):
        await client.students.get_async(id=student.id)
    assert sandbox.records("guardians")[-1].student_ids == []


async def test_it_writes_the_rest(client, sandbox):
    """Units, schools, groups, both placements, archiving, and both kinds of grades."""
    unit = (await client.units.create_async(title="Norr", description="x")).result
    unit = (await client.units.update_async(id=unit.id, title="Nord", description=None)).result
    assert (unit.title, unit.description) == ("Nord", None)
    place = (await client.schools.create_async(title="Ekskolan", school_type="FS", unit_id=unit.id)).result
    assert (await client.schools.update_async(id=place.id, title="Askskolan")).result.unit_id == unit.id
    student, teacher = await placed_student(sandbox, place.id), await placed_employee(sandbox, place.id)

    group = (
        await client.groups.create_async(
            school_id=place.id, title="Myran", types=["Class"], moderator_i_ds=[teacher], member_i_ds=[student]
        )
    ).result
    assert (group.category, group.types) == ("Education", ["Class", "Childcare"])
    assert (await client.groups.update_async(id=group.id, title="Humlan")).result.member_i_ds == [student]

    terms = {"student_id": student, "school_id": place.id, "school_type": "FS"}
    placement = (
        await client.student_placements.create_async(
            **terms, start_date=date(2020, 1, 1), end_date=TODAY - timedelta(days=1), has_childcare=True
        )
    ).result
    archived = (await client.student_placements.archive_async(id=placement.id)).result
    assert (archived.archive_year, archived.has_childcare) == ("2025_2026", True)
    assert (await client.student_placements.restore_async(id=placement.id)).result.archived_at is None
    with pytest.raises(errors.Error409ResponseBody):
        await client.student_placements.restore_async(id=placement.id)
    job = (
        await client.employee_placements.create_async(
            employee_id=teacher, school_id=place.id, start_date=TODAY, roles=["Teacher"], employment_percent=80
        )
    ).result
    job = (await client.employee_placements.update_async(id=job.id, start_date=TODAY, employment_percent=None)).result
    assert (job.roles, job.employment_percent) == (["Teacher"], None)

    grade = {"student_id": student, "school_id": place.id, "teacher1_employee_id": teacher, "grade": "A"}
    year = {"academic_year": "2025/2026", "term": "HT", "school_year": "7", "final_grade": False, "is_ended": True}
    subject = (await client.grade_elementaries.create_async(**grade, **year, subject_code="MA")).result
    changed = (await client.grade_elementaries.update_async(id=subject.id, **year, grade=None)).result
    assert (changed.grade, changed.teacher1_employee_id) == (None, teacher)
    course = (
        await client.grade_upper_secondaries.create_async(
            **grade, course_code="MATMAT01a", include_on_final_grade=True, extent="Reduced", grade_date=TODAY
        )
    ).result
    course = (await client.grade_upper_secondaries.update_async(id=course.id, include_on_final_grade=False)).result
    assert (course.include_on_final_grade, course.extent, course.grade_date) == (False, "Reduced", TODAY)
    for resource, row in (
        (client.grade_elementaries, subject),
        (client.groups, group),
        (client.student_placements, placement),
    ):
        await resource.delete_async(id=row.id)


async def test_it_searches(client, sandbox):
    """Several groups at once, nested objects, nested filters, and a group that it sends as null."""
    students = sandbox.records("students")
    cities = {student.address.postal_city for student in students}
    city = min(cities)
    asked = models.StudentSearchFilter(
        or_condition=False,
        like=models.StudentSearchLike(last_name="%s%"),
        not_equals=models.StudentSearchNotEquals(gender="Male"),
        greater_or_equal=models.StudentSearchGreaterOrEqual(
            meta=models.StudentSearchGreaterOrEqualMeta(created_at=students[10].meta.created_at)
        ),
        smaller_than=models.StudentSearchSmallerThan(date_of_birth=date(2020, 1, 1)),
        contains=models.StudentSearchContains(
            address=models.StudentSearchContainsAddress(postal_city=sorted(cities)), id=[row.id for row in students]
        ),
        not_null=models.StudentSearchNotNull(email_address1=True),
        null=None,
        equals=models.StudentSearchEquals(),
    )
    found = (await client.students.search_async(filter_=asked, limit=1000)).result
    expected = [
        row.id
        for row in students
        if row.meta.created_at >= students[10].meta.created_at
        and "s" in row.last_name
        and row.gender != "Male"
        and row.date_of_birth < date(2020, 1, 1)
        and row.email_address1
    ]
    assert expected
    assert [row.id for row in found.data] == expected
    assert found.pagination.total == len(expected)

    first, second = students[0], students[1]
    either = models.StudentSearchFilter(
        or_condition=True,
        equals=models.StudentSearchEquals(address=models.StudentSearchEqualsAddress(postal_city=city)),
        nested_filters=[
            models.StudentFilter(
                or_condition=False, equals=models.StudentFilterEquals(identity_number=row.identity_number)
            )
            for row in (first, second)
        ],
    )
    found = (await client.students.search_async(filter_=either, limit=1000)).result
    expected = [row.id for row in students if row.address.postal_city == city or row in (first, second)]
    assert [row.id for row in found.data] == expected


@pytest.mark.parametrize("attribute", [name for name, resource in RESOURCES.items() if hasattr(resource, "search")])
async def test_it_searches_every_resource(attribute, client, sandbox):
    """By id, in each resource's own types, with groups that say nothing beside it."""
    wanted = [row.id for row in sandbox.records(attribute)[:3]]
    asked: dict[str, Any] = {"or_condition": False, "contains": {"id": wanted}, "like": {}, "null": None}
    asked["nested_filters"] = [{"or_condition": True, "equals": {"id": wanted[0], "meta": {}}}]
    found = (await getattr(client, attribute).search_async(filter_=asked)).result
    assert [row.id for row in found.data] == wanted[:1]
    asked["nested_filters"][0]["not_equals"] = {"id": wanted[0]}
    found = (await getattr(client, attribute).search_async(filter_=asked)).result
    assert [row.id for row in found.data] == wanted


async def test_it_reads_lists_in_groups(client, sandbox):
    """A list is searched by an element, by several, and for being empty."""
    group = next(group for group in sandbox.records("groups") if group.types and group.member_ids)
    groups = client.groups
    by_member = await groups.search_async(
        filter_={"or_condition": False, "equals": {"member_i_ds": group.member_ids[0]}}, limit=1000
    )
    assert group.id in [row.id for row in by_member.result.data]
    untyped = await groups.search_async(filter_={"or_condition": False, "null": {"types": True}}, limit=1000)
    assert all(row.types == [] for row in untyped.result.data)


# Its errors


BO = {"first_name": "Bo", "last_name": "Ek"}


@pytest.mark.parametrize(
    ("error", "code", "place", "arguments"),
    [
        (errors.Error400ResponseBody, "BadRequest", "students.get", {"id": "5"}),
        (errors.Error400ResponseBody, "BadRequest", "students.list", {"limit": 0}),
        (errors.Error404ResponseBody, "NotFound", "students.get", {"id": NOBODY}),
        (errors.Error404ResponseBody, "NotFound", "groups.delete", {"id": NOBODY}),
        (errors.Error409ResponseBody, "Conflict", "students.create", {"identity_number": "20150101-0001", **BO}),
        (errors.StudentCreate422ResponseBodyError, "UnprocessableEntity", "students.create", {"identity_number": "x", **BO}),
        (errors.GroupCreate422ResponseBodyError, "UnprocessableEntity", "groups.create", {"school_id": NOBODY, "title": "x"}),
    ],
)  # fmt: skip
async def test_its_errors(error, code, place, arguments, client):
    """Each status becomes the error that it has for it, with code, message and request id."""
    await client.students.create_async(identity_number="20150101-0001", **BO)
    resource, operation = place.split(".")
    with pytest.raises(error) as caught:
        await getattr(getattr(client, resource), f"{operation}_async")(**arguments)
    error = caught.value.data.error
    assert error.code == code
    assert error.message == str(caught.value)
    assert error.request_id == caught.value.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, errors.Error403ResponseBody),
        (429, errors.Error429ResponseBody),
        (500, errors.Error500ResponseBody),
        (503, errors.MeitnerDefaultError),
    ],
)
async def test_its_errors_for_faults(status, error):
    """Faults answer in the API's form, too."""
    async with Sandbox(faults=[Fault(status)]) as sandbox, _official(sandbox) as client:
        with pytest.raises(error):
            await client.students.list_async()


async def test_wrong_credentials_and_a_spent_quota():
    """401 and 429 as it knows them; it reads the end of the window from the headers."""
    async with Sandbox(credentials=("tests", "secret"), quota=1, clock=Clock(), limiter="window") as sandbox:
        wrong = models.Security(option1=models.SecurityOption1(client_credentials="tests", client_secret="x"))
        async with _official(sandbox, wrong) as client:
            with pytest.raises(errors.Error401ResponseBody):
                await client.students.list_async()
        async with _official(sandbox) as client:
            await client.students.list_async()
            with pytest.raises(errors.Error429ResponseBody) as caught:
                await client.students.list_async()
            assert caught.value.headers["RateLimit-Reset"] == str(int((NOON + 3600) * 1000))


async def test_it_retries_as_it_does():
    """Its back-off gets it through faults that end; the sandbox saw each attempt."""
    async with Sandbox(faults=[Fault(502, times=2), Fault(429, times=1)]) as sandbox:
        async with _official(sandbox, retries=AT_ONCE) as client:
            assert (await client.students.list_async()).result.pagination.total == 200
        assert [status for _, _, status in sandbox.requests] == [502, 502, 429, 200]


async def test_a_cut_connection_is_its_transport_error():
    """No answer is no answer to it, too."""
    async with Sandbox(faults=[Fault(0)]) as sandbox, _official(sandbox) as client:
        with pytest.raises(httpx.TransportError):
            await client.students.list_async()


# Its other ways in


async def test_it_takes_tokens():
    """With OAuth2 it fetches a token from the origin and uses it."""
    async with Sandbox(credentials=("an-id", "a-secret")) as sandbox:
        option = models.SecurityOption2(client_id="an-id", client_secret="a-secret", token_url="/oauth/token")
        async with _official(sandbox, models.Security(option2=option)) as client:
            assert (await client.units.list_async()).result.pagination.total >= 1
            await client.units.list_async()
        assert [path for _, path, _ in sandbox.requests] == ["/oauth/token", "/unit", "/unit"]


async def test_its_synchronous_half(sandbox):
    """In a thread of its own, while the sandbox serves from this one."""

    def work() -> tuple[int, str]:
        with httpx.Client() as http:
            client = Official(security=API_KEY, server_url=sandbox.url, client=http, retry_config=NO_RETRIES)
            total = client.schools.list().result.pagination.total
            made = client.students.create(identity_number="20150101-0001", **BO).result
            client.students.delete(id=made.id)
            return total, made.id

    total, gone = await asyncio.to_thread(work)
    assert total == len(sandbox.records("schools"))
    assert sandbox.records("audit_events")[-1].resource_id == gone
