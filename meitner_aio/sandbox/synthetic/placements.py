"""Where synthetic students go to school, and where they went before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from ...resources.schools import SchoolType
from ...resources.student_placements import (
    ModernLanguageAlternative,
    SchoolYear,
    StudentPlacement,
    StudentPlacementSchoolType,
)
from .calendar import Calendar
from .chance import Clock, Dice, Register, spread
from .places import AGES, Place

_FIRST = {school_type: min(ages) for school_type, ages in AGES.items()}
_LAST = {SchoolType.FS: 5, SchoolType.GR: 15, SchoolType.GY: 18}
_TYPES = {school_type: StudentPlacementSchoolType(school_type.value) for school_type in AGES}
_YEARS = {age: SchoolYear(str(age - _FIRST[SchoolType.GR])) for age in AGES[SchoolType.GR]}
_CHILDCARE = dict.fromkeys(range(6), 1.0) | dict.fromkeys(range(6, 10), 0.7) | dict.fromkeys(range(10, 13), 0.2)
"""How probable childcare is at an age."""

_LANGUAGES_FROM = 12
_LANGUAGES = spread({"spa": 50, "deu": 25, "fra": 20, "ita": 3, "zho": 2})
"""Modern languages, ISO 639-2."""

_ALTERNATIVES = tuple(ModernLanguageAlternative)


class Pupil(NamedTuple):
    """A student as a school knows them."""

    id: str
    place: Place
    age: int
    since: int
    """The school year in which they came."""
    language: str | None
    """The modern language that they read."""
    program: tuple[str, str]
    """Code and title of the programme, in an upper secondary school."""


class Enrolment:
    """The placements made so far, and the pupils who have them."""

    def __init__(self, dice: Dice, clock: Clock, calendar: Calendar) -> None:
        self.placements: list[StudentPlacement] = []
        self.pupils: list[Pupil] = []
        self._dice, self._clock, self._calendar = dice, clock, calendar
        self._register = Register(dice, "PL")

    def enrol(self, student_id: str, place: Place, age: int, mother_tongue: str) -> None:
        """Place a student at a school; three in ten were at another one before."""
        dice, year = self._dice, self._calendar.year
        first = year - (age - _FIRST[place.school.school_type])
        since = dice.number(first, year) if dice.chance(0.2) else first
        if dice.chance(0.3 if since == first else 0.8):
            self._enrol_before(student_id, place, age - (year - since) - 1, since - 1, mother_tongue)
        begin = self._calendar.start(since)
        if dice.chance(0.1):
            begin = dice.day(begin, min(begin + timedelta(100), self._calendar.today))
        leaves = age >= _LAST[place.school.school_type] and dice.chance(0.3)
        placement = self._placement(
            student_id,
            place,
            age,
            mother_tongue,
            start_date=begin,
            end_date=self._calendar.end(year) if leaves else None,
            meta=self._clock.meta(),
        )
        self.placements.append(placement)
        program = dice.pick(place.programs)
        language = placement.modern_language_in_language_choice
        self.pupils.append(Pupil(student_id, place, age, since, language, program))
        place.classes.setdefault(_class_of(place, age, since, program[0]), []).append(student_id)

    def _enrol_before(self, student_id: str, place: Place, age: int, last: int, mother_tongue: str) -> None:
        """Add a placement that ended with the school year `last`, when the student was of this age."""
        dice = self._dice
        schools = place.neighbours.get(age)
        if schools is None:
            return
        school = dice.pick(schools)
        years = min(dice.number(0, 2), age - _FIRST[school.school.school_type])
        ended = self._calendar.end(last)
        archived_at = self._clock.later(ended) if last < self._calendar.year - 1 and dice.chance(0.5) else None
        self.placements.append(
            self._placement(
                student_id,
                school,
                age,
                mother_tongue,
                start_date=self._calendar.start(last - years),
                end_date=ended,
                archive_year=None if archived_at is None else f"{last}_{last + 1}",
                archived_at=archived_at,
                meta=self._clock.meta(archived_at),
            )
        )

    def _placement(
        self,
        student_id: str,
        place: Place,
        age: int,
        mother_tongue: str,
        **period: Any,  # noqa: ANN401 - dates and meta
    ) -> StudentPlacement:
        dice, school_type = self._dice, place.school.school_type
        childcare = dice.chance(_CHILDCARE.get(age, 0))
        foreign = mother_tongue != "swe" and school_type is not SchoolType.FS
        reads = school_type is SchoolType.GR and age >= _LANGUAGES_FROM
        language = dice.pick(_LANGUAGES) if reads and dice.chance(0.8) else None
        return StudentPlacement(
            id=dice.id(),
            external=self._register.external(0.1),
            student_id=student_id,
            school_id=place.school.id,
            school_type=_TYPES[school_type],
            school_year=_YEARS[age] if school_type is SchoolType.GR else None,
            has_childcare=childcare,
            childcare_max_hours=dice.number(3, 10) * 5 if childcare else None,
            mother_tongue=mother_tongue,
            modern_language_alternative=dice.pick(_ALTERNATIVES) if reads and language is None else None,
            swedish_as_second_language=foreign and dice.chance(0.6),
            mother_tongue_participates=foreign and dice.chance(0.5),
            modern_language_in_school_choice=dice.pick(_LANGUAGES) if reads and dice.chance(0.05) else None,
            modern_language_in_language_choice=language,
            **period,
        )


def _class_of(place: Place, age: int, since: int, program: str) -> str:
    """Return what the class of a student is named after: age, school year, or programme and first year."""
    if place.school.school_type is SchoolType.GY:
        return f"{program}{since % 100:02d}"
    return str(age - _FIRST[SchoolType.GR] if place.school.school_type is SchoolType.GR else age)
