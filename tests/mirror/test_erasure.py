"""What is deleted, changed or forgotten is in none of the bytes of a mirror, nor of what lies beside it."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from contextlib import closing

import mirrors
import pytest
from conftest import importing
from mirrors import held

from meitner_aio import Meitner, MeitnerError
from meitner_aio.errors import TooManyDeletions
from meitner_aio.mirror import Mirror, _database, _erase, _pages
from meitner_aio.mirror._erase import clear, erase
from meitner_aio.mirror._pages import has_gaps
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


def opened(path, factory=sqlite3.Connection):
    """Open a database as a mirror is, with a table of texts."""
    database = sqlite3.connect(path, isolation_level=None, factory=factory)
    database.execute("PRAGMA secure_delete = ON")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE meitner_aio_mirror AS SELECT 1 AS erase")
    database.execute("CREATE TABLE t (id TEXT PRIMARY KEY, value TEXT) STRICT")
    return database


def turned_over(database, chance, living, *, come=400, go=250):
    """Insert rows and delete others in one transaction; return the values that went."""
    database.execute("BEGIN")
    for _ in range(come):
        key, name = f"{chance.getrandbits(64):x}", f"Canary{chance.getrandbits(64):016x}"
        living[key] = name
        database.execute("INSERT INTO t VALUES (?, ?)", [key, name + "y" * chance.randrange(300)])
    dead = set()
    for key in chance.sample(sorted(living), min(go, len(living))):
        dead.add(living.pop(key))
        database.execute("DELETE FROM t WHERE id = ?", [key])
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return dead


def gaps(database, path):
    """Whether a database that is open has text in gaps."""
    database.execute("BEGIN")
    database.execute("SELECT count(*) FROM t").fetchone()
    try:
        return has_gaps(path)
    finally:
        database.execute("COMMIT")


@pytest.mark.parametrize("block", [1 << 12, 1 << 20])
def test_copies_that_sqlite_leaves_in_gaps_are_found_and_erased(path, block, monkeypatch):
    """`secure_delete` leaves some: pages that are in use hold rows that were moved elsewhere and then deleted."""
    monkeypatch.setattr(_pages, "_BLOCK", block)
    chance, dead, living = random.Random(1), set(), {}
    with closing(opened(path)) as database:
        for _ in range(12):
            dead |= turned_over(database, chance, living)
        assert canaries(path) & dead
        assert gaps(database, path)
        erase(database, path)
        assert canaries(path) == set(living.values())
        assert not gaps(database, path)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT erase FROM meitner_aio_mirror").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM t").fetchone() == (len(living),)
        changes = database.total_changes
        erase(database, path)
        assert database.total_changes == changes


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_left_is_in_a_gap_that_is_found(path, seed):
    """Also of trees that grow and shrink, of which pages become of another kind."""
    chance, dead, living = random.Random(seed), set(), {}
    with closing(opened(path)) as database:
        database.execute("PRAGMA page_size = 1024")
        database.execute("VACUUM")
        for _ in range(15):
            dead |= turned_over(database, chance, living, come=chance.randrange(600), go=chance.randrange(900))
            assert not canaries(path) & dead or gaps(database, path)


def test_numbers_of_pages_are_no_text():
    """A page between a table's root and its leaves has nothing else; taken for text, each run wrote the file anew."""
    page = bytes([5, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 2]) + b"\x81\xf3:"
    assert not _pages._is_dirty(memoryview(page), 0)
    assert _pages._is_dirty(memoryview(bytes([13]) + page[1:]), 0)


def test_what_cannot_be_looked_through_is_written_anew(path):
    """A system may not say which handles a process has."""
    handle = os.open(path, os.O_RDONLY | os.O_CREAT)
    assert not has_gaps(path)
    os.close(handle)
    assert has_gaps(path)


@pytest.mark.parametrize("moved", [False, True])
def test_a_large_file_takes_no_more_memory(path, moved):
    """Neither to be looked through nor to be written anew: a block of pages at a time, of twenty."""
    with closing(opened(path)) as database:
        rows = ((f"{number:08}", "y" * 1000) for number in range(22_000))
        database.execute("BEGIN")
        database.executemany("INSERT INTO t VALUES (?, ?)", rows)
        database.execute("COMMIT")
        database.execute("VACUUM")
        if moved:
            turned_over(database, random.Random(2), {f"{number:08}": "" for number in range(22_000)})
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert path.stat().st_size > 20 << 20
        assert gaps(database, path) == moved
        tracemalloc.start()
        try:
            erase(database, path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 << 20
        assert database.execute("SELECT erase FROM meitner_aio_mirror").fetchone() == (0,)


def test_looking_through_a_file_keeps_its_locks(path):
    """To close a handle of a file ends a process's locks on it: another process could then take the log away."""
    script = (
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1], timeout=0).execute('PRAGMA journal_mode = DELETE')"
    )
    with closing(opened(path)) as database:
        erase(database, path)
        command = [sys.executable, "-c", f"{script}.fetchone())", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert "database is locked" in done.stderr
        assert database.execute("SELECT erase FROM meitner_aio_mirror").fetchone() == (0,)


class Interrupted(sqlite3.Connection):
    """A connection behind whose statements another program writes."""

    behind = ""

    def execute(self, statement, *values):
        """Run a statement, and what the other program does after one that begins so."""
        done = super().execute(statement, *values)
        if self.behind and statement.startswith(self.behind):
            (file,) = {name for _, which, name in super().execute("PRAGMA database_list") if which == "main"}
            with closing(sqlite3.connect(file)) as other, other:
                other.execute("PRAGMA secure_delete = ON")
                other.execute("INSERT OR REPLACE INTO t VALUES ('new', 'of another run')")
        return done


@pytest.mark.parametrize("behind", ["BEGIN", "SELECT erase", "VACUUM"])
def test_what_another_run_writes_meanwhile_stays(path, behind, caplog):
    """The file is not put back to what it was before that run, nor called clean: what is left to do is noted."""
    chance, living = random.Random(1), {}
    with closing(opened(path, Interrupted)) as database:
        for _ in range(12):
            turned_over(database, chance, living)
        database.behind = behind
        erase(database, path)
        database.behind = ""
        assert database.execute("SELECT value FROM t WHERE id = 'new'").fetchone() == ("of another run",)
        assert database.execute("SELECT erase FROM meitner_aio_mirror").fetchone() == (1,)
        assert "is being written by another run" in caplog.text
        assert canaries(path) > set(living.values())
        assert [file.name for file in path.parent.iterdir() if "anew" in file.name] == []
        database.execute("DELETE FROM t WHERE id = 'new'")
        erase(database, path)
        assert canaries(path) == set(living.values())


def test_a_file_that_another_run_wrote_to_is_not_called_clean(path, monkeypatch):
    """It may have deleted something while the file was looked through."""

    def interrupted(_path):
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("INSERT INTO t VALUES ('new', 'of another run')")
        return False

    monkeypatch.setattr(_erase, "has_gaps", interrupted)
    with closing(opened(path)) as database:
        erase(database, path)
        assert database.execute("SELECT erase FROM meitner_aio_mirror").fetchone() == (1,)
        assert not database.in_transaction


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from meitner_aio.mirror import _erase

check, at = _erase._unchanged, int(sys.argv[2])

def killing(*given):
    checked, steps = check(*given), iter(range(at))
    return lambda *step: os.kill(os.getpid(), signal.SIGKILL) if next(steps, None) is None else checked(*step)

_erase._unchanged = killing
_erase._PAGES = 8
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA secure_delete = ON")
database.execute("PRAGMA cache_size = 10")
_erase.erase(database, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("at", [0, 1, 6, 11])
def test_a_kill_while_the_file_is_written_anew_loses_nothing(path, at):
    """The file holds every row, the copy beside it goes, and what had to be erased is erased by the next run."""
    chance, dead, living = random.Random(1), set(), {}
    with closing(opened(path)) as database:
        for _ in range(12):
            dead |= turned_over(database, chance, living)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(at)], timeout=60, check=False, env=importing()
    )
    assert killed.returncode == -signal.SIGKILL
    assert path.with_name(f"{path.name}-anew").exists()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*), min(length(value)) > 20 FROM t").fetchone() == (len(living), 1)
        database.execute("PRAGMA secure_delete = ON")
        clear(database, path)
        assert not path.with_name(f"{path.name}-anew").exists()
        assert canaries(path) & dead
        erase(database, path)
        assert canaries(path) == set(living.values())


async def test_what_a_killed_run_left_beside_the_file_goes(meitner, path):
    """It was writing the file anew: its copy has rows in it, and is there no longer once the file is used again."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
    path.with_name(f"{path.name}-anew").write_bytes(b"rows")
    async with Mirror(path) as mirror:
        await mirror.forget("x")
        assert sorted(file.name for file in path.parent.iterdir()) == [
            path.name,
            f"{path.name}-shm",
            f"{path.name}-wal",
        ]


async def test_what_another_reader_holds_back_is_erased_by_the_next_run(meitner, path, caplog, monkeypatch):
    """A long reading of another program keeps the log; the log of this one says so."""
    monkeypatch.setattr(_database, "PATIENCE", 0)
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        student = (await meitner.students.list().all())[0]
        await meitner.students.modify(student, last_name=f"Canary{'c' * 16}")
        await mirror.sync(meitner)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM students").fetchone()
            await meitner.students.modify(student, last_name="Ny")
            await mirror.sync(meitner)
            assert "may hold what was deleted" in caplog.text
        await mirror.sync(meitner)
        assert canaries(path) == set()
