"""Where synthetic students go to school, and where they went before."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple

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
_CHILDCARE = (1.0,) * 6 + (0.7,) * 4 + (0.2,) * 3 + (0.0,) * 7
"""How probable childcare is at an age."""

_LANGUAGES = spread({"spa": 50, "deu": 25, "fra": 20, "ita": 3, "zho": 2})
"""Modern languages, ISO 639-2; read from the age of 12 on."""


class Pupil(NamedTuple):
    """A student as a school knows them."""

    id: str
    place: Place
    age: int
    since: int
    """The school year in which they came."""
    language: str | None
    """The modern language that they read."""
    program: str
    """Code of the programme, in an upper secondary school."""


class _Period(NamedTuple):
    start: date
    end: date | None
    archived_at: datetime | None = None
    archive_year: str | None = None


class Enrolment:
    """The placements made so far, and the pupils who have them."""

    def __init__(self, dice: Dice, clock: Clock, calendar: Calendar) -> None:
        self.placements: list[StudentPlacement] = []
        self.pupils: list[Pupil] = []
        self._dice, self._clock, self._calendar = dice, clock, calendar
        self._register = Register(dice, clock, "PL")

    def enrol(self, student_id: str, place: Place, age: int, mother_tongue: str) -> None:
        """Place a student at a school; three in ten were at another one before."""
        dice, year, school_type = self._dice, self._calendar.year, place.school.school_type
        first = year - (age - _FIRST[school_type])
        since = dice.number(first, year) if dice.chance(0.2) else first
        if dice.chance(0.3 if since == first else 0.8):
            self._enrol_before(student_id, place, age - (year - since) - 1, since - 1, mother_tongue)
        begin = self._calendar.start(since)
        if dice.chance(0.1):
            begin = dice.day(begin, min(begin + timedelta(100), self._calendar.today))
        leaves = age >= _LAST[school_type] and dice.chance(0.3)
        period = _Period(begin, self._calendar.end(year) if leaves else None)
        language = self._place(student_id, place, age, mother_tongue, period)
        program = dice.pick(place.programs)
        self.pupils.append(Pupil(student_id, place, age, since, language, program))
        grade = str(age - _FIRST[SchoolType.GR] if school_type is SchoolType.GR else age)
        name = f"{program}{since % 100:02d}" if school_type is SchoolType.GY else grade
        place.classes.setdefault(name, []).append(student_id)

    def _enrol_before(self, student_id: str, place: Place, age: int, last: int, mother_tongue: str) -> None:
        """Add a placement that ended with the school year `last`, when the student was of this age."""
        schools = place.neighbours.get(age)
        if schools is None:
            return
        dice, ended = self._dice, self._calendar.end(last)
        school = dice.pick(schools)
        start = self._calendar.start(last - min(dice.number(0, 2), age - _FIRST[school.school.school_type]))
        archived_at = self._clock.later(ended) if last < self._calendar.year - 1 and dice.chance(0.5) else None
        period = _Period(start, ended, archived_at, f"{last}_{last + 1}" if archived_at else None)
        self._place(student_id, school, age, mother_tongue, period)

    def _place(self, student_id: str, place: Place, age: int, mother_tongue: str, period: _Period) -> str | None:
        """Add a placement, and return the modern language of its student."""
        dice, school_type = self._dice, place.school.school_type
        childcare = dice.chance(_CHILDCARE[age])
        foreign = mother_tongue != "swe" and school_type is not SchoolType.FS
        compulsory = school_type is SchoolType.GR
        reads = compulsory and age >= 12
        language = dice.pick(_LANGUAGES) if reads and dice.chance(0.8) else None
        self.placements.append(
            StudentPlacement(
                **self._register.record(0.1, archived_at=period.archived_at),
                student_id=student_id,
                school_id=place.school.id,
                school_type=StudentPlacementSchoolType(school_type.value),
                school_year=SchoolYear(str(age - _FIRST[school_type])) if compulsory else None,
                start_date=period.start,
                end_date=period.end,
                archive_year=period.archive_year,
                archived_at=period.archived_at,
                has_childcare=childcare,
                childcare_max_hours=dice.number(3, 10) * 5 if childcare else None,
                mother_tongue=mother_tongue,
                modern_language_alternative=dice.pick(list(ModernLanguageAlternative))
                if reads and language is None
                else None,
                swedish_as_second_language=foreign and dice.chance(0.6),
                mother_tongue_participates=foreign and dice.chance(0.5),
                modern_language_in_school_choice=dice.pick(_LANGUAGES) if reads and dice.chance(0.05) else None,
                modern_language_in_language_choice=language,
            )
        )
        return language
