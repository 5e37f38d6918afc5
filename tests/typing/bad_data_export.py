"""Calls of the Data Export API that type checkers must refuse: one on each marked line, and nothing on any other."""
# pyright: strict

from __future__ import annotations

from meitner_aio import Attendance, Meitner
from meitner_aio.sandbox import Sandbox


async def calls(meitner: Meitner) -> None:
    meitner.attendances.list()  # wrong: below data_export
    meitner.data_export.students.list()  # wrong: of the directory
    meitner.data_export.attendances.get("")  # wrong: it can be listed only
    meitner.data_export.attendances.search()  # wrong: it can be listed only
    meitner.data_export.criterion_results.create()  # wrong: it can be listed only
    meitner.data_export.attendances.list(week="6")  # wrong: no conditions
    meitner.cached().data_export.upper_secondary_grades.get("")  # wrong: it can be listed only
    async for row in meitner.data_export.attendances.list():
        str(row.id)  # wrong: rows have no ids
        str(row.report.status)  # wrong: may be None
        str(row.student and row.student.class_)  # wrong: of grades only


Attendance(id="")  # wrong: rows have no ids
Sandbox(lessons="3")  # wrong: an int is expected
