"""Synthetic families: students, their guardians, and where the students go to school and went before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import accumulate

from ...resources._person import Gender
from ...resources.guardians import Guardian
from ...resources.schools import SchoolType
from ...resources.student_placements import (
    ModernLanguageAlternative,
    SchoolYear,
    StudentPlacement,
    StudentPlacementSchoolType,
)
from ...resources.students import Student
from .calendar import school_year
from .chance import Home, PlacementFields, Register, spread
from .places import Place, settle
from .words import MOBILE_NUMBERS, PROGRAMS

_GENDERS = spread({Gender.FEMALE: 49, Gender.MALE: 50, Gender.OTHER: 1})
_CHILDREN = spread({1: 40, 2: 40, 3: 20})
_CHILDCARE = (1.0,) * 6 + (0.7,) * 4 + (0.2,) * 3 + (0.0,) * 6
"""How probable childcare is at an age."""

_LANGUAGES = spread({"spa": 50, "deu": 25, "fra": 20, "ita": 3, "zho": 2})
"""Modern languages, ISO 639-2; read from the age of 12 on."""


class Families:
    """The families that have moved in so far; their children are enrolled at once."""

    def __init__(self, register: Register, today: date) -> None:
        self.students: list[Student] = []
        self.guardians: list[Guardian] = []
        self.placements: list[StudentPlacement] = []
        self._register, self._dice = register, register.dice
        self._today, self._year = today, school_year(today)

    def move_in(self, places: Sequence[Place], count: int) -> None:
        """Add families near the schools until there are `count` students."""
        sizes = list(accumulate(place.size for place in places))
        for number in self._register.during(250, 30, range(count)):
            if number == len(self.students):
                (place,) = self._dice.choices(places, cum_weights=sizes)
                self._add_family(place, min(self._dice.pick(_CHILDREN), count - number))

    def _add_family(self, place: Place, children: int) -> None:
        """Add a family with up to so many children, all of an age that a school nearby takes."""
        dice, home, age = self._dice, settle(self._dice, place.town), self._dice.pick(place.ages)
        siblings = (age, age + dice.number(2, 5), age - dice.number(2, 5))[:children]
        ages = [age for age in siblings if place.nearby(age)]
        students: list[Student] = []
        for age in ages:
            students.append(self._student(home, age))
            school = place if age in place.ages else dice.pick(place.nearby(age))
            self._enrol(students[-1], school, age, home.origin.language)
        self.students += students
        (first, second), born = dice.sample((Gender.FEMALE, Gender.MALE), 2), self._year - max(ages)
        self.guardians.append(self._guardian(home, first, born, students))
        if dice.chance(0.82):
            last = home.last if dice.chance(0.7) else dice.pick(home.origin.last)
            self.guardians.append(self._guardian(home._replace(last=last), second, born, students))

    def _student(self, home: Home, age: int) -> Student:
        gender, year = self._dice.pick(_GENDERS), self._year - age
        born = self._dice.day(date(year, 1, 1), date(year, 12 if age > 1 else 6, 30))
        person = self._register.person(home, born, gender)
        mailbox = f"{self._register.mailbox(person)}@elev.skola.example" if age > 5 else None
        return Student(
            **person,
            email_address1=mailbox,
            phone_number1=self._dice.pick(MOBILE_NUMBERS) if age > 9 else None,
            gender=gender,
            date_of_birth=born,
            edu_person_principal_name=mailbox,
        )

    def _guardian(self, home: Home, gender: Gender, year: int, children: Sequence[Student]) -> Guardian:
        """Return a guardian who was grown up in the year in which the eldest child was born."""
        dice = self._dice
        person = self._register.person(home, dice.day(date(year - 42, 1, 1), date(year - 20, 12, 31)), gender)
        mailbox = self._register.mailbox(person)
        return Guardian(
            **person,
            email_address1=f"{mailbox}@post.example" if dice.chance(0.95) else None,
            email_address2=f"{mailbox}@arbete.example" if dice.chance(0.1) else None,
            phone_number1=dice.pick(MOBILE_NUMBERS),
            student_ids=[child.id for child in children],
        )

    def _enrol(self, student: Student, place: Place, age: int, tongue: str) -> None:
        """Place a student at a school from the year in which it takes them, or later; many come from another one."""
        dice, first = self._dice, self._year - (age - min(place.ages))
        since = dice.number(first, self._year) if dice.chance(0.2) else first
        younger = age - (self._year - since) - 1
        if (earlier := place.nearby(younger)) and dice.chance(0.4):
            before = dice.pick(earlier)
            years = min(dice.number(1, 3), younger - min(before.ages) + 1)
            period = self._register.placement(date(since - years, 7, 1), date(since, 6, 30))
            self._place(student, before, younger, tongue, period)
        start = date(since, 7, 1)
        if dice.chance(0.1):
            start = dice.day(start, min(start + timedelta(100), self._today))
        end = date(self._year + 1, 6, 30) if age == max(place.ages) and dice.chance(0.3) else None
        placement = self._place(student, place, age, tongue, self._register.placement(start, end))
        upper = place.school.school_type is SchoolType.GY
        year = (dice.pick(tuple(PROGRAMS)), age - 15) if upper else ("", int(placement.school_year or age))
        place.pupils[year].append(placement)

    def _place(
        self, student: Student, place: Place, age: int, tongue: str, period: PlacementFields
    ) -> StudentPlacement:
        """Add the placement of a student who is, or was, of this age."""
        dice, school_type = self._dice, place.school.school_type
        compulsory, foreign = school_type is SchoolType.GR, tongue != "swe" and school_type is not SchoolType.FS
        reads = compulsory and age >= 12
        language = dice.pick(_LANGUAGES) if reads and dice.chance(0.8) else None
        alternative = dice.pick(tuple(ModernLanguageAlternative)) if reads and language is None else None
        hours = dice.number(3, 10) * 5 if dice.chance(_CHILDCARE[age]) else None
        placement = StudentPlacement(
            **period,
            student_id=student.id,
            school_id=place.school.id,
            school_type=StudentPlacementSchoolType(school_type.value),
            school_year=SchoolYear(str(age - 6)) if compulsory else None,
            has_childcare=hours is not None,
            childcare_max_hours=hours,
            mother_tongue=tongue,
            modern_language_alternative=alternative,
            swedish_as_second_language=foreign and dice.chance(0.6),
            mother_tongue_participates=foreign and dice.chance(0.5),
            modern_language_in_school_choice=dice.pick(_LANGUAGES) if reads and dice.chance(0.05) else None,
            modern_language_in_language_choice=language,
        )
        self.placements.append(placement)
        return placement
