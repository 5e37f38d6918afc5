"""Synthetic rows of the Data Export API, derived from a synthetic directory.

What the API's documents do not say is invented, plausibly: statuses of attendance beside "Attendance", states of
criteria beside "Fulfilled", and which of subject and course a row has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, TypeVar

from msgspec.structs import replace

from ...resources.data_export import (
    Attendance,
    AttendanceReport,
    CriterionResult,
    ExportedCourse,
    ExportedPupil,
    ExportedSchool,
    ExportedStudent,
    UpperSecondaryGrade,
)
from ...resources.grade_elementaries import GradeElementary
from ...resources.grade_upper_secondaries import GradeUpperSecondary
from ...resources.schools import School, SchoolType
from ...resources.student_placements import StudentPlacement
from ...resources.students import Student
from .chance import Dice, spread
from .words import COURSES, PROGRAMS, SUBJECTS

S = TypeVar("S", bound=ExportedStudent)

EXPORTED_FROM = ("schools", "students", "student_placements", "grade_elementaries", "grade_upper_secondaries")
"""The resources of the directory that the rows are derived from."""

_STATUSES = spread({"Attendance": 90, "ValidAbsence": 6, "InvalidAbsence": 2, "Late": 2})
_STATES = spread({"Fulfilled": 60, "PartlyFulfilled": 28, "NotFulfilled": 12})
_LESSONS = (40, 45, 60, 80)
"""Minutes that a lesson takes."""
_SUBJECT_CODES, _COURSE_CODES = tuple(SUBJECTS), tuple(COURSES)
_CRITERIA = 2
"""Results of a subject."""


class Exported:
    """Derives the rows; the same records, seed and day give the same."""

    def __init__(self, records: Mapping[str, Sequence[Any]], *, seed: int, today: date) -> None:
        self._records = records
        self._seed = seed
        self._today = today
        self._schools: dict[str, School] = {one.id: one for one in records["schools"]}
        self._students: dict[str, Student] = {one.id: one for one in records["students"]}
        # The last placement of a student is that of now, where one runs.
        placements: list[StudentPlacement] = sorted(
            records["student_placements"], key=lambda one: one.end_date is None or one.end_date >= today
        )
        self._placed = {one.student_id: one for one in placements}

    def attendances(self, lessons: int) -> Iterator[Attendance]:
        """Yield reports of so many lessons of each pupil, on the latest school days before today."""
        dice = Dice(f"attendances {self._seed}")
        for placement in self._placed.values():
            kind = self._schools[placement.school_id].school_type
            if kind is SchoolType.FS:
                continue
            upper = kind is SchoolType.GY
            titles, codes = (COURSES, _COURSE_CODES) if upper else (SUBJECTS, _SUBJECT_CODES)
            school, student = self._school(placement.school_id), self._student(ExportedStudent, placement)
            for day in _school_days(self._today, lessons):
                read = _course(titles, dice.pick(codes))
                yield Attendance(
                    school=school,
                    student=student,
                    subject=None if upper else read,
                    course=read if upper else None,
                    report=_report(dice, day),
                )

    def criterion_results(self) -> Iterator[CriterionResult]:
        """Yield two results for each graded subject of the compulsory school."""
        dice = Dice(f"criteria {self._seed}")
        grades: Sequence[GradeElementary] = self._records["grade_elementaries"]
        for grade in grades:
            placement = self._placed.get(grade.student_id)
            if grade.grade is None or placement is None:
                continue
            for _ in range(_CRITERIA):
                yield CriterionResult(
                    school=self._school(grade.school_id),
                    student=self._student(ExportedStudent, placement),
                    subject=_course(SUBJECTS, grade.subject_code),
                    archive_year=(grade.academic_year or "").replace("/", "_"),
                    archive_term=grade.term,
                    state=dice.pick(_STATES),
                )

    def upper_secondary_grades(self) -> Iterator[UpperSecondaryGrade]:
        """Yield the grades of the upper secondary school that have been given."""
        titles = {title: code for code, title in PROGRAMS.items()}
        grades: Sequence[GradeUpperSecondary] = self._records["grade_upper_secondaries"]
        for grade in grades:
            placement = self._placed.get(grade.student_id)
            if grade.grade is None or placement is None:
                continue
            program = grade.program_title
            yield UpperSecondaryGrade(
                school=self._school(grade.school_id),
                student=self._pupil(placement),
                course=_course(COURSES, grade.course_code),
                grade=grade.grade,
                grade_date=grade.grade_date,
                school_year=grade.school_year,
                language_code=grade.language_code,
                start_date=grade.start_date,
                end_date=grade.end_date,
                section=grade.section,
                program_display_name=program,
                program_template_title=program,
                orientation_title=program,
                orientation_code=None if program is None else titles.get(program),
            )

    def _school(self, id: str) -> ExportedSchool:
        return ExportedSchool(id=id, display_name=self._schools[id].title)

    def _pupil(self, placement: StudentPlacement) -> ExportedPupil:
        pupil, year = self._student(ExportedPupil, placement), placement.school_year
        return pupil if year is None else replace(pupil, class_=f"Klass {year}A")

    def _student(self, kind: type[S], placement: StudentPlacement) -> S:
        student = self._students[placement.student_id]
        return kind(
            id=student.id,
            identity_number=student.identity_number,
            first_name=student.first_name,
            last_name=student.last_name,
            date_of_birth=student.date_of_birth,
            gender=student.gender,
            school_type=placement.school_type,
            school_year=placement.school_year,
        )


def _school_days(today: date, count: int) -> Iterator[date]:
    """Yield so many days before today that are neither Saturday nor Sunday, the latest first."""
    day = today
    for _ in range(count):
        day -= timedelta({0: 3, 6: 2}.get(day.weekday(), 1))  # Monday, Sunday
        yield day


def _course(titles: Mapping[str, str], code: str) -> ExportedCourse:
    return ExportedCourse(title=titles.get(code), code=code)


def _report(dice: Dice, day: date) -> AttendanceReport:
    status, minutes = dice.pick(_STATUSES), dice.pick(_LESSONS)
    absent = {"Attendance": 0, "Late": dice.number(1, 20)}.get(status, minutes)
    return AttendanceReport(
        status=status,
        date=day,
        week=str(day.isocalendar().week),
        lesson_duration_minutes=minutes,
        absence_duration_minutes=absent,
    )


def exported(records: Mapping[str, Sequence[Any]], *, lessons: int, seed: int, today: date) -> dict[str, list[Any]]:
    """Return the rows of the Data Export API by the attributes of its resources; the same arguments give the same."""
    rows = Exported(records, seed=seed, today=today)
    return {
        "attendances": [*rows.attendances(lessons)],
        "criterion_results": [*rows.criterion_results()],
        "upper_secondary_grades": [*rows.upper_secondary_grades()],
    }
