"""Records of a mirror are read as they are wanted, all of one state, while runs go on."""

from __future__ import annotations

import sqlite3
import tracemalloc
from contextlib import closing

import mirrors
import pytest
from mirrors import held, there

from meitner_aio import Guardians, MeitnerError, StudentPlacements, Students
from meitner_aio.changes import Deleted
from meitner_aio.mirror import Mirror
from meitner_aio.mirror._names import KEPT

path, sandbox, meitner, ask = mirrors.path, mirrors.sandbox, mirrors.meitner, mirrors.ask


async def test_every_record_is_read_as_the_directory_has_it(meitner, path):
    """Of every resource, as created."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        with mirror.read() as state:
            found = {name: {row.id: row for row in state.records(name)} for name in KEPT}
            created = [student.meta.created_at for student in state.records(Students)]
        assert found == await there(meitner) == held(path)
        assert created == sorted(created)


async def test_what_is_archived_is_read_and_what_is_deleted_is_told(meitner, path):
    """An archived placement is a record with a time; of what is gone there is the id and since when."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        placements = await meitner.student_placements.list().all()
        placement = next(one for one in placements if one.archived_at is None)
        archived = {one.id for one in placements if one.archived_at is not None}
        await meitner.student_placements.modify(placement, end_date=placement.start_date)
        await meitner.student_placements.archive(placement.id)
        guardian, *_ = await meitner.guardians.list().all()
        await meitner.guardians.delete(guardian.id)
        await mirror.sync(meitner)
        with mirror.read() as state:
            found = {one.id for one in state.records(StudentPlacements) if one.archived_at is not None}
            assert found == archived | {placement.id}
            assert guardian.id not in {one.id for one in state.records(Guardians)}
            (gone,) = state.deleted(Guardians)
            assert (gone.resource, gone.id) == ("guardians", guardian.id)
            assert isinstance(gone, Deleted)
            assert gone.at is not None
            assert list(state.deleted("students")) == []


async def test_a_run_meanwhile_changes_nothing_of_it(meitner, path, monkeypatch):
    """Neither for a resource that is half read nor for the next one; whoever opens it again sees the new state."""
    monkeypatch.setattr("meitner_aio.mirror._database.PATIENCE", 0)
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        before = held(path)
        with mirror.read() as state:
            students = state.records(Students)
            first = next(students)
            for student in (await meitner.students.list().all())[5:9]:
                await meitner.students.delete(student.id)
            for guardian in (await meitner.guardians.list().all())[:3]:
                await meitner.guardians.modify(guardian, last_name="Ny")
            await mirror.sync(meitner)
            assert {row.id: row for row in [first, *students]} == before["students"]
            assert {row.id: row for row in state.records(Guardians)} == before["guardians"]
            assert not list(state.deleted(Students))
        with mirror.read() as state:
            assert {row.id: row for row in state.records(Students)} == (await there(meitner))["students"]
            assert len(list(state.deleted(Students))) == 4


async def test_what_was_never_read_does_not_pass_for_nothing(meitner, path):
    """No mirror, no such resource in it, or one of another version: that is said, instead of that there is no row."""
    async with Mirror(path) as mirror:
        with pytest.raises(MeitnerError, match="holds no mirror yet"), mirror.read():
            pass
        await mirror.sync(meitner, ["schools"])
        with mirror.read() as state:
            with pytest.raises(MeitnerError, match="does not have all students"):
                next(state.records(Students))
            with pytest.raises(ValueError, match="no resource"):
                next(state.records("pupils"))
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE meitner_aio_resources SET columns = '{}' WHERE resource = 'schools'")
        with mirror.read() as state, pytest.raises(MeitnerError, match="another version"):
            next(state.records("schools"))


async def test_memory_does_not_grow_with_the_rows(meitner, path):
    """Twenty thousand rows take what one takes."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner, ["students"])
        with closing(sqlite3.connect(path)) as database, database:
            columns = [name for _, name, *_ in database.execute("PRAGMA table_info(students)")]
            values = ", ".join("id || '-' || value" if name == "id" else name for name in columns)
            numbers = "WITH RECURSIVE n(value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 20000)"
            first = "(SELECT * FROM students LIMIT 1)"
            database.execute(f"{numbers} INSERT INTO students SELECT {values} FROM {first}, n")
        with mirror.read() as state:
            next(state.records(Students))
            tracemalloc.start()
            try:
                assert sum(1 for _ in state.records(Students)) > 20_000
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert peak < 1 << 20
