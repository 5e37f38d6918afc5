"""What is deleted, changed or forgotten is in none of the bytes of a mirror, nor of what lies beside it."""

from __future__ import annotations

import random
import re
import sqlite3
from contextlib import closing

import mirrors
import pytest
from mirrors import held

from meitner_aio import Meitner, MeitnerError
from meitner_aio.errors import TooManyDeletions
from meitner_aio.mirror import Mirror, _database
from meitner_aio.mirror._erase import erase, has_gaps
from meitner_aio.sandbox import Sandbox

path, sandbox, meitner, ask = mirrors.path, mirrors.sandbox, mirrors.meitner, mirrors.ask

CANARY = re.compile(rb"Canary[0-9a-f]{16}")


def beside(path):
    """Return all bytes of a mirror and of the files beside it."""
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def canaries(path):
    """Return the canaries in them."""
    return {found.decode() for found in CANARY.findall(beside(path))}


async def test_deleted_and_changed_rows_are_gone_from_the_bytes(path):
    """After each run, with the mirror open: those that live are there, and no others."""
    chance = random.Random(7)
    async with Meitner.sandbox(Sandbox(students=150, limiter="none")) as meitner, Mirror(path) as mirror:
        await mirror.sync(meitner)
        living = {}
        for _ in range(4):
            students = await meitner.students.list().all()
            for student in chance.sample(students, 25):
                name = f"Canary{chance.getrandbits(64):016x}"
                await meitner.students.modify(student, last_name=name)
                living[student.id] = name
            for id_ in chance.sample(sorted(living), 8):
                await meitner.students.delete(id_)
                del living[id_]
            await mirror.sync(meitner, accept_deletions=1000)
            assert canaries(path) == set(living.values())
    assert canaries(path) == set(living.values())


async def test_a_run_that_failed_leaves_none_of_its_rows(meitner, path, sandbox, monkeypatch):
    """Neither one that its brakes stopped nor one that broke: the log, in which its rows had to wait, is emptied."""
    monkeypatch.setattr(_database, "_CACHE", 1)
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        student = (await meitner.students.list().all())[0]
        await meitner.students.modify(student, last_name=f"Canary{'a' * 16}")
        sandbox.fail("400", operations=["grade_elementaries.list"])
        with pytest.raises(MeitnerError):
            await mirror.sync(meitner)
        assert canaries(path) == set()
        sandbox.heal()
        for other in (await meitner.students.list().all())[1:20]:
            await meitner.students.delete(other.id)
        with pytest.raises(TooManyDeletions):
            await mirror.sync(meitner)
        assert canaries(path) == set()


async def test_a_forgotten_record_is_nowhere(meitner, path, ask):
    """Neither its row nor its tombstone nor its place in the feed, under any spelling of its id."""
    async with Mirror(path) as mirror:
        guardian = (await meitner.guardians.list().all())[0]
        await meitner.guardians.modify(guardian, last_name=f"Canary{'b' * 16}")
        await mirror.sync(meitner)
        feed = len(list(mirror.feed()))
        assert await mirror.forget(guardian.id.upper()) == 1
        assert guardian.id not in held(path)["guardians"]
        assert len(list(mirror.feed())) == feed - 1
        assert canaries(path) == set()
        assert guardian.id.encode() not in beside(path)
        await meitner.guardians.delete(guardian.id)
        await mirror.sync(meitner)
        assert guardian.id.encode() not in beside(path)
        other = (await meitner.guardians.list().all())[0]
        await meitner.guardians.delete(other.id)
        await mirror.sync(meitner)
        assert ask("SELECT id FROM tombstones") == [(other.id,)]
        assert await mirror.forget(other.id) == 0
        assert other.id.encode() not in beside(path)


async def test_what_is_deleted_is_overwritten_at_once(meitner, path):
    """Before a run has ended, too: who kills it before it has looked through the file leaves little."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner, ["schools"])
        found = await mirror._worker.do(lambda: mirror._opened().execute("PRAGMA secure_delete").fetchone())
        assert found == (1,)


async def test_a_mirror_that_does_not_exist_forgets(path, caplog):
    """There is nothing in it, and nothing to warn of."""
    async with Mirror(path) as mirror:
        assert await mirror.forget("x") == 0
    assert "may hold" not in caplog.text


def test_copies_that_sqlite_leaves_in_gaps_are_found_and_erased(path):
    """`secure_delete` leaves some: pages that are in use hold rows that were moved elsewhere and then deleted."""
    chance, dead, living = random.Random(1), set(), {}
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE meitner_aio_mirror AS SELECT 1 AS erase")
        database.execute("CREATE TABLE t (id TEXT PRIMARY KEY, value TEXT) STRICT")
        for _ in range(12):
            database.execute("BEGIN")
            for _ in range(400):
                key, name = f"{chance.getrandbits(64):x}", f"Canary{chance.getrandbits(64):016x}"
                living[key] = name
                database.execute("INSERT INTO t VALUES (?, ?)", [key, name + "y" * chance.randrange(300)])
            for key in chance.sample(sorted(living), 250):
                dead.add(living.pop(key))
                database.execute("DELETE FROM t WHERE id = ?", [key])
            database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert canaries(path) & dead
        assert has_gaps(database.serialize())
        erase(database, path)
        assert canaries(path) == set(living.values())
        assert not has_gaps(database.serialize())
        assert database.execute("SELECT erase FROM meitner_aio_mirror").fetchone() == (0,)
        changes = database.total_changes
        erase(database, path)
        assert database.total_changes == changes


async def test_what_another_reader_holds_back_is_erased_by_the_next_run(meitner, path, caplog):
    """A long reading of another program keeps the log; the log of this one says so."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        student = (await meitner.students.list().all())[0]
        await meitner.students.modify(student, last_name=f"Canary{'c' * 16}")
        await mirror.sync(meitner)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM students").fetchone()
            await mirror._worker.do(mirror._database.execute, "PRAGMA busy_timeout = 0")
            await meitner.students.modify(student, last_name="Ny")
            await mirror.sync(meitner)
            assert "may hold what was deleted" in caplog.text
        await mirror.sync(meitner)
        assert canaries(path) == set()
