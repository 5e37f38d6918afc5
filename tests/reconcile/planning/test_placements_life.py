"""Placements are ended, archived, restored and deleted from the archive, in this order and never otherwise."""

from __future__ import annotations

from datetime import timedelta

import planning
import pytest
from planning import BEGAN, NOW, NUMBERS, OURS, SCHOOL, THEIRS, TODAY, held, placed, row, told, wrong

from meitner_aio.reconcile import ActionKind, Change

world = planning.world

FREE = {"source": OURS}
"""One record more or less is no share."""
DAY = timedelta(days=1)


def _ago(days):
    return TODAY - days * DAY


@pytest.fixture
def bo(world):
    """Give a student at a school."""
    world.school()
    return world.student(1, "s1")


@pytest.fixture
def school(world, bo):
    """Give that school."""
    return world.records("schools")[0]


async def test_a_missing_placement_is_ended_today(world, bo, school):
    """Or on its first day, where that is still to come."""
    one = world.placement(bo, school, "p1")
    two = world.placement(bo, school, "p2", start_date=TODAY + 9 * DAY, end_date=TODAY + 90 * DAY)
    world.student(2)
    proposal = await world.plan(student_placements=[placed(2)], **FREE)
    _, *ends = told(proposal)
    assert ends == [("end", "student_placements", one.id), ("end", "student_placements", two.id)]
    assert [dict(action.changes) for action in proposal.actions[1:]] == [
        {"end_date": Change(None, TODAY)},
        {"end_date": Change(two.end_date, two.start_date)},
    ]


@pytest.mark.parametrize(("days", "kind"), [(0, None), (6, None), (7, "archive"), (800, "archive")])
async def test_an_ended_one_is_archived_after_the_grace(world, bo, school, days, kind):
    """Until then it waits."""
    world.placement(bo, school, "p1", end_date=_ago(days), start_date=_ago(900))
    proposal = await world.plan(student_placements=[], **FREE)
    assert proposal.waiting == ({} if kind else {"student_placements": 1})
    assert [one[0] for one in held(proposal)] == ([kind] if kind else [])


@pytest.mark.parametrize(("retention", "kinds"), [(None, []), (700 * DAY, []), (365 * DAY, ["delete"])])
async def test_an_archived_one_is_deleted_after_the_retention(world, bo, school, retention, kinds):
    """Never without one."""
    world.placement(bo, school, "p1", start_date=_ago(900), end_date=_ago(500), archived_at=NOW - 400 * DAY)
    proposal = await world.plan(student_placements=[], retention=retention, accept_removals=1, **FREE)
    assert [one[0] for one in told(proposal)] == kinds
    assert proposal.waiting == ({"student_placements": 1} if retention == 700 * DAY else {})


async def test_placements_of_employees_are_not_archived(world):
    """The API archives those of students only: an ended one stays."""
    school, eva = (
        world.school(),
        world.put("employees", "e1", identity_number=NUMBERS[1], first_name="E", last_name="E"),
    )
    fields = {"employee_id": eva.id, "school_id": school.id, "start_date": BEGAN}
    world.put("employee_placements", "p1", **fields, end_date=_ago(90))
    open_ = world.put("employee_placements", "p2", **fields)
    proposal = await world.plan(employee_placements=[], accept_removals=1, **FREE)
    assert told(proposal) == [("end", "employee_placements", open_.id)]
    assert proposal.waiting == {}


async def test_who_comes_back_gets_the_placement_back(world, bo, school):
    """An archived one is restored, and its end date cleared, in place of a second one."""
    old = world.placement(bo, school, "p1", start_date=_ago(900), end_date=_ago(500), archived_at=NOW - 400 * DAY)
    proposal = await world.plan(student_placements=[placed(1, source_id="p2")], **FREE)
    (action,) = proposal.actions
    assert (action.kind, action.id) == (ActionKind.RESTORE, old.id)
    assert {name: change.after for name, change in action.changes.items() if name != "external"} == {
        "start_date": BEGAN,
        "end_date": None,
    }
    assert proposal.requests == 3


async def test_of_several_archived_ones_the_latest_is_restored(world, bo, school):
    """Unless another one has the start date of the row, or its source id."""
    first = world.placement(bo, school, "p1", start_date=_ago(900), end_date=_ago(800), archived_at=NOW - 700 * DAY)
    last = world.placement(bo, school, "p2", start_date=_ago(600), end_date=_ago(500), archived_at=NOW - 400 * DAY)
    for fields, restored in (
        ({}, last),
        ({"start_date": _ago(900).isoformat()}, first),
        ({"source_id": "p1"}, first),
    ):
        proposal = await world.plan(student_placements=[placed(1, **fields)], **FREE)
        assert told(proposal) == [("restore", "student_placements", restored.id)]


async def test_an_archived_one_that_the_registry_says_has_ended_is_left_alone(world, bo, school):
    """It is history."""
    world.placement(bo, school, "p1", start_date=_ago(900), end_date=_ago(500), archived_at=NOW - 400 * DAY)
    rows = [placed(1, source_id="p1", start_date=_ago(901).isoformat(), end_date=_ago(400).isoformat())]
    proposal = await world.plan(student_placements=rows)
    assert (told(proposal), proposal.unchanged) == ([], {"student_placements": 1})


@pytest.mark.parametrize(("days", "cleared"), [(1, True), (0, False), (-30, False)])
async def test_an_end_that_has_passed_is_cleared_when_the_row_says_of_none(world, bo, school, days, cleared):
    """An end to come was set by somebody who knows more."""
    world.placement(bo, school, "p1", end_date=_ago(days))
    proposal = await world.plan(student_placements=[placed(1, source_id="p1")])
    assert [dict(action.changes) for action in proposal.actions] == (
        [{"end_date": Change(_ago(days), None)}] if cleared else []
    )


async def test_of_several_live_ones_the_start_date_decides(world, bo, school):
    """Without one that fits, nobody knows, and neither is missing."""
    world.placement(bo, school, "p1", start_date=_ago(900), end_date=_ago(500))
    world.placement(bo, school, "p2", school_type="GRAN")
    kept = world.records("student_placements")[1]
    proposal = await world.plan(student_placements=[placed(1)], **FREE)
    assert told(proposal) == [("update", "student_placements", kept.id)]
    proposal = await world.plan(student_placements=[placed(1, start_date=_ago(3).isoformat())], **FREE)
    assert (told(proposal), held(proposal)) == ([], [])
    assert wrong(proposal) == [("student_placements", 1, "start_date")]


async def test_a_placement_named_in_two_ways_is_named_twice(world, bo, school):
    """By the school's unit code and by its source id: both rows are left out."""
    world.put("schools", "other", title="Andra", unit_code="12345678", school_type="GR")
    by_code = {**placed(1, "other"), "school.unit_code": "12345678"}
    del by_code["school.source_id"]
    proposal = await world.plan(student_placements=[placed(1, "other"), by_code], **FREE)
    assert told(proposal) == []
    assert sorted(wrong(proposal)) == [("student_placements", 1, ""), ("student_placements", 2, "")]


async def test_placements_of_others_are_left_alone(world, bo, school):
    """Whoever lacks them, and wherever they are in their life."""
    world.placement(bo, school, "p1", THEIRS)
    world.placement(bo, school, None, end_date=_ago(500))
    proposal = await world.plan(student_placements=[], **FREE)
    assert (told(proposal), held(proposal), proposal.waiting) == ([], [], {})


async def test_people_are_deleted_behind_their_placements(world, bo, school):
    """Not before: with one that stays, of whatever source, they wait."""
    gone = {"start_date": _ago(900), "end_date": _ago(500), "archived_at": NOW - 400 * DAY}
    eva, kim, ada = (world.student(number, f"s{number}") for number in (2, 3, 4))
    deleted = [world.placement(one, school, f"p{one.id}", **gone) for one in (bo, kim)]
    world.placement(kim, school, "theirs", THEIRS)
    world.placement(eva, school, "p", **gone)
    rows = {"student_placements": [], "students": [row(9, source_id="s9")]}
    options = {"delete": True, "retention": 300 * DAY, **FREE}
    proposal = await world.plan(**rows, **options)
    proposal = await world.plan(**rows, **options, accept_removals=proposal.removals)
    placements = [one.id for one in world.records("student_placements") if one.external.source == OURS]
    assert told(proposal) == [
        ("create", "students", None),
        *[("delete", "student_placements", placement) for placement in placements],
        *[("delete", "students", one.id) for one in (bo, eva, ada)],
    ]
    assert len(deleted) < len(placements)
    assert proposal.waiting == {"students": 1}
    assert told(await world.plan(students=rows["students"], **FREE)) == [("create", "students", None)]


async def test_people_stay_when_their_placements_are_held(world, bo, school):
    """Deleting them would delete what was held: the server takes placements with the person."""
    gone = {"start_date": _ago(900), "end_date": _ago(500), "archived_at": NOW - 400 * DAY}
    placement = world.placement(bo, school, "p1", **gone)
    rows = {"student_placements": [], "students": [row(9, source_id="s9")]}
    proposal = await world.plan(**rows, delete=True, retention=300 * DAY, **FREE)
    assert held(proposal) == [
        ("delete", "student_placements", placement.id, "empty"),
        ("delete", "students", bo.id, "empty"),
    ]


async def test_people_whom_the_registry_names_elsewhere_are_not_deleted(world):
    """A guardian's row names the student, a group's the employee, and a placement's another student."""
    school, bo, kim = world.school(), world.student(1, "s1"), world.student(4, "s4")
    eva = world.put("employees", "e1", identity_number=NUMBERS[2], first_name="E", last_name="E")
    group = {"source_id": "g", "school_id": school.id, "title": "7A", "category": "Other", "member_ids": [eva.id]}
    guardian = {**row(3), "source_id": "x", "students.source_id": "s1"}
    others = {"students": [row(8, source_id="s8")], "employees": [row(9, source_id="e9")]}
    proposal = await world.plan(
        guardians=[guardian], groups=[group], student_placements=[placed(4)], **others, delete=True, **FREE
    )
    assert proposal.waiting == {"students": 2, "employees": 1}, (bo.id, kim.id)
    assert not proposal.removals


async def test_groups_are_deleted_first_and_only_when_that_is_asked_for(world, bo, school):
    """Before placements, as members need one."""
    group = world.put("groups", "g", school_id=school.id, title="7A")
    kept = {"source_id": "h", "school_id": school.id, "title": "7B"}
    assert told(await world.plan(groups=[kept], **FREE)) == [("create", "groups", None)]
    proposal = await world.plan(groups=[kept], students=[row(8, source_id="s8")], delete=True, **FREE)
    assert [one for one in told(proposal) if one[0] == "delete"] == [
        ("delete", "groups", group.id),
        ("delete", "students", bo.id),
    ]


async def test_schools_are_never_removed(world, school):
    """The API deletes none."""
    proposal = await world.plan(schools=[{**SCHOOL, "source_id": "new", "title": "Nya"}], delete=True, **FREE)
    assert told(proposal) == [("create", "schools", None)]
