"""Units."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from .._operations.composed import Find, Upsert, Writable
from .._operations.keys import SOURCE_KEYS
from .._operations.operations import Get, List, Search
from .._operations.upsert_many import UpsertMany
from .._operations.writes import Create, Update
from ..query import Null, SourcedQuery, Text
from ..records import SourcedFields, SourcedRecord

__all__ = ["Unit", "UnitFields", "UnitQuery", "Units"]


class Unit(SourcedRecord):
    """An organisational unit to which schools can belong. It is never deleted."""

    title: str
    description: str | None = None


class UnitFields(SourcedFields):
    """What a write says of a unit."""

    title: str
    description: str | None | UnsetType = UNSET


class UnitQuery(SourcedQuery):
    """Conditions on units."""

    title: Text = UNSET
    description: Text | Null = UNSET


class Units(Writable[Unit]):
    """Organisational units, which schools can belong to."""

    path = "/unit"
    model = Unit

    list = List()
    search = Search(UnitQuery)
    find = Find(UnitQuery)
    get = Get()
    create = Create(UnitFields)
    upsert = Upsert(UnitFields, SOURCE_KEYS)
    upsert_many = UpsertMany(upsert)
    update = Update(UnitFields)
