"""Students."""

from __future__ import annotations

from .._operations.composed import Deletable, Find, Upsert
from .._operations.operations import Get, List, Search
from .._operations.upsert_many import UpsertMany
from .._operations.writes import Create, Delete, Update
from ._person import PERSON_KEYS, Gender, SchoolPerson, SchoolPersonFields, SchoolPersonQuery

__all__ = ["Gender", "Student", "StudentFields", "StudentQuery", "Students"]


class Student(SchoolPerson):
    """A student. Where a student goes to school is in the student placements."""


class StudentFields(SchoolPersonFields):
    """What a write says of a student."""


class StudentQuery(SchoolPersonQuery):
    """Conditions on students."""


class Students(Deletable[Student]):
    """Personal data about students; where they go to school is in student placements."""

    path = "/student"
    model = Student

    list = List()
    search = Search(StudentQuery)
    find = Find(StudentQuery)
    get = Get()
    create = Create(StudentFields, key=("identity_number",))
    upsert = Upsert(StudentFields, PERSON_KEYS)
    upsert_many = UpsertMany(upsert)
    update = Update(StudentFields)
    delete = Delete(audited=True)
