"""The eleven resources: one file each, with its records first and its table of operations last."""

from __future__ import annotations

from typing import Any

from .._operations.operations import Resource
from .audit_events import AuditEvents
from .employee_placements import EmployeePlacements
from .employees import Employees
from .grade_elementaries import GradeElementaries
from .grade_upper_secondaries import GradeUpperSecondaries
from .groups import Groups
from .guardians import Guardians
from .schools import Schools
from .student_placements import StudentPlacements
from .students import Students
from .units import Units

RESOURCES: dict[str, type[Resource[Any]]] = {
    "schools": Schools,
    "units": Units,
    "groups": Groups,
    "employees": Employees,
    "employee_placements": EmployeePlacements,
    "guardians": Guardians,
    "students": Students,
    "student_placements": StudentPlacements,
    "grade_elementaries": GradeElementaries,
    "grade_upper_secondaries": GradeUpperSecondaries,
    "audit_events": AuditEvents,
}
"""Every resource by the attribute of the client that holds it, in the order of the contract."""

__all__ = [
    "RESOURCES",
    "AuditEvents",
    "EmployeePlacements",
    "Employees",
    "GradeElementaries",
    "GradeUpperSecondaries",
    "Groups",
    "Guardians",
    "Schools",
    "StudentPlacements",
    "Students",
    "Units",
]
