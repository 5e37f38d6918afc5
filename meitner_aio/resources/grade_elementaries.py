"""Grades of the compulsory school."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from .._operations.composed import Deletable
from .._operations.operations import Get, List
from .._operations.writes import Create, Delete, Update
from ..records import Id, OpenEnum, Personal
from ._grade import Grade, GradeFields, GradeRecord

__all__ = [
    "Grade",
    "GradeElementaries",
    "GradeElementary",
    "GradeElementaryCreate",
    "GradeElementarySchoolYear",
    "GradeElementaryUpdate",
    "GradeTerm",
]


class GradeTerm(OpenEnum):
    """The term of a grade."""

    HT = "HT"
    """Autumn (hösttermin)."""
    VT = "VT"
    """Spring (vårtermin)."""


class GradeElementarySchoolYear(OpenEnum):
    """The school year of a grade."""

    YEAR_6 = "6"
    YEAR_7 = "7"
    YEAR_8 = "8"
    YEAR_9 = "9"


class GradeElementary(GradeRecord):
    """A grade in a subject of the compulsory school."""

    subject_code: str
    academic_year: str
    """`YYYY/YYYY`."""
    term: GradeTerm
    school_year: GradeElementarySchoolYear
    final_grade: bool
    is_ended: bool
    school_comment: Personal[str | None] = None


class GradeElementaryUpdate(GradeFields):
    """What an update says of a grade: its student, school and subject cannot change."""

    academic_year: str
    term: GradeTerm
    school_year: GradeElementarySchoolYear
    final_grade: bool
    is_ended: bool
    school_comment: Personal[str | None | UnsetType] = UNSET


class GradeElementaryCreate(GradeElementaryUpdate):
    """What a create says of a grade."""

    student_id: Id
    school_id: Id
    subject_code: str


class GradeElementaries(Deletable[GradeElementary]):
    """Grades of the compulsory school. They cannot be searched, and a deleted one leaves no audit event."""

    path = "/grade-elementary"
    model = GradeElementary

    list = List()
    get = Get()
    create = Create(GradeElementaryCreate)
    update = Update(GradeElementaryUpdate)
    delete = Delete()
