"""References lead to records of the directory, and to those that the plan creates; else the row is left out."""

from __future__ import annotations

import planning
import pytest
from planning import NUMBERS, OURS, SCHOOL, THEIRS, held, placed, row, told, wrong

world = planning.world

FREE = {"source": OURS}


def _group(**fields):
    return {"source_id": "g", "school.source_id": "school", "title": "7A", **fields}


async def test_a_registry_fills_an_empty_directory_and_the_second_plan_is_empty(world):
    """Each record behind those that it names: units, schools, people, placements, and groups with members."""
    rows = {
        "groups": [_group(**{"members.source_id": "s1;s2", "moderators.source_id": "e1"})],
        "student_placements": [placed(1, source_id="p1"), placed(2)],
        "employee_placements": [
            {"employee.source_id": "e1", "school.source_id": "school", "roles": "Teacher", "start_date": "2025-08-18"}
        ],
        "guardians": [{**row(4), "students.identity_number": f"{NUMBERS[1]};{NUMBERS[2]}"}],
        "students": [row(1, source_id="s1"), row(2, source_id="s2")],
        "employees": [{**row(3), "source_id": "e1"}],
        "schools": [{**SCHOOL, "unit.source_id": "u1"}],
        "units": [{"source_id": "u1", "title": "Enheten"}],
    }
    proposal = await world.plan(**rows)
    assert wrong(proposal) == []
    assert [action.resource for action in proposal.actions] == [
        "units",
        "schools",
        "employees",
        *["students"] * 2,
        "guardians",
        "employee_placements",
        *["student_placements"] * 2,
        "groups",
    ]
    await world.carry_out(proposal)
    assert len(world.records("groups")[0].member_ids) == 2
    second = await world.plan(**rows)
    assert (told(second), held(second), wrong(second)) == ([], [], [])
    assert second.source == OURS
    assert second.unchanged == {name: len(found) for name, found in rows.items()}


async def test_a_second_plan_behind_every_kind_of_change_is_empty(world):
    """Claims, updates, ends, archives, restores and deletions, carried out by hand."""
    school = world.school()
    claimed, changed, gone, back, leaver = (
        world.student(1),
        world.student(2, "s2", first_name="Boo"),
        world.student(3, "s3"),
        world.student(4, "s4"),
        world.student(5, "s5"),
    )
    past = {"start_date": planning.BEGAN.replace(year=2020), "end_date": planning.BEGAN.replace(year=2021)}
    world.placement(claimed, school)
    world.placement(changed, school, "p2")
    world.placement(gone, school, "p3", **past, archived_at=planning.NOW.replace(year=2022))
    world.placement(back, school, "p4", **past, archived_at=planning.NOW.replace(year=2022))
    world.placement(leaver, school, "p5", **past)
    rows = {
        "students": [row(1), row(2, source_id="s2"), row(4, source_id="s4"), row(5, source_id="s5")],
        "student_placements": [placed(1), placed(4, source_id="p4"), placed(6)],
        "groups": [_group(**{"members.identity_number": NUMBERS[1]})],
    }
    world.student(6, "s6")
    rows["students"].append(row(6, source_id="s6"))
    options = {"claim": True, "delete": True, "retention": planning.DAY * 300}
    proposal = await world.plan(**rows, **options)
    kinds = {kind for kind, _, _ in told(proposal)}
    assert kinds == {"create", "claim", "update", "restore", "end", "archive", "delete"}
    assert held(proposal) == []
    await world.carry_out(proposal)
    second = await world.plan(**rows, **options)
    assert (told(second), held(second), wrong(second)) == ([], [], [])


async def test_a_row_that_names_nobody_is_left_out(world):
    """It is told with its column; nothing is created for it."""
    world.school()
    rows = [placed(1), {**placed(2), "school.source_id": "nowhere"}]
    world.student(2)
    proposal = await world.plan(student_placements=rows, **FREE)
    assert told(proposal) == []
    assert wrong(proposal) == [
        ("student_placements", 1, "student.identity_number"),
        ("student_placements", 2, "school.source_id"),
    ]


async def test_an_id_that_nobody_has_is_a_problem(world):
    """The server would refuse it."""
    school = world.school()
    rows = [{**placed(1), "student_id": "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64", "school_id": school.id}]
    for name in ("student.identity_number", "school.source_id"):
        del rows[0][name]
    proposal = await world.plan(student_placements=rows, **FREE)
    assert (told(proposal), wrong(proposal)) == ([], [("student_placements", 1, "student_id")])


@pytest.mark.parametrize("by", ["unit_code", "title"])
async def test_a_school_named_by_what_is_not_unique_has_to_be_the_only_one(world, by):
    """Two with the same unit code or title are a problem, and a placement at either is not missing."""
    value = {"unit_code": "12345678", "title": "Skolan"}[by]
    first, bo = world.school(None, unit_code="12345678"), world.student(1, "s1")
    rows = [{**placed(1), f"school.{by}": value}]
    del rows[0]["school.source_id"]
    proposal = await world.plan(student_placements=rows, **FREE)
    assert told(proposal) == [("create", "student_placements", None)]
    assert proposal.actions[0].school_id == first.id
    world.school("two", unit_code="12345678")
    world.placement(bo, first, "p1")
    proposal = await world.plan(student_placements=rows, **FREE)
    assert (told(proposal), held(proposal)) == ([], [])
    assert wrong(proposal) == [("student_placements", 1, f"school.{by}")]


async def test_references_lead_to_records_of_any_owner(world):
    """Whoever keeps the schools, placements at them may be ours."""
    world.school("school", source=THEIRS)
    world.student(1)
    proposal = await world.plan(student_placements=[placed(1)], **FREE)
    assert told(proposal) == [("create", "student_placements", None)]


async def test_a_source_id_that_several_have_means_ours(world):
    """Ids of different systems may be the same."""
    theirs, ours = world.school(source=THEIRS), world.school()
    world.student(1)
    proposal = await world.plan(student_placements=[placed(1)], **FREE)
    assert proposal.actions[0].school_id == ours.id != theirs.id


async def test_a_row_lends_its_keys_to_its_record(world):
    """Its new number and its source id lead to who is known by others."""
    school = world.school()
    bo, eva = world.student(1, "s1"), world.student(2)
    placements = [world.placement(bo, school, "p1"), world.placement(eva, school, "p2")]
    by_id = {**placed(2, source_id="p2"), "student.source_id": "s2"}
    del by_id["student.identity_number"]
    proposal = await world.plan(
        students=[row(9, source_id="s1"), row(2, source_id="s2")],
        student_placements=[placed(9, source_id="p1"), by_id],
    )
    assert told(proposal) == [("update", "students", bo.id)]
    assert held(proposal) == [("claim", "students", eva.id, "unowned")]
    assert proposal.unchanged["student_placements"] == len(placements)


async def test_a_row_that_was_left_out_lends_them_too(world):
    """Its placement is found, and not missing, although the person cannot be updated."""
    school, bo = world.school(), world.student(1, "s1")
    world.placement(bo, school, "p1")
    proposal = await world.plan(
        students=[row(9, source_id="s1", first_name="?o?o")], student_placements=[placed(9)], **FREE
    )
    assert (told(proposal), held(proposal)) == ([], [])
    assert proposal.unchanged["student_placements"] == 1


async def test_a_row_that_may_be_any_record_holds_the_removals_of_its_school(world):
    """A number that nobody has may be a misspelled one: the placement that seems to be missing may be meant."""
    here, there = world.school(), world.school("other", title="Andra")
    bo, eva = world.student(1, "s1"), world.student(2, "s2")
    one, other = world.placement(bo, here, "p1"), world.placement(eva, there, "p2")
    proposal = await world.plan(student_placements=[placed(7)], **FREE)
    assert told(proposal) == [("end", "student_placements", other.id)]
    assert held(proposal) == [("end", "student_placements", one.id, "unknown_rows")]
    # Of whom the registry tells, and leaves out, that is known: somebody who is not in the directory yet.
    students = [row(1, source_id="s1"), row(2, source_id="s2"), row(7, source_id="s7", first_name="?o?o")]
    proposal = await world.plan(students=students, student_placements=[placed(7)], **FREE)
    assert [one[0] for one in told(proposal)] == ["end", "end"]


async def test_a_member_who_is_nobody_leaves_the_group_out(world):
    """A list replaces the whole list: without the member, somebody would be thrown out."""
    school = world.school()
    world.put("groups", "g", school_id=school.id, title="7A")
    proposal = await world.plan(groups=[_group(**{"members.identity_number": NUMBERS[1]})], delete=True, **FREE)
    assert (told(proposal), held(proposal)) == ([], [])
    assert wrong(proposal) == [("groups", 1, "members.identity_number")]


async def test_rows_for_who_is_created_name_them_by_reference(world):
    """The id of a member to come is not known: the change says the reference, and the plan where it leads."""
    school, bo = world.school(), world.student(1, "s1")
    world.placement(bo, school, "p1")
    world.put("groups", "g", school_id=school.id, title="7A", member_ids=[bo.id])
    proposal = await world.plan(
        students=[row(1, source_id="s1"), row(2, source_id="s2")],
        student_placements=[placed(1, source_id="p1"), placed(2)],
        groups=[_group(**{"members.identity_number": f"{NUMBERS[1]};{NUMBERS[2]}"})],
    )
    made, _, group = proposal.actions
    (first, second) = group.changes["member_ids"].after
    assert (first, second.by) == (bo.id, "identity_number")
    assert f"@{made.name}" in proposal.data.ids.values()
