"""Synthetic data of Swedish schools: a whole directory from a seed, with the proportions of a real one.

Nobody is meant. The check digit of every identity number is wrong on purpose (the Luhn sum over its last ten digits
never ends in 0), so that no number can belong to a person; e-mail addresses end in `.example`, and telephone numbers
come from the ranges that are kept for fiction. Knows nothing of requests and rules: only records.
"""

from __future__ import annotations

from datetime import datetime

from ...records import Record
from .calendar import Calendar
from .chance import Clock, Dice
from .departures import depart
from .families import Families
from .grades import Grades
from .groups import Groups
from .placements import Enrolment
from .places import found
from .staff import hire

_UNITS, _STAFF, _FAMILIES, _GROUPS, _GRADES = (400, 380), (380, 300), (300, 30), (30, 20), (20, 0.1)
"""How many days before now the records of a kind began to be made, and ended; children are a year old by then."""

_DEPARTURES = (370, 0.2)
"""How many days before now records began to be deleted, and ended."""


def generate(*, students: int, schools: int, seed: int, now: datetime, step: int = 1) -> dict[str, list[Record]]:
    """Return the records of a directory in the order of their creation, keyed by the attribute of their resource.

    The same arguments give the same records, in every process; `step`, the milliseconds between the instants that a
    stamp can name, changes nothing but the stamps. `now` must be aware; every record was made before it, and the
    placements of all students and most employees are active on its date. Audit events tell of records that are gone.
    """
    if students < 0 or schools < 0 or (students and not schools):
        raise ValueError("a directory has at least one school for its students, and no negative number of either")
    if now.utcoffset() is None:
        raise ValueError("now must be an aware datetime: it has no time zone")
    dice, calendar = Dice(seed), Calendar(now.date())

    def clock(span: tuple[float, float]) -> Clock:
        return Clock(dice, now, first=span[0], last=span[1], step=step)

    units, places = found(dice, clock(_UNITS), schools)
    employees, employee_placements = hire(dice, clock(_STAFF), calendar, places, students)
    during = clock(_FAMILIES)
    enrolment = Enrolment(dice, during, calendar)
    families = Families(dice, during, calendar, enrolment)
    families.settle(places, students)
    groups = Groups(dice, clock(_GROUPS))
    groups.form(places)
    grades = Grades(dice, clock(_GRADES), calendar)
    grades.give(enrolment.pupils)
    past = Dice(f"departures {seed}")  # of its own: what is there does not depend on what is gone
    left = Clock(past, now, first=_DEPARTURES[0], last=_DEPARTURES[1], step=step)
    events = depart(past, left, students=students, employees=len(employees), groups=len(groups.groups))
    return {
        "schools": [place.school for place in places],
        "units": [*units],
        "groups": [*groups.groups],
        "employees": [*employees],
        "employee_placements": [*employee_placements],
        "guardians": [*families.guardians],
        "students": [*families.students],
        "student_placements": [*enrolment.placements],
        "grade_elementaries": [*grades.elementary],
        "grade_upper_secondaries": [*grades.upper_secondary],
        "audit_events": [*events],
    }
