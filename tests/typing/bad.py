"""Calls that type checkers must refuse: one on each marked line, and nothing on any other. Never run."""
# pyright: strict
# ruff: noqa: RUF006 - lines that are wrong on purpose

from __future__ import annotations

import asyncio
from datetime import date, datetime

from meitner_aio import (
    Address,
    AddressQuery,
    EmployeeQuery,
    ExternalRequest,
    Gender,
    GroupType,
    Meitner,
    MetaQuery,
    Portal,
    RetryPolicy,
    School,
    SchoolType,
    Student,
    StudentQuery,
    above,
    at_least,
    between,
    like,
    null,
    one_of,
)
from meitner_aio.arrow import to_arrow
from meitner_aio.notebook import show

ID = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"


async def writes(meitner: Meitner) -> None:
    await meitner.units.create()  # wrong: a required field is missing
    await meitner.units.create(description="Norr")  # wrong: a required field is missing
    await meitner.units.create(title=7)  # wrong: text is expected
    await meitner.units.create(title=None)  # wrong: a required field cannot be null
    await meitner.units.create(title="Norr", colour="red")  # wrong: no such field
    await meitner.units.create("Norr")  # wrong: fields are keywords
    await meitner.units.create(title="Norr", id=ID)  # wrong: the server gives the id
    await meitner.units.create(title="Norr", external="5")  # wrong: an object is expected
    await meitner.units.create(title="Norr", external=None)  # wrong: external cannot be null
    await meitner.units.create(title="Norr", external=ExternalRequest())  # wrong: without a source id
    await meitner.units.create(title="Norr", external=ExternalRequest(source_id="5", source="x"))  # wrong: server's
    await meitner.units.create(title="Norr", external={})  # wrong: a dictionary without a source id
    await meitner.units.create(title="Norr", external={"sourceID": "5"})  # wrong: the API's name
    await meitner.units.create(title="Norr", external={"source_id": 5})  # wrong: text is expected
    await meitner.units.create(title="Norr", external={"source_id": "5", "source": "x"})  # wrong: the server's
    await meitner.units.upsert("source_id", title="Norr", external={"source_id": None})  # wrong: cannot be null
    await meitner.units.update(ID)  # wrong: an update carries its required fields
    await meitner.units.update(title="Norr")  # wrong: which one?
    await meitner.units.update(7, title="Norr")  # wrong: ids are text
    await meitner.schools.update(ID, title="N", school_type=SchoolType.GR)  # wrong: fixed at birth
    await meitner.schools.create(title="N", school_type="GR")  # wrong: an enum is expected
    await meitner.schools.create(title="N", school_type=Gender.MALE)  # wrong: another enum
    await meitner.groups.create(school_id=ID, title="7A", types=GroupType.CLASS)  # wrong: a list is expected
    await meitner.groups.create(school_id=ID, title="7A", types=None)  # wrong: a list cannot be null
    await meitner.students.create(identity_number="x", first_name="Bo")  # wrong: a required field is missing
    change = meitner.students.update
    await change(ID, identity_number="x", first_name="Bo", last_name=None)  # wrong: a required field cannot be null
    await change(ID, identity_number="x", first_name="Bo", last_name="Ek", address=None)  # wrong: an object cannot, too
    await change(ID, identity_number="x", first_name="Bo", last_name="Ek", date_of_birth="2015")  # wrong: text
    await change(ID, identity_number="x", first_name="Bo", last_name="Ek", address=Address(town="S"))  # wrong: no such
    await change(ID, identity_number="x", first_name="Bo", last_name="Ek", address={"town": "Solna"})  # wrong: no such
    await change(ID, identity_number="x", first_name="Bo", last_name="Ek", address={"postal_code": 17})  # wrong: text


async def searches(meitner: Meitner, now: datetime) -> None:
    meitner.students.search(first_nam="Bo")  # wrong: no such field
    meitner.students.search("Bo")  # wrong: conditions are keywords
    meitner.students.search(first_name=7)  # wrong: text is expected
    meitner.students.search(first_name=None)  # wrong: null is the condition
    meitner.students.search(first_name=null)  # wrong: a first name is never null
    meitner.students.search(first_name=above("Bo"))  # wrong: text has no order
    meitner.students.search(first_name=one_of(1, 2))  # wrong: numbers for text
    meitner.students.search(gender=like("F%"))  # wrong: like on an enum
    meitner.students.search(gender="Female")  # wrong: an enum is expected
    meitner.students.search(gender=one_of(SchoolType.GR))  # wrong: another enum
    meitner.students.search(date_of_birth=like("2015%"))  # wrong: like on a date
    meitner.students.search(date_of_birth=at_least(7))  # wrong: a number for a date
    meitner.students.search(date_of_birth="2015-01-01")  # wrong: text for a date
    meitner.students.search(identity_temporary=above(True))  # wrong: no order
    meitner.students.search(id=like("5f%"))  # wrong: like on an id
    meitner.students.search(address="Solna")  # wrong: an object is expected
    meitner.students.search(address=null)  # wrong: conditions are on its fields
    meitner.students.search(address=AddressQuery(postal_city=7))  # wrong: text is expected
    meitner.students.search(address={"postal_city": "Solna"})  # wrong: conditions are no values
    meitner.students.search(meta=MetaQuery(created_at=null))  # wrong: it is never null
    meitner.students.search(meta=MetaQuery(updated_at=one_of(now)))  # wrong: an instant is not one of some
    meitner.students.search(meta=MetaQuery(updated_at=like("2026%")))  # wrong: like on an instant
    meitner.students.search(meta=MetaQuery(updated_at=at_least("2026-01-01")))  # wrong: text for an instant
    meitner.students.search(meta=AddressQuery(postal_city="Solna"))  # wrong: another object
    meitner.students.search(any_of=(EmployeeQuery(last_name="Ek"),))  # wrong: another resource
    meitner.students.search(any_of=StudentQuery(last_name="Ek"))  # wrong: a sequence is expected
    meitner.students.search(any_of=[{"last_name": "Ek"}])  # wrong: a query is expected
    meitner.student_placements.search(childcare_max_hours=above(date(2026, 1, 1)))  # wrong: a date for a number
    meitner.student_placements.search(start_date=between(date(2026, 1, 1), 7))  # wrong: bounds of two kinds
    StudentQuery(any_of=(EmployeeQuery(last_name="Ek"),))  # wrong: another resource


async def missing(meitner: Meitner) -> None:
    _ = meitner.audit_events.create  # wrong: written by the server
    _ = meitner.audit_events.delete  # wrong: kept for good
    _ = meitner.schools.delete  # wrong: never deleted
    _ = meitner.units.delete  # wrong: never deleted
    _ = meitner.grade_elementaries.search  # wrong: not searched
    _ = meitner.grade_upper_secondaries.search  # wrong: not searched
    _ = meitner.students.archive  # wrong: only placements are
    _ = meitner.employee_placements.restore  # wrong: only student placements are
    _ = meitner.pupils  # wrong: no such resource
    _ = meitner.audit_events.upsert  # wrong: written by the server
    _ = meitner.audit_events.modify  # wrong: written by the server
    _ = meitner.audit_events.create_many  # wrong: written by the server
    _ = meitner.audit_events.update_many  # wrong: written by the server
    _ = meitner.audit_events.delete_many  # wrong: kept for good
    _ = meitner.schools.delete_many  # wrong: never deleted
    _ = meitner.units.delete_many  # wrong: never deleted
    _ = meitner.grade_elementaries.find  # wrong: not searched
    _ = meitner.grade_upper_secondaries.upsert  # wrong: not searched


async def results(meitner: Meitner, student: Student) -> None:
    student.first_name = "Bo"  # wrong: records are frozen
    _ = student.surname  # wrong: no such field
    Student(ID)  # wrong: fields are keywords
    _school: Student = await meitner.schools.get(ID)  # wrong: another record
    _nothing: Student = await meitner.students.delete(ID)  # wrong: nothing is left
    _rows: list[Student] = await meitner.students.list()  # wrong: a page, not a list
    asyncio.create_task(meitner.students.list())  # wrong: a listing is no coroutine
    for _row in meitner.students.list():  # wrong: async for
        pass
    len(meitner.students.list())  # wrong: await count()
    meitner.students.list()[0]  # wrong: await first()
    meitner.students.get(ID)  # wrong: never awaited
    meitner.students.list(limit="100")  # wrong: a number is expected
    await meitner.students.get()  # wrong: which one?
    await meitner.students.get(student)  # wrong: ids are text
    _ = student.date_of_birth.year  # wrong: it may be null


async def composed(meitner: Meitner, student: Student, school: School) -> None:
    await meitner.students.get_many()  # wrong: which ones?
    await meitner.students.get_many(7)  # wrong: ids are text, and several
    await meitner.students.get_many([7])  # wrong: ids are text
    _many: list[Student] = await meitner.students.get_many([ID])  # wrong: by id
    await meitner.students.find(first_nam="Bo")  # wrong: no such field
    await meitner.students.find("Bo")  # wrong: conditions are keywords
    await meitner.students.find(first_name=null)  # wrong: a first name is never null
    await meitner.students.find(gender=like("F%"))  # wrong: like on an enum
    _one: Student = await meitner.students.find(id=ID)  # wrong: there may be none
    await meitner.students.modify(ID, first_name="Bo")  # wrong: the record, not its id
    await meitner.students.modify(school, title="Norr")  # wrong: a record of another resource
    await meitner.students.modify(student, guard="yes")  # wrong: a yes or no
    _school: School = await meitner.students.modify(student, first_name="Bo")  # wrong: another record
    upsert = meitner.students.upsert
    await upsert("email_address1", identity_number="x", first_name="Bo", last_name="Ek")  # wrong: no key
    await upsert(identity_number="x", first_name="Bo", last_name="Ek")  # wrong: by which key?
    await upsert("identity_number", first_name="Bo", last_name="Ek")  # wrong: a required field is missing
    await upsert("identity_number", identity_number="x", first_nam="Bo", last_name="Ek")  # wrong: no such field
    await upsert("identity_number", identity_number="x", first_name=7, last_name="Ek")  # wrong: text is expected
    await upsert("identity_number", identity_number="x", first_name="Bo", last_name="Ek", gender="F")  # wrong: an enum
    _student: Student = await upsert("source_id", identity_number="x", first_name="B", last_name="E")  # wrong: wrapped
    upsert("source_id", identity_number="x", first_name="Bo", last_name="Ek")  # wrong: never awaited
    await meitner.units.upsert("title", title="Norr")  # wrong: titles of units are not unique
    await meitner.units.upsert("identity_number", title="Norr")  # wrong: a key of people
    await meitner.groups.upsert("title", school_id=ID, title="7A")  # wrong: unique within a school
    await meitner.groups.upsert(("title", "school_id"), school_id=ID, title="7A")  # wrong: the other way round
    await meitner.groups.upsert(("student_id", "school_id"), school_id=ID, title="7A")  # wrong: a key of placements
    await meitner.students.upsert(("identity_number",), identity_number="x", first_name="B", last_name="E")  # wrong
    await upsert(("identity_number", "phone_number1"), identity_number="x", first_name="B", last_name="E")  # wrong
    await meitner.groups.upsert((("title", "school_id"), "source_id"), school_id=ID, title="7A")  # wrong: the wrong way
    meitner.students.upsert_many(["identity_number", "source_id"], ())  # wrong: several keys are a tuple
    meitner.units.upsert_many("title", [{"title": "Norr"}])  # wrong: titles of units are not unique
    meitner.units.upsert_many([{"title": "Norr"}])  # wrong: by which key?
    meitner.units.upsert_many("source_id", ["Norr"])  # wrong: fields are expected
    meitner.units.upsert_many("source_id", [{"title": "Norr"}], concurrency="8")  # wrong: a number is expected
    meitner.student_placements.upsert_many(("employee_id", "school_id"), ())  # wrong: a key of employees' placements
    await meitner.units.upsert_many("source_id", [{"title": "Norr"}])  # wrong: outcomes come one by one
    _ = meitner.audit_events.upsert_many  # wrong: written by the server
    _ = meitner.grade_elementaries.upsert_many  # wrong: not searched
    meitner.units.create_many({"title": "Norr"})  # wrong: items, not one
    meitner.units.create_many(["Norr"])  # wrong: fields are expected
    meitner.units.create_many([{"title": "Norr"}], concurrency="8")  # wrong: a number is expected
    meitner.units.update_many([{"title": "Norr"}])  # wrong: which one?
    meitner.students.delete_many([7])  # wrong: ids are text
    await meitner.units.create_many([{"title": "Norr"}])  # wrong: outcomes come one by one
    for _made in meitner.units.create_many([{"title": "Norr"}]):  # wrong: async for
        pass
    async for gone in meitner.students.delete_many([ID]):
        _left: Student = gone.record  # wrong: nothing is left
    async for done in meitner.students.upsert_many("source_id", [{"first_name": "Bo"}]):
        _kept_one: Student = done.record  # wrong: wrapped, and there may be an error instead
    async for made in meitner.students.create_many([{"first_name": "Bo"}]):
        _kept: Student = made.record  # wrong: there may be an error instead


async def per_call(meitner: Meitner) -> None:
    meitner.with_options(5)  # wrong: options are keywords
    meitner.with_options(timeout="5")  # wrong: seconds are expected
    meitner.with_options(timeout=None)  # wrong: aiohttp.ClientTimeout(total=None) has no end
    meitner.with_options(max_retry=5)  # wrong: no such option
    meitner.with_options(rate=None)  # wrong: shared by all copies
    meitner.with_options(retry=5)  # wrong: a policy is expected
    meitner.with_options(headers={"X-Tenant": 5})  # wrong: text is expected
    meitner.with_options(on_event="print")  # wrong: called, not named
    meitner.with_options(logger="mine")  # wrong: a logger, not its name
    meitner.request("GET", "/student")  # wrong: never awaited
    await meitner.request("GET")  # wrong: of what?
    await meitner.request("GET", "/student", {"limit": 5})  # wrong: params by keyword
    await meitner.request("GET", "/student", params={"limit": object()})  # wrong: cannot be written
    _record: Student = await meitner.request("GET", "/student")  # wrong: an answer as it came
    async with meitner.capture():  # wrong: nothing to wait for
        pass
    with meitner.capture() as seen:
        _page: Student = seen[0]  # wrong: answers as they came


def switches() -> None:
    Meitner(insecure="yes")  # wrong: on or off
    Meitner(proxy=3128)  # wrong: a URL
    RetryPolicy(connection_errors="no")  # wrong: on or off
    RetryPolicy(connection_error=False)  # wrong: no such setting


async def cached(meitner: Meitner) -> None:
    view = meitner.cached()
    _ = view.students.create  # wrong: a view reads
    _ = view.students.delete_many  # wrong: a view reads
    _ = view.grade_elementaries.search  # wrong: not searched
    meitner.cached(5.0)  # wrong: which of them is it?
    meitner.cached(size=10)  # wrong: no such option
    meitner.cached(provider={})  # wrong: not a provider
    meitner.cached(provider=[{}])  # wrong: not a provider
    meitner.cached(defaults=[ID])  # wrong: results by id
    meitner.cached(defaults={7: None})  # wrong: ids are text
    _known: Student = await meitner.cached(defaults={ID: None}).students.get(ID)  # wrong: it may be the default
    await view.students.get(7)  # wrong: ids are text
    _student: Student = await view.students.get(ID, default=None)  # wrong: it may be the default
    _school: School = await meitner.cached(default=None).schools.get(ID)  # wrong: it may be the default
    view.students.search(first_nam="Bo")  # wrong: no such field
    view.students.search(gender=like("F%"))  # wrong: like on an enum
    view.students.list(default=[])  # wrong: a listing has no default
    view.students.get(ID)  # wrong: never awaited


def without_asyncio(meitner: Meitner, portal: Portal) -> None:
    portal.run(meitner.students.get)  # wrong: not called
    with portal.outbox() as outbox:
        outbox.put(meitner.students.get)  # wrong: not called
        outbox.put(meitner.students.list())  # wrong: a listing is no write
    _one: School = portal.run(meitner.students.get(ID))  # wrong: another record
    for _row in portal.iterate(meitner.students.get(ID)):  # wrong: not a listing
        pass
    _rows: list[Student] = portal.iterate(meitner.students.list())  # wrong: one by one
    Portal()  # wrong: to which client?
    Portal("an-id")  # wrong: not a client
    Meitner(offline=7)  # wrong: neither a path nor a switch
    meitner.outbox(journal=True)  # wrong: where?
    meitner.outbox().kept  # wrong: without a journal nothing is kept


def sandboxes() -> None:
    Meitner.sandbox(studnets=5)  # wrong: no such choice
    Meitner.sandbox(students="5")  # wrong: a number is expected
    Meitner.sandbox(limiter="leaky")  # wrong: no such limiter


async def tables(meitner: Meitner) -> None:
    await to_arrow(meitner.students)  # wrong: list() or search()?
    show(meitner.students.list())  # wrong: a listing that was not read
    show(["Ek"])  # wrong: no records
    await to_arrow(await meitner.students.list())  # wrong: one page is not all
    await to_arrow(await meitner.students.list().all())  # wrong: rows do not say that they are all
    await to_arrow(meitner.students.list(), strict=False)  # wrong: a table holds every row
    to_arrow(meitner.students.list())  # wrong: never awaited
