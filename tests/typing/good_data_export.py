"""Calls of the Data Export API that type checkers must accept, with the types they must find."""
# pyright: strict

from __future__ import annotations

import datetime as dt
from typing import assert_type

from meitner_aio import (
    Attendance,
    CriterionResult,
    ExportedPupil,
    ExportedStudent,
    Listing,
    Meitner,
    Page,
    Portal,
    UpperSecondaryGrade,
)
from meitner_aio.resources import Attendances
from meitner_aio.sandbox import Sandbox


async def read(meitner: Meitner) -> None:
    assert_type(meitner.data_export.attendances, Attendances)
    assert_type(meitner.data_export.attendances.list(limit=100), Listing[Attendance])
    assert_type(await meitner.data_export.criterion_results.list(), Page[CriterionResult])
    assert_type(await meitner.data_export.upper_secondary_grades.list().first(), UpperSecondaryGrade | None)
    assert_type(await meitner.with_options(timeout=5).data_export.attendances.list().count(), int)
    assert_type(meitner.cached().data_export.attendances.list(), Listing[Attendance])
    assert_type(meitner.cached(default=None).data_export.attendances.list(), Listing[Attendance])
    async for row in meitner.data_export.attendances.list().paged(exact=True):
        assert_type(row.student, ExportedStudent | None)
        if row.report is not None:
            assert_type(row.report.date, dt.date | None)
            assert_type(row.report.absence_duration_minutes, int | None)
    async for grade in meitner.data_export.upper_secondary_grades.list():
        assert_type(grade.student, ExportedPupil | None)
        if grade.student is not None:
            assert_type(grade.student.class_, str | None)


def plain(portal: Portal) -> None:
    for row in portal.iterate(portal.meitner.data_export.attendances.list()):
        assert_type(row, Attendance)


Sandbox(lessons=3).serve(Attendances, [Attendance()])
