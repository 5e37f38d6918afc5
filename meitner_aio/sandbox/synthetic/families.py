"""Synthetic families: students and their guardians. Placements enrol the students at schools."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from datetime import date
from itertools import accumulate
from typing import NamedTuple

from ...records import Address
from ...resources._person import Gender
from ...resources.guardians import Guardian
from ...resources.students import Student
from .calendar import Calendar
from .chance import Clock, Dice, Register, spread
from .placements import Enrolment
from .places import AGES, Place, address
from .words import HOME_DOMAINS, MOBILE_NUMBERS, ORIGINS, STUDENT_DOMAIN, WORK_DOMAIN, Name, Origin

_GENDERS = spread({Gender.FEMALE: 49, Gender.MALE: 50, Gender.OTHER: 1})
_CHILDREN = spread({1: 40, 2: 40, 3: 20})
_SCHOOL_AGE = 6


class _Home(NamedTuple):
    """What the members of a family share."""

    origin: Origin
    last: Name
    address: Address


class Families:
    """The families that have moved in so far; their children are enrolled at once."""

    def __init__(self, dice: Dice, clock: Clock, calendar: Calendar, enrolment: Enrolment) -> None:
        self.students: list[Student] = []
        self.guardians: list[Guardian] = []
        self._dice, self._clock, self._calendar, self._enrolment = dice, clock, calendar, enrolment
        self._children, self._parents = Register(dice, clock, "ELEV"), Register(dice, clock, "VH")

    def settle(self, places: list[Place], count: int) -> None:
        """Let families move in near the schools until there are `count` students."""
        limits = list(accumulate(place.size for place in places))
        while len(self.students) < count:
            self._clock.reach(len(self.students) / count)
            place = places[bisect(limits, self._dice.random() * limits[-1])]
            self._move_in(place, min(self._dice.pick(_CHILDREN), count - len(self.students)))

    def _move_in(self, place: Place, children: int) -> None:
        dice = self._dice
        origin = dice.pick(ORIGINS)
        home = _Home(origin, dice.pick(origin.last), address(dice, place.town))
        siblings = list(self._siblings(place, children))
        ids: list[str] = []
        for age, school in siblings:
            self.students.append(self._student(home, age))
            ids.append(self.students[-1].id)
            self._enrolment.enrol(ids[-1], school, age, origin.language)
        grown = self._calendar.year - max(age for age, _ in siblings)
        male = dice.chance(0.5)
        self.guardians.append(self._guardian(home, home.last, grown, ids, male=male))
        if dice.chance(0.82):
            last = home.last if dice.chance(0.7) else dice.pick(origin.last)
            male = male if dice.chance(0.02) else not male
            self.guardians.append(self._guardian(home, last, grown, ids, male=male))

    def _siblings(self, place: Place, count: int) -> Iterator[tuple[int, Place]]:
        """Yield the ages and schools of up to `count` siblings: those whom a school nearby takes."""
        age = self._dice.pick(AGES[place.school.school_type])
        yield age, place
        for sign in (1, -1)[: count - 1]:
            sibling = age + sign * self._dice.number(2, 5)
            schools = place.neighbours.get(sibling)
            if schools:
                yield sibling, place if place in schools else self._dice.pick(schools)

    def _student(self, home: _Home, age: int) -> Student:
        dice, gender = self._dice, self._dice.pick(_GENDERS)
        first = dice.pick(home.origin.boys if gender is Gender.MALE else home.origin.girls)
        year = self._calendar.year - age
        born = dice.day(date(year, 1, 1), date(year, 12 if age > 1 else 6, 30))
        mailbox = f"{self._children.mailbox(first, home.last)}@{STUDENT_DOMAIN}" if age >= _SCHOOL_AGE else None
        return Student(
            **self._children.person(first, home.last, born, male=gender is Gender.MALE),
            address=home.address,
            email_address1=mailbox,
            phone_number1=dice.pick(MOBILE_NUMBERS) if age > _SCHOOL_AGE + 3 else None,
            gender=gender,
            date_of_birth=born,
            edu_person_principal_name=mailbox,
        )

    def _guardian(self, home: _Home, last: Name, grown: int, children: list[str], *, male: bool) -> Guardian:
        """Return a guardian who had a child in the year `grown`, and was grown up then."""
        dice = self._dice
        first = dice.pick(home.origin.men if male else home.origin.women)
        born = dice.day(date(grown - 42, 1, 1), date(grown - 20, 12, 31))
        mailbox = self._parents.mailbox(first, last)
        return Guardian(
            **self._parents.person(first, last, born, male=male),
            address=home.address,
            email_address1=f"{mailbox}@{dice.pick(HOME_DOMAINS)}" if dice.chance(0.95) else None,
            email_address2=f"{mailbox}@{WORK_DOMAIN}" if dice.chance(0.1) else None,
            phone_number1=dice.pick(MOBILE_NUMBERS),
            student_ids=list(children),
        )
