"""What the directory holds is read once, exactly, or through a copy; the loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import planning
import pytest
from planning import NOW, held, placed, row, told

from meitner_aio import Meitner, MeitnerError
from meitner_aio._listing.completeness import ListingReport
from meitner_aio._listing.listing import Listing
from meitner_aio.reconcile import Desired, plan
from meitner_aio.reconcile.planning import _planner, _present
from meitner_aio.sandbox import Sandbox

world = planning.world

ALL = ("units", "schools", "employees", "students", "guardians", "employee_placements", "student_placements", "groups")


class _Copy:
    """A copy that is brought up to date by reading everything."""

    def __init__(self, complete=True):
        self.complete, self.asked, self.threads, self._held = complete, [], set(), {}

    async def sync(self, meitner, resources=None):
        self.asked = list(resources)
        self._held = {name: await getattr(meitner, name).list().all() for name in resources}
        return SimpleNamespace(complete=self.complete)

    @contextmanager
    def read(self):
        state = SimpleNamespace(records=lambda name: iter(self._held[name]))
        self.threads.add(threading.current_thread())
        yield state
        state.records = None


async def test_records_are_those_of_the_directory():
    """Every field of every record comes through, in full and as often as wanted."""
    sandbox = Sandbox(students=60, schools=3, limiter="none")
    async with Meitner.sandbox(sandbox) as meitner:
        there = await _present.read(meitner, ALL, None)
    for name in ALL:
        assert list(there.records(name)) == list(there.records(name)) == sandbox.records(name)
    assert not there.incomplete


async def test_what_the_report_of_a_listing_says_counts(world, monkeypatch):
    """What was deleted during the read is not there, and what was not proven whole may lack something."""
    bo, eva = world.student(1), world.student(2)
    report = ListingReport(complete=False, gone=(bo.id,))
    monkeypatch.setattr(Listing, "report", property(lambda _: report))
    there = await _present.read(world.meitner, ("students",), None)
    assert list(there.records("students")) == [eva]
    assert there.incomplete == {"students"}


async def test_the_time_is_the_servers(world):
    """A clock that is wrong here ends no placement too early."""
    there = await _present.read(world.meitner, ("schools",), None)
    assert there.now == NOW.timestamp()
    assert (await world.plan(schools=[])).data.made_at == NOW.timestamp()


async def test_a_copy_takes_the_place_of_listings(world):
    """The plan is the same; it is read beside the event loop, from one state."""
    school = world.school()
    world.placement(world.student(1, "s1"), school, "p1")
    copy, rows = _Copy(), {"students": [row(1, source_id="s1", first_name="Eva")], "student_placements": [placed(2)]}
    direct, copied = await world.plan(**rows), await world.plan(**rows, present=copy)
    assert told(copied) == told(direct) != []
    assert held(copied) == held(direct)
    assert copy.asked == ["schools", "students", "student_placements"]
    assert len(copy.threads) == 1
    assert threading.main_thread() not in copy.threads


async def test_a_copy_that_is_not_complete_holds_removals(world):
    """What it lacks may be there."""
    world.placement(world.student(1, "s1"), world.school(), "p1")
    rows = {
        "students": [row(1, source_id="s1")],
        "student_placements": [placed(1, source_id="p2", start_date="2020-01-01")],
    }
    assert not held(await world.plan(**rows, present=_Copy(complete=False)))
    proposal = await world.plan(students=[row(2, source_id="s1")], student_placements=[], present=_Copy(complete=False))
    assert [one[3] for one in held(proposal)] == ["empty"]
    world.student(2)
    proposal = await world.plan(
        students=[row(1, source_id="s1")], student_placements=[placed(2)], present=_Copy(complete=False), source="api"
    )
    assert [one[3] for one in held(proposal)] == ["incomplete"]


async def test_a_plan_needs_to_know_whose_directory_it_is_of():
    """Its hashes are checked by the same credential only."""
    with pytest.raises(TypeError, match="through a Meitner client"):
        await plan(object(), Desired(students=[row(1)]))


async def test_what_reading_raises_is_raised(world):
    """Nothing is planned on half of a directory."""
    world.sandbox.fail("403")
    with pytest.raises(MeitnerError):
        await world.plan(students=[row(1)])


async def test_the_loop_goes_on_while_a_plan_is_made(world, monkeypatch):
    """Comparing is done in a thread, and a cancellation ends it."""
    began, seen = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def compare(planner, *args):
        loop.call_soon_threadsafe(began.set)
        while not planner._stop.is_set():
            planner._stop.wait(1)
        seen.append("stopped")
        planner._go_on()

    monkeypatch.setattr(_planner.Planner, "_compare", compare)
    task = asyncio.create_task(world.plan(students=[row(1)]))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["stopped"]


async def test_a_registry_that_shrank_since_the_last_run_removes_nobody(world, monkeypatch):
    """Half of the rows are gone: held before anybody has asked for it."""
    school = world.school()
    for number in range(4):
        world.placement(world.student(number), school, f"p{number}")
    rows = [placed(number, source_id=f"p{number}") for number in range(3)]
    for last, reasons in ((6, ["shrunk"]), (5, [])):
        monkeypatch.setattr(_planner, "last_row_counts", lambda *_, last=last: {"student_placements": last})
        proposal = await world.plan(student_placements=rows, journal="a.journal")
        assert [one[3] for one in held(proposal)] == reasons
        assert proposal.data.has_last_run
