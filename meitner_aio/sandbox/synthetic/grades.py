"""Synthetic grades, given by teachers who work at the pupil's school now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from .calendar import current_term, graded_term, school_year
from .chance import Register, spread
from .places import Place
from .words import COURSES, PROGRAMS, SUBJECTS

_SUBJECTS = list(SUBJECTS)
_CODES = list(COURSES)
_COURSES = [_CODES[:6], _CODES[6:11], _CODES[11:]]
"""Codes of courses, by year."""

_GRADES = spread({Grade.A: 14, Grade.B: 15, Grade.C: 22, Grade.D: 18, Grade.E: 20, Grade.F: 9, Grade.MISSING: 2})
_YEARS, _SECTIONS = tuple(GradeUpperSecondarySchoolYear), tuple(GradeUpperSecondaryCourseSection)
_EXTENT = GradeUpperSecondaryCourseExtent
_EXTENTS = spread({_EXTENT.NORMAL: 97, _EXTENT.EXTENDED: 1, _EXTENT.REDUCED: 2})


def grade_subjects(register: Register, places: Sequence[Place], today: date) -> Iterator[GradeElementary]:
    """Yield five subjects for each pupil of school years 6 to 9, with grades from the last term that has any.

    A pupil who was in another school or a lower year then has subjects of the current term, without grades.
    """
    dice, current, graded = register.dice, current_term(today), graded_term(today)
    for place in register.during(20, 10, places):
        years = [(year, placement) for year in range(6, 10) for placement in place.pupils.get(("", year), ())]
        for year, placement in years:
            then = year - (current.year - graded.year)
            there = then >= 6 and placement.start_date.year <= graded.year
            term = graded if there else current
            for subject in dice.sample(_SUBJECTS, 5):
                yield GradeElementary(
                    **register.record(0.1),
                    student_id=placement.student_id,
                    school_id=placement.school_id,
                    language_code=placement.modern_language_in_language_choice if subject == "M2" else None,
                    teacher1_employee_id=dice.pick(place.teachers),
                    grade=dice.pick(_GRADES) if there else None,
                    grade_date=term.graded,
                    subject_code=subject,
                    academic_year=f"{term.year}/{term.year + 1}",
                    term=term.term,
                    school_year=GradeElementarySchoolYear(str(then if there else year)),
                    final_grade=there and then == 9 and term.term is GradeTerm.VT,
                    is_ended=there,
                )


def grade_courses(register: Register, places: Sequence[Place], today: date) -> Iterator[GradeUpperSecondary]:
    """Yield two courses of each year that a pupil was in an upper secondary school; this year's have no grade yet."""
    dice, current = register.dice, school_year(today)
    for place in register.during(10, 0.1, places):
        pupils = [(year, placement) for year, placements in place.pupils.items() for placement in placements]
        for (program, number), placement in pupils if place.school.school_type is SchoolType.GY else ():
            for year in range(placement.start_date.year, current + 1):
                index, ended = number - 1 - (current - year), year < current
                for code in dice.sample(_COURSES[index], 2):
                    teacher, other = dice.choices(place.teachers, k=2)
                    yield GradeUpperSecondary(
                        **register.record(0.1),
                        student_id=placement.student_id,
                        school_id=placement.school_id,
                        teacher1_employee_id=teacher,
                        teacher2_employee_id=other if other != teacher and dice.chance(0.1) else None,
                        grade=dice.pick(_GRADES) if ended else None,
                        grade_date=date(year + 1, 6, 5) if ended else None,
                        course_code=code,
                        extent=dice.pick(_EXTENTS),
                        school_year=_YEARS[index],
                        section=dice.pick(_SECTIONS),
                        include_on_final_grade=ended,
                        program_title=PROGRAMS[program],
                        start_date=date(year, 7, 1),
                        end_date=date(year + 1, 6, 30),
                    )
