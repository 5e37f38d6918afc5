"""Synthetic data of Swedish schools: a whole directory from a seed, with the proportions of a real one.

No person is real. The check digit of every identity number is wrong on purpose (the Luhn sum over its last ten digits
never ends in 0), so that no number can belong to a person; e-mail addresses end in `.example`, and telephone numbers
come from the ranges that are kept for fiction.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ...records import DirectoryRecord
from ...resources.audit_events import AuditEvent, AuditEventResource
from ..store.audit import deletion
from .chance import OPERATOR, Dice, Register
from .families import Families
from .grades import grade_courses, grade_subjects
from .groups import form_groups
from .places import found_units
from .staff import hire

_ONE_IN = 40
"""One was deleted for so many students, employees or groups that exist."""


def generate(
    *, students: int, schools: int, seed: int, now: datetime, step: int = 1
) -> dict[str, list[DirectoryRecord]]:
    """Return the records of a directory in the order of their creation, keyed by the attribute of their resource.

    The same arguments give the same records, in every process; `step`, the milliseconds between the instants that a
    stamp can name, changes nothing but the stamps. `now` must be aware; every record was made before it, and the
    placements of all students and most employees are active on its date. Audit events are about deleted records.
    """
    if students < 0 or schools < 0 or (students and not schools):
        raise ValueError("a directory has at least one school for its students, and no negative number of either")
    if now.utcoffset() is None:
        raise ValueError("now must be an aware datetime: it has no time zone")
    today = now.date()
    register = Register(Dice(seed), now, step)
    units = list(found_units(register, schools))
    places = [place for _, area in units for place in area]
    staff = list(hire(register, places, students, today))
    families = Families(register, today)
    families.move_in(places, students)
    groups = list(form_groups(register, places))
    past = Register(Dice(f"departures {seed}"), now, step)  # of its own: records do not depend on deleted ones
    return {
        "schools": [place.school for place in places],
        "units": [unit for unit, _ in units],
        "groups": [*groups],
        "employees": [employee for employee, _ in staff],
        "employee_placements": [placement for _, placements in staff for placement in placements],
        "guardians": [*families.guardians],
        "students": [*families.students],
        "student_placements": [*families.placements],
        "grade_elementaries": [*grade_subjects(register, places, today)],
        "grade_upper_secondaries": [*grade_courses(register, places, today)],
        "audit_events": [*_departures(past, students, len(staff), len(groups))],
    }


def _departures(register: Register, students: int, employees: int, groups: int) -> Iterator[AuditEvent]:
    """Yield the events of deletions in a directory with so many students, employees and groups, in order of time.

    Placements go before their person. Every id is drawn anew, so that none is that of a record.
    """
    dice, kind = register.dice, AuditEventResource
    leaving: list[tuple[AuditEventResource, ...]] = [(kind.STUDENT_PLACEMENT, kind.STUDENT)] * (students // _ONE_IN)
    leaving += [(kind.EMPLOYEE_PLACEMENT, kind.EMPLOYEE)] * (employees // _ONE_IN)
    leaving += [(kind.GROUP,)] * (groups // _ONE_IN)
    for gone in register.during(370, 0.2, dice.sample(leaving, len(leaving))):
        alone = kind.STUDENT in gone and dice.chance(0.4)  # a guardian without another child here goes too
        for resource in (*gone, kind.GUARDIAN) if alone else gone:
            yield deletion(dice.id(), register.next(), resource, dice.id(), OPERATOR)
