"""A mirror is what the directory is, run by run, and tells what changed."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import mirrors
import pytest
from mirrors import held, there
from msgspec import structs

from meitner_aio import Meitner, MeitnerError
from meitner_aio.changes import Deleted, Upserted
from meitner_aio.changes._checkpoint import Checkpoint, Digest, parse
from meitner_aio.errors import ResyncReason, ResyncRequired
from meitner_aio.export import export
from meitner_aio.mirror import Mirror
from meitner_aio.mirror._joined import joined
from meitner_aio.mirror._names import KEPT
from meitner_aio.sandbox import Sandbox

path, sandbox, meitner, ask = mirrors.path, mirrors.sandbox, mirrors.meitner, mirrors.ask

PERSON = {"identity_number": "20150315-1234", "first_name": "Bo", "last_name": "Ek"}


async def test_the_first_run_reads_everything(meitner, path, ask):
    """Every record of ten resources, exactly, each with an entry in the feed, in a file for its owner alone."""
    async with Mirror(path) as mirror:
        report = await mirror.sync(meitner)
        directory = await there(meitner)
        assert held(path) == directory
        rows = sum(map(len, directory.values()))
        assert (report.inserted, report.updated, report.deleted, report.unchanged) == (rows, 0, 0, 0)
        assert report.complete
        assert report.read_anew == set(KEPT)
        feed = list(mirror.feed())
    assert {entry.kind for entry in feed} == {"insert"}
    assert {(entry.resource, entry.id) for entry in feed} == {(n, i) for n, rows in directory.items() for i in rows}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert ask("SELECT count(*) FROM tombstones") == [(0,)]


async def test_tables_are_those_of_the_export(meitner, path, ask, tmp_path):
    """The same columns with the same types in the same order, STRICT where the export has them so."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
    await export(meitner, KEPT, to=tmp_path / "exported", format="sqlite")
    with closing(sqlite3.connect(tmp_path / "exported" / "directory.sqlite")) as exported:
        for name in KEPT:
            assert ask(f"PRAGMA table_info({name})") == exported.execute(f"PRAGMA table_info({name})").fetchall()
            assert (
                ask(f"SELECT * FROM {name} ORDER BY id")
                == exported.execute(f"SELECT * FROM {name} ORDER BY id").fetchall()
            )
            strict = "SELECT strict FROM pragma_table_list WHERE name = ?"
            assert ask(strict, name) == exported.execute(strict, [name]).fetchall()


async def test_a_second_run_brings_what_changed_and_nothing_else(meitner, path, ask):
    """One entry in the feed for each row that changed; what is told again for safety is unchanged, and no entry."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        last = max(entry.seq for entry in mirror.feed())
        made = await meitner.students.create(**PERSON)
        school = (await meitner.schools.list().all())[0]
        await meitner.schools.modify(school, title="Nya skolan")
        gone = (await meitner.guardians.list().all())[:2]
        for guardian in gone:
            await meitner.guardians.delete(guardian.id)
        report = await mirror.sync(meitner)
        assert held(path) == await there(meitner)
        assert (report.inserted, report.updated, report.deleted, report.unchanged) == (1, 1, 2, 0)
        assert report.resources["schools"].updated == 1
        feed = [(entry.resource, entry.id, entry.kind) for entry in mirror.feed(after=last)]
        assert feed == [
            ("schools", school.id, "update"),
            ("students", made.id, "insert"),
            *[
                ("guardians", guardian.id, "delete")
                for guardian in sorted(gone, key=lambda g: feed.index(("guardians", g.id, "delete")))
            ],
        ]
        assert {row[:2] for row in ask("SELECT resource, id, at FROM tombstones")} == {
            ("guardians", g.id) for g in gone
        }
        again = await mirror.sync(meitner)
        assert (again.inserted, again.updated, again.deleted, again.unchanged) == (0, 0, 0, 2)
        assert len(list(mirror.feed(after=last))) == 4


async def test_a_quiet_run_takes_eleven_requests(meitner, path):
    """A search for each of eight resources, a page of each kind of grades, the audit events."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        assert (await mirror.sync(meitner)).requests == 11
        assert (await mirror.sync(meitner, grades_every=timedelta(days=1))).requests == 9


async def test_a_row_that_comes_back_has_no_tombstone(meitner, path, ask, sandbox):
    """What is in the directory again is in the table again, and nowhere said to be gone."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        guardian = (await meitner.guardians.list().all())[0]
        await meitner.guardians.delete(guardian.id)
        await mirror.sync(meitner)
        assert ask("SELECT count(*) FROM tombstones") == [(1,)]
        sandbox.app._directory._tables["guardians"].put(guardian)
        await mirror.sync(meitner, full=True)
        assert ask("SELECT count(*) FROM tombstones") == [(0,)]
        assert [entry.kind for entry in mirror.feed() if entry.id == guardian.id] == ["insert", "delete", "insert"]


async def test_a_full_run_deletes_what_no_event_tells_of(meitner, path, sandbox):
    """Absence from a whole reading is enough."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        table = sandbox.app._directory._tables["students"]
        table.remove(table.rows()[0].id)
        assert (await mirror.sync(meitner)).deleted == 0
        report = await mirror.sync(meitner, full=True)
        assert report.resources["students"].deleted == 1
        assert report.read_anew == set(KEPT)
        assert held(path) == await there(meitner)


async def test_a_resource_that_is_new_is_read_in_full_and_others_go_on(meitner, path):
    """Each follows its own checkpoint: nothing is read twice because something else is read for the first time."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner, ["schools", "students"])
        report = await mirror.sync(meitner, ["schools", "student-placements"])
        assert report.read_anew == {"student_placements"}
        assert report.resources["schools"].unchanged == 0
        assert set(report.resources) == {"schools", "student_placements"}
        await meitner.students.create(**PERSON)
        later = await mirror.sync(meitner, ["students"])
        assert (later.inserted, later.read_anew) == (1, frozenset())


async def test_what_was_read_in_different_runs_is_followed_by_one(meitner, path, ask):
    """A resource that came later, or was synced alone, costs no search of its own ever after; nothing is missed."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner, ["schools", "students", "grade_elementaries"])
        await mirror.sync(meitner)
        await mirror.sync(meitner, ["guardians"])
        await meitner.students.create(**PERSON)
        guardian, grade = await meitner.guardians.list().first(), await meitner.grade_elementaries.list().first()
        await meitner.guardians.delete(guardian.id)
        await meitner.grade_elementaries.delete(grade.id)
        report = await mirror.sync(meitner)
        assert (report.inserted, report.deleted, report.read_anew) == (1, 2, frozenset())
        assert ask("SELECT count(*) FROM meitner_aio_checkpoints") == [(1,)]
        assert (await mirror.sync(meitner)).requests == 11 + 1  # whether the guardian lives after all
        assert held(path) == await there(meitner)


def test_a_joined_checkpoint_goes_on_from_the_earliest():
    """With all resources, the clock that was the furthest ahead, and every digest."""
    early = Checkpoint(100, 1, "salt", "digest", ("schools",), {"grades": Digest("a", 90, b"x")})
    late = Checkpoint(200, 7, "other", "other", ("students",), {"more": Digest("b", 190, b"y")})
    found = parse(joined([late.text(), early.text()]) or "")
    assert found == Checkpoint(100, 7, "salt", "digest", ("students", "schools"), early.digests | late.digests)
    assert joined([early.text(), "meitner-changes-2:later"]) is None


async def test_changes_that_cannot_be_followed_are_made_up_for(meitner, path, caplog):
    """Everything is read, deletions are found all the same, and both log and report say so."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        guardian = (await meitner.guardians.list().all())[0]
        await meitner.guardians.delete(guardian.id)
        follow = meitner.changes

        def too_old(since=None, **options):
            if since is not None:
                raise ResyncRequired("too old", reason=ResyncReason.TOO_OLD)
            return follow(since=since, **options)

        meitner.changes = too_old
        report = await mirror.sync(meitner)
    assert report.read_anew == set(KEPT)
    assert report.deleted == 1
    assert "read anew: too old" in caplog.text


async def test_a_mirror_is_of_one_directory(meitner, path):
    """Another server, and other credentials, are refused; the file stays as it is."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        before = held(path)
        async with Meitner.sandbox(Sandbox(students=9, seed=2)) as other:
            with pytest.raises(MeitnerError, match="two directories do not mix, use another file"):
                await mirror.sync(other)
        async with Meitner.sandbox(Sandbox(students=60, schools=2, credentials=("someone", "else"))) as other:
            with pytest.raises(MeitnerError, match="with other credentials"):
                await mirror.sync(other)
        async with Meitner(offline=path) as offline:
            with pytest.raises(MeitnerError, match="another directory"):
                await mirror.sync(offline)
    assert held(path) == before


async def test_one_run_at_a_time(meitner, path, monkeypatch):
    """A second task, and a second mirror, are refused at once; the first loses nothing."""
    monkeypatch.setattr("meitner_aio.mirror._database.PATIENCE", 10 * 60)  # who waited would never come back
    follow, reached, go_on = meitner.changes, asyncio.Event(), asyncio.Event()

    async def sync(mirror):
        async def slow(changes):
            async for change in changes:
                reached.set()
                await go_on.wait()
                yield change

        class Slow:
            def __init__(self, **how):
                self._changes = follow(**how)
                self._slow = slow(self._changes)

            def __aiter__(self):
                return self._slow

            def __getattr__(self, name):
                return getattr(self._changes, name)

        meitner.changes = Slow
        return await mirror.sync(meitner)

    with Mirror(path) as mirror, Mirror(path) as second:
        first = asyncio.ensure_future(sync(mirror))
        await reached.wait()
        for other in (mirror, second):
            with pytest.raises(MeitnerError, match="being written by another run"):
                await other.sync(meitner)
        with pytest.raises(MeitnerError, match="being written by another run"):
            await second.forget("x")
        go_on.set()
        assert (await first).complete
        meitner.changes = follow
        assert (await second.sync(meitner)).inserted == 0
    assert held(path) == await there(meitner)


async def test_a_failed_run_leaves_the_last_state(meitner, path, sandbox):
    """An error in the middle changes nothing: neither rows nor feed nor checkpoint."""
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        before, feed = held(path), list(mirror.feed())
        for school in await meitner.schools.list().all():
            await meitner.schools.modify(school, title=f"{school.title} ny")
        sandbox.fail("400", operations=["grade_elementaries.list"])
        with pytest.raises(MeitnerError):
            await mirror.sync(meitner)
        assert (held(path), list(mirror.feed())) == (before, feed)
        sandbox.heal()
        assert (await mirror.sync(meitner)).updated == 2


async def test_a_cancelled_run_leaves_the_last_state(meitner, path):
    """At once, and the file is free for the next run."""

    class Stuck(Told):
        async def __aiter__(self):
            async for change in super().__aiter__():
                yield change
            reached.set()
            await asyncio.Event().wait()

    async with Mirror(path) as mirror:
        await mirror.sync(meitner, ["schools"])
        before, follow, reached = held_schools(path), meitner.changes, asyncio.Event()
        school = structs.replace((await meitner.schools.list().all())[0], title="Ny")
        meitner.changes = lambda **_: Stuck(Upserted("schools", school), Deleted("schools", school.id))
        running = asyncio.ensure_future(mirror.sync(meitner, ["schools"]))
        await reached.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert held_schools(path) == before
        meitner.changes = follow
        assert (await mirror.sync(meitner, ["schools"])).complete


def held_schools(path):
    """Return the rows of a small table."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT * FROM schools ORDER BY id").fetchall()


async def test_the_loop_is_free_while_rows_are_written(meitner, path, monkeypatch):
    """SQLite is used in one thread, which is not the loop's."""
    from meitner_aio.mirror._run import Run

    threads = set()
    for name in ("begin", "put", "finish", "commit"):
        original = getattr(Run, name)

        def noted(self, *args, original=original, **kwargs):
            threads.add(threading.current_thread())
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Run, name, noted)
    async with Mirror(path) as mirror:
        await mirror.sync(meitner)
        await mirror.sync(meitner)
    assert len(threads) == 1
    assert threading.main_thread() not in threads


async def test_age_is_that_of_the_last_run_that_ended(meitner, path, sandbox):
    """By the mirror's clock; None before the first, and unmoved by a run that failed."""
    now = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    with Mirror(path, clock=lambda: now) as mirror:
        assert (mirror.last_success, mirror.age, list(mirror.feed())) == (None, None, [])
        await mirror.sync(meitner, ["schools"])
        now += 90
        assert mirror.age == timedelta(seconds=90)
        sandbox.fail("400", operations=["schools.search"])
        with pytest.raises(MeitnerError):
            await mirror.sync(meitner, ["schools"])
        assert mirror.last_success == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"resources": ["pupils"]}, "no resource"),
        ({"resources": []}, "names no resource"),
        ({"resources": ["audit-events"]}, "audit_events never change"),
        ({"max_deletions": 20}, "from 0 to 1"),
        ({"accept_deletions": -1}, "at least 0"),
        ({"accept_deletions": True}, "at least 0"),
    ],
)
async def test_what_means_nothing_is_refused_before_any_request(options, problem, meitner, path):
    """And makes no file."""
    async with Mirror(path) as mirror:
        with pytest.raises(ValueError, match=problem):
            await mirror.sync(meitner, **options)
    assert not path.exists()


class Told:
    """Changes as a test tells them."""

    requests, checkpoint = 1, "here"

    def __init__(self, *changes, full=(), complete=True):
        self._changes, self.full, self.complete = changes, frozenset(full), complete

    async def __aiter__(self):
        for change in self._changes:
            yield change

    async def aclose(self):
        pass


async def test_what_was_not_shown_to_be_whole_is_kept_and_deletes_nothing(meitner, path, ask):
    """Its rows are true; but nothing is missing from it, it has no checkpoint, and it is no success."""
    schools = await meitner.schools.list().all()
    with Mirror(path) as mirror:
        meitner.changes = lambda **_: Told(Upserted("schools", schools[0]), full=["schools"])
        await mirror.sync(meitner, ["schools"])
        success = mirror.last_success
        meitner.changes = lambda **_: Told(Upserted("schools", schools[1]), full=["schools"], complete=False)
        report = await mirror.sync(meitner, ["schools"], full=True)
        assert (report.complete, report.inserted, report.deleted) == (False, 1, 0)
        assert len(ask("SELECT * FROM schools")) == 2
        assert mirror.last_success == success


async def test_a_deletion_finds_its_row_whatever_its_capitals(meitner, path, ask):
    """Audit events may spell an id otherwise than the record; the tombstone spells it as the record did."""
    school = (await meitner.schools.list().all())[0]
    loud = structs.replace(school, id=school.id.upper())
    with Mirror(path) as mirror:
        meitner.changes = lambda **_: Told(Upserted("schools", loud), full=["schools"])
        await mirror.sync(meitner, ["schools"])
        at = datetime(2026, 3, 1, 12, tzinfo=UTC)
        meitner.changes = lambda **_: Told(Deleted("schools", school.id, at))
        assert (await mirror.sync(meitner, ["schools"])).deleted == 1
    assert ask("SELECT * FROM tombstones") == [("schools", loud.id, "2026-03-01T12:00:00.000000Z")]


async def test_a_closed_mirror_refuses(meitner, path):
    """It says what it is."""
    mirror = Mirror(path)
    mirror.close()
    await mirror.aclose()
    assert repr(mirror) == f"<Mirror {path} (closed)>"
    with pytest.raises(MeitnerError, match="closed"):
        await mirror.sync(meitner)
