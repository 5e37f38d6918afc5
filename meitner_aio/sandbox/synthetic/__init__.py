"""Synthetic data of Swedish schools: a whole directory from a seed, with the proportions of a real one.

Nobody is meant. The check digit of every identity number is wrong on purpose (the Luhn sum over its last ten digits
never ends in 0), so that no number can belong to a person; e-mail addresses end in `.example`, and telephone numbers
come from the ranges that are kept for fiction.
"""

from __future__ import annotations

from datetime import datetime

from ...records import Record
from ...resources.audit_events import AuditEvent, AuditEventResource
from ..store.audit import deletion
from .calendar import Calendar
from .chance import OPERATOR, Clock, Dice
from .families import Families
from .grades import Grades
from .groups import Groups
from .placements import Enrolment
from .places import found
from .staff import Staff

_UNITS, _STAFF, _FAMILIES, _GROUPS, _GRADES = (400, 380), (380, 300), (300, 30), (30, 20), (20, 0.1)
"""How many days before now the records of a kind began to be made, and ended; children are a year old by then."""

_DEPARTURES = (370, 0.2)
"""How many days before now records began to be deleted, and ended."""

_ONE_IN = 40
"""For so many students, employees and groups that exist, one was deleted."""


def generate(*, students: int, schools: int, seed: int, now: datetime, step: int = 1) -> dict[str, list[Record]]:
    """Return the records of a directory in the order of their creation, keyed by the attribute of their resource.

    The same arguments give the same records, in every process; `step`, the milliseconds between the instants that a
    stamp can name, changes nothing but the stamps. `now` must be aware; every record was made before it, and the
    placements of all students and most employees are active on its date. Audit events are about deleted records.
    """
    if students < 0 or schools < 0 or (students and not schools):
        raise ValueError("a directory has at least one school for its students, and no negative number of either")
    if now.utcoffset() is None:
        raise ValueError("now must be an aware datetime: it has no time zone")
    dice, calendar = Dice(seed), Calendar(now.date())

    def clock(span: tuple[float, float], dice: Dice = dice) -> Clock:
        return Clock(dice, now, first=span[0], last=span[1], step=step)

    units, places = found(dice, clock(_UNITS), schools)
    staff = Staff(dice, clock(_STAFF), calendar)
    staff.hire_all(places, students)
    during = clock(_FAMILIES)
    enrolment = Enrolment(dice, during, calendar)
    families = Families(dice, during, calendar, enrolment)
    families.settle(places, students)
    groups = Groups(dice, clock(_GROUPS))
    groups.form_all(places)
    grades = Grades(dice, clock(_GRADES), calendar)
    grades.give(enrolment.pupils)
    past = Dice(f"departures {seed}")  # of its own: existing records do not depend on deleted ones
    counts = (students, len(staff.employees), len(groups.groups))
    return {
        "schools": [place.school for place in places],
        "units": [*units],
        "groups": [*groups.groups],
        "employees": [*staff.employees],
        "employee_placements": [*staff.placements],
        "guardians": [*families.guardians],
        "students": [*families.students],
        "student_placements": [*enrolment.placements],
        "grade_elementaries": [*grades.elementary],
        "grade_upper_secondaries": [*grades.upper_secondary],
        "audit_events": [*_departures(past, clock(_DEPARTURES, past), counts)],
    }


def _departures(dice: Dice, clock: Clock, counts: tuple[int, int, int]) -> list[AuditEvent]:
    """Return the events of deletions in a directory with so many students, employees and groups, in order of time.

    Placements go before their person. Every id is drawn anew, so that none is that of a record.
    """
    kind = AuditEventResource
    kinds = [(kind.STUDENT_PLACEMENT, kind.STUDENT), (kind.EMPLOYEE_PLACEMENT, kind.EMPLOYEE), (kind.GROUP,)]
    leaving = [one for one, count in zip(kinds, counts, strict=True) for _ in range(count // _ONE_IN)]
    events: list[AuditEvent] = []
    for index, gone in enumerate(dice.sample(leaving, len(leaving))):
        clock.reach(index / len(leaving))
        alone = kind.STUDENT in gone and dice.chance(0.4)  # so does a guardian without another child here
        resources = (*gone, *([kind.GUARDIAN] if alone else []))
        events += [deletion(dice.id(), clock.next(), resource, dice.id(), OPERATOR) for resource in resources]
    return events
