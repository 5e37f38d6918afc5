"""A twelfth resource: declared like the others, it is in the sandbox without a line there."""

from __future__ import annotations

import json

import pytest
from msgspec import UNSET, UnsetType
from sandbox_calls import NOBODY, call, made, placed_employee, school, search

from meitner_aio._operations.operations import Create, Delete, Get, List, Resource, Search, Update
from meitner_aio.query import Exact, MetaQuery, Null, Ordered, ResourceQuery, Text
from meitner_aio.records import Id, Meta, OrAbsent, Record
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Fault, Sandbox


class Room(Record):
    """A room of a school."""

    id: Id
    meta: OrAbsent[Meta] = None
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

    id: Exact[Id] = UNSET
    meta: MetaQuery | UnsetType = UNSET
    school_id: Exact[Id] = UNSET
    title: Text = UNSET
    seats: Ordered[int] | Null = UNSET
    employee_id: Exact[Id] | Null = UNSET


class Rooms(Resource[Room]):
    """Rooms of schools."""

    path = "/room"
    model = Room

    list = List()
    search = Search(RoomQuery)
    get = Get()
    create = Create(RoomCreate)
    update = Update(RoomUpdate)
    delete = Delete()


@pytest.fixture
def sandbox(monkeypatch):
    """Give an empty directory with rooms."""
    monkeypatch.setitem(RESOURCES, "rooms", Rooms)
    return Sandbox(students=0, schools=0, unknown="refuse")


async def test_it_has_its_operations(sandbox):
    """Every one of them, with the statuses of its kind."""
    place = await school(sandbox)
    room = await made(sandbox, "/room", schoolID=place, title="A101", seats=30)
    path = f"/room/{room['id']}"
    updated = await call(sandbox, "PATCH", path, {"title": "A102", "seats": None})
    assert (updated.status, updated.data["title"], updated.data["seats"]) == (200, "A102", None)
    assert (await call(sandbox, "GET", path)).data == updated.data
    assert (await call(sandbox, "GET", "/room")).rows == [updated.data]
    assert (await search(sandbox, "/room", null={"seats": True}, like={"title": "A%"})).rows == [updated.data]
    assert (await search(sandbox, "/room", like={"seats": "3%"})).status == 400
    assert (await call(sandbox, "PATCH", f"{path}/archive")).status == 404
    assert (await call(sandbox, "DELETE", path)).status == 204
    assert sandbox.records("rooms") == []
    assert sandbox.records("audit_events") == []


async def test_the_general_rules_hold_for_it(sandbox):
    """Types, required and fixed fields, references, and what becomes of them."""
    place = await school(sandbox)
    teacher = await placed_employee(sandbox, place)
    for body in ({"title": "A"}, {"schoolID": NOBODY, "title": "A"}, {"schoolID": place, "title": "A", "seats": "3"}):
        assert (await call(sandbox, "POST", "/room", body)).status == 422
    room = await made(sandbox, "/room", schoolID=place, title="A", employeeID=teacher)
    answer = await call(sandbox, "PATCH", f"/room/{room['id']}", {"title": "A", "schoolID": place})
    assert answer.message == "schoolID is fixed when the record is created"
    await call(sandbox, "DELETE", f"/employee/{teacher}")
    assert (await call(sandbox, "GET", f"/room/{room['id']}")).data["employeeID"] is None


async def test_it_is_in_the_openapi_document(sandbox):
    """With its paths, its fields, and what a search takes of them."""
    served = (await call(sandbox, "GET", "/openapi.json")).data
    assert served["paths"]["/room/{id}"].keys() == {"get", "patch", "delete"}
    schemas = served["components"]["schemas"]
    assert schemas["Room"]["properties"].keys() == {"id", "meta", "schoolID", "title", "seats", "employeeID"}
    assert "seats" in json.dumps(schemas["RoomFilter"]["properties"]["greaterThan"])


async def test_a_fault_can_name_it(monkeypatch):
    """By its attribute, like any other."""
    monkeypatch.setitem(RESOURCES, "rooms", Rooms)
    sandbox = Sandbox(students=0, schools=0, faults=[Fault(500, operations=["rooms.list"])])
    assert (await call(sandbox, "GET", "/room")).status == 500
