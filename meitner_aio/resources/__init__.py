"""The resources of the API: one file each, with its records first and its table of operations last.

**A resource is declared here by one line**, beside the import of its file. The client, its cached view, the command
line, exports and the sandbox have it from `Resources`; the package exports what `__all__` of its file names. Those of
the Data Export API are a line of `DataExport`, in its file: what reads rows has them too, what needs ids does not.
"""

from __future__ import annotations

import sys
from collections import ChainMap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from .._operations.members import Member, SearchableMember
from .._operations.operations import Resource
from .._wire.validation import suggestion
from .audit_events import *
from .data_export import *
from .employee_placements import *
from .employees import *
from .grade_elementaries import *
from .grade_upper_secondaries import *
from .groups import *
from .guardians import *
from .schools import *
from .student_placements import *
from .students import *
from .units import *


class Resources:
    """Every resource by the attribute of the client that holds it, in the order of the API's document."""

    schools = SearchableMember(Schools, Schools.search)
    units = SearchableMember(Units, Units.search)
    groups = SearchableMember(Groups, Groups.search)
    employees = SearchableMember(Employees, Employees.search)
    employee_placements = SearchableMember(EmployeePlacements, EmployeePlacements.search)
    guardians = SearchableMember(Guardians, Guardians.search)
    students = SearchableMember(Students, Students.search)
    student_placements = SearchableMember(StudentPlacements, StudentPlacements.search)
    grade_elementaries = Member(GradeElementaries)
    grade_upper_secondaries = Member(GradeUpperSecondaries)
    audit_events = SearchableMember(AuditEvents, AuditEvents.search)


def _tables(owner: type) -> dict[str, type[Resource[Any]]]:
    return {
        name: cast("Member[Resource[Any]]", member).kind
        for name, member in vars(owner).items()
        if isinstance(member, Member)
    }


RESOURCES: dict[str, type[Resource[Any]]] = _tables(Resources)
"""The tables of operations by the same names: those of the Directory API."""

DATA_EXPORT: dict[str, type[Resource[Any]]] = _tables(DataExport)
"""Those of the Data Export API, whose rows have no ids, by the attributes of `meitner.data_export`."""

LISTED: Mapping[str, type[Resource[Any]]] = ChainMap(DATA_EXPORT, RESOURCES)  # which begins with the last
"""Everything that can be listed, counted and exported."""


def attribute_of(name: str) -> str:
    """Return the attribute of a resource of the directory by its name: `student-placements` is `student_placements`.

    Raises `ValueError` for a name that no resource has, with the closest one that exists, else with all of them.
    """
    attribute = name.replace("-", "_")
    if attribute in DATA_EXPORT:
        raise ValueError(
            f"{attribute} is of the Data Export API, whose rows have no ids: it can be listed, counted and exported, "
            "and nothing else (not searched, followed, mirrored, synced or reconciled)"
        )
    if attribute not in RESOURCES:
        raise ValueError(_unknown(name, attribute, RESOURCES))
    return attribute


def listed_name(name: str) -> str:
    """Return the attribute of whatever can be listed, by its name; raises `ValueError` as `attribute_of` does."""
    attribute = name.replace("-", "_")
    if attribute not in LISTED:
        raise ValueError(_unknown(name, attribute, LISTED))
    return attribute


def _unknown(name: str, attribute: str, known: Iterable[str]) -> str:
    """Return that there is no such resource, and the closest one that exists, else all."""
    names = list(known)
    return f"there is no resource {name!r}{suggestion(attribute, names) or '; there are ' + ', '.join(names)}"


def resource_in(client: Any, name: str) -> Any:
    """Return what a client has by the name of a resource, in whichever API."""
    return getattr(client.data_export if name in DATA_EXPORT else client, name)


if not TYPE_CHECKING:  # to type checkers, what the files export is exported
    _files = dict.fromkeys(sys.modules[kind.__module__] for kind in LISTED.values())
    __all__ = ["RESOURCES"] + [name for file in _files for name in file.__all__]
