"""Units."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from .._operations import Create, Get, List, Resource, Search, Update
from ..query import Exact, ExternalQuery, MetaQuery, Null, ResourceQuery, Text
from ..records import External, ExternalRequest, Id, Meta, OrAbsent, Record


class Unit(Record):
    """An organisational unit to which schools can belong. It is never deleted."""

    id: Id
    meta: OrAbsent[Meta] = None
    external: External | None = None
    title: str
    description: str | None = None


class UnitFields(Record):
    """What a write says of a unit."""

    external: ExternalRequest | External | UnsetType = UNSET
    title: str
    description: str | None | UnsetType = UNSET


class UnitQuery(ResourceQuery):
    """Conditions on units."""

    id: Exact[Id] = UNSET
    meta: MetaQuery | UnsetType = UNSET
    external: ExternalQuery | UnsetType = UNSET
    title: Text = UNSET
    description: Text | Null = UNSET


class Units(Resource[Unit]):
    """Organisational units, which schools can belong to."""

    path = "/unit"
    model = Unit

    list = List()
    search = Search(UnitQuery)
    get = Get()
    create = Create(UnitFields)
    update = Update(UnitFields)
