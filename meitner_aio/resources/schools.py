"""Schools."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from .._operations.composed import Find, Upsert, Writable
from .._operations.keys import SOURCE_KEYS
from .._operations.operations import Get, List, Search
from .._operations.upsert_many import UpsertMany
from .._operations.writes import Create, Update
from ..query import Exact, Null, SourcedQuery, Text
from ..records import Id, OpenEnum, SourcedFields, SourcedRecord

__all__ = ["School", "SchoolCreate", "SchoolQuery", "SchoolType", "SchoolUpdate", "Schools"]


class SchoolType(OpenEnum):
    """The form of schooling of a school."""

    GR = "GR"
    """Compulsory school (grundskola)."""
    GY = "GY"
    """Upper secondary school (gymnasieskola)."""
    FS = "FS"
    """Preschool (förskola)."""


class School(SourcedRecord):
    """A school. It must exist before the placements and groups that name it, and is never deleted."""

    title: str
    unit_id: Id | None = None
    unit_code: str | None = None
    csn_school_code: str | None = None
    municipality_code: str | None = None
    """Four digits (SCB)."""
    school_type: SchoolType


class SchoolUpdate(SourcedFields):
    """What an update says of a school: its type cannot change."""

    title: str
    unit_id: Id | None | UnsetType = UNSET
    unit_code: str | None | UnsetType = UNSET
    csn_school_code: str | None | UnsetType = UNSET
    municipality_code: str | None | UnsetType = UNSET


class SchoolCreate(SchoolUpdate):
    """What a create says of a school."""

    school_type: SchoolType


class SchoolQuery(SourcedQuery):
    """Conditions on schools."""

    title: Text = UNSET
    unit_id: Exact[Id] | Null = UNSET
    unit_code: Text | Null = UNSET
    csn_school_code: Text | Null = UNSET
    municipality_code: Text | Null = UNSET
    school_type: Exact[SchoolType] = UNSET


class Schools(Writable[School]):
    """Schools, the places that placements and groups belong to."""

    path = "/school"
    model = School

    list = List()
    search = Search(SchoolQuery)
    find = Find(SchoolQuery)
    get = Get()
    create = Create(SchoolCreate)
    upsert = Upsert(SchoolCreate, SOURCE_KEYS)
    upsert_many = UpsertMany(upsert)
    update = Update(SchoolUpdate)
