"""Groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import UNSET, UnsetType

from .._operations.composed import Deletable, Find, Upsert
from .._operations.keys import Keys
from .._operations.operations import Get, List, Search
from .._operations.upsert_many import UpsertMany
from .._operations.writes import Create, Delete, Update
from ..query import Exact, Null, SourcedQuery, Text
from ..records import Id, OpenEnum, SourcedFields, SourcedRecord

__all__ = ["Group", "GroupCategory", "GroupCreate", "GroupQuery", "GroupType", "GroupUpdate", "Groups"]


class GroupCategory(OpenEnum):
    """What a group is for. In an Education group moderators are employees and members are students of its school."""

    EDUCATION = "Education"
    OTHER = "Other"


class GroupType(OpenEnum):
    """The role of an Education group. In a school of type FS, Class and Childcare come as a pair."""

    CLASS = "Class"
    CHILDCARE = "Childcare"
    MENTOR = "Mentor"


class Group(SourcedRecord):
    """A group of a school; its title is unique there."""

    school_id: Id
    category: GroupCategory = GroupCategory.EDUCATION
    title: str
    types: list[GroupType] = []
    moderator_ids: list[Id] = []
    member_ids: list[Id] = []


class GroupUpdate(SourcedFields):
    """What an update says of a group: each list replaces the whole list; school and category cannot change."""

    title: str
    types: Sequence[GroupType] | UnsetType = UNSET
    moderator_ids: Sequence[Id] | UnsetType = UNSET
    member_ids: Sequence[Id] | UnsetType = UNSET


class GroupCreate(GroupUpdate):
    """What a create says of a group."""

    school_id: Id
    category: GroupCategory | UnsetType = UNSET


class GroupQuery(SourcedQuery):
    """Conditions on groups; a condition on a list asks whether any of its elements fits."""

    school_id: Exact[Id] = UNSET
    category: Exact[GroupCategory] = UNSET
    title: Text = UNSET
    types: Exact[GroupType] | Null = UNSET
    moderator_ids: Exact[Id] | Null = UNSET
    member_ids: Exact[Id] | Null = UNSET


GroupKey = Literal["source_id"] | tuple[Literal["school_id"], Literal["title"]]
KEYS: Keys[GroupKey] = Keys(("source_id", ("school_id", "title")))


class Groups(Deletable[Group]):
    """Groups of a school: classes, childcare, mentor groups and others."""

    path = "/group"
    model = Group

    list = List()
    search = Search(GroupQuery)
    find = Find(GroupQuery)
    get = Get()
    create = Create(GroupCreate, key=("school_id", "title"))
    upsert = Upsert(GroupCreate, KEYS)
    upsert_many = UpsertMany(upsert)
    update = Update(GroupUpdate)
    delete = Delete(audited=True)
