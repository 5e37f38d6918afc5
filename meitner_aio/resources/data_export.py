"""The Data Export API: rows for statistics and warehouses, which can be listed and nothing else.

It is another API of the same origin, `/data-export/v1`, with the credentials and the envelope of the Directory API. The
vendor's documentation gives one example of each row. It does not say which fields may be null or absent, what values
the texts have, in what order rows are listed, how long they are kept, or what changes them. So every field is optional
here, and text whose values are not published is plain text. Rows have no id: two equal rows are two rows.
"""

from __future__ import annotations

import datetime as dt

from .._operations.members import Client, Member
from .._operations.operations import List
from .._operations.resource import Binding, Resource
from ..records import Id, Personal, Record
from ._grade import Grade
from ._person import Gender
from .grade_upper_secondaries import GradeUpperSecondaryCourseSection

__all__ = [
    "Attendance",
    "AttendanceReport",
    "Attendances",
    "CriterionResult",
    "CriterionResults",
    "DataExport",
    "ExportedCourse",
    "ExportedPupil",
    "ExportedSchool",
    "ExportedStudent",
    "UpperSecondaryGrade",
    "UpperSecondaryGrades",
]

API = "data-export/v1"


class ExportedSchool(Record):
    """The school of a row."""

    id: Id | None = None
    """In the example a UUID, presumably that of the school in the directory."""
    display_name: str | None = None


class ExportedStudent(Record):
    """The student of a row."""

    id: Id | None = None
    """In the example a UUID, presumably that of the student in the directory."""
    identity_number: Personal[str | None] = None
    """`YYYYMMDD-NNNN` in the example."""
    first_name: Personal[str | None] = None
    last_name: Personal[str | None] = None
    date_of_birth: Personal[dt.date | None] = None
    gender: Gender | None = None
    school_type: str | None = None
    """"GR" in the example. Whether it is that of now or of the row's time is unknown."""
    school_year: str | None = None
    """"9" in the example. Whether it is that of now or of the row's time is unknown."""


class ExportedPupil(ExportedStudent):
    """The student of a grade, with a class."""

    class_: str | None = None
    """`class` in the API; "Klass 9A" in the example."""


class ExportedCourse(Record):
    """A subject or a course. Which of the two a row has, or whether both, is unknown."""

    title: str | None = None
    code: str | None = None


class AttendanceReport(Record):
    """What was reported of a student in a lesson."""

    status: Personal[str | None] = None
    """"Attendance" in the example; what else there is is unknown."""
    date: dt.date | None = None
    week: str | None = None
    """"1" in the example, for 2024-01-01, which is in week 1 of ISO 8601."""
    lesson_duration_minutes: int | None = None
    absence_duration_minutes: Personal[int | None] = None
    """Minutes of the lesson; in the example 15 of 45, with the status "Attendance"."""


class Attendance(Record):
    """Whether a student was in a lesson. Says when children were absent: treat it as sensitive."""

    school: ExportedSchool | None = None
    student: ExportedStudent | None = None
    subject: ExportedCourse | None = None
    course: ExportedCourse | None = None
    report: AttendanceReport | None = None


class CriterionResult(Record):
    """How far a student meets a criterion of a subject or a course. The example does not tell which criterion it is."""

    school: ExportedSchool | None = None
    student: ExportedStudent | None = None
    course: ExportedCourse | None = None
    subject: ExportedCourse | None = None
    archive_year: str | None = None
    """"2024_2025" in the example."""
    archive_term: str | None = None
    """"HT" in the example."""
    state: str | None = None
    """"Fulfilled" in the example; what else there is is unknown."""


class UpperSecondaryGrade(Record):
    """A grade of the upper secondary school, with its programme."""

    school: ExportedSchool | None = None
    student: ExportedPupil | None = None
    subject: ExportedCourse | None = None
    course: ExportedCourse | None = None
    grade: Grade | None = None
    grade_date: dt.date | None = None
    school_year: str | None = None
    """"9" in the example."""
    language_code: str | None = None
    """"DEU" in the example: three letters, where the directory's example has two."""
    start_date: dt.date | None = None
    end_date: dt.date | None = None
    section: GradeUpperSecondaryCourseSection | None = None
    program_display_name: str | None = None
    program_template_title: str | None = None
    orientation_title: str | None = None
    orientation_code: str | None = None


class Attendances(Resource[Attendance]):
    """Reports of attendance, by lesson."""

    path = "/attendance"
    api = API
    model = Attendance

    list = List()


class CriterionResults(Resource[CriterionResult]):
    """Results by criterion."""

    path = "/criterion-result"
    api = API
    model = CriterionResult

    list = List()


class UpperSecondaryGrades(Resource[UpperSecondaryGrade]):
    """Grades of the upper secondary school."""

    path = "/upper-secondary-grade"
    api = API
    model = UpperSecondaryGrade

    list = List()


class DataExport(Client):
    """`meitner.data_export`: the resources of the Data Export API.

    They share credentials, connections, limits, quota and retries with the client. Rows have no ids, so a listing drops
    none as a repetition; with `exact=True` it reads twice, and is `stable` when both reads brought the same rows.
    """

    attendances = Member(Attendances)
    criterion_results = Member(CriterionResults)
    upper_secondary_grades = Member(UpperSecondaryGrades)

    def __init__(self, wire: Binding) -> None:
        self._wire = wire

    def __repr__(self) -> str:
        return "<DataExport: attendances, criterion_results, upper_secondary_grades>"
