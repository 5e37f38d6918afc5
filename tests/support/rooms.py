"""A twelfth resource, declared as a file of the package declares one: tests add it to the package or to a sandbox."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from meitner_aio._operations.composed import Deletable, Find
from meitner_aio._operations.operations import Get, List, Search
from meitner_aio._operations.writes import Create, Delete, Update
from meitner_aio.query import Exact, Null, Ordered, ResourceQuery, Text
from meitner_aio.records import DirectoryRecord, Id, Record

__all__ = ["Room", "RoomCreate", "RoomQuery", "RoomUpdate", "Rooms"]


class Room(DirectoryRecord):
    """A room of a school."""

    school_id: Id
    title: str
    seats: int | None = None
    employee_id: Id | None = None


class RoomUpdate(Record):
    """What an update says of a room."""

    title: str
    seats: int | None | UnsetType = UNSET
    employee_id: Id | None | UnsetType = UNSET


class RoomCreate(RoomUpdate):
    """What a create says of a room."""

    school_id: Id


class RoomQuery(ResourceQuery):
    """Conditions on rooms."""

    school_id: Exact[Id] = UNSET
    title: Text = UNSET
    seats: Ordered[int] | Null = UNSET
    employee_id: Exact[Id] | Null = UNSET


class Rooms(Deletable[Room]):
    """Rooms of schools."""

    path = "/room"
    model = Room

    list = List()
    search = Search(RoomQuery)
    find = Find(RoomQuery)
    get = Get()
    create = Create(RoomCreate)
    update = Update(RoomUpdate)
    delete = Delete()
