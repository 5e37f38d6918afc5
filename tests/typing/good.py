"""Calls that type checkers must accept, and the types that they must see. Never run: `test_typing.py` has it checked."""
# pyright: strict

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from contextlib import aclosing
from datetime import date, datetime
from pathlib import Path
from typing import Any, assert_type

import aiohttp

from meitner_aio import (
    Address,
    AddressDict,
    AddressQuery,
    AuditEvent,
    AuditEventResource,
    Employee,
    EmployeePlacement,
    EmployeePlacementRole,
    EmployeeQuery,
    ErrorCode,
    External,
    ExternalQuery,
    ExternalRequest,
    Gender,
    Grade,
    GradeElementary,
    GradeElementarySchoolYear,
    GradeTerm,
    GradeUpperSecondary,
    Group,
    GroupCategory,
    GroupQuery,
    GroupType,
    Guardian,
    Listing,
    Meitner,
    Meta,
    MetaQuery,
    NotFoundError,
    Outcome,
    Page,
    Portal,
    RateLimitError,
    RawResponse,
    RetryPolicy,
    School,
    SchoolType,
    Student,
    StudentPlacement,
    StudentPlacementSchoolType,
    StudentQuery,
    Students,
    Unit,
    UnitFields,
    Upserted,
    above,
    at_least,
    at_most,
    below,
    between,
    equals,
    like,
    null,
    one_of,
    to_dict,
    to_json,
)
from meitner_aio.arrow import ArrowTable, to_arrow
from meitner_aio.cached import Cached, CachedMeitner, CacheProvider, MemoryCache
from meitner_aio.notebook import Table, show
from meitner_aio.outbox import KeptOutbox, Outbox

ID = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"


async def reading(meitner: Meitner) -> None:
    """Every resource reads its own record."""
    assert_type(await meitner.schools.get(ID), School)
    assert_type(await meitner.units.get(ID), Unit)
    assert_type(await meitner.groups.get(ID), Group)
    assert_type(await meitner.employees.get(ID), Employee)
    assert_type(await meitner.employee_placements.get(ID), EmployeePlacement)
    assert_type(await meitner.guardians.get(ID), Guardian)
    assert_type(await meitner.students.get(ID), Student)
    assert_type(await meitner.student_placements.get(ID), StudentPlacement)
    assert_type(await meitner.grade_elementaries.get(ID), GradeElementary)
    assert_type(await meitner.grade_upper_secondaries.get(ID), GradeUpperSecondary)
    assert_type(await meitner.audit_events.get(ID), AuditEvent)


async def records(student: Student, group: Group, placement: StudentPlacement, page: Page[Student]) -> None:
    """Attributes have the types of the API."""
    assert_type(student.id, str)
    assert_type(student.date_of_birth, date | None)
    assert_type(student.gender, Gender | None)
    assert_type(student.identity_temporary, bool)
    assert_type(student.meta, Meta | None)
    assert_type(student.external, External | None)
    assert_type(student.address, Address | None)
    assert_type(group.category, GroupCategory)
    assert_type(group.types, list[GroupType])
    assert_type(group.member_ids, list[str])
    assert_type(placement.start_date, date)
    assert_type(placement.archived_at, datetime | None)
    assert_type(placement.childcare_max_hours, int | None)
    assert_type(to_dict(student), dict[str, Any])
    assert_type(to_dict(student, mode="json", by_alias=True), dict[str, Any])
    assert_type(to_dict([student]), list[dict[str, Any]])
    assert_type(to_dict(page), list[dict[str, Any]])
    assert_type(to_json(student), str)
    assert_type(to_json((student, student), indent=2), str)
    if student.meta is not None:
        assert_type(student.meta.created_at, datetime)
    assert_type(Gender.FEMALE.known, bool)
    assert_type(Gender("Female"), Gender)


async def listings(meitner: Meitner) -> None:
    """A listing is read row by row, page by page, or at once."""
    listing = meitner.students.list(limit=200, offset=10, concurrency=4)
    assert_type(listing, Listing[Student])
    assert_type(await listing, Page[Student])
    assert_type(await listing.all(), list[Student])
    assert_type(await listing.first(), Student | None)
    assert_type(await listing.count(), int)
    assert_type(listing.paged(limit=50), Listing[Student])
    async for student in listing:
        assert_type(student, Student)
    async for page in listing.pages():
        assert_type(page, Page[Student])
        assert_type(page.data, list[Student])
        assert_type(page.pagination.total, int)
        assert_type(page.has_next_page(), bool)
        assert_type(await page.get_next_page(), Page[Student])
        assert_type(await page.next(), Page[Student] | None)
        assert_type(list(page), list[Student])
    async for event in meitner.audit_events.list():
        assert_type(event, AuditEvent)


async def searches(meitner: Meitner, yesterday: datetime) -> None:
    """Every operator, on the kinds of fields that allow it."""
    found = meitner.students.search(
        last_name=~like("Test%"),
        date_of_birth=above(date(2015, 1, 1)),
        gender=one_of(Gender.FEMALE, Gender.OTHER),
    )
    assert_type(found, Listing[Student])
    meitner.students.search(first_name="Bo")
    meitner.students.search(first_name=equals("Bo"), last_name=~equals("Ek"), email_address1=null)
    meitner.students.search(first_name=one_of("Bo", "Ek"), phone_number1=~null)
    meitner.students.search(last_name=like(like.escape("50%")))
    meitner.students.search(gender=Gender.FEMALE, identity_temporary=False)
    meitner.students.search(date_of_birth=~between(date(2015, 1, 1), date(2016, 1, 1)))
    meitner.students.search(date_of_birth=date(2015, 1, 1), gender=~one_of(Gender.MALE))
    meitner.students.search(meta=MetaQuery(updated_at=at_least(yesterday), created_by=ID))
    meitner.students.search(external=ExternalQuery(source_id=like("a%")), address=AddressQuery(postal_city=~null))
    meitner.students.search(any_of=(StudentQuery(last_name="Ek"), StudentQuery(first_name="Bo")))
    meitner.students.search(any_of=[StudentQuery(last_name="Ek")], all_of=[StudentQuery(first_name="Bo")])
    meitner.employees.search(any_of=(EmployeeQuery(gender=Gender.OTHER),), last_name="Ek")
    meitner.groups.search(types=GroupType.CLASS, member_ids=one_of(ID), moderator_ids=null)
    meitner.student_placements.search(
        childcare_max_hours=at_most(20), archived_at=null, end_date=below(date(2026, 7, 1))
    )
    meitner.student_placements.search(archived_at=between(yesterday, yesterday), has_childcare=one_of(True))
    meitner.employee_placements.search(employment_percent=above(50), roles=EmployeePlacementRole.TEACHER)
    meitner.audit_events.search(timestamp=at_least(yesterday), resource=one_of(AuditEventResource.STUDENT))
    assert_type(StudentQuery(any_of=[StudentQuery(last_name="Ek")]), StudentQuery)
    assert_type(GroupQuery(title=like("7%")), GroupQuery)


async def writes(meitner: Meitner) -> None:
    """Required fields are required, others may be left out, null clears where the API allows it."""
    created = await meitner.students.create(
        identity_number="20150101-0000",
        first_name="Bo",
        last_name="Ek",
        gender=None,
        date_of_birth=date(2015, 1, 1),
        email_address1=None,
        address=Address(postal_city="Solna", postal_code=None),
        external=External(source_id="5"),
    )
    assert_type(created, Student)
    updated = await meitner.students.update(
        ID, identity_number="20150101-0000", first_name="Bo", last_name="Ek", external=ExternalRequest(source_id="5")
    )
    assert_type(updated, Student)
    assert_type(await meitner.students.delete(ID), None)
    assert_type(await meitner.student_placements.archive(ID), StudentPlacement)
    assert_type(await meitner.student_placements.restore(ID), StudentPlacement)
    await meitner.schools.create(title="Norra skolan", school_type=SchoolType.GR, unit_id=None)
    await meitner.schools.update(ID, title="Norra skolan")
    await meitner.units.create(title="Norr", description=None)
    await meitner.groups.create(
        school_id=ID, title="7A", category=GroupCategory.EDUCATION, types=[GroupType.CLASS], member_ids=(ID,)
    )
    await meitner.groups.update(ID, title="7A", moderator_ids=[])
    await meitner.guardians.create(identity_number="19800101-0000", first_name="Bo", last_name="Ek", student_ids=[ID])
    await meitner.student_placements.create(
        student_id=ID, school_id=ID, school_type=StudentPlacementSchoolType.GR, start_date=date(2026, 8, 15)
    )
    await meitner.grade_elementaries.create(
        student_id=ID,
        school_id=ID,
        subject_code="MA",
        academic_year="2025/2026",
        term=GradeTerm.HT,
        school_year=GradeElementarySchoolYear.YEAR_9,
        final_grade=True,
        is_ended=False,
        grade=Grade.A,
    )


async def many(meitner: Meitner) -> None:
    """Reading many is typed by the record, whether the resource is searched or not."""
    assert_type(await meitner.students.get_many([ID]), dict[str, Student])
    assert_type(await meitner.students.get_many(one for one in (ID,)), dict[str, Student])
    assert_type(await meitner.grade_elementaries.get_many({ID}), dict[str, GradeElementary])
    assert_type(await meitner.audit_events.get_many((ID,)), dict[str, AuditEvent])


async def single(meitner: Meitner) -> None:
    """Finding takes the conditions of a search, upserting a key and the fields of a create."""
    assert_type(await meitner.students.find(last_name=like("E%"), gender=Gender.OTHER), Student | None)
    assert_type(await meitner.students.find(any_of=[StudentQuery(last_name="Ek")]), Student | None)
    assert_type(await meitner.audit_events.find(resource_id=ID), AuditEvent | None)
    upserted = await meitner.students.upsert(
        "identity_number",
        identity_number="20150101-0000",
        first_name="Bo",
        last_name="Ek",
        email_address1=None,
        address=Address(postal_city="Solna"),
    )
    assert_type(upserted, Upserted[Student])
    assert_type(upserted.record, Student)
    assert_type(upserted.created, bool)
    assert_type(upserted.changed, bool)
    address: AddressDict = {"postal_city": "Solna", "postal_code": None}
    await meitner.students.create(identity_number="20150101-0000", first_name="Bo", last_name="Ek", address=address)
    await meitner.students.update(
        ID, identity_number="20150101-0000", first_name="Bo", last_name="Ek", address={}, external={"source_id": "5"}
    )
    await meitner.units.upsert("source_id", title="Norr", external={"source_id": "5"})
    unit = await meitner.units.upsert("source_id", title="Norr", external=External(source_id="5"))
    assert_type(unit, Upserted[Unit])
    group = await meitner.groups.upsert(("school_id", "title"), school_id=ID, title="7A")
    assert_type(group, Upserted[Group])
    either = await meitner.groups.upsert(
        ("source_id", ("school_id", "title")), school_id=ID, title="7A", external={"source_id": "5"}
    )
    assert_type(either, Upserted[Group])
    await meitner.students.upsert(
        ("identity_number", "source_id"),
        identity_number="20150101-0000",
        first_name="Bo",
        last_name="Ek",
        external={"source_id": "5"},
    )
    await meitner.groups.upsert("source_id", school_id=ID, title="7A", external=External(source_id="5"))
    placement = await meitner.student_placements.upsert(
        ("student_id", "school_id"),
        student_id=ID,
        school_id=ID,
        school_type=StudentPlacementSchoolType.GR,
        start_date=date(2026, 8, 15),
    )
    assert_type(placement, Upserted[StudentPlacement])
    await meitner.employee_placements.upsert(
        ("employee_id", "school_id"), employee_id=ID, school_id=ID, start_date=date(2026, 8, 15)
    )
    finding: Coroutine[Any, Any, Student | None] = meitner.students.find(id=ID)
    await asyncio.gather(finding, meitner.units.upsert("source_id", title="Norr", external=External(source_id="5")))


async def changing(meitner: Meitner, student: Student, school: School) -> None:
    """A change gives the record back."""
    assert_type(await meitner.students.modify(student, first_name="Bo", email_address1=None), Student)
    assert_type(await meitner.schools.modify(school, guard=True, title="Norra skolan"), School)


async def _rows() -> AsyncIterator[dict[str, Any]]:
    yield {"title": "Norr"}


async def bulk(meitner: Meitner) -> None:
    """Dictionaries or writes, from any iterable; each outcome holds a record or an error."""
    async for made in meitner.units.create_many([{"title": "Norr"}, UnitFields(title="Söder")], concurrency=4):
        assert_type(made, Outcome[Unit])
        assert_type(made.index, int)
        assert_type(made.record, Unit | None)
        assert_type(made.error, Exception | None)
    async for made in meitner.units.create_many(_rows()):
        assert_type(made, Outcome[Unit])
    async for done in meitner.units.upsert_many("source_id", _rows(), concurrency=4):
        assert_type(done, Outcome[Upserted[Unit]])
        assert_type(done.record, Upserted[Unit] | None)
    async for row in meitner.students.upsert_many("identity_number", [{"identity_number": "20150101-0000"}]):
        assert_type(row, Outcome[Upserted[Student]])
    async for one in meitner.groups.upsert_many(("school_id", "title"), [{"school_id": ID, "title": "7A"}]):
        assert_type(one, Outcome[Upserted[Group]])
    meitner.student_placements.upsert_many(("student_id", "school_id"), ())
    meitner.student_placements.upsert_many((("student_id", "school_id"), "source_id"), ())
    async for changed in meitner.units.update_many([(ID, {"title": "Norr"})]):
        assert_type(changed, Outcome[Unit])
    async for gone in meitner.students.delete_many([ID]):
        assert_type(gone, Outcome[None])
    async for event in meitner.student_placements.delete_many(one for one in (ID,)):
        assert_type(event, Outcome[None])


async def per_call(meitner: Meitner, log: logging.Logger) -> None:
    """A copy is a client, a raw answer has its facts, and a capture is a list of them."""
    quick = meitner.with_options(timeout=5, max_retries=0, headers={"X-Tenant": "north"}, on_event=print, logger=log)
    assert_type(quick, Meitner)
    assert_type(await quick.students.get(ID), Student)
    assert_type(await meitner.with_options(retry=RetryPolicy(deadline=9), on_event=None).units.list().all(), list[Unit])
    meitner.with_options(timeout=aiohttp.ClientTimeout(sock_read=5), max_concurrency=2, logger=None)
    answer = await meitner.request("GET", "/student", params={"limit": 5, "since": date(2026, 3, 1), "of": ["a", None]})
    assert_type(answer, RawResponse)
    assert_type((answer.status, answer.body, answer.attempts, answer.elapsed), tuple[int, bytes, int, float])
    assert_type(answer.request_id, str | None)
    await meitner.request("POST", "/unit", json=UnitFields(title="Norr"))
    with meitner.capture() as seen:
        assert_type(seen, list[RawResponse])
    Meitner("id", "secret", logger=logging.LoggerAdapter(log, {}), timeout=aiohttp.ClientTimeout(total=None))


async def shown(meitner: Meitner) -> None:
    """A notebook takes records, one or many; the rows of a listing are an async generator, which can be closed."""
    student = await meitner.students.get(ID)
    assert_type(show(student), Table)
    assert_type(show(await meitner.students.list().all(), show_values=True, rows=5), Table)
    assert_type(show(await meitner.students.list()), Table)
    assert_type(show((await meitner.students.get_many([ID])).values()), Table)
    async with aclosing(aiter(meitner.students.list())) as rows:
        assert_type(await anext(rows), Student)
        async for row in rows:
            assert_type(row, Student)
    generator: AsyncGenerator[Student, None] = aiter(meitner.students.list())
    await generator.aclose()


async def together(meitner: Meitner) -> None:
    """Calls are coroutines: they can be tasks."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(meitner.students.get(ID))
        gone = group.create_task(meitner.students.delete(ID))
    assert_type(task.result(), Student)
    assert_type(gone.result(), None)
    one: Coroutine[Any, Any, Student] = meitner.students.get(ID)
    await one
    both = await asyncio.gather(meitner.students.get(ID), meitner.schools.get(ID))
    assert_type(both, tuple[Student, School])


async def failures(meitner: Meitner) -> None:
    """Errors carry typed facts."""
    try:
        await meitner.students.get(ID)
    except NotFoundError as error:
        assert_type(error.status_code, int)
        assert_type(error.request_id, str | None)
        assert_type(error.code == ErrorCode.NOT_FOUND, bool)
    except RateLimitError as error:
        assert_type(error.reset_at, datetime | None)
        assert_type(error.retry_after, float | None)


def switches() -> None:
    """What may be turned on and off."""
    assert_type(Meitner(insecure=True, retry=RetryPolicy(connection_errors=False)), Meitner)
    assert_type(RetryPolicy().connection_errors, bool)


async def cached(meitner: Meitner) -> None:
    """The reads of a view are those of the client, and a default shows in their types."""
    plain: CachedMeitner = meitner.cached(ttl=60, maxsize=100, stale_if_error=False)
    assert_type(await plain.students.get(ID), Student)
    assert_type(await plain.students.get(ID, default=None), Student | None)
    assert_type(await plain.students.get_many([ID]), dict[str, Student])
    assert_type(await plain.students.get_many([ID], default=None), dict[str, Student] | None)
    assert_type(plain.students.list(limit=10), Listing[Student])
    assert_type(plain.students.search(last_name=like("E%"), gender=Gender.OTHER), Listing[Student])
    assert_type(await plain.groups.find(title="7A"), Group | None)
    assert_type(await plain.grade_elementaries.get(ID), GradeElementary)
    assert_type(await plain.audit_events.search(resource_id=ID).all(), list[AuditEvent])
    patient = meitner.cached(default="nobody", stale_if_error=3600, provider=MemoryCache(10))
    assert_type(patient, CachedMeitner[str])
    assert_type(await patient.schools.get(ID), School | str)
    assert_type(await patient.schools.get(ID, default=None), School | None)
    assert_type(await patient.schools.find(title="Norr"), School | str | None)
    assert_type(await patient.grade_upper_secondaries.get_many([ID]), dict[str, GradeUpperSecondary] | str)
    assert_type(meitner.cached(defaults={ID: "known"}), CachedMeitner[str])
    both = meitner.cached(default=None, defaults={ID: "known"}, provider=[])
    assert_type(await both.schools.get(ID), School | None | str)
    await patient.clear()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(patient.units.get(ID))
    assert_type(task.result(), Unit | str)


class OwnCache:
    """Anything with these four methods keeps answers."""

    async def get(self, key: str) -> Cached | None:
        """Return what is kept."""
        return Cached(key.encode(), 5.0)

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep."""

    async def delete(self, key: str) -> None:
        """Forget."""

    async def clear(self) -> None:
        """Forget everything."""


def providers(meitner: Meitner) -> CacheProvider:
    """A provider needs no base class."""
    meitner.cached(provider=OwnCache())
    meitner.cached(provider=[MemoryCache(10), OwnCache()])
    meitner.cached(provider=[])
    meitner.cached(provider=None)
    return OwnCache()


async def kept(meitner: Meitner, path: Path) -> None:
    """An outbox with a journal knows what it keeps."""
    assert_type(meitner.outbox(), Outbox)
    async with meitner.outbox(journal=path, concurrency=2) as outbox:
        assert_type(outbox, KeptOutbox)
        assert_type(outbox.kept, int)
        await outbox.put(meitner.students.delete(ID))
        assert_type(outbox.refused, Path)


def without_asyncio(meitner: Meitner, offline: str) -> None:
    """A portal gives what a coroutine gives, and the rows of a listing."""
    with Portal(meitner) as portal:
        assert_type(portal, Portal)
        assert_type(portal.run(meitner.students.get(ID)), Student)
        assert_type(next(portal.iterate(meitner.students.list().pages())), Page[Student])
        assert_type(portal.run(meitner.students.list().all()), list[Student])
        assert_type(portal.run(portal.meitner.students.delete(ID)), None)
        rows: Iterator[Student] = portal.iterate(meitner.students.list())
        with portal.outbox(concurrency=4) as outbox:
            assert_type(outbox.put(meitner.students.delete(ID)), None)
            outbox.flush()
        assert_type(outbox.sent, int)
        assert_type(next(rows), Student)
        for outcome in portal.iterate(meitner.units.create_many([{"title": "Norr"}])):
            assert_type(outcome, Outcome[Unit])
    Portal(Meitner(offline=offline)).close()
    Portal(Meitner(offline=True)).close()


def sandboxes(meitner: Meitner, students: Students) -> None:
    """A sandbox takes the choices of its own; a resource can be passed on, and has the type of its table."""
    assert_type(Meitner.sandbox(students=5, limiter="none", faults=["503"], max_concurrency=2), Meitner)
    assert_type(meitner.students, Students)
    assert_type(students.list(), Listing[Student])


async def tables(meitner: Meitner, portal: Portal) -> None:
    """A listing or a search of any resource becomes a table, also through a portal; pyarrow has no types."""
    assert_type(await to_arrow(meitner.students.list()), ArrowTable)
    assert_type(await to_arrow(meitner.schools.search(title="Ekskolan").paged(limit=100)), Any)
    assert_type(portal.run(to_arrow(meitner.grade_elementaries.list())), Any)
