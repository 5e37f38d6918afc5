"""Guardians."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from .._operations import Create, Delete, Get, List, Resource, Search, Update
from ..query import Exact, Null
from ..records import Id
from ._person import Person, PersonFields, PersonQuery


class Guardian(Person):
    """A guardian of students."""

    student_ids: list[Id] = []


class GuardianFields(PersonFields):
    """What a write says of a guardian; `student_ids` replaces the whole list."""

    student_ids: Sequence[Id] | UnsetType = UNSET


class GuardianQuery(PersonQuery):
    """Conditions on guardians; a condition on `student_ids` asks whether any of them fits."""

    student_ids: Exact[Id] | Null = UNSET


class Guardians(Resource[Guardian]):
    """Personal data about the guardians of students."""

    path = "/guardian"
    model = Guardian

    list = List()
    search = Search(GuardianQuery)
    get = Get()
    create = Create(GuardianFields)
    update = Update(GuardianFields)
    delete = Delete(audited=True)
