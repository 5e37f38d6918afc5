"""What the two kinds of grades have in common."""

from __future__ import annotations

from datetime import date

from msgspec import UNSET, UnsetType

from ..records import Id, OpenEnum, SourcedFields, SourcedRecord


class Grade(OpenEnum):
    """The grade itself."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"
    MISSING = "MISSING"


class GradeRecord(SourcedRecord):
    """A grade given to a student. A teacher named on it has an active employee placement at the school."""

    student_id: Id
    school_id: Id
    language_code: str | None = None
    teacher1_employee_id: Id | None = None
    teacher2_employee_id: Id | None = None
    grade: Grade | None = None
    grade_date: date | None = None


class GradeFields(SourcedFields):
    """What a write says of a grade. The student needs an active placement at the school."""

    language_code: str | None | UnsetType = UNSET
    teacher1_employee_id: Id | None | UnsetType = UNSET
    teacher2_employee_id: Id | None | UnsetType = UNSET
    grade: Grade | None | UnsetType = UNSET
    grade_date: date | None | UnsetType = UNSET
