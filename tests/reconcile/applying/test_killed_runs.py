"""Runs that are killed at any step and begun again: nothing twice, nothing that was not planned, everything in the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date

import pytest
from deaths import Death
from fault_server import run
from plans import END, Planner, number, pupils

from meitner_aio import Meitner
from meitner_aio._pipeline import identity
from meitner_aio.reconcile import Desired
from meitner_aio.reconcile.planning._proposal import Proposal
from meitner_aio.sandbox import Sandbox

ROWS = {
    "units": [{"title": "Norr", "source_id": "u1"}],
    "schools": [{"title": "Nya skolan", "school_type": "GR", "source_id": "s1", "unit.source_id": "u1"}],
    "students": pupils(2),
    "student_placements": [
        {
            "student.identity_number": number(index),
            "school.source_id": "s1",
            "school_type": "GR",
            "start_date": "2024-08-01",
        }
        for index in range(2)
    ],
    "groups": [{"title": "1A", "school.source_id": "s1", "members.identity_number": [number(0), number(1)]}],
}
WANTED = {name: len(rows) for name, rows in ROWS.items()}
ORDER = ("units", "schools", "students", "student_placements", "groups")
OLD = number(500)


@pytest.fixture(autouse=True)
def _quick_digests(monkeypatch):
    monkeypatch.setattr(identity, "_ROUNDS", 1)


def _directory():
    return Sandbox(students=3, schools=1, seed=4)


async def _prepared(sandbox):
    """Add a student whose phone number differs from the registry's, and who has a placement to end."""
    async with Meitner.sandbox(sandbox) as meitner:
        (school,) = await meitner.schools.list().all()
        student = await meitner.students.create(identity_number=OLD, first_name="Eva", last_name="Ek")
        await meitner.student_placements.create(
            student_id=student.id, school_id=school.id, school_type="GR", start_date=date(2020, 8, 1)
        )


def _desired():
    changed = {"identity_number": OLD, "first_name": "Eva", "last_name": "Ek", "phone_number1": "+4684400000"}
    return Desired(**(ROWS | {"students": [*ROWS["students"], changed]}))


async def _planned(meitner, desired):
    """Return the plan that brings the directory to the registry, as it is now."""
    planner = await Planner.of(meitner, desired)
    known = {}
    for resource in ORDER:
        present = await getattr(meitner, resource).list().all()
        for place, row in enumerate(planner._rows[resource]):
            ids = [known[reference.value] for reference in row.references]
            record = next((one for one in present if _is(row, one, ids)), None)
            if record is None:
                target = f"@{planner.create(resource, place).name}"
            else:
                target = record.id
                if getattr(record, "phone_number1", None) != row.fields.get("phone_number1"):
                    planner.update(resource, record, "phone_number1", number=place)
            for key in row.keys:
                if isinstance(key.by, str):
                    known[key.values[0]] = target
            for reference in row.references:
                planner.ids[planner.hashes.of_reference(reference)] = known[reference.value]
    for placement in await meitner.student_placements.list().all():
        if placement.student_id == known[OLD] and placement.end_date is None:
            planner.remove(END, "student_placements", placement)
    return planner


def _is(row, record, ids):
    if row.resource == "students":
        return record.identity_number == row.fields["identity_number"]
    if row.resource == "student_placements":
        return [record.student_id, record.school_id] == ids
    if row.resource == "groups":
        return record.title == row.fields["title"]
    return record.external is not None and record.external.source_id == row.fields["external"].source_id


def _counted(sandbox):
    """Count the records that the registry has, by resource."""
    people = {one.id: one.identity_number for one in sandbox.records("students")}
    wanted = {row["identity_number"] for row in ROWS["students"]}
    found = Counter(
        students=sum(one in wanted for one in people.values()),
        student_placements=sum(people[one.student_id] in wanted for one in sandbox.records("student_placements")),
        groups=sum(one.title == "1A" for one in sandbox.records("groups")),
        schools=sum(one.title == "Nya skolan" for one in sandbox.records("schools")),
        units=sum(one.title == "Norr" for one in sandbox.records("units")),
    )
    return dict(found)


def _check(sandbox, before):
    """Hold that everything is there once, and that nobody else was touched."""
    assert _counted(sandbox) == WANTED
    (old,) = [one for one in sandbox.records("students") if one.identity_number == OLD]
    assert old.phone_number1 == "+4684400000"
    (placement,) = [one for one in sandbox.records("student_placements") if one.student_id == old.id]
    assert placement.end_date is not None
    others = {one.id: one for one in sandbox.records("students") if one.id != old.id}
    assert all(others[one.id] == one for one in before if one.id != old.id)
    deleted = [one for one in sandbox.requests if one.method == "DELETE"]
    assert deleted == []


async def _trial(folder, at, *, saved, late=0.0, torn=False):
    """Kill a run at a step, run again until it is through, and return how many steps the first one took."""
    sandbox, desired, journal = _directory(), _desired(), folder / "registry.journal"
    await _prepared(sandbox)
    before = list(sandbox.records("students"))
    async with Meitner.sandbox(sandbox) as meitner:
        planned = (await _planned(meitner, desired)).proposal()
        planned.save(folder / "plan.json")
    death = Death(at, late=late, torn=torn)
    with death.watching(sandbox):
        async with Meitner.sandbox(sandbox) as meitner:
            proposal = Proposal.load(folder / "plan.json", meitner, desired)
            died = await death.of(lambda: proposal.apply(journal, concurrency=2))
    assert died is bool(at)
    async with Meitner.sandbox(sandbox) as meitner:
        if saved:
            proposal = Proposal.load(folder / "plan.json", meitner, desired)
        else:
            proposal = (await _planned(meitner, desired)).proposal()
        report = await proposal.apply(journal)
        assert report.ok, report.failures
        await asyncio.sleep(100.0)  # what the directory is still to do, it does
        _check(sandbox, before)
        again = await _planned(meitner, desired)
        assert again.actions == []
    return death.steps


def _trials(folder, every, **how):
    """Kill a run at every so-manieth step."""
    whole = folder / "whole"
    whole.mkdir()
    steps = run(_trial(whole, 0, saved=True))
    assert steps > 40
    for at in range(1, steps + 1, every):
        place = folder / str(at)
        place.mkdir()
        run(_trial(place, at, **how))


EVERY = [pytest.param(1, marks=pytest.mark.slow), 4]


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("late", [0.0, 20.0])
@pytest.mark.parametrize("saved", [True, False], ids=["saved", "anew"])
def test_a_kill_at_any_step_neither_doubles_nor_loses(tmp_path, saved, late, every):
    """Whether the directory had done what it was asked, or does it only while the next run is under way."""
    _trials(tmp_path, every, saved=saved, late=late)


@pytest.mark.parametrize("every", EVERY)
def test_a_journal_that_ends_in_half_a_line_is_gone_on_with(tmp_path, every):
    """The half is not believed: what it would have said was not sent."""
    _trials(tmp_path, every, saved=False, torn=True)
