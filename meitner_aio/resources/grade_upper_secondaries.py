"""Grades of the upper secondary school."""

from __future__ import annotations

from datetime import date

from msgspec import UNSET, UnsetType

from .._operations.composed import Deletable
from .._operations.operations import Get, List
from .._operations.writes import Create, Delete, Update
from ..records import Id, OpenEnum, Personal
from ._grade import Grade, GradeFields, GradeRecord

__all__ = [
    "Grade",
    "GradeUpperSecondaries",
    "GradeUpperSecondary",
    "GradeUpperSecondaryCourseExtent",
    "GradeUpperSecondaryCourseSection",
    "GradeUpperSecondaryCreate",
    "GradeUpperSecondarySchoolYear",
    "GradeUpperSecondaryUpdate",
]


class GradeUpperSecondarySchoolYear(OpenEnum):
    """The year of the upper secondary school in which a grade was given."""

    YEAR_1 = "1"
    YEAR_2 = "2"
    YEAR_3 = "3"


class GradeUpperSecondaryCourseExtent(OpenEnum):
    """How much of a course was read."""

    NORMAL = "Normal"
    EXTENDED = "Extended"
    REDUCED = "Reduced"


class GradeUpperSecondaryCourseSection(OpenEnum):
    """The part of the study plan that a course belongs to."""

    GENERAL = "General"
    PROGRAM = "Program"
    ORIENTATION = "Orientation"
    SPECIALIZATION = "Specialization"
    INDIVIDUAL = "Individual"
    PROJECT = "Project"
    ELEMENTARY = "Elementary"


class GradeUpperSecondary(GradeRecord):
    """A grade in a course of the upper secondary school."""

    course_code: str
    grade_comment: Personal[str | None] = None
    extent: GradeUpperSecondaryCourseExtent | None = None
    school_year: GradeUpperSecondarySchoolYear | None = None
    section: GradeUpperSecondaryCourseSection | None = None
    teacher_comment: Personal[str | None] = None
    include_on_final_grade: bool
    program_title: str | None = None
    start_date: date | None = None
    end_date: date | None = None


class GradeUpperSecondaryUpdate(GradeFields):
    """What an update says of a grade: its student, school and course cannot change."""

    grade_comment: Personal[str | None | UnsetType] = UNSET
    extent: GradeUpperSecondaryCourseExtent | None | UnsetType = UNSET
    school_year: GradeUpperSecondarySchoolYear | None | UnsetType = UNSET
    section: GradeUpperSecondaryCourseSection | None | UnsetType = UNSET
    teacher_comment: Personal[str | None | UnsetType] = UNSET
    include_on_final_grade: bool
    program_title: str | None | UnsetType = UNSET
    start_date: date | None | UnsetType = UNSET
    end_date: date | None | UnsetType = UNSET


class GradeUpperSecondaryCreate(GradeUpperSecondaryUpdate):
    """What a create says of a grade."""

    student_id: Id
    school_id: Id
    course_code: str


class GradeUpperSecondaries(Deletable[GradeUpperSecondary]):
    """Grades of the upper secondary school. They cannot be searched, and a deleted one leaves no audit event."""

    path = "/grade-upper-secondary"
    model = GradeUpperSecondary

    list = List()
    get = Get()
    create = Create(GradeUpperSecondaryCreate)
    update = Update(GradeUpperSecondaryUpdate)
    delete = Delete()
