"""Synthetic employees and where they work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from ...resources._person import Gender
from ...resources.employee_placements import EmployeePlacement, EmployeePlacementRole
from ...resources.employees import Employee
from ...resources.schools import SchoolType
from .chance import PlacementFields, Register, spread
from .places import Place, settle
from .words import PHONE_NUMBERS

_STUDENTS_EACH = 9
_ROLE = EmployeePlacementRole
_ROLES: dict[str, tuple[EmployeePlacementRole, ...]] = {
    "Rektor": (_ROLE.MANAGER,),
    "Lärare": (_ROLE.TEACHER,),
    "Förskollärare": (_ROLE.TEACHER,),
    "Elevassistent": (_ROLE.OTHER_PERSONNEL,),
    "Skolsköterska": (_ROLE.CARE_TEAM,),
    "Speciallärare": (_ROLE.TEACHER, _ROLE.CARE_TEAM),
    "Skoladministratör": (_ROLE.ADMIN,),
    "Schemaläggare": (_ROLE.SCHEDULER, _ROLE.TEACHER),
    "Kock": (_ROLE.MEAL_PLANNER, _ROLE.OTHER_PERSONNEL),
    "Biträdande rektor": (_ROLE.MANAGER, _ROLE.ADMIN),
}
"""What employees of a title do; most are teachers."""

_OTHERS = tuple(_ROLES)[3:]
_PERCENT = spread({100: 70, 80: 12, 75: 6, 50: 10, 25: 2})
_GENDERS = spread({Gender.FEMALE: 75, Gender.MALE: 24, Gender.OTHER: 1})


def hire(
    register: Register, places: Sequence[Place], students: int, today: date
) -> Iterator[tuple[Employee, list[EmployeePlacement]]]:
    """Yield employees with their placements: at least a head and a teacher for each school. Some have left.

    When the telephone numbers that are kept for fiction are used up, employees have none.
    """
    dice, numbers = register.dice, iter(PHONE_NUMBERS)
    each = students / (sum(place.size for place in places) or 1) / _STUDENTS_EACH
    for place in register.during(300, 250, places):
        teacher = "Förskollärare" if place.school.school_type is SchoolType.FS else "Lärare"
        others = [teacher if dice.chance(0.7) else dice.pick(_OTHERS) for _ in range(round(each * place.size) - 2)]
        for index, title in enumerate(("Rektor", teacher, *others)):
            employee = _employee(register, place, today, next(numbers, None))
            since = dice.day(today - timedelta(4000), today - timedelta(60))
            left = dice.day(since, today - timedelta(10)) if index > 1 and dice.chance(0.06) else None
            placements = [_placement(register, employee, place, title, register.placement(since, left))]
            second = dice.pick(place.area)
            if second is not place and dice.chance(0.08):
                placements.append(_placement(register, employee, second, title, register.placement(since, None)))
            yield employee, placements


def _employee(register: Register, place: Place, today: date, phone: str | None) -> Employee:
    dice, gender = register.dice, register.dice.pick(_GENDERS)
    born = dice.day(date(today.year - 65, 1, 1), date(today.year - 23, 12, 31))
    person = register.person(settle(dice, place.town), born, gender)
    mailbox = f"{register.mailbox(person)}@skola.example"
    return Employee(
        **person,
        email_address1=mailbox,
        phone_number1=phone,
        gender=gender,
        date_of_birth=born,
        edu_person_principal_name=mailbox,
    )


def _placement(
    register: Register, employee: Employee, place: Place, title: str, period: PlacementFields
) -> EmployeePlacement:
    signature = employee.first_name[:2] + employee.last_name[:2]
    if period["end_date"] is None and _ROLE.TEACHER in _ROLES[title]:
        place.teachers.append(employee.id)
    return EmployeePlacement(
        **period,
        employee_id=employee.id,
        school_id=place.school.id,
        signature=register.unique(signature, place.school.id),
        title=title,
        roles=list(_ROLES[title]),
        employment_percent=register.dice.pick(_PERCENT),
    )
