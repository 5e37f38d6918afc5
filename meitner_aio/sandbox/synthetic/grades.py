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

_SUBJECTS = ("SV", "MA", "EN", "IDH", "BI", "FY", "KE", "HI", "GE", "SH", "RE", "BL", "MU", "SL", "TK", "HKK", "M2")
_LANGUAGE = "M2"
_EACH = 5
_GRADES = spread(
    {Grade.A: 14, Grade.B: 15, Grade.C: 22, Grade.D: 18, Grade.E: 20, Grade.F: 9, Grade.MISSING: 2},
)
_YEARS = {age: GradeElementarySchoolYear(str(age - 6)) for age in range(12, 16)}
_LAST_YEAR = 15

_SECTION = GradeUpperSecondaryCourseSection
_COURSES = (
    (
        ("MATMAT01a", _SECTION.GENERAL),
        ("ENGENG05", _SECTION.GENERAL),
        ("SVESVE01", _SECTION.GENERAL),
        ("HISHIS01a1", _SECTION.GENERAL),
        ("IDRIDR01", _SECTION.GENERAL),
        ("SAMSAM01a1", _SECTION.GENERAL),
    ),
    (
        ("MATMAT02a", _SECTION.PROGRAM),
        ("ENGENG06", _SECTION.PROGRAM),
        ("SVESVE02", _SECTION.GENERAL),
        ("NAKNAK01a1", _SECTION.GENERAL),
        ("RELREL01", _SECTION.GENERAL),
    ),
    (
        ("SVESVE03", _SECTION.GENERAL),
        ("ENGENG07", _SECTION.ORIENTATION),
        ("FILFIL01", _SECTION.PROGRAM),
        ("PSKPSY01", _SECTION.SPECIALIZATION),
        ("IDRIDR02", _SECTION.INDIVIDUAL),
    ),
)
"""Course codes with their part of the study plan, by year."""

_YEARS_UPPER = tuple(GradeUpperSecondarySchoolYear)
_FIRST_UPPER = 16
_COURSES_A_YEAR = 2
_EXTENTS = spread(
    {
        GradeUpperSecondaryCourseExtent.NORMAL: 97,
        GradeUpperSecondaryCourseExtent.EXTENDED: 1,
        GradeUpperSecondaryCourseExtent.REDUCED: 2,
    }
)


class Grades:
    """The grades given so far, by teachers who work at the pupil's school now."""

    def __init__(self, dice: Dice, clock: Clock, calendar: Calendar) -> None:
        self.elementary: list[GradeElementary] = []
        self.upper_secondary: list[GradeUpperSecondary] = []
        self._dice, self._clock, self._calendar = dice, clock, calendar
        self._register, self._register_upper = Register(dice, "BET"), Register(dice, "KURS")

    def give(self, pupils: Sequence[Pupil]) -> None:
        """Add the grades of pupils: from school year 6, and from the first year of the upper secondary school."""
        for index, pupil in enumerate(pupils):
            self._clock.reach(index / len(pupils))
            if pupil.age in _YEARS:
                self._grade_subjects(pupil)
            elif pupil.place.school.school_type is SchoolType.GY:
                for year in range(pupil.since, self._calendar.year + 1):
                    self._grade_courses(pupil, year)

    def _grade_subjects(self, pupil: Pupil) -> None:
        """Grade subjects in the last term that has grades, or list them in the current one where there was none."""
        dice, term = self._dice, self._calendar.graded_term()
        age = pupil.age - (self._calendar.year - term.year)
        if age not in _YEARS or pupil.since > term.year:
            term, age = self._calendar.current_term(), pupil.age
        first = dice.number(0, len(_SUBJECTS) - 1)
        for subject in (_SUBJECTS + _SUBJECTS)[first : first + _EACH]:
            self.elementary.append(
                GradeElementary(
                    id=dice.id(),
                    meta=self._clock.meta(),
                    external=self._register.external(0.1),
                    student_id=pupil.id,
                    school_id=pupil.place.school.id,
                    language_code=pupil.language if subject == _LANGUAGE else None,
                    teacher1_employee_id=dice.pick(pupil.place.teachers),
                    grade=dice.pick(_GRADES) if term.graded else None,
                    grade_date=term.graded,
                    subject_code=subject,
                    academic_year=f"{term.year}/{term.year + 1}",
                    term=term.term,
                    school_year=_YEARS[age],
                    final_grade=term.graded is not None and term.term is GradeTerm.VT and age == _LAST_YEAR,
                    is_ended=term.graded is not None,
                )
            )

    def _grade_courses(self, pupil: Pupil, year: int) -> None:
        """Grade two courses of a school year, or list them when it is the current one."""
        dice = self._dice
        index = min(pupil.age - (self._calendar.year - year) - _FIRST_UPPER, len(_COURSES) - 1)
        ended = year < self._calendar.year
        for code, section in dice.sample(_COURSES[index], _COURSES_A_YEAR):
            first, second = dice.pick(pupil.place.teachers), dice.pick(pupil.place.teachers)
            self.upper_secondary.append(
                GradeUpperSecondary(
                    id=dice.id(),
                    meta=self._clock.meta(),
                    external=self._register_upper.external(0.1),
                    student_id=pupil.id,
                    school_id=pupil.place.school.id,
                    teacher1_employee_id=first,
                    teacher2_employee_id=second if second != first and dice.chance(0.1) else None,
                    grade=dice.pick(_GRADES) if ended else None,
                    grade_date=date(year + 1, 6, 5) if ended else None,
                    course_code=code,
                    extent=dice.pick(_EXTENTS),
                    school_year=_YEARS_UPPER[index],
                    section=section,
                    include_on_final_grade=ended,
                    program_title=pupil.program[1],
                    start_date=self._calendar.start(year),
                    end_date=self._calendar.end(year),
                )
            )
