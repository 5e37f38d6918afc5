"""Carrying out plans where answers are lost or late, people edit, the quota ends, and the run is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from random import Random

import pytest
from fault_server import run
from plans import UPDATE, Planner, number, pupils

from meitner_aio import Meitner, RetryPolicy
from meitner_aio.reconcile import Desired
from meitner_aio.reconcile.applying._report import Result
from meitner_aio.sandbox import Fault, Sandbox

PUPILS = 40


def _rows(source_ids):
    school = {"school.source_id": "s1", "school_type": "GR", "start_date": "2024-08-01"}
    placements = [
        {"student.identity_number": number(index)} | school | ({"source_id": f"p{index}"} if source_ids else {})
        for index in range(PUPILS)
    ]
    return {
        "schools": [{"title": "Nya skolan", "school_type": "GR", "source_id": "s1"}],
        "students": pupils(PUPILS),
        "student_placements": placements,
        "groups": [
            {"title": f"{index}A", "school.source_id": "s1", "members.identity_number": [number(index)]}
            for index in range(9)
        ],
    }


async def _planned(meitner, rows):
    planner = await Planner.of(meitner, Desired(**rows))
    planner.create_all("schools", "students", "student_placements", "groups")
    return planner.proposal()


def _doubles(sandbox):
    """Return what is there more than once, by the keys of the registry."""
    keys = [
        *(one.identity_number for one in sandbox.records("students")),
        *((one.student_id, one.school_id) for one in sandbox.records("student_placements")),
        *((one.school_id, one.title) for one in sandbox.records("groups")),
        *(one.title for one in sandbox.records("schools")),
    ]
    before = Sandbox(students=3, schools=1, seed=4)
    usual = Counter((one.student_id, one.school_id) for one in before.records("student_placements"))
    return {key: count for key, count in Counter(keys).items() if count > max(1, usual[key])}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("source_ids", [True, False])
def test_with_a_third_of_the_answers_lost_or_late_nothing_is_there_twice(tmp_path, seed, source_ids):
    """What cannot be settled is told as failed, and settled by a later run."""

    async def main():
        faults = [Fault(0, probability=0.3, committed=True), Fault(503, probability=0.05)]
        sandbox = Sandbox(students=3, schools=1, seed=4, limiter="none")
        journal, rows = tmp_path / "registry.journal", _rows(source_ids)
        async with Meitner.sandbox(sandbox) as meitner:
            proposal = await _planned(meitner, rows)
        sandbox._faults._random = Random(seed)
        for one in faults:
            sandbox.fail(one)
        for _ in range(6):
            async with Meitner.sandbox(sandbox) as meitner:
                client = meitner.with_options(retry=RetryPolicy(max_retries=5))
                report = await proposal.apply(journal, meitner=client)
            assert _doubles(sandbox) == {}
            if report.ok:
                break
        assert report.ok, report.failures
        assert len(sandbox.records("student_placements")) >= PUPILS
        assert len([one for one in sandbox.records("schools") if one.title == "Nya skolan"]) == 1

    run(main())


def test_an_edit_between_the_guard_and_a_late_write_is_seen(tmp_path):
    """Where the quota lets an action wait for minutes, its record is looked up again before it is sent."""

    async def main():
        sandbox = Sandbox(students=30, schools=1, seed=4, limiter="none")
        async with Meitner.sandbox(sandbox) as meitner:
            records = (await meitner.students.list().all())[:10]
            rows = [{"identity_number": one.identity_number, "first_name": "Ny", "last_name": "Ek"} for one in records]
            planner = await Planner.of(meitner, Desired(students=rows))
            for place, record in enumerate(records):
                planner.update("students", record, "first_name", "last_name", number=place, kind=UPDATE)
            victim, send = records[-1], sandbox.app.send

            async def slow(request):
                if request.operation == "update" and victim.id not in request.path:
                    await asyncio.sleep(19.0)
                return await send(request)

            sandbox.app.send = slow
            async with Meitner.sandbox(sandbox) as other:
                running = asyncio.ensure_future(
                    planner.proposal().apply(tmp_path / "a.journal", meitner=other, concurrency=1)
                )
                await asyncio.sleep(30.0)
                await meitner.students.modify(victim, first_name="Eva")
                report = await running
            assert (report.results[Result.DONE], report.results[Result.CHANGED]) == (9, 1)
            assert (await meitner.students.get(victim.id)).first_name == "Eva"
            # One search for all, and one each for those whose turn came more than a minute later.
            assert report.requests == 9 + 1 + 6

    run(main())


def test_hours_of_quota_are_waited_for(tmp_path):
    """A plan larger than the quota takes as long as it takes."""

    async def main():
        clock = asyncio.get_running_loop().time
        sandbox = Sandbox(students=3, schools=1, seed=4, quota=60, limiter="window", clock=lambda: 1.8e9 + clock())
        async with Meitner.sandbox(sandbox) as meitner:
            planner = await Planner.of(meitner, Desired(students=pupils(150)))
            planner.create_all("students")
            report = await planner.proposal().apply(tmp_path / "a.journal")
        assert report.ok, report.failures[:2]
        assert report.seconds > 2 * 3600 - 60
        assert len(sandbox.requested("students.create")) == 150

    run(main())


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("turns", [1, 5, 20, 60, 120, 200])
def test_a_cancelled_run_ends_and_is_gone_on_with(tmp_path, turns, times):
    """However often it is cancelled: nothing is under way afterwards, the journal is free, and nothing is doubled."""

    async def main():
        sandbox = Sandbox(students=3, schools=1, seed=4, limiter="none", latency=0.01)
        journal = tmp_path / "registry.journal"
        async with Meitner.sandbox(sandbox) as meitner:
            proposal = await _planned(meitner, _rows(source_ids=False))
            running = asyncio.ensure_future(proposal.apply(journal))
            for _ in range(turns):
                await asyncio.sleep(0.003)
            for _ in range(times):
                running.cancel()
                await asyncio.sleep(0)
            with contextlib.suppress(asyncio.CancelledError):
                await running
            assert asyncio.all_tasks() == {asyncio.current_task()}
            sent = len(sandbox.requests)
            await asyncio.sleep(100.0)
            assert len(sandbox.requests) == sent
            report = await proposal.apply(journal)
            assert report.ok, report.failures
            assert _doubles(sandbox) == {}

    run(main())


def test_a_second_archive_whose_first_answer_was_lost_is_no_failure(tmp_path):
    """The same for restoring and for deleting: it is as planned."""
    from datetime import UTC, date, datetime, timedelta

    from plans import ARCHIVE, DELETE, RESTORE

    async def main():
        sandbox = Sandbox(students=3, schools=1, seed=4, limiter="none")
        async with Meitner.sandbox(sandbox) as meitner:
            (school,) = await meitner.schools.list().all()
            placements = []
            for index in range(3):
                student = await meitner.students.create(identity_number=number(index), first_name="Bo", last_name="Ek")
                end = datetime.now(UTC).date() - timedelta(days=20)
                placements.append(
                    await meitner.student_placements.create(
                        student_id=student.id,
                        school_id=school.id,
                        school_type="GR",
                        start_date=date(2020, 8, 1),
                        end_date=end,
                    )
                )
            archived, restored, deleted = placements
            restored = await meitner.student_placements.archive(restored.id)
            row = {"student_id": restored.student_id, "school_id": school.id, "school_type": "GR"}
            planner = await Planner.of(
                meitner, Desired(student_placements=[row | {"start_date": "2020-08-01", "end_date": restored.end_date}])
            )
            planner.remove(ARCHIVE, "student_placements", archived)
            planner.update("student_placements", restored, kind=RESTORE)
            planner.remove(DELETE, "student_placements", deleted)
            for operation in ("archive", "restore", "delete"):
                sandbox.fail("lost_answer", operations=(f"student_placements.{operation}",), times=1)
            report = await planner.proposal().apply(tmp_path / "a.journal")
            assert report.ok, report.failures
            assert (await meitner.student_placements.get(archived.id)).archived_at is not None
            assert (await meitner.student_placements.get(restored.id)).archived_at is None

    run(main())
