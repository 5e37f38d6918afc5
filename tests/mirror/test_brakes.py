"""No run empties a mirror by mistake: what is too much needs a person who says so."""

from __future__ import annotations

import mirrors
import pytest
from mirrors import held, there

from meitner_aio import MeitnerError
from meitner_aio.errors import TooManyDeletions
from meitner_aio.mirror import Mirror
from meitner_aio.mirror._brakes import Brakes

path, sandbox, meitner, ask = mirrors.path, mirrors.sandbox, mirrors.meitner, mirrors.ask


def state(path, mirror, ask):
    """Return all that a run may change."""
    return (
        held(path),
        list(mirror.feed()),
        ask("SELECT * FROM tombstones"),
        ask("SELECT * FROM meitner_aio_checkpoints"),
    )


async def test_a_run_that_would_delete_too_much_changes_nothing(meitner, path, ask):
    """Neither rows nor feed nor checkpoint; the error names numbers, and with those allowed the run goes through."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        before = state(path, mirror, ask)
        await meitner.students.create(identity_number="20150315-1234", first_name="Bo", last_name="Ek")
        for student in (await meitner.students.list().all())[:15]:
            await meitner.students.delete(student.id)
        with pytest.raises(TooManyDeletions, match="15 of 60 students") as caught:
            await mirror.sync(meitner)
        assert caught.value.deletions["students"] == 15
        assert caught.value.rows["students"] == 60
        assert state(path, mirror, ask) == before
        total = sum(caught.value.deletions.values())
        assert f"accept_deletions={total}" in str(caught.value)
        with pytest.raises(TooManyDeletions):
            await mirror.sync(meitner, accept_deletions=total - 1)
        assert state(path, mirror, ask) == before
        report = await mirror.sync(meitner, accept_deletions=total)
        assert (report.deleted, report.inserted) == (total, 1)
        assert held(path) == await there(meitner)


async def test_a_share_may_be_given(meitner, path):
    """Above it the run stops, up to it the run goes through."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner, ["students"])
        for student in (await meitner.students.list().all())[:15]:
            await meitner.students.delete(student.id)
        with pytest.raises(TooManyDeletions):
            await mirror.sync(meitner, ["students"], max_deletions=0.24)
        assert (await mirror.sync(meitner, ["students"], max_deletions=0.25)).deleted == 15


async def test_an_empty_answer_deletes_nothing(meitner, path, sandbox):
    """Be it of a single row: a server that lost its rows looks like one that never had them."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner, ["schools", "units"])
        before = held_schools(path)
        table = sandbox.app._directory._tables["units"]
        for unit in list(table.rows()):
            table.remove(unit.id)
        with pytest.raises(TooManyDeletions, match="1 of 1 units"):
            await mirror.sync(meitner, ["schools", "units"], full=True, max_deletions=1)
        assert held_schools(path) == before
        report = await mirror.sync(meitner, ["schools", "units"], full=True, accept_deletions=1)
        assert report.deleted == 1


def held_schools(path):
    """Return what two small tables hold."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as database:
        return [database.execute(f"SELECT * FROM {name} ORDER BY id").fetchall() for name in ("schools", "units")]


async def test_a_listing_that_ends_early_deletes_nothing(meitner, path, sandbox):
    """What is not shown to be whole is no proof that anything is gone."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        before = held(path)
        sandbox.fail("400", operations=["students.list"])
        with pytest.raises(MeitnerError):
            await mirror.sync(meitner, full=True)
        assert held(path) == before


@pytest.mark.parametrize(
    ("deletions", "rows", "emptied", "share", "accepted", "stops"),
    [
        (9, 9, False, 0.2, 0, False),
        (9, 9, True, 0.2, 0, True),
        (9, 9, True, 1, 9, False),
        (10, 50, False, 0.2, 0, False),
        (11, 50, False, 0.2, 0, True),
        (11, 50, False, 0.2, 10, True),
        (11, 50, False, 0.2, 11, False),
        (10, 1000, False, 0, 0, True),
        (0, 0, True, 0.2, 0, False),
        (50, 50, False, 1, 0, False),
    ],
)
def test_the_rule(deletions, rows, emptied, share, accepted, stops):
    """More than the share, and at least ten; or the last row of a resource; unless as many are allowed."""
    brakes = Brakes.checked(share, accepted)
    ask = ({"students": deletions, "groups": 0}, {"students": rows, "groups": 5}, {"students"} if emptied else set())
    if stops:
        with pytest.raises(TooManyDeletions):
            brakes.check(*ask)
    else:
        brakes.check(*ask)
