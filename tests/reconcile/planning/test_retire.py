"""Placements that are over are archived, and deleted from the archive, without any registry."""

from __future__ import annotations

import planning
import pytest
from planning import DAY, NOW, OURS, THEIRS, TODAY, held, told

from meitner_aio import ConfigurationError
from meitner_aio.reconcile import ActionKind, retire

world = planning.world


@pytest.fixture
def placed(world):
    """Give what puts a placement of ours that ended so many days ago."""
    school, bo = world.school(), world.student(1)

    def put(days, source=OURS, archived=None, source_id="p"):
        times = {"start_date": TODAY - 2000 * DAY, "end_date": None if days is None else TODAY - days * DAY}
        at = None if archived is None else NOW - archived * DAY
        return world.placement(bo, school, source_id, source, **times, archived_at=at)

    return put


async def test_what_ended_long_enough_ago_is_archived_then_deleted(world, placed):
    """What runs, or ended lately, is left alone: nothing is ended here."""
    for days in (None, -3, 0, 6):
        placed(days)
    over, old, young = placed(7), placed(900, archived=731), placed(800, archived=729)
    proposal = await retire(world.meitner, ended=7 * DAY, archived=730 * DAY)
    assert told(proposal) == [("archive", "student_placements", over.id), ("delete", "student_placements", old.id)]
    assert proposal.waiting == {"student_placements": 3}, young.id
    assert proposal.counts["employee_placements"] == dict.fromkeys(ActionKind, 0)
    assert (proposal.source, proposal.data.is_source_learnt) == (OURS, True)
    assert proposal.actions[0].reason == "ended 7 days ago"
    await world.carry_out(proposal)
    assert told(await retire(world.meitner, ended=7 * DAY, archived=730 * DAY)) == []


async def test_nothing_is_deleted_unless_a_time_is_said(world, placed):
    """However long it is in the archive."""
    placed(900, archived=899)
    assert told(await retire(world.meitner, ended=7 * DAY)) == []


async def test_several_sources_are_refused_and_others_left_alone(world, placed):
    """Placements of nobody belong to no source."""
    ours, _, _ = placed(10), placed(10, THEIRS), placed(10, source_id=None)
    with pytest.raises(ConfigurationError, match="placements are of several sources: 'another', 'api'"):
        await retire(world.meitner, ended=DAY)
    proposal = await retire(world.meitner, ended=DAY, source=OURS)
    assert told(proposal) == [("archive", "student_placements", ours.id)]


async def test_placements_of_nobody_are_no_sources(world, placed):
    """Then there is nothing to do."""
    placed(10, source_id=None)
    proposal = await retire(world.meitner, ended=DAY)
    assert (proposal.source, told(proposal)) == (None, [])


async def test_too_many_are_held(world, placed):
    """The count lets them go."""
    for number in range(11):
        placed(10, source_id=f"p{number}")
    proposal = await retire(world.meitner, ended=DAY)
    assert (told(proposal), {one[3] for one in held(proposal)}) == ([], {"share"})
    assert len((await retire(world.meitner, ended=DAY, accept_removals=proposal.removals)).actions) == 11


@pytest.mark.parametrize(
    ("options", "error"), [({"ended": 7}, TypeError), ({"ended": DAY, "archived": -DAY}, ValueError)]
)
async def test_times_that_mean_nothing_are_refused(world, options, error):
    """Before anything is read."""
    with pytest.raises(error, match=[*options][-1]):
        await retire(world.meitner, **options)
    assert not world.sandbox.requests
