"""Synthetic employees and where they work."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import NamedTuple

from ...resources._person import Gender
from ...resources.employee_placements import EmployeePlacement, EmployeePlacementRole
from ...resources.employees import Employee
from ...resources.schools import SchoolType
from .calendar import Calendar
from .chance import Clock, Dice, Register, spread
from .places import Place, address
from .words import ORIGINS, PHONE_NUMBERS, STAFF_DOMAIN

_STUDENTS_EACH = 9
_ROLE = EmployeePlacementRole
_OTHERS = spread(
    {
        ("Elevassistent", (_ROLE.OTHER_PERSONNEL,)): 6,
        ("Skolsköterska", (_ROLE.CARE_TEAM,)): 3,
        ("Kurator", (_ROLE.CARE_TEAM,)): 3,
        ("Speciallärare", (_ROLE.TEACHER, _ROLE.CARE_TEAM)): 3,
        ("Skoladministratör", (_ROLE.ADMIN,)): 3,
        ("Schemaläggare", (_ROLE.SCHEDULER, _ROLE.TEACHER)): 1,
        ("Kock", (_ROLE.MEAL_PLANNER, _ROLE.OTHER_PERSONNEL)): 2,
        ("Biträdande rektor", (_ROLE.MANAGER, _ROLE.ADMIN)): 2,
    }
)
_PERCENT = spread({100: 70, 80: 12, 75: 6, 50: 10, 25: 2})
_GENDERS = spread({Gender.FEMALE: 75, Gender.MALE: 24, Gender.OTHER: 1})


class _Post(NamedTuple):
    """What an employee does, and since when."""

    title: str
    roles: tuple[EmployeePlacementRole, ...]
    since: date
    left: date | None


class Staff:
    """The employees hired so far. When the telephone numbers that are kept for fiction are used up, none is left."""

    def __init__(self, dice: Dice, clock: Clock, calendar: Calendar) -> None:
        self.employees: list[Employee] = []
        self.placements: list[EmployeePlacement] = []
        self._dice, self._clock, self._calendar = dice, clock, calendar
        self._people, self._posts = Register(dice, clock, "HR"), Register(dice, clock, "TJ")
        self._numbers = iter(PHONE_NUMBERS)
        self._signatures: Counter[tuple[str, str]] = Counter()

    def hire_all(self, places: list[Place], students: int) -> None:
        """Hire for all schools: at least a head and a teacher for each."""
        each = students / (sum(place.size for place in places) or 1) / _STUDENTS_EACH
        for index, place in enumerate(places):
            self._clock.reach(index / len(places))
            preschool = place.school.school_type is SchoolType.FS
            teacher = ("Förskollärare" if preschool else "Lärare", (_ROLE.TEACHER,))
            self._hire(place, "Rektor", (_ROLE.MANAGER,), may_leave=False)
            self._hire(place, *teacher, may_leave=False)
            for _ in range(round(each * place.size) - 2):
                self._hire(place, *(teacher if self._dice.chance(0.7) else self._dice.pick(_OTHERS)), may_leave=True)

    def _hire(self, place: Place, title: str, roles: tuple[EmployeePlacementRole, ...], *, may_leave: bool) -> None:
        """Add an employee of a school; some work at a second one as well, some have left."""
        dice, today = self._dice, self._calendar.today
        employee = self._employee(place)
        since = dice.day(today - timedelta(4000), today - timedelta(60))
        left = dice.day(since, today - timedelta(10)) if may_leave and dice.chance(0.06) else None
        post = _Post(title, roles, since, left)
        self.employees.append(employee)
        self._place(employee, place, post)
        second = dice.pick(dice.pick(tuple(place.neighbours.values())))
        if second is not place and dice.chance(0.08):
            self._place(employee, second, post._replace(left=None))

    def _employee(self, place: Place) -> Employee:
        dice = self._dice
        origin, gender = dice.pick(ORIGINS), dice.pick(_GENDERS)
        first, last = dice.pick(origin.men if gender is Gender.MALE else origin.women), dice.pick(origin.last)
        born = dice.day(date(self._calendar.year - 65, 1, 1), date(self._calendar.year - 23, 12, 31))
        mailbox = f"{self._people.mailbox(first, last)}@{STAFF_DOMAIN}"
        return Employee(
            **self._people.person(first, last, born, male=gender is Gender.MALE),
            address=address(dice, place.town),
            email_address1=mailbox,
            phone_number1=next(self._numbers, None),
            gender=gender,
            date_of_birth=born,
            edu_person_principal_name=mailbox,
        )

    def _place(self, employee: Employee, place: Place, post: _Post) -> None:
        signature = employee.first_name[:2] + employee.last_name[:2]
        self._signatures[place.school.id, signature] += 1
        count = self._signatures[place.school.id, signature]
        archived_at = self._clock.later(post.left) if post.left and self._dice.chance(0.5) else None
        autumn = Calendar(post.left or post.since).year
        self.placements.append(
            EmployeePlacement(
                **self._posts.record(0.1, archived_at=archived_at),
                employee_id=employee.id,
                school_id=place.school.id,
                signature=signature if count == 1 else f"{signature}{count}",
                title=post.title,
                roles=list(post.roles),
                start_date=post.since,
                end_date=post.left,
                archive_year=f"{autumn}_{autumn + 1}" if archived_at else None,
                archived_at=archived_at,
                employment_percent=self._dice.pick(_PERCENT),
            )
        )
        if post.left is None:
            place.staff.append(employee.id)
            if _ROLE.TEACHER in post.roles:
                place.teachers.append(employee.id)
