"""The Data Export API of the sandbox: derived from its directory, deterministic, served beside it."""

from __future__ import annotations

from collections import Counter

import pytest
from conftest import NO_QUOTA

from meitner_aio import Meitner
from meitner_aio.sandbox import Sandbox

NAMES = ("attendances", "criterion_results", "upper_secondary_grades")
NOON = 1_790_000_000.0
"""A Monday, by the clock of the sandbox."""


def made(**options: object) -> Sandbox:
    """Return a sandbox on a day of its own."""
    return Sandbox(**{"students": 150, "schools": 5, "clock": lambda: NOON, "limiter": "none"} | options)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_makes_the_same_rows(name: str):
    """On one day, whatever was asked for before; another seed makes others."""
    assert made().records(name) == made().records(name) != made(seed=2).records(name)
    assert made().records(name)


def test_rows_are_about_the_students_of_the_directory():
    """Each student is who the directory says, at the school of the placement that runs."""
    sandbox = made()
    students = {one.id: one for one in sandbox.records("students")}
    schools = {one.id: one for one in sandbox.records("schools")}
    for name in NAMES:
        for row in sandbox.records(name):
            student = students[row.student.id]
            assert (row.student.identity_number, row.student.last_name) == (student.identity_number, student.last_name)
            assert row.school.display_name == schools[row.school.id].title


def test_attendance_is_plausible():
    """So many lessons a pupil, on school days before today, most of them attended; absence fits the lesson."""
    rows = made(lessons=7).records("attendances")
    assert set(Counter(row.student.id for row in rows).values()) == {7}
    assert {row.report.date.weekday() for row in rows} == {0, 1, 2, 3, 4}
    assert max(row.report.date for row in rows).isoformat() < "2026-09-21"
    assert all(row.report.week == str(row.report.date.isocalendar().week) for row in rows)
    assert all(0 <= row.report.absence_duration_minutes <= row.report.lesson_duration_minutes for row in rows)
    away = {row.report.status: row.report.absence_duration_minutes > 0 for row in rows}
    assert away == {"Attendance": False, "Late": True, "ValidAbsence": True, "InvalidAbsence": True}
    assert sum(row.report.status == "Attendance" for row in rows) > 0.8 * len(rows)
    assert {(row.subject is None) != (row.course is None) for row in rows} == {True}


def test_grades_are_those_of_the_directory():
    """A grade for each that was given, and nothing for a course that goes on."""
    sandbox = made()
    given = Counter(
        (one.student_id, one.course_code, one.grade)
        for one in sandbox.records("grade_upper_secondaries")
        if one.grade is not None
    )
    exported = Counter(
        (row.student.id, row.course.code, row.grade) for row in sandbox.records("upper_secondary_grades")
    )
    assert exported == given
    results = sandbox.records("criterion_results")
    assert {row.archive_term for row in results} <= {"HT", "VT"}
    assert all(len(row.archive_year) == 9 for row in results)


def test_amounts_can_be_chosen():
    """None at all, too; what is no amount is refused."""
    assert made(lessons=0).records("attendances") == []
    with pytest.raises(ValueError, match="lessons"):
        made(lessons=-1)
    assert Sandbox(students=0, schools=0).records("attendances") == []


def test_a_directory_is_the_same_with_and_without():
    """Nothing is drawn from the dice of the directory, and nothing is derived before it is asked for."""
    one, other = made(lessons=1), made(lessons=9)
    one.records("attendances")
    assert one.records("students") == other.records("students")
    assert one.records("audit_events") == other.records("audit_events")


async def test_it_is_served_over_http():
    """Under `/data-export/v1`, beside the directory."""
    async with (
        made(page_cap=100) as sandbox,
        Meitner(*sandbox.credentials, base_url=sandbox.url, quota=NO_QUOTA) as meitner,
    ):
        for name in NAMES:
            listing = getattr(meitner.data_export, name).list().paged(exact=True)
            assert await listing.all() == sandbox.records(name)
            assert listing.report.complete
        assert {one.path.rpartition("/")[0] for one in sandbox.requests} == {"/data-export/v1"}


async def test_its_requests_cost_the_same_quota_and_fail_by_name():
    """A fault strikes one resource of it; `requested` finds its requests."""
    sandbox = Sandbox(students=3, quota=50)
    sandbox.fail("503", times=1, operations=["criterion_results.list"])
    async with Meitner.sandbox(sandbox) as meitner:
        await meitner.data_export.criterion_results.list().all()
        await meitner.data_export.attendances.list().all()
        assert meitner.quota is not None
        assert meitner.quota.remaining == 48
    assert len(sandbox.requested("criterion_results.list")) == 2
    assert len(sandbox.requested("attendances.list")) == 1
    with pytest.raises(ValueError, match="did you mean 'attendances"):
        sandbox.requested("attendance.list")


async def test_what_is_served_by_hand_goes_before():
    """A test says what rows there are."""
    from meitner_aio import Attendance
    from meitner_aio.resources import Attendances

    sandbox = made()
    sandbox.serve(Attendances, [Attendance()] * 3)
    async with Meitner.sandbox(sandbox) as meitner:
        assert await meitner.data_export.attendances.list().all() == [Attendance()] * 3


@pytest.mark.meitner(students=4, lessons=2)
async def test_the_fixtures_have_it(meitner, meitner_sandbox):
    """The plugin for pytest gives a client of it, and takes the amount."""
    rows = await meitner.data_export.attendances.list().all()
    assert rows == meitner_sandbox.records("attendances")
