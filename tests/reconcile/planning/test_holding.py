"""Removals are held where something may be missing by mistake, or where they are too many; the rest never is."""

from __future__ import annotations

import planning
import pytest
from planning import OURS, held, placed, row, told

from meitner_aio.reconcile import ActionKind, Brakes, Desired

world = planning.world

FREE = {"source": OURS}


@pytest.fixture
def school(world):
    """Give a school with thirty pupils, each with a placement, and two without."""
    school = world.school()
    for number in range(30):
        world.placement(world.student(number, f"s{number}"), school, f"p{number}")
    world.student(30, "s30")
    world.student(31, "s31")
    return school


def _placed(numbers):
    return [placed(number, source_id=f"p{number}") for number in numbers]


def _reasons(proposal):
    return [reason for _, _, _, reason in held(proposal)]


async def test_an_empty_file_removes_nobody(world, school):
    """The count lets them go, exactly the count."""
    proposal = await world.plan(student_placements=[], **FREE)
    assert (told(proposal), _reasons(proposal)) == ([], ["empty"] * 30)
    assert proposal.removals == 30
    assert str(proposal).endswith("accept_removals=30")
    for count in (29, 31):
        assert not (await world.plan(student_placements=[], accept_removals=count, **FREE)).actions
    accepted = await world.plan(student_placements=[], accept_removals=30, **FREE)
    assert ([one[0] for one in told(accepted)], held(accepted)) == (["end"] * 30, [])


async def test_a_partial_file_removes_nobody_and_does_the_rest(world, school):
    """Half of the placements are missing: that is no leaving, but what is new is created."""
    proposal = await world.plan(student_placements=[*_placed(range(15)), placed(30)], **FREE)
    assert told(proposal) == [("create", "student_placements", None)]
    assert _reasons(proposal) == ["share"] * 15
    assert "15 of 30 student_placements would be removed" in proposal.held[0].message


async def test_a_few_never_trip_a_brake(world, school):
    """Ten of thirty is a third, and still may be right."""
    assert len((await world.plan(student_placements=_placed(range(10, 30)))).actions) == 10
    strict = await world.plan(student_placements=_placed(range(10, 30)), brakes=Brakes(minimum=9))
    assert _reasons(strict) == ["share"] * 10


async def test_a_brake_holds_for_each_school(world, school):
    """One school that is gone from a registry is few of all placements, and all of its own."""
    small = world.school("small", title="Lilla")
    for number in range(40, 300):
        world.placement(world.student(number), school if number >= 51 else small, f"p{number}")
    rows = [*_placed(range(29)), *_placed(range(51, 300))]
    proposal = await world.plan(student_placements=rows, **FREE)
    assert [one[0] for one in told(proposal)] == ["end"]
    assert _reasons(proposal) == ["share"] * 11
    assert {one.action.school_id for one in proposal.held} == {small.id}
    assert f"of school {small.id}" in proposal.held[0].message


async def test_too_many_updates_are_held_and_nothing_else(world, school):
    """A file in the wrong encoding changes every name: what is new goes on all the same."""
    rows = [row(number, source_id=f"s{number}", first_name="Bo Bo") for number in range(32)]
    proposal = await world.plan(students=[*rows, row(40)])
    assert told(proposal) == [("create", "students", None)]
    assert _reasons(proposal) == ["share"] * 32
    assert not proposal.removals
    assert len((await world.plan(students=rows, brakes=Brakes(update=1))).actions) == 32


async def test_a_listing_that_is_not_complete_holds_removals(world, school, monkeypatch):
    """Nobody is missing from what was not read; whether who it refers to is there counts, too."""
    _incomplete(monkeypatch, "student_placements")
    proposal = await world.plan(student_placements=[*_placed(range(29)), placed(30)])
    assert told(proposal) == [("create", "student_placements", None)]
    assert _reasons(proposal) == ["incomplete"]


async def test_people_who_could_not_all_be_read_are_not_nobody(world, school, monkeypatch):
    """A row names someone whom the listing lacked: the placement is not missing."""
    lost = world.student(50, "s50")
    world.placement(lost, school, "other id")
    _incomplete(monkeypatch, "students", without=lost.id)
    rows = [*_placed(range(30)), placed(50)]
    students = [row(50, source_id="s50", first_name="?o?o")]
    proposal = await world.plan(student_placements=rows, students=students, **FREE)
    assert (told(proposal), _reasons(proposal)) == ([], ["unknown_rows"])


def _incomplete(monkeypatch, resource, without=None):
    """Let a listing lack a record, and say so."""
    from meitner_aio.reconcile.planning import _planner, _present

    class Lacking(_present.Present):
        def __init__(self, there):
            super().__init__(frozenset({resource}))
            self.now, self._there = there.now, there

        def records(self, name):
            return (one for one in self._there.records(name) if one.id != without)

    async def read(*args):
        return Lacking(await _present.read(*args))

    monkeypatch.setattr(_planner, "read", read)


async def test_a_file_that_cannot_be_read_removes_nobody(world, school, tmp_path):
    """Nor do rows of which no key can be read."""
    (tmp_path / "student_placements.csv").write_bytes(b"student.identity_number;school.source_id\n\xff")
    proposal = await world.plan(Desired.load(tmp_path), **FREE)
    assert set(_reasons(proposal)) == {"unreadable"}
    assert len(proposal.held) == 30
    rows = [*_placed(range(29)), {"school_type": "GR", "start_date": "2025-08-18"}]
    assert _reasons(await world.plan(student_placements=rows)) == ["unknown_rows"]


async def test_a_row_with_a_problem_is_not_missing(world, school):
    """Whatever else is wrong, its key is there."""
    rows = [*_placed(range(29)), placed(29, end_date="soon")]
    proposal = await world.plan(student_placements=rows)
    assert (told(proposal), held(proposal)) == ([], [])
    assert [problem.field for problem in proposal.problems] == ["end_date"]


async def test_nobody_is_deleted_whom_a_row_that_is_left_out_may_name(world):
    """Of a guardian's row with a problem only the keys are known, and not whose guardian it is."""
    world.student(1, "s1")
    guardian = {**row(3), "source_id": "x", "students.source_id": "s1", "last_name": ""}
    proposal = await world.plan(guardians=[guardian], students=[row(8, source_id="s8")], delete=True, **FREE)
    assert _reasons(proposal) == ["unknown_rows"]
    assert not any(one[0] == "delete" for one in told(proposal))


async def test_counts_are_of_every_kind_and_resource(world, school):
    """Zeros among them, so that a report has the same columns every night."""
    proposal = await world.plan(student_placements=_placed(range(29)), students=[])
    assert proposal.counts["student_placements"] == {kind: int(kind is ActionKind.END) for kind in ActionKind}
    assert set(proposal.counts) == {"student_placements", "students"}
    assert proposal.data.owned == {"student_placements": 30, "students": 32}
    assert proposal.data.row_counts == {"student_placements": 29, "students": 0}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"remove": 1.1}, ValueError),
        ({"update": -0.1}, ValueError),
        ({"remove": True}, TypeError),
        ({"update": "0.3"}, TypeError),
        ({"minimum": -1}, ValueError),
        ({"minimum": 1.5}, TypeError),
    ],
)
def test_brakes_that_mean_nothing_are_refused(options, error):
    """Before anything is read."""
    with pytest.raises(error, match=next(iter(options))):
        Brakes(**options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"grace": 7}, TypeError),
        ({"grace": -planning.DAY}, ValueError),
        ({"retention": 7}, TypeError),
        ({"accept_removals": -1}, ValueError),
        ({"accept_removals": True}, TypeError),
    ],
)
async def test_options_that_mean_nothing_are_refused(world, options, error):
    """Before anything is read."""
    with pytest.raises(error, match=next(iter(options))):
        await world.plan(students=[row(1)], **options)
    assert not world.sandbox.requests


async def test_a_plan_only_reads(world, school):
    """The resources of the registry and those that they refer to, a listing each."""
    await world.plan(student_placements=_placed(range(3)))
    assert {one.method for one in world.sandbox.requests} == {"GET"}
    assert {one.operation for one in world.sandbox.requests} == {
        "schools.list",
        "students.list",
        "student_placements.list",
    }
