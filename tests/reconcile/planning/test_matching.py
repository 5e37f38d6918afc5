"""A row finds its record by its source id, among ours, and by its key, among all; what cannot be told is a problem."""

from __future__ import annotations

import planning
import pytest
from msgspec.structs import replace
from planning import NUMBERS, OURS, SCHOOL, THEIRS, held, row, told, wrong

from meitner_aio import ConfigurationError
from meitner_aio.reconcile import ActionKind, Change

world = planning.world


async def test_a_row_that_nobody_has_is_created(world):
    """With all that it says, and its source id."""
    proposal = await world.plan(students=[row(1, source_id="s1", email_address1=None)])
    (action,) = proposal.actions
    assert (action.kind, action.id, action.source_id, action.line) == (ActionKind.CREATE, None, "s1", 1)
    assert {name: change.after for name, change in action.changes.items() if name != "external"} == row(
        1, email_address1=None
    )
    assert action.changes["external"].after.source_id == "s1"
    assert proposal.counts["students"][ActionKind.CREATE] == 1
    assert (action.seen, bool(action.wanted), bool(action.name)) == ("", True, True)


async def test_a_row_without_a_source_id_gets_one(world):
    """So that the record is known again by whoever wrote it."""
    (action,) = (await world.plan(students=[row(1)])).actions
    assert action.source_id.startswith("reconcile-")
    assert action.changes["external"].after.source_id == action.source_id


async def test_what_is_as_the_row_says_is_left_alone(world):
    """Blanks that the server drops, the form of letters, the case of ids and the order of lists mean nothing."""
    school, eva = world.school(), world.student(1, "s1", first_name="E\u0301va")
    group = world.put("groups", "g", school_id=school.id, title="7A", category="Other", member_ids=[eva.id])
    proposal = await world.plan(
        students=[row(1, source_id="s1", first_name="\u00c9va")],
        groups=[{"source_id": "g", "school_id": school.id.upper(), "title": "7A ", "member_ids": [eva.id.upper()]}],
    )
    assert (told(proposal), held(proposal), wrong(proposal)) == ([], [], []), group.id
    assert proposal.unchanged == {"students": 1, "groups": 1}


async def test_a_record_whose_id_has_capital_letters_is_not_missing(world):
    """The case of ids means nothing: whom a row names is there, however the server writes the id."""
    bo = world.student(1, "s1")
    table = world.sandbox._directory._tables["students"]
    table.remove(bo.id)
    table.put(replace(bo, id=bo.id.replace("00000000", "ABCDEFAB", 1)))
    proposal = await world.plan(students=[row(1, source_id="s1")], delete=True)
    assert (told(proposal), held(proposal), proposal.unchanged) == ([], [], {"students": 1})


async def test_a_record_of_ours_is_updated_in_what_the_row_says(world):
    """And in nothing else: what the registry does not say of it stays."""
    bo = world.student(1, "s1", first_name="Boo", email_address1="bo@example.com")
    proposal = await world.plan(students=[row(1, source_id="s1")])
    (action,) = proposal.actions
    assert told(proposal) == [("update", "students", bo.id)]
    assert action.changes == {"first_name": Change("Boo", "Bo")}
    assert (proposal.source, proposal.data.is_source_learnt) == (OURS, True)


async def test_a_changed_personal_number_is_found_by_the_source_id(world):
    """The record stays the same person."""
    bo = world.student(1, "s1")
    (action,) = (await world.plan(students=[row(2, source_id="s1")])).actions
    assert (action.kind, action.id, [*action.changes]) == (ActionKind.UPDATE, bo.id, ["identity_number"])


async def test_a_changed_source_id_is_found_by_the_key(world):
    """It is written, too."""
    bo = world.student(1, "old")
    (action,) = (await world.plan(students=[row(1, source_id="new")], source=OURS)).actions
    assert (action.kind, action.id, [*action.changes]) == (ActionKind.UPDATE, bo.id, ["external"])


async def test_swapped_keys_are_a_problem(world):
    """Nobody knows which of them is right: nothing is done to either, and neither is missing."""
    for number, source_id in ((1, "s1"), (2, "s2")):
        world.student(number, source_id)
    proposal = await world.plan(students=[row(2, source_id="s1"), row(1, source_id="s2")], delete=True)
    assert (told(proposal), held(proposal)) == ([], [])
    assert wrong(proposal) == [("students", 1, "identity_number"), ("students", 2, "identity_number")]


async def test_two_rows_about_one_record_are_a_problem(world):
    """One names it by its source id, the other by its key."""
    world.student(1, "s1")
    proposal = await world.plan(students=[row(9, source_id="s1"), row(1, source_id="s7")])
    assert (told(proposal), wrong(proposal)) == ([], [("students", 2, ""), ("students", 1, "")])


async def test_two_records_with_one_source_id_are_a_problem(world):
    """The server does not keep it unique."""
    for number in (1, 2):
        world.student(number, "s1")
    proposal = await world.plan(students=[row(3, source_id="s1")])
    assert (told(proposal), wrong(proposal)) == ([], [("students", 1, "source_id")])


async def test_what_nobody_owns_is_claimed_when_that_is_asked_for(world):
    """Else it is held. The source id of the row is written, or one that is made."""
    bo, eva = world.student(1, first_name="Boo"), world.student(2)
    rows = [row(1, source_id="s1"), row(2)]
    proposal = await world.plan(students=rows)
    assert told(proposal) == []
    assert held(proposal) == [
        ("claim", "students", bo.id, "unowned"),
        ("claim", "students", eva.id, "unowned"),
    ]
    first, second = (await world.plan(students=rows, claim=True)).actions
    assert (first.kind, first.id, first.source_id) == (ActionKind.CLAIM, bo.id, "s1")
    assert [*first.changes] == ["external", "first_name"]
    assert second.source_id.startswith("reconcile-")


async def test_a_record_of_another_source_is_never_changed(world):
    """It is held where it differs, and left alone where it does not, whatever its source id."""
    world.student(0, "s0")
    bo = world.student(1, "theirs", THEIRS, first_name="Boo")
    world.student(2, "theirs too", THEIRS)
    proposal = await world.plan(students=[row(0, source_id="s0"), row(1, source_id="s1"), row(2, source_id="s2")])
    assert (told(proposal), held(proposal)) == ([], [("update", "students", bo.id, "foreign")])
    assert [*proposal.held[0].action.changes] == ["first_name"]
    assert proposal.unchanged == {"students": 2}


async def test_the_source_is_learnt_from_the_ids_of_the_registry(world):
    """Of the same resource only; it tells then whose records of every resource are ours."""
    world.put("units", "u", title="Enheten")
    world.student(1, "u", THEIRS)
    bo = world.student(2, "old", first_name="Boo")
    proposal = await world.plan(students=[row(2, source_id="new")], units=[{"source_id": "u", "title": "Enheten"}])
    assert proposal.source == OURS
    assert told(proposal) == [("update", "students", bo.id)]


async def test_the_source_is_learnt_from_an_id_that_was_made(world):
    """Whoever has no ids of their own owns what they created all the same."""
    bo = world.student(1, "reconcile-" + 32 * "a", first_name="Boo")
    proposal = await world.plan(students=[row(1)])
    assert (proposal.source, told(proposal)) == (OURS, [("update", "students", bo.id)])


async def test_several_sources_are_refused(world):
    """They are named, and so is what to do; naming one decides."""
    bo = world.student(1, "s1", first_name="Boo")
    world.student(2, "s2", THEIRS)
    rows = [row(1, source_id="s1"), row(2, source_id="s2")]
    with pytest.raises(ConfigurationError, match=r"'another', 'api'; say whose they are, with source="):
        await world.plan(students=rows)
    proposal = await world.plan(students=rows, source=OURS)
    assert told(proposal) == [("update", "students", bo.id)]
    assert (proposal.source, proposal.data.is_source_learnt) == (OURS, False)


async def test_without_a_source_nothing_is_owned(world):
    """No record is missing then."""
    world.student(2, "s2", THEIRS)
    proposal = await world.plan(students=[row(1)], delete=True)
    assert (proposal.source, told(proposal)) == (None, [("create", "students", None)])
    assert proposal.data.owned == {"students": 0}


async def test_what_can_never_change_is_a_problem(world):
    """The category of a group, and whose a placement is: a registry that says otherwise is wrong, or the record is."""
    school, other = world.school(), world.school("other", title="Andra")
    bo, eva = world.student(1, "s1"), world.student(2, "s2")
    world.put("groups", "g", school_id=school.id, title="7A", category="Other")
    world.placement(bo, school, "p")
    proposal = await world.plan(
        groups=[{"source_id": "g", "school_id": other.id, "title": "7A"}],
        student_placements=[{**planning.placed(2), "source_id": "p"}],
    )
    assert (told(proposal), held(proposal)) == ([], []), eva.id
    assert wrong(proposal) == [("student_placements", 1, "student_id"), ("groups", 1, "school_id")]


async def test_a_school_made_by_hand_is_claimed_and_not_made_again(world):
    """It is known by its unit code, or its title: a second one could never be deleted."""
    there = world.school(None, unit_code="12345678", title="Skola")
    namesake = world.school(None, title="Namne", school_type="FS")
    rows = [
        {**SCHOOL, "unit_code": "12345678"},
        {"source_id": "two", "title": "Namne", "school_type": "GR"},
    ]
    proposal = await world.plan(schools=rows)
    assert held(proposal) == [("claim", "schools", there.id, "unowned")]
    assert told(proposal) == [("create", "schools", None)], namesake.id
    world.school(None, unit_code="12345678", title="En till")
    assert wrong(await world.plan(schools=rows)) == [("schools", 1, "source_id")]


async def test_types_that_a_preschool_completes_are_no_difference(world):
    """The server adds Childcare to Class: a plan would never be empty."""
    school = world.school(school_type="FS")
    world.put("groups", "g", school_id=school.id, title="Ekorren", types=["Class", "Childcare"])
    rows = [{"source_id": "g", "school.source_id": "school", "title": "Ekorren", "types": ["Class"]}]
    assert told(await world.plan(groups=rows)) == []


async def test_nothing_of_a_plan_shows_a_value(world):
    """Neither the actions nor what is held, in any representation."""
    world.student(1, "s1", first_name="Canaria")
    world.student(2, first_name="Canaria")
    proposal = await world.plan(students=[row(1, source_id="s1"), row(2), row(3), row(4, first_name="?o?o")])
    shown = repr(proposal.actions) + repr(proposal.held) + repr(proposal.problems) + repr(proposal)
    shown += "".join(str(one.__rich_repr__()) for one in proposal.actions)
    shown += "".join(one.message for one in proposal.held) + "".join(map(str, proposal.problems))
    assert len(proposal.actions) == 2
    assert not any(value in shown for value in ("Canaria", *NUMBERS[:5]))
