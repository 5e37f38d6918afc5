"""Employees."""

from __future__ import annotations

from .._operations.composed import Deletable, Find, Upsert
from .._operations.operations import Get, List, Search
from .._operations.upsert_many import UpsertMany
from .._operations.writes import Create, Delete, Update
from ._person import PERSON_KEYS, Gender, SchoolPerson, SchoolPersonFields, SchoolPersonQuery

__all__ = ["Employee", "EmployeeFields", "EmployeeQuery", "Employees", "Gender"]


class Employee(SchoolPerson):
    """An employee. Where an employee works, and as what, is in the employee placements."""


class EmployeeFields(SchoolPersonFields):
    """What a write says of an employee. The phone number 1 is unique within the organisation, too."""


class EmployeeQuery(SchoolPersonQuery):
    """Conditions on employees."""


class Employees(Deletable[Employee]):
    """Personal data about employees; where they work is in employee placements."""

    path = "/employee"
    model = Employee

    list = List()
    search = Search(EmployeeQuery)
    find = Find(EmployeeQuery)
    get = Get()
    create = Create(EmployeeFields, key=("identity_number",))
    upsert = Upsert(EmployeeFields, PERSON_KEYS)
    upsert_many = UpsertMany(upsert)
    update = Update(EmployeeFields)
    delete = Delete(audited=True)
