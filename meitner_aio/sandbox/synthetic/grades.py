"""Synthetic grades: subjects of the compulsory school, courses of the upper secondary school."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ...resources._grade import Grade
from ...resources.grade_elementaries import GradeElementary, GradeElementarySchoolYear, GradeTerm
from ...resources.grade_upper_secondaries import (
    GradeUpperSecondary,
    GradeUpperSecondaryCourseExtent,
    GradeUpperSecondaryCourseSection,
    GradeUpperSecondarySchoolYear,
)
from ...resources.schools import SchoolType
from .calendar import Calendar
from .chance import Clock, Dice, Register, spread
from .placements import Pupil
from .words import PROGRAMS

_SUBJECTS = ["SV", "MA", "EN", "IDH", "BI", "FY", "KE", "HI", "GE", "SH", "RE", "BL", "MU", "SL", "TK", "HKK", "M2"]
_LANGUAGE = "M2"
_EACH = 5
_GRADES = spread({Grade.A: 14, Grade.B: 15, Grade.C: 22, Grade.D: 18, Grade.E: 20, Grade.F: 9, Grade.MISSING: 2})
_GRADED = range(12, 16)
"""The ages of school years 6 to 9."""

_COURSES = [
    [course.partition(":")[::2] for course in year.split()]
    for year in (
        "MATMAT01a:GENERAL ENGENG05:GENERAL SVESVE01:GENERAL HISHIS01a1:GENERAL IDRIDR01:GENERAL SAMSAM01a1:GENERAL",
        "MATMAT02a:PROGRAM ENGENG06:PROGRAM SVESVE02:GENERAL NAKNAK01a1:GENERAL RELREL01:GENERAL",
        "SVESVE03:GENERAL ENGENG07:ORIENTATION FILFIL01:PROGRAM PSKPSY01:SPECIALIZATION IDRIDR02:INDIVIDUAL",
    )
]
"""Course codes with their part of the study plan, by year."""

_YEARS = tuple(GradeUpperSecondarySchoolYear)
_EXTENT = GradeUpperSecondaryCourseExtent
_EXTENTS = spread({_EXTENT.NORMAL: 97, _EXTENT.EXTENDED: 1, _EXTENT.REDUCED: 2})


class Grades:
    """The grades given so far, by teachers who work at the pupil's school now."""

    def __init__(self, dice: Dice, clock: Clock, calendar: Calendar) -> None:
        self.elementary: list[GradeElementary] = []
        self.upper_secondary: list[GradeUpperSecondary] = []
        self._dice, self._clock, self._calendar = dice, clock, calendar
        self._register, self._register_upper = Register(dice, clock, "BET"), Register(dice, clock, "KURS")

    def give(self, pupils: Sequence[Pupil]) -> None:
        """Add the grades of pupils: from school year 6, and from the first year of the upper secondary school."""
        for index, pupil in enumerate(pupils):
            self._clock.reach(index / len(pupils))
            if pupil.age in _GRADED:
                self._grade_subjects(pupil)
            elif pupil.place.school.school_type is SchoolType.GY:
                for year in range(pupil.since, self._calendar.year + 1):
                    self._grade_courses(pupil, year)

    def _grade_subjects(self, pupil: Pupil) -> None:
        """Grade subjects in the last term that has grades, or list them in the current one where there was none."""
        dice, term = self._dice, self._calendar.graded_term()
        age = pupil.age - (self._calendar.year - term.year)
        if age not in _GRADED or pupil.since > term.year:
            term, age = self._calendar.current_term(), pupil.age
        first = dice.number(0, len(_SUBJECTS) - 1)
        for subject in (_SUBJECTS + _SUBJECTS)[first : first + _EACH]:
            self.elementary.append(
                GradeElementary(
                    **self._register.record(0.1),
                    student_id=pupil.id,
                    school_id=pupil.place.school.id,
                    language_code=pupil.language if subject == _LANGUAGE else None,
                    teacher1_employee_id=dice.pick(pupil.place.teachers),
                    grade=dice.pick(_GRADES) if term.graded else None,
                    grade_date=term.graded,
                    subject_code=subject,
                    academic_year=f"{term.year}/{term.year + 1}",
                    term=term.term,
                    school_year=GradeElementarySchoolYear(str(age - 6)),
                    final_grade=term.graded is not None and term.term is GradeTerm.VT and age == _GRADED[-1],
                    is_ended=term.graded is not None,
                )
            )

    def _grade_courses(self, pupil: Pupil, year: int) -> None:
        """Grade two courses of a school year, or list them when it is the current one."""
        dice, ended = self._dice, year < self._calendar.year
        index = min(pupil.age - (self._calendar.year - year) - 16, len(_COURSES) - 1)
        for code, section in dice.sample(_COURSES[index], 2):
            first, second = dice.pick(pupil.place.teachers), dice.pick(pupil.place.teachers)
            self.upper_secondary.append(
                GradeUpperSecondary(
                    **self._register_upper.record(0.1),
                    student_id=pupil.id,
                    school_id=pupil.place.school.id,
                    teacher1_employee_id=first,
                    teacher2_employee_id=second if second != first and dice.chance(0.1) else None,
                    grade=dice.pick(_GRADES) if ended else None,
                    grade_date=date(year + 1, 6, 5) if ended else None,
                    course_code=code,
                    extent=dice.pick(_EXTENTS),
                    school_year=_YEARS[index],
                    section=GradeUpperSecondaryCourseSection[section],
                    include_on_final_grade=ended,
                    program_title=PROGRAMS[pupil.program],
                    start_date=self._calendar.start(year),
                    end_date=self._calendar.end(year),
                )
            )
