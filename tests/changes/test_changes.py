"""Changes since a checkpoint: what is told, in which order, for how many requests, and when it is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from changing_directory import GRADES, GROUPS, PLACEMENTS, ChangingDirectory, Nature
from following import Follower, truth

from meitner_aio import (
    RESOURCES,
    BadRequestError,
    ConfigurationError,
    IncompleteListing,
    Meitner,
    MeitnerError,
    ResyncReason,
    ResyncRequired,
    Student,
)
from meitner_aio._pipeline import identity
from meitner_aio.changes import Changes, Deleted, Upserted

ALL = [name for name in RESOURCES if name != "audit_events"]
SEARCHED = [name for name in ALL if not name.startswith("grade")]
PERSON = {"first_name": "Sixten", "last_name": "Ek"}


async def told(changes: Changes) -> list[Any]:
    """Return all changes."""
    return [change async for change in changes]


async def since_now(meitner: Meitner, clock: Any, resources: Any = None) -> str:
    """Return a checkpoint of now, so long ago that nothing of before is told again."""
    changes = meitner.changes(resources=resources)
    await told(changes)
    clock.advance(3600.0)
    changes = meitner.changes(changes.checkpoint, resources)
    await told(changes)
    clock.advance(3600.0)
    return changes.checkpoint


# -- what is told


async def test_everything_is_told_at_first(meitner, meitner_sandbox):
    """None tells every record of every resource, no deletion, and which resources were told in full."""
    changes = meitner.changes()
    everything = await told(changes)
    assert {type(change) for change in everything} == {Upserted}
    for name in ALL:
        assert [change.record for change in everything if change.resource == name] == meitner_sandbox.records(name)
    assert changes.full == frozenset(ALL)
    assert changes.complete
    assert {report.level for report in changes.reports.values()} == {"certified"}
    assert changes.since is None
    assert changes.counts["students"].upserted == 200


async def test_nothing_is_told_when_nothing_happened_for_nine_requests(meitner, meitner_sandbox, meitner_clock):
    """Eight searches and one for deletions, whatever the size of the directory."""
    checkpoint = await since_now(meitner, meitner_clock, SEARCHED)
    meitner_sandbox.requests.clear()
    changes = meitner.changes(checkpoint, SEARCHED)
    assert await told(changes) == []
    assert changes.complete
    assert changes.requests == len(meitner_sandbox.requests) == 9
    assert {seen.operation for seen in meitner_sandbox.requests} == {
        f"{name}.search" for name in (*SEARCHED, "audit_events")
    }
    assert changes.full == frozenset()


async def test_grades_cost_their_pages_and_are_told_where_they_differ(meitner, meitner_clock):
    """They cannot be searched: they are read in full, and compared with what they were."""
    checkpoint = await since_now(meitner, meitner_clock)
    changes = meitner.changes(checkpoint)
    assert await told(changes) == []
    assert changes.requests == 11
    grade, other = (await meitner.grade_elementaries.list().all())[:2]
    await meitner.grade_elementaries.delete(grade.id)
    modified = await meitner.grade_elementaries.modify(other, school_comment="moved")
    changes = meitner.changes(changes.checkpoint)
    assert await told(changes) == [
        Upserted("grade_elementaries", modified),
        Deleted("grade_elementaries", grade.id),
    ]
    assert await told(meitner.changes(changes.checkpoint)) == []


async def test_what_was_created_changed_and_deleted_is_told(meitner, meitner_clock):
    """Records as they are now, deletions last, those of placements before those of who had them."""
    checkpoint = await since_now(meitner, meitner_clock)
    one, two = (await meitner.students.list().all())[:2]
    changed = await meitner.students.modify(one, first_name="Kim")
    made = await meitner.students.create(identity_number="20150315-1234", **PERSON)
    placements = await meitner.student_placements.search(student_id=two.id).all()
    for placement in placements:
        await meitner.student_placements.delete(placement.id)
    at = meitner_clock.now().replace(microsecond=0)
    changes = meitner.changes(checkpoint)
    assert await told(changes) == [
        Upserted("students", changed),
        Upserted("students", made),
        *(Deleted("student_placements", placement.id, at) for placement in placements),
    ]
    assert (changes.counts["students"].upserted, changes.counts["student_placements"].deleted) == (2, len(placements))


async def test_a_change_is_told_again_within_the_lookback_and_no_longer(meitner, meitner_clock):
    """At least once: stamps are older than what they stamp is visible."""
    checkpoint = await since_now(meitner, meitner_clock, ["students"])
    student = await meitner.students.list().first()
    await meitner.students.modify(student, first_name="Kim")
    times = []
    for _ in range(4):
        changes = meitner.changes(checkpoint, ["students"])
        times.append(len(await told(changes)))
        checkpoint = changes.checkpoint
        meitner_clock.advance(400.0)
    assert times == [1, 1, 1, 0]


async def test_an_instant_tells_what_changed_since_and_all_grades(meitner, meitner_clock):
    """No digest is known of them, so all are told, and they are told in full."""
    meitner_clock.advance(86_400.0)
    since = meitner_clock.now()
    await meitner.students.create(identity_number="20150315-1234", **PERSON)
    meitner_clock.advance(100.0)
    changes = meitner.changes(since)
    everything = await told(changes)
    assert {change.resource for change in everything} == {"students", "grade_elementaries", "grade_upper_secondaries"}
    assert changes.full == {"grade_elementaries", "grade_upper_secondaries"}
    assert changes.since == since
    assert await told(meitner.changes(changes.checkpoint, lookback=0)) == []


async def test_grades_are_read_as_often_as_they_are_asked_for(meitner, meitner_sandbox, meitner_clock):
    """`grades_every` spares their pages in between, and forgets nothing."""
    checkpoint = await since_now(meitner, meitner_clock, ["grade_elementaries", "groups"])
    grade = await meitner.grade_elementaries.list().first()
    await meitner.grade_elementaries.delete(grade.id)
    found = []
    for _ in range(3):
        changes = meitner.changes(checkpoint, ["grade_elementaries", "groups"], grades_every=timedelta(hours=12))
        found.append((await told(changes), changes.requests))
        checkpoint = changes.checkpoint
        meitner_clock.advance(6 * 3600.0)
    assert found[0] == found[1] == ([], 2)
    assert found[2][0] == [Deleted("grade_elementaries", grade.id)]


async def test_grades_alone_ask_for_the_time(meitner, meitner_clock):
    """Where nothing else says how late it is at the server, one row of a list does."""
    checkpoint = await since_now(meitner, meitner_clock, ["grade_elementaries"])
    changes = meitner.changes(checkpoint, "grade-elementaries", grades_every=86_400.0)
    assert await told(changes) == []
    assert changes.requests == 1


# -- what a checkpoint is


async def test_there_is_no_checkpoint_before_the_end(meitner):
    """Whoever keeps one has seen every change."""
    changes = meitner.changes()
    with pytest.raises(MeitnerError):
        _ = changes.checkpoint
    async for _ in changes:
        with pytest.raises(MeitnerError):
            _ = changes.checkpoint
        assert not changes.complete
        assert not changes.full
    assert changes.checkpoint
    with pytest.raises(MeitnerError):
        await told(changes)


async def test_a_run_that_fails_has_no_checkpoint_and_can_be_repeated(meitner, meitner_sandbox, meitner_clock):
    """The next one begins where it began."""
    checkpoint = await since_now(meitner, meitner_clock, SEARCHED)
    made = await meitner.students.create(identity_number="20150315-1234", **PERSON)
    meitner_sandbox.fail("400", operations=["audit_events.search"])
    failing = meitner.changes(checkpoint, SEARCHED)
    with pytest.raises(BadRequestError):
        await told(failing)
    with pytest.raises(MeitnerError):
        _ = failing.checkpoint
    meitner_sandbox.heal()
    assert [change async for change in meitner.changes(checkpoint, SEARCHED)] == [Upserted("students", made)]


@pytest.mark.parametrize("text", ["", "x", "meitner-changes-1:", "meitner-changes-1:AAAA", "meitner-changes-x:AAAA"])
def test_what_is_no_checkpoint_is_refused_before_anything_is_asked(text):
    """At the call, not at the first change."""
    with pytest.raises(ValueError, match="checkpoint"):
        Meitner.sandbox(students=0).changes(text)


async def test_a_damaged_checkpoint_is_refused(meitner):
    """One that was cut, or in which a letter changed."""
    changes = meitner.changes(resources="groups")
    await told(changes)
    text = changes.checkpoint
    middle = len(text) // 2
    for damaged in (text[:-5], text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]):
        with pytest.raises(ValueError, match="checkpoint"):
            meitner.changes(damaged)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"since": datetime(2026, 1, 1)}, ValueError),
        ({"since": 5}, TypeError),
        ({"since": True}, TypeError),
        ({"lookback": -1}, ValueError),
        ({"lookback": "5"}, TypeError),
        ({"retention": float("inf")}, ValueError),
        ({"grades_every": True}, TypeError),
        ({"resources": []}, ValueError),
        ({"resources": "audit_events"}, ValueError),
        ({"resources": ["audit-events"]}, ValueError),
    ],
)
def test_what_means_nothing_is_refused(given, error):
    """Before anything is asked."""
    with pytest.raises(error):
        Meitner.sandbox(students=0).changes(**given)


def test_a_resource_that_does_not_exist_is_refused_with_the_closest():
    """As in an export; both spellings of the others are taken."""
    meitner = Meitner.sandbox(students=0)
    with pytest.raises(ValueError, match="student_placements"):
        meitner.changes(resources=["student_placement"])
    changes = meitner.changes(resources=["student-placements", "student_placements", "units"])
    assert list(changes.counts) == ["units", "student_placements"]


async def test_a_checkpoint_holds_nothing_of_anybody(meitner):
    """Neither the text, nor what it unpacks to, nor any repr."""
    import base64
    import zlib

    changes = meitner.changes()
    everything = await told(changes)
    inside = zlib.decompress(base64.urlsafe_b64decode(changes.checkpoint.partition(":")[2]))
    for change in everything:
        id_ = change.record.id
        assert id_.encode() not in inside
        assert bytes.fromhex(id_.replace("-", "")) not in inside
        assert str(getattr(change.record, "identity_number", id_)).encode() not in inside
    assert meitner._core.auth.secrets()[0].reveal().encode() not in inside
    shown = repr(changes) + repr(everything)
    assert not any(change.record.last_name in shown for change in everything if isinstance(change.record, Student))


# -- when it cannot be followed


async def test_an_old_checkpoint_asks_for_everything(meitner, meitner_sandbox, meitner_clock):
    """Events of deletions are kept for a time; one answer says how late it is, and nothing is told."""
    checkpoint = await since_now(meitner, meitner_clock, ["groups"])
    meitner_clock.advance(31 * 86_400.0)
    with pytest.raises(ResyncRequired) as refused:
        await told(meitner.changes(checkpoint, ["groups"]))
    assert refused.value.reason is ResyncReason.TOO_OLD
    assert "31 days 1 h have passed, and events of deletions are kept for 30 days;" in str(refused.value)
    assert await told(meitner.changes(checkpoint, ["groups"], retention=timedelta(days=60))) == []
    with pytest.raises(ResyncRequired):
        await told(meitner.changes(datetime(2020, 1, 1, tzinfo=UTC)))


async def test_a_checkpoint_of_another_directory_asks_for_everything(meitner, meitner_sandbox):
    """Nothing is asked: who reads what is in the checkpoint, as a salted digest."""
    changes = meitner.changes(resources="groups")
    await told(changes)
    for other in (Meitner.sandbox(students=3), _another_reader(meitner)):
        with pytest.raises(ResyncRequired) as refused:
            await told(other.changes(changes.checkpoint, "groups"))
        assert refused.value.reason is ResyncReason.OTHER_DIRECTORY
    copy = meitner.with_options(max_retries=0)
    assert await told(copy.changes(changes.checkpoint, "groups")) is not None


def _another_reader(meitner: Meitner) -> Meitner:
    from meitner_aio import ApiKey

    other = Meitner.sandbox(students=0)
    other._core.place, other._core.auth = meitner._core.place, ApiKey("somebody", "else")
    return other


async def test_a_resource_that_the_checkpoint_lacks_asks_for_everything(meitner):
    """What it was before nobody knows."""
    changes = meitner.changes(resources="groups")
    await told(changes)
    refusing = meitner.changes(changes.checkpoint, ["groups", "units"])
    with pytest.raises(ResyncRequired, match="units") as refused:
        await told(refusing)
    assert refused.value.reason is ResyncReason.NEW_RESOURCE
    assert refusing.requests == 0


async def test_a_checkpoint_of_another_version_asks_for_everything(meitner):
    """It may be as good as any, but cannot be read."""
    with pytest.raises(ResyncRequired) as refused:
        await told(meitner.changes("meitner-changes-2:whatever"))
    assert refused.value.reason is ResyncReason.OTHER_VERSION


async def test_a_server_whose_clock_went_back_asks_for_everything(meitner):
    """It was restored, or is another: what happened since may be stamped before the checkpoint."""
    follower = Follower(ChangingDirectory(Nature()))
    assert await follower.run()
    follower.directory.now -= 5000.0
    with pytest.raises(ResyncRequired) as refused:
        await follower.run()
    assert refused.value.reason is ResyncReason.OTHER_DIRECTORY


async def test_a_snapshot_has_no_changes(meitner, tmp_path):
    """It never changes."""
    from meitner_aio.export import export

    await export(meitner, ["schools"], to=tmp_path, format="ndjson")
    async with Meitner(offline=tmp_path) as offline:
        with pytest.raises(ConfigurationError):
            offline.changes()


# -- a run that is left


async def test_leaving_early_ends_what_is_under_way(meitner):
    """No task and no request is left, whether by a block or by closing."""
    async with meitner.changes() as changes:
        async for _ in changes:
            break
    assert asyncio.all_tasks() == {asyncio.current_task()}
    with pytest.raises(MeitnerError):
        _ = changes.checkpoint
    changes = meitner.changes()
    await anext(changes)
    await changes.aclose()
    await changes.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    with pytest.raises(StopAsyncIteration):
        await anext(changes)


async def test_a_cancelled_run_ends_what_is_under_way(meitner):
    """Nothing goes on behind whoever was waiting."""
    task = asyncio.create_task(told(meitner.changes()))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_nothing_is_asked_before_a_change_is_wanted(meitner, meitner_sandbox):
    """A run that is never read costs nothing, and closes."""
    changes = meitner.changes()
    assert len(meitner_sandbox.requests) == changes.requests == 0
    await changes.aclose()


async def test_no_more_is_read_than_can_be_told():
    """Of a first run, some pages ahead of the reader, however large the directory is."""
    follower = Follower(ChangingDirectory(Nature(page=8), rows=1000))
    async with follower.changes() as changes:
        await anext(changes)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(follower.directory.asked) < 40


async def test_a_first_run_reads_one_resource_ahead(meitner, meitner_sandbox):
    """Two listings at a time: each of them may hold thousands of rows."""
    async with meitner.changes() as changes:
        await anext(changes)
        for _ in range(100):
            await asyncio.sleep(0)
        assert {seen.operation for seen in meitner_sandbox.requests} == {"schools.list", "units.list"}


# -- deletions that are none


@pytest.fixture
def follower(monkeypatch: pytest.MonkeyPatch) -> Follower:
    """Give a copy of a directory at rest, in pages of 30 rows."""
    monkeypatch.setattr(identity, "_ROUNDS", 1)
    return Follower(ChangingDirectory(Nature(page=30), rows=70))


async def test_an_empty_answer_wipes_nothing(follower):
    """A list that says once that there are no grades is read again, and not believed."""
    await follower.run()
    follower.directory.empty_lists = 1
    assert not await follower.run()
    assert follower.rows == truth(follower.directory)
    follower.directory.empty_lists = 100
    assert not await follower.run()
    assert follower.rows == truth(follower.directory)
    follower.directory.empty_lists = 0
    assert await follower.run()
    assert follower.last.counts["grade_elementaries"].upserted == 0


async def test_a_few_grades_that_a_list_lacks_are_asked_for(monkeypatch):
    """One request each, and those that live are told of no more than before."""
    monkeypatch.setattr(identity, "_ROUNDS", 1)
    follower = Follower(ChangingDirectory(Nature(), rows=5))
    await follower.run()
    follower.directory.empty_lists = 1
    assert await follower.run()
    assert follower.rows == truth(follower.directory)
    assert sum(path.startswith(f"{GRADES}/") for _, path in follower.directory.asked) == 5


async def test_many_grades_that_are_gone_are_told_after_a_second_reading(follower):
    """When two readings agree, and none of a sample can be read."""
    await follower.run()
    for id_ in list(follower.directory.tables[GRADES])[5:]:
        follower.directory.delete(GRADES, id_)
    follower.directory.asked.clear()
    assert await follower.run()
    assert follower.directory.asked.count(("GET", GRADES)) == 2
    assert follower.last.counts["grade_elementaries"].deleted == 65
    assert follower.rows == truth(follower.directory)
    singly = sum(path.startswith(f"{GRADES}/") for _, path in follower.directory.asked)
    assert 30 < singly <= 50


async def test_who_lives_again_is_not_told_as_gone(follower):
    """A row is deleted and made again between the searches and the look at the events."""
    directory = follower.directory
    await follower.run()
    directory.pass_time(4000.0)
    one = next(iter(directory.tables[GROUPS]))

    def again(_: str, path: str) -> None:
        if path.startswith("/audit-event"):
            directory.delete(GROUPS, one)
            directory.create(GROUPS, id_=one)

    directory.before = again
    assert await follower.run()
    assert follower.last.counts["groups"].deleted == 0
    assert follower.rows == truth(directory)


async def test_who_is_deleted_after_being_told_is_told_as_gone(follower):
    """The events are asked for after the rows."""
    directory = follower.directory
    await follower.run()
    directory.pass_time(4000.0)
    one = next(iter(directory.tables[GROUPS]))
    directory.update(GROUPS, one)
    directory.before = lambda _, path: (
        directory.tables[GROUPS].get(one) and (path.startswith("/audit-event") and directory.delete(GROUPS, one))
    )
    assert await follower.run()
    assert (follower.last.counts["groups"].upserted, follower.last.counts["groups"].deleted) == (1, 1)
    assert follower.rows == truth(directory)


async def test_who_refers_is_deleted_before_who_is_referred_to(follower):
    """Placements before groups, whatever came first."""
    directory = follower.directory
    await follower.run()
    directory.pass_time(4000.0)
    one, other = (next(iter(directory.tables[path])) for path in (GROUPS, PLACEMENTS))
    directory.delete(GROUPS, one)
    directory.delete(PLACEMENTS, other)
    changes = await told(follower.changes(follower.checkpoint))
    assert [(change.resource, change.id) for change in changes] == [("student_placements", other), ("groups", one)]


async def test_an_import_that_shares_a_stamp_is_proven_by_what_is_left(follower):
    """More young rows of one instant than a page holds cost their pages once, and no repair."""
    directory = follower.directory
    await follower.run()
    directory.pass_time(4000.0)
    directory.import_(GROUPS, 100)
    asked = len(directory.asked)
    assert await follower.run(resources=["groups"])
    assert follower.last.reports["groups"].level == "certified"
    assert len(directory.asked) - asked == follower.last.requests == 5  # four pages, and the events
    assert follower.rows == truth(directory)


async def test_rows_that_cannot_be_proven_end_a_run_without_a_checkpoint(follower):
    """Here an import of one instant, one of which is deleted while it is read; later it is old, and proven."""
    directory = follower.directory
    await follower.run()
    directory.import_(GROUPS, 100)
    ids = iter(list(directory.tables[GROUPS])[70:])
    directory.before = lambda _, path: path.startswith(GROUPS) and directory.delete(GROUPS, next(ids))
    changes = follower.changes(follower.checkpoint, resources=["groups"])
    with pytest.raises(IncompleteListing, match="groups"):
        await told(changes)
    directory.before = None
    directory.pass_time(1000.0)
    assert await follower.run()
    assert follower.rows == truth(directory)


async def test_a_clock_that_is_ahead_widens_the_lookback(monkeypatch):
    """A row stamped later than its answer shows that clocks differ: by as much more is looked back from then on."""
    from meitner_aio.changes._checkpoint import parse

    monkeypatch.setattr(identity, "_ROUNDS", 1)
    follower = Follower(ChangingDirectory(Nature(ahead=5000.0), rows=3))
    follower.directory.create(GROUPS)
    assert await follower.run()
    checkpoint = parse(follower.checkpoint)
    assert checkpoint is not None
    assert 4900 < checkpoint.ahead <= 5000
    follower.directory.pass_time(90_000.0)
    assert await follower.run()
    checkpoint = parse(follower.checkpoint)
    assert checkpoint is not None
    assert 4900 < checkpoint.ahead <= 5000  # kept, although no young row says so again
    follower.directory.filters.clear()
    assert await follower.run()
    bounds = {one["greaterOrEqual"]["timestamp"] for one in follower.directory.filters if "greaterOrEqual" in one}
    assert bounds == {
        datetime.fromtimestamp(checkpoint.at - 600 - checkpoint.ahead, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    }


async def test_lookback_and_margin_cover_clocks_an_index_and_a_commit_together(monkeypatch):
    """A row 250 s behind the answers, committed 59 s late, and found 340 s after that, just after a run."""
    monkeypatch.setattr(identity, "_ROUNDS", 1)
    directory = ChangingDirectory(Nature(ahead=-250.0, lag=340.0), rows=3)
    follower = Follower(directory)
    await follower.run()
    directory.pass_time(4000.0)
    directory.create(GROUPS, late=59.0)
    directory.pass_time(59.0 + 330.0)
    assert await follower.run()
    assert len(follower.rows) == 9
    directory.pass_time(4000.0)
    assert await follower.run()
    assert follower.rows == truth(directory)


async def test_a_deletion_that_hides_behind_a_creation_is_seen(follower):
    """Every answer counts as many rows as arrive, and still one slipped away."""
    directory = follower.directory
    await follower.run()
    directory.pass_time(4000.0)
    directory.import_(GROUPS, 100)
    first, searches = list(directory.tables[GROUPS])[70], []

    def swap(_: str, path: str) -> None:
        searches.append(path)
        if len(searches) == 3:
            directory.delete(GROUPS, first)
            directory.create(GROUPS)

    directory.before = swap
    assert not await follower.run(resources=["groups"])  # one instant, young, and moved: nothing proves it yet
    directory.before = None
    directory.pass_time(1000.0)
    assert await follower.run()
    assert follower.rows == truth(directory)


async def test_two_checkpoints_of_the_same_rows_have_nothing_in_common(follower):
    """Each digest is enciphered with a key of its own."""
    from meitner_aio.changes._checkpoint import parse

    digests = []
    for _ in range(2):
        await follower.run()
        checkpoint = parse(follower.checkpoint)
        assert checkpoint is not None
        digests.append(checkpoint.digests["grade_elementaries"].rows)
    assert len(digests[0]) == len(digests[1]) == 70 * 24
    assert sum(a == b for a, b in zip(*digests, strict=True)) < 40  # seven, by chance
