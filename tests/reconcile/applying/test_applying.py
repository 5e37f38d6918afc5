"""Carrying out a plan: the order of requests, what is skipped and why, what is told, and what it costs."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from plans import ARCHIVE, CLAIM, DELETE, END, RESTORE, Planner, number, pupils

from meitner_aio import AuthenticationError, External, Meitner, MeitnerError
from meitner_aio._pipeline.identity import reader_of
from meitner_aio._pipeline.server_limiter import Quota
from meitner_aio.reconcile import Desired
from meitner_aio.reconcile.applying._guard import chunk_size
from meitner_aio.reconcile.applying._journal import Intent, Journal
from meitner_aio.reconcile.applying._report import Result
from meitner_aio.reconcile.planning._actions import Held, HoldReason, ReconcileSettings
from meitner_aio.sandbox import Sandbox

TODAY = datetime.now(UTC).date()
NEW = {
    "schools": [{"title": "Nya skolan", "school_type": "GR", "source_id": "s1", "unit.source_id": "u1"}],
    "units": [{"title": "Norr", "source_id": "u1"}],
    "students": pupils(3),
    "guardians": [
        {"identity_number": number(50), "first_name": "Eva", "last_name": "Ek", "students.identity_number": [number(0)]}
    ],
    "employees": [{"identity_number": number(60), "first_name": "Per", "last_name": "Ek"}],
    "employee_placements": [
        {"employee.identity_number": number(60), "school.source_id": "s1", "start_date": "2024-08-01"}
    ],
    "student_placements": [
        {
            "student.identity_number": number(index),
            "school.source_id": "s1",
            "school_type": "GR",
            "start_date": "2024-08-01",
        }
        for index in range(3)
    ],
    "groups": [
        {
            "title": "1A",
            "school.source_id": "s1",
            "members.identity_number": [number(0), number(1)],
            "moderators.identity_number": [number(60)],
        }
    ],
}
IN_ORDER = [
    "units.create",
    "schools.create",
    "employees.create",
    "students.create",
    "guardians.create",
    "employee_placements.create",
    "student_placements.create",
    "groups.create",
]


@pytest.fixture
def sandbox():
    """Give a small directory."""
    return Sandbox(students=12, schools=2, seed=4)


@pytest.fixture
async def meitner(sandbox):
    """Give a client of it."""
    async with Meitner.sandbox(sandbox) as client:
        yield client


@pytest.fixture
def journal(tmp_path):
    """Give a place for a journal."""
    return tmp_path / "registry.journal"


def _writes(sandbox):
    """Return the operations that were asked for, but for reads, each once and in their order."""
    return list(dict.fromkeys(one.operation for one in sandbox.requests if not one.operation.endswith("search")))


async def _placed(meitner, **fields):
    """Return a student and a placement of theirs, of a source."""
    school = (await meitner.schools.list().all())[0]
    count = await meitner.students.list().count()
    student = await meitner.students.create(identity_number=number(200 + count), first_name="Eva", last_name="Ek")
    given = {"start_date": date(2020, 8, 1), "school_type": "GR"} | fields
    return student, await meitner.student_placements.create(student_id=student.id, school_id=school.id, **given)


# The order.


async def test_what_others_refer_to_is_created_before_them(meitner, sandbox, journal):
    """Units before schools, people before placements, and placements before the members of a group."""
    planner = await Planner.of(meitner, Desired(**NEW))
    planner.create_all("groups", "student_placements", "guardians", "employee_placements", "schools", "units")
    planner.create_all("students", "employees")
    sandbox.requests.clear()
    report = await planner.proposal().apply(journal)
    assert report.ok, report.failures
    assert report.results[Result.DONE] == len(planner.actions)
    assert _writes(sandbox) == IN_ORDER
    (group,) = [one for one in sandbox.records("groups") if one.title == "1A"]
    people = {one.identity_number: one.id for one in sandbox.records("students")}
    assert sorted(group.member_ids) == sorted([people[number(0)], people[number(1)]])


async def test_removals_come_last_and_people_after_their_placements(meitner, sandbox, journal):
    """End, archive, delete; groups first, then placements, then people."""
    student, _ = await _placed(meitner)
    gone = sandbox.records("students")[0]
    for placement in [one for one in sandbox.records("student_placements") if one.student_id == gone.id]:
        await meitner.student_placements.delete(placement.id)
    _, ended = await _placed(meitner, end_date=TODAY - timedelta(days=9))
    _, old = await _placed(meitner, end_date=TODAY - timedelta(days=9))
    old = await meitner.student_placements.archive(old.id)
    group = sandbox.records("groups")[0]
    planner = await Planner.of(meitner, Desired(students=pupils(1, 90)))
    planner.remove(DELETE, "students", (await meitner.students.get(gone.id)))
    planner.remove(DELETE, "student_placements", old)
    planner.remove(DELETE, "groups", await meitner.groups.get(group.id))
    planner.remove(ARCHIVE, "student_placements", ended)
    live = await meitner.student_placements.find(student_id=student.id)
    planner.remove(END, "student_placements", live)
    planner.create("students")
    sandbox.requests.clear()
    # The deletion of the group touches nobody else, that of the student would touch the group.
    report = await planner.proposal().apply(journal)
    assert report.ok, report.failures
    assert _writes(sandbox) == [
        "students.create",
        "student_placements.update",
        "student_placements.archive",
        "groups.delete",
        "student_placements.delete",
        "students.delete",
    ]
    assert (await meitner.student_placements.get(live.id)).end_date == TODAY


# What only the first answer tells.


async def test_another_source_than_planned_stops_the_run_after_one_write(meitner, sandbox, journal):
    """Whoever planned for a wrong source would take records for foreign that are their own."""
    planner = await Planner.of(meitner, Desired(students=pupils(30)))
    planner.create_all("students")
    sandbox.requests.clear()
    with pytest.raises(MeitnerError, match="plan again with source='api'"):
        await planner.proposal(source="elevregistret").apply(journal)
    assert len(sandbox.requested("students.create")) == 1


async def test_the_source_is_learnt_where_none_is_known(meitner, journal):
    """A directory that holds nothing of ours says who we are with its first answer."""
    planner = await Planner.of(meitner, Desired(students=pupils(2)))
    planner.create_all("students")
    assert (await planner.proposal(source=None).apply(journal)).source == "api"


# Guards.


async def test_a_record_that_changed_meanwhile_is_skipped_and_told(meitner, sandbox, journal):
    """Somebody edits between plan and apply: their edit stays, and the others are carried out."""
    records = (await meitner.students.list().all())[:3]
    rows = [{"identity_number": one.identity_number, "first_name": "Ny", "last_name": one.last_name} for one in records]
    planner = await Planner.of(meitner, Desired(students=rows))
    for place, record in enumerate(records):
        planner.update("students", record, "first_name", number=place)
    await meitner.students.modify(records[1], phone_number1="+4684400000")
    report = await planner.proposal().apply(journal)
    assert not report.ok
    assert (report.results[Result.DONE], report.results[Result.CHANGED]) == (2, 1)
    (failure,) = report.failures
    assert (failure.action, failure.result) == (planner.actions[1], Result.CHANGED)
    assert "plan again" in str(failure.error)
    now = {one.id: one.first_name for one in sandbox.records("students")}
    assert [now[record.id] for record in records] == ["Ny", records[1].first_name, "Ny"]


async def test_an_edit_to_what_was_wanted_is_done_already(meitner, sandbox, journal):
    """Somebody else may correct what the registry would have corrected."""
    (record, *_) = await meitner.students.list().all()
    row = {"identity_number": record.identity_number, "first_name": "Ny", "last_name": record.last_name}
    planner = await Planner.of(meitner, Desired(students=[row]))
    planner.update("students", record, "first_name")
    await meitner.students.modify(record, first_name="Ny")
    sandbox.requests.clear()
    report = await planner.proposal().apply(journal)
    assert report.ok
    assert report.results[Result.ALREADY_DONE] == report.requests == 1
    assert _writes(sandbox) == []


async def test_every_kind_is_done_already_where_its_end_is_reached(meitner, sandbox, journal):
    """Ended, archived, restored and deleted by somebody else: nothing is sent, and nothing is wrong."""
    _, ending = await _placed(meitner)
    _, archiving = await _placed(meitner, end_date=TODAY - timedelta(days=9))
    student, restoring = await _placed(meitner, end_date=TODAY - timedelta(days=9))
    restoring = await meitner.student_placements.archive(restoring.id)
    _, deleting = await _placed(meitner)
    row = {"student_id": student.id, "school_id": restoring.school_id, "school_type": "GR", "start_date": "2020-08-01"}
    planner = await Planner.of(meitner, Desired(student_placements=[row]))
    planner.remove(END, "student_placements", ending)
    planner.remove(ARCHIVE, "student_placements", archiving)
    planner.update("student_placements", restoring, "end_date", kind=RESTORE)
    planner.remove(DELETE, "student_placements", deleting)
    await meitner.student_placements.modify(ending, end_date=TODAY)
    await meitner.student_placements.archive(archiving.id)
    await meitner.student_placements.restore(restoring.id)
    await meitner.student_placements.modify(restoring, end_date=None)
    await meitner.student_placements.delete(deleting.id)
    sandbox.requests.clear()
    report = await planner.proposal().apply(journal)
    assert report.results[Result.ALREADY_DONE] == 4, report.failures
    assert _writes(sandbox) == []


async def test_a_deleted_record_is_not_created_again(meitner, sandbox, journal):
    """An update of what is gone says so."""
    _, placement = await _placed(meitner)
    row = {name: getattr(placement, name) for name in ("student_id", "school_id", "school_type", "start_date")}
    planner = await Planner.of(meitner, Desired(student_placements=[row | {"has_childcare": True}]))
    planner.update("student_placements", placement, "has_childcare")
    await meitner.student_placements.delete(placement.id)
    sandbox.requests.clear()
    report = await planner.proposal().apply(journal)
    assert report.results[Result.CHANGED] == 1
    assert _writes(sandbox) == []


@pytest.mark.parametrize("resource", ["students", "student_placements", "schools"])
async def test_what_somebody_else_created_meanwhile_is_not_created_twice(meitner, sandbox, journal, resource):
    """Whether or not the server would refuse a second one."""
    school = sandbox.records("schools")[0].id
    (person,) = [await meitner.students.create(identity_number=number(77), first_name="Eva", last_name="Ek")]
    rows = {
        "students": {"identity_number": number(1), "first_name": "Bo", "last_name": "Ek"},
        "student_placements": {
            "student_id": person.id,
            "school_id": school,
            "school_type": "GR",
            "start_date": date(2024, 8, 1),
        },
        "schools": {"title": "Ny", "school_type": "GR", "source_id": "s1"},
    }
    row = rows[resource]
    planner = await Planner.of(meitner, Desired(**{resource: [row]}))
    planner.create(resource)
    others = {name: value for name, value in row.items() if name != "source_id"}
    if resource == "schools":
        others |= {"title": "En annan"}
        others["external"] = External(source_id="s1")
    await getattr(meitner, resource).create(**others)
    before = len(sandbox.records(resource))
    report = await planner.proposal().apply(journal)
    assert report.results[Result.CHANGED] == 1, report
    assert len(sandbox.records(resource)) == before


async def test_a_person_with_placements_is_not_deleted(meitner, sandbox, journal):
    """The server would delete those, too: one that came meanwhile is somebody's work."""
    student, placement = await _placed(meitner)
    await meitner.student_placements.delete(placement.id)
    planner = await Planner.of(meitner)
    planner.remove(DELETE, "students", student)
    await meitner.student_placements.create(
        student_id=student.id, school_id=placement.school_id, school_type="GR", start_date=TODAY
    )
    report = await planner.proposal().apply(journal)
    assert report.results[Result.BLOCKED] == 1
    assert await meitner.students.get(student.id)


async def test_what_refers_to_a_record_that_was_not_created_is_blocked(meitner, sandbox, journal):
    """A placement without its student is not sent; that of another student is."""
    planner = await Planner.of(meitner, Desired(**NEW))
    planner.create_all("units", "schools", "students", "student_placements")
    await meitner.students.create(identity_number=number(1), first_name="Eva", last_name="Ek")
    report = await planner.proposal().apply(journal)
    assert (report.results[Result.CHANGED], report.results[Result.BLOCKED]) == (1, 1)
    assert report.counts["student_placements"]["create"] == 2
    assert {failure.result for failure in report.failures} == {Result.CHANGED, Result.BLOCKED}


async def test_a_row_that_changed_since_is_not_carried_out(meitner, sandbox, journal):
    """What a person approved is what is written: another row on the same line is not it."""
    planner = await Planner.of(meitner, Desired(students=pupils(2)))
    planner.create_all("students")
    other = Desired(students=[pupils(1)[0], pupils(1, 1)[0] | {"first_name": "Eva"}])
    report = await planner.proposal().apply(journal, desired=other)
    assert (report.results[Result.DONE], report.results[Result.CHANGED]) == (1, 1)
    report = await planner.proposal().apply(journal, desired=Desired(students=pupils(1)))
    assert (report.results[Result.ALREADY_DONE], report.results[Result.CHANGED]) == (1, 1)
    report = await planner.proposal().apply(journal, desired=Desired(schools=[]))
    assert report.results[Result.CHANGED] == 2


# What is written.


async def test_an_update_sends_what_was_planned_and_what_updates_require(meitner, sandbox, journal):
    """Everything else that the row says stays as somebody may have it by now."""
    (record, *_) = await meitner.students.list().all()
    row = {"identity_number": record.identity_number, "first_name": "Ny", "last_name": record.last_name}
    planner = await Planner.of(meitner, Desired(students=[row | {"phone_number1": "+4684400000"}]))
    planner.update("students", record, "first_name")
    await planner.proposal().apply(journal)
    (sent,) = sandbox.requested("students.update")
    assert set(sent.json) == {"identityNumber", "firstName", "lastName"}


async def test_a_claim_writes_a_source_id(meitner, sandbox, journal):
    """The row's, or one that was made: afterwards the record has an owner."""
    records = [one for one in sandbox.records("students") if one.external is None][:2]
    if len(records) < 2:
        made = [
            await meitner.students.create(identity_number=number(300 + index), first_name="Eva", last_name="Ek")
            for index in range(2)
        ]
        records = [await meitner.students.get(one.id) for one in made]
    rows = [{"identity_number": one.identity_number, "first_name": "Ny", "last_name": one.last_name} for one in records]
    rows[0]["source_id"] = "elev-1"
    planner = await Planner.of(meitner, Desired(students=rows))
    for place, record in enumerate(records):
        planner.update("students", record, "first_name", "external", number=place, kind=CLAIM)
    report = await planner.proposal().apply(journal)
    assert report.ok, report.failures
    now = [(await meitner.students.get(one.id)).external for one in records]
    assert now[0].source_id == "elev-1"
    assert now[1].source_id.startswith("reconcile-")
    assert {one.source for one in now} == {"api"}


async def test_a_placement_that_came_back_is_restored_and_brought_up_to_date(meitner, sandbox, journal):
    """Two requests; an end that the row does not say is cleared."""
    student, placement = await _placed(meitner, end_date=TODAY - timedelta(days=9))
    placement = await meitner.student_placements.archive(placement.id)
    row = {"student_id": student.id, "school_id": placement.school_id, "school_type": "GR", "start_date": "2020-08-01"}
    planner = await Planner.of(meitner, Desired(student_placements=[row | {"has_childcare": True}]))
    planner.update("student_placements", placement, "end_date", "has_childcare", kind=RESTORE)
    sandbox.requests.clear()
    report = await planner.proposal().apply(journal)
    assert report.ok, report.failures
    now = await meitner.student_placements.get(placement.id)
    assert (now.archived_at, now.end_date, now.has_childcare) == (None, None, True)
    assert _writes(sandbox)[:2] == ["student_placements.restore", "student_placements.update"]


async def test_a_saved_end_is_that_of_the_day_of_the_plan(meitner, journal, tmp_path):
    """The file holds no value: the day follows from when the plan was made, and from when the placement begins."""
    _, placement = await _placed(meitner)
    _, later = await _placed(meitner, start_date=TODAY + timedelta(days=30))
    planner = await Planner.of(meitner)
    planner.remove(END, "student_placements", placement)
    planner.remove(END, "student_placements", later)
    made_at = datetime(2026, 1, 2, 3, tzinfo=UTC).timestamp()
    planner.proposal(made_at=made_at).save(tmp_path / "plan.json")
    report = await type(planner.proposal()).load(tmp_path / "plan.json", meitner).apply(journal)
    assert report.ok, report.failures
    assert (await meitner.student_placements.get(placement.id)).end_date == date(2026, 1, 2)
    assert (await meitner.student_placements.get(later.id)).end_date == later.start_date


# What is told.


async def test_each_action_is_told_once_with_its_place(meitner, journal):
    """Whatever became of it, and before the report."""
    planner = await Planner.of(meitner, Desired(**NEW))
    planner.create_all("groups", "units", "schools", "students", "student_placements")
    told = []
    await meitner.students.create(identity_number=number(1), first_name="Eva", last_name="Ek")
    report = await planner.proposal().apply(journal, on_progress=told.append)
    assert sorted(outcome.index for outcome in told) == list(range(len(planner.actions)))
    for outcome in told:
        assert (outcome.record is None) is (outcome.error is not None)
    failed = {outcome.index for outcome in told if outcome.error}
    assert failed == {planner.actions.index(failure.action) for failure in report.failures}


async def test_a_callback_that_raises_stops_the_run_and_loses_nothing(meitner, sandbox, journal):
    """What is under way ends and is in the journal; the next run does the rest."""

    def told(outcome):
        raise LookupError("the terminal is gone")

    planner = await Planner.of(meitner, Desired(students=pupils(60)))
    planner.create_all("students")
    with pytest.raises(LookupError, match="terminal"):
        await planner.proposal().apply(journal, on_progress=told, concurrency=4)
    made = len(sandbox.requested("students.create"))
    assert 1 <= made <= 5
    report = await planner.proposal().apply(journal)
    assert (report.results[Result.ALREADY_DONE], report.results[Result.DONE]) == (made, 60 - made)
    assert len(sandbox.requested("students.create")) == 60


async def test_a_refused_credential_stops_the_run(meitner, sandbox, journal):
    """Thousands of requests that are all refused help nobody."""
    planner = await Planner.of(meitner, Desired(students=pupils(60)))
    planner.create_all("students")
    sandbox.fail("401", operations=("students.create",))
    with pytest.raises(AuthenticationError):
        await planner.proposal().apply(journal)
    assert len(sandbox.requested("students.create")) <= 4


async def test_one_refusal_stops_no_other(meitner, sandbox, journal):
    """A record that the server refuses is a failure of its own."""
    planner = await Planner.of(meitner, Desired(students=pupils(30)))
    planner.create_all("students")
    sandbox.fail("422", operations=("students.create",), times=1)
    report = await planner.proposal().apply(journal)
    assert (report.results[Result.DONE], report.results[Result.FAILED]) == (29, 1)


# What one record gives up and another takes.


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("turned", [False, True])
async def test_a_new_school_year_renames_every_class(meitner, sandbox, journal, concurrency, turned):
    """1A becomes 2A, 2A becomes 3A, and there is a new 1A: in whichever order the registry has them."""
    school = sandbox.records("schools")[0].id
    groups = [await meitner.groups.create(school_id=school, title=f"{year}X") for year in range(1, 10)]
    rows = [{"school_id": school, "title": f"{year + 1}X"} for year in range(1, 10)]
    if turned:
        groups, rows = groups[::-1], rows[::-1]
    planner = await Planner.of(meitner, Desired(groups=[*rows, {"school_id": school, "title": "1X"}]))
    for place, group in enumerate(groups):
        planner.update("groups", group, "title", number=place)
    planner.create("groups", 9)
    client = meitner.with_options(max_retries=0)
    report = await planner.proposal().apply(journal, meitner=client, concurrency=concurrency)
    assert report.ok, report.failures
    now = {one.id: one.title for one in sandbox.records("groups")}
    assert [now[group.id] for group in groups] == [row["title"] for row in rows]
    assert "1X" in now.values()


async def test_two_that_exchange_their_titles_are_told(meitner, sandbox, journal):
    """No order lets that happen, and nobody is asked for ever."""
    school = sandbox.records("schools")[0].id
    groups = [await meitner.groups.create(school_id=school, title=title) for title in ("1X", "2X", "5X")]
    rows = [{"school_id": school, "title": title} for title in ("2X", "1X", "6X")]
    planner = await Planner.of(meitner, Desired(groups=rows))
    for place, group in enumerate(groups):
        planner.update("groups", group, "title", number=place)
    sandbox.requests.clear()
    report = await planner.proposal().apply(journal, meitner=meitner.with_options(max_retries=0))
    assert (report.results[Result.DONE], report.results[Result.FAILED]) == (1, 2)
    assert len(sandbox.requested("groups.update")) == 5


# What it costs.


@pytest.mark.parametrize("count", [1, 25, 26, 60])
async def test_guards_cost_a_search_for_25_actions(meitner, sandbox, journal, count):
    """And nothing else is read."""
    planner = await Planner.of(meitner, Desired(students=pupils(count)))
    planner.create_all("students")
    sandbox.requests.clear()
    report = await planner.proposal().apply(journal)
    assert report.requests == len(sandbox.requests) == count + -(-count // 25)
    records = await meitner.students.search(first_name="Bo").all()
    rows = [{"identity_number": one.identity_number, "first_name": "Eva", "last_name": "Ek"} for one in records]
    planner = await Planner.of(meitner, Desired(students=rows))
    for place, record in enumerate(records):
        planner.update("students", record, "first_name", "last_name", number=place)
    report = await planner.proposal().apply(journal)
    assert report.ok
    assert report.requests == count + -(-count // 25)


async def test_no_more_than_so_many_are_under_way(meitner, sandbox, journal, monkeypatch):
    """`concurrency` bounds the writes."""
    planner = await Planner.of(meitner, Desired(students=pupils(30)))
    planner.create_all("students")
    under_way, most = 0, 0
    send = sandbox.app.send

    async def slow(request):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1
        return await send(request)

    sandbox.app.send = slow
    async with Meitner.sandbox(sandbox) as other:
        await planner.proposal().apply(journal, meitner=other, concurrency=3)
    assert most == 3


# Before anything is sent.


async def test_what_is_missing_is_said_before_anything_is_sent(meitner, sandbox, journal, tmp_path):
    """A client, and the registry where rows are carried out."""
    planner = await Planner.of(meitner, Desired(students=pupils(1)))
    planner.create_all("students")
    planner.proposal().save(tmp_path / "plan.json")
    proposal = type(planner.proposal()).load(tmp_path / "plan.json")
    sandbox.requests.clear()
    with pytest.raises(ValueError, match="pass meitner="):
        await proposal.apply(journal)
    with pytest.raises(ValueError, match="pass desired="):
        await proposal.apply(journal, meitner=meitner)
    with pytest.raises(ValueError, match="concurrency"):
        await planner.proposal().apply(journal, concurrency=0)
    with pytest.raises(TypeError, match="must be a Meitner"):
        await planner.proposal().apply(journal, meitner=object())
    assert not sandbox.requests
    assert not journal.exists()


# The brake that needs the last run.


async def _shrinking(meitner, journal, rows, **more):
    """Apply a plan of so many rows that ends one placement, and return its report."""
    _, placement = await _placed(meitner)
    planner = await Planner.of(meitner, Desired(student_placements=[]))
    planner.remove(END, "student_placements", placement)
    return await planner.proposal(row_counts={"student_placements": rows}, **more).apply(journal)


async def test_a_registry_that_shrank_by_half_ends_nothing(meitner, journal):
    """The count of the last run stays the measure until the registry has recovered, or a person accepts."""
    assert (await _shrinking(meitner, journal, 100)).ok
    assert (await _shrinking(meitner, journal, 51)).ok
    held = await _shrinking(meitner, journal, 25)
    assert (held.results[Result.HELD], held.ok) == (1, False)
    assert "half" in str(held.failures[0].error)
    assert (await _shrinking(meitner, journal, 25)).results[Result.HELD] == 1
    assert (await _shrinking(meitner, journal, 25, settings=ReconcileSettings(accept_removals=1))).ok
    assert (await _shrinking(meitner, journal, 20)).results[Result.HELD] == 0
    assert (await _shrinking(meitner, journal, 5, has_last_run=True)).ok


async def test_what_the_plan_held_for_its_doubts_keeps_the_measure(meitner, journal):
    """Else one night of an empty file would make the next one harmless."""
    assert (await _shrinking(meitner, journal, 100)).ok
    _, placement = await _placed(meitner)
    planner = await Planner.of(meitner, Desired(student_placements=[]))
    action = planner.remove(END, "student_placements", placement)
    planner.actions.clear()
    for reason, rows in ((HoldReason.EMPTY, 0), (HoldReason.SHRUNK, 40)):
        held = (Held(action, reason, "why"),)
        proposal = planner.proposal(row_counts={"student_placements": rows}, held=held, has_last_run=True)
        assert (await proposal.apply(journal)).held == held
    assert (await _shrinking(meitner, journal, 50)).results[Result.HELD] == 1


async def test_a_restore_that_was_cut_off_is_brought_up_to_date_by_the_same_plan(meitner, sandbox, journal):
    """An earlier run restored the placement and ended there: its intent says so. Without one, somebody else did."""
    student, placement = await _placed(meitner, end_date=TODAY - timedelta(days=9))
    placement = await meitner.student_placements.archive(placement.id)
    row = {"student_id": student.id, "school_id": placement.school_id, "school_type": "GR", "start_date": "2020-08-01"}
    planner = await Planner.of(meitner, Desired(student_placements=[row | {"has_childcare": True}]))
    planner.update("student_placements", placement, "end_date", "has_childcare", kind=RESTORE)
    await meitner.student_placements.restore(placement.id)
    strangers = await planner.proposal().apply(journal.with_name("other.journal"))
    assert strangers.results[Result.CHANGED] == 1
    notes = Journal.open(journal, await reader_of(meitner))
    notes.intend([Intent(RESTORE, notes.hashes.of_id("student_placements", placement.id), None)])
    notes.close()
    report = await planner.proposal().apply(journal)
    assert report.ok, report.failures
    now = await meitner.student_placements.get(placement.id)
    assert (now.archived_at, now.end_date, now.has_childcare) == (None, None, True)


@pytest.mark.parametrize(("limit", "size"), [(1500, 25), (5000, 25), (150, 2), (10, 1)])
def test_a_search_guards_what_the_quota_lets_go_in_a_minute(limit, size):
    """What waits longer than that for its turn would be written on the word of an old search."""
    quota = Quota(limit=limit, remaining=0, reset_at=datetime.now(UTC))
    assert (chunk_size(quota), chunk_size(None)) == (size, 25)
