"""A mirror that lost or kept too much is found by counting, and repaired by reading a small part."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import mirrors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirrors import held, there

from meitner_aio import Meitner
from meitner_aio.errors import TooManyDeletions
from meitner_aio.mirror import Mirror, _verify
from meitner_aio.mirror._names import KEPT
from meitner_aio.mirror._verify import Window
from meitner_aio.sandbox import Sandbox

path, sandbox, meitner, ask = mirrors.path, mirrors.sandbox, mirrors.meitner, mirrors.ask


def spoil(path, *statements):
    """Change a mirror behind its back."""
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            assert database.execute(statement).rowcount > 0


async def test_a_mirror_that_agrees_takes_a_request_a_resource(meitner, path):
    """And nothing is read."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        report = await mirror.verify(meitner)
        assert (report.requests, report.mismatches, report.read_anew) == (len(KEPT), {}, frozenset())
        assert report.complete


async def test_what_happened_since_is_no_mismatch(meitner, path, caplog):
    """The directory moved on: rows that came and went, grades among them, are followed before anything is called lost."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        for number in range(2):
            await meitner.guardians.create(identity_number=f"20150315-123{number}", first_name="Bo", last_name="Ek")
        for name in ("students", "grade_elementaries"):
            for row in (await getattr(meitner, name).list().all())[:3]:
                await getattr(meitner, name).delete(row.id)
        report = await mirror.verify(meitner)
        assert (report.mismatches, report.complete, report.read_anew) == ({}, True, frozenset())
        assert report.resources["guardians"].inserted == 2
        assert report.resources["students"].deleted == 3
        assert report.resources["grade_elementaries"].deleted >= 3
        assert "the mirror" not in caplog.text
        assert (await mirror.verify(meitner)).requests == len(KEPT)
        await mirror.sync(meitner)
        assert held(path) == await there(meitner)


async def test_a_row_that_was_lost_is_a_mismatch_though_others_came(path, monkeypatch):
    """What came since is followed, what was lost is found and read again, and both are told apart."""
    monkeypatch.setattr(_verify, "_FITS", 50)
    async with Meitner.sandbox(Sandbox(students=200)) as meitner, Mirror(path) as mirror:
        await mirror.sync(meitner)
        students = await meitner.students.list().all()
        spoil(path, f"DELETE FROM students WHERE id = '{students[77].id}'")
        await meitner.students.create(identity_number="20150315-1234", first_name="Bo", last_name="Ek")
        for student in students[:4]:
            await meitner.students.delete(student.id)
        report = await mirror.verify(meitner)
        assert report.mismatches == {"students": 1}
        count = report.resources["students"]
        assert (count.inserted, count.deleted, report.read_anew) == (2, 4, frozenset())
        assert held(path)["students"] == (await there(meitner))["students"]


async def test_brakes_hold_for_what_is_followed(meitner, path):
    """Rows that were deleted since go by the same rule as in a run of `sync`."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        before = held(path)
        for student in (await meitner.students.list().all())[:30]:
            await meitner.students.delete(student.id)
        with pytest.raises(TooManyDeletions):
            await mirror.verify(meitner, ["students"])
        assert held(path) == before
        assert (await mirror.verify(meitner, ["students"], accept_deletions=30)).deleted == 30


async def test_what_was_never_read_is_not_compared(meitner, path):
    """A mirror of two resources has nothing to say of the others."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner, ["schools", "students"])
        assert (await mirror.verify(meitner)).requests == 2


async def test_a_lost_row_is_found_by_halves(path, monkeypatch):
    """Six hundred rows, parts of fifty: four counts and a page or two find it; the feed tells of it."""
    monkeypatch.setattr(_verify, "_FITS", 50)
    async with Meitner.sandbox(Sandbox(students=600)) as meitner, Mirror(path) as mirror:
        await mirror.sync(meitner)
        lost = (await meitner.students.list().all())[437]
        spoil(path, f"DELETE FROM students WHERE id = '{lost.id}'")
        last = max(entry.seq for entry in mirror.feed())
        report = await mirror.verify(meitner)
        assert report.mismatches == {"students": 1}
        assert (report.inserted, report.deleted, report.read_anew) == (1, 0, frozenset())
        assert report.unchanged <= 50
        assert report.requests <= len(KEPT) + 8
        assert [(entry.id, entry.kind) for entry in mirror.feed(after=last)] == [(lost.id, "insert")]
        assert held(path) == await there(meitner)
        assert (await mirror.verify(meitner)).mismatches == {}


async def test_a_row_too_many_is_deleted(path, monkeypatch, ask):
    """With a tombstone, as any other."""
    monkeypatch.setattr(_verify, "_FITS", 20)
    async with Meitner.sandbox(Sandbox(students=200)) as meitner, Mirror(path) as mirror:
        await mirror.sync(meitner)
        spoil(
            path,
            "INSERT INTO students (id, identity_number, first_name, last_name, meta_created_at, identity_temporary) "
            "SELECT 'x', '1', 'a', 'b', meta_created_at, 0 FROM students LIMIT 1 OFFSET 77",
        )
        report = await mirror.verify(meitner)
        assert (report.mismatches, report.deleted) == ({"students": -1}, 1)
        assert held(path) == await there(meitner)
        assert [row[:2] for row in ask("SELECT resource, id FROM tombstones")] == [("students", "x")]


async def test_grades_are_read_in_full(meitner, path):
    """They cannot be searched."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        spoil(path, "DELETE FROM grade_elementaries WHERE rowid = 3")
        report = await mirror.verify(meitner)
        assert report.read_anew == {"grade_elementaries"}
        assert report.resources["grade_elementaries"].inserted == 1
        assert held(path) == await there(meitner)


async def test_the_second_mismatch_in_a_row_reads_a_resource_anew(meitner, path):
    """What repairs did not cure is not repaired for ever; in between, a total that fits begins the count again."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        for anew in (False, True, False):
            spoil(path, "DELETE FROM students WHERE rowid = (SELECT max(rowid) FROM students)")
            report = await mirror.verify(meitner)
            assert report.read_anew == ({"students"} if anew else frozenset())
            assert held(path) == await there(meitner)


async def test_brakes_hold_for_repairs(meitner, path, sandbox):
    """A directory that lost its rows does not take the mirror's along."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        before = held(path)
        table = sandbox.app._directory._tables["students"]
        for student in list(table.rows())[:30]:
            table.remove(student.id)
        with pytest.raises(TooManyDeletions, match="30 of 60 students"):
            await mirror.verify(meitner)
        assert held(path) == before
        assert (await mirror.verify(meitner, accept_deletions=30)).deleted == 30


seconds = st.datetimes().map(lambda moment: moment.replace(microsecond=0))


@given(st.none() | seconds, st.none() | seconds, st.datetimes())
def test_windows_are_cut_into_two_that_are_smaller(low, high, middle):
    """Together they are what was cut, neither is empty, and both are smaller: counting halves comes to an end."""
    if low is not None and high is not None and low >= high:
        low, high = high, low
    if low is not None and (low == high or middle < low):
        return
    parts = Window(low, high).cut(middle)
    if parts is None:
        return
    earlier, later = parts
    assert (earlier.low, later.high, earlier.high) == (low, high, later.low)
    assert earlier.high.microsecond == 0
    assert low is None or low < earlier.high
    assert high is None or earlier.high < high
