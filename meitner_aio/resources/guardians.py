"""Guardians."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from .._operations.composed import Deletable, Find, Upsert
from .._operations.operations import Get, List, Search
from .._operations.upsert_many import UpsertMany
from .._operations.writes import Create, Delete, Update
from ..query import Exact, Null
from ..records import Id
from ._person import PERSON_KEYS, Person, PersonFields, PersonQuery

__all__ = ["Guardian", "GuardianFields", "GuardianQuery", "Guardians"]


class Guardian(Person):
    """A guardian of students."""

    student_ids: list[Id] = []


class GuardianFields(PersonFields):
    """What a write says of a guardian; `student_ids` replaces the whole list."""

    student_ids: Sequence[Id] | UnsetType = UNSET


class GuardianQuery(PersonQuery):
    """Conditions on guardians; a condition on `student_ids` asks whether any of them fits."""

    student_ids: Exact[Id] | Null = UNSET


class Guardians(Deletable[Guardian]):
    """Personal data about the guardians of students."""

    path = "/guardian"
    model = Guardian

    list = List()
    search = Search(GuardianQuery)
    find = Find(GuardianQuery)
    get = Get()
    create = Create(GuardianFields, key=("identity_number",))
    upsert = Upsert(GuardianFields, PERSON_KEYS)
    upsert_many = UpsertMany(upsert)
    update = Update(GuardianFields)
    delete = Delete(audited=True)
