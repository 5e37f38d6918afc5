"""Employee placements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

from msgspec import UNSET, UnsetType

from .._operations.composed import Deletable, Find, Upsert
from .._operations.keys import Keys
from .._operations.operations import Get, List, Search
from .._operations.upsert_many import UpsertMany
from .._operations.writes import Create, Delete, Update
from ..query import Exact, Instant, Null, Ordered, SourcedQuery, Text
from ..records import Id, OpenEnum, SourcedFields, SourcedRecord, Timestamp

__all__ = [
    "EmployeePlacement",
    "EmployeePlacementCreate",
    "EmployeePlacementQuery",
    "EmployeePlacementRole",
    "EmployeePlacementUpdate",
    "EmployeePlacements",
]


class EmployeePlacementRole(OpenEnum):
    """What an employee does at a school."""

    ADMIN = "Admin"
    CARE_TEAM = "CareTeam"
    MANAGER = "Manager"
    MEAL_PLANNER = "MealPlanner"
    OTHER_PERSONNEL = "OtherPersonnel"
    SCHEDULER = "Scheduler"
    TEACHER = "Teacher"


class EmployeePlacement(SourcedRecord):
    """An employee's time at a school."""

    employee_id: Id
    school_id: Id
    signature: str | None = None
    title: str | None = None
    roles: list[EmployeePlacementRole] = []
    start_date: date
    end_date: date | None = None
    archive_year: str | None = None
    """`YYYY_YYYY`: autumn_spring."""
    archived_at: Timestamp | None = None
    employment_percent: int | None = None


class EmployeePlacementUpdate(SourcedFields):
    """What an update says of an employee placement: its employee and school cannot change."""

    signature: str | None | UnsetType = UNSET
    title: str | None | UnsetType = UNSET
    roles: Sequence[EmployeePlacementRole] | UnsetType = UNSET
    start_date: date
    end_date: date | None | UnsetType = UNSET
    employment_percent: int | None | UnsetType = UNSET


class EmployeePlacementCreate(EmployeePlacementUpdate):
    """What a create says of an employee placement."""

    employee_id: Id
    school_id: Id


class EmployeePlacementQuery(SourcedQuery):
    """Conditions on employee placements; a condition on `roles` asks whether any of them fits."""

    employee_id: Exact[Id] = UNSET
    school_id: Exact[Id] = UNSET
    signature: Text | Null = UNSET
    title: Text | Null = UNSET
    roles: Exact[EmployeePlacementRole] | Null = UNSET
    start_date: Ordered[date] = UNSET
    end_date: Ordered[date] | Null = UNSET
    archive_year: Text | Null = UNSET
    archived_at: Instant | Null = UNSET
    employment_percent: Ordered[int] | Null = UNSET


EmployeePlacementKey = Literal["source_id"] | tuple[Literal["employee_id"], Literal["school_id"]]
KEYS: Keys[EmployeePlacementKey] = Keys(("source_id", ("employee_id", "school_id")))


class EmployeePlacements(Deletable[EmployeePlacement]):
    """Where employees work, as what, and when."""

    path = "/employee-placement"
    model = EmployeePlacement

    list = List()
    search = Search(EmployeePlacementQuery)
    find = Find(EmployeePlacementQuery)
    get = Get()
    create = Create(EmployeePlacementCreate, key=("employee_id", "school_id"), unique=False)
    upsert = Upsert(EmployeePlacementCreate, KEYS)
    upsert_many = UpsertMany(upsert)
    update = Update(EmployeePlacementUpdate)
    delete = Delete(audited=True)
