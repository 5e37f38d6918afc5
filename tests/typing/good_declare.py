"""Declarations and calls of declared resources that type checkers must accept, with the types they must find."""
# pyright: strict

from __future__ import annotations

import builtins
from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from msgspec import UNSET, UnsetType

from meitner_aio import Listing, Meitner, Page, Portal
from meitner_aio.declare import (
    Action,
    Create,
    Delete,
    Get,
    List,
    Paging,
    Personal,
    Record,
    Resource,
    ResourceQuery,
    Search,
    Update,
)
from meitner_aio.query import Text, like


class Member(Record):
    id: str
    first_name: Personal[str]


class MemberFields(Record):
    first_name: str
    age: int | UnsetType = UNSET


class Filter(Record):
    role: str | UnsetType = UNSET


class MemberQuery(ResourceQuery):
    first_name: Text = UNSET


def invitation(name: str, *, age: int = 1) -> MemberFields:
    return MemberFields(first_name=name, age=age)


class Members(Resource[Member]):
    path = "/space/{space}/members"
    model = Member
    id_pattern = r"m-\d+"
    paging = Paging(items="items", total="total")

    list = List()
    by = List(Filter)
    get = Get()
    got = Get(Filter)
    search = Search(MemberQuery)
    create = Create(MemberFields, key="first_name")
    update = Update(MemberFields)
    delete = Delete()
    invite = Action("POST", "/{id}/invite", answer=Member)
    nudge = Action("POST", "/{id}/nudge", safe=True)
    write = Action("PUT", "/{id}", body=MemberFields, answer=Member)
    call = Action("POST", "/{id}/call", body=invitation)
    badge = Action("GET", "/{id}/badge", query=Filter, answer=bytes)
    names = Action("GET", "/names", one=False, answer=str)
    every = Action("GET", "/every", one=False, query=Filter, answer=builtins.list[Member])
    reset = Action("POST", "/reset", one=False, safe=True)
    load = Action("POST", "/load", one=False, body=MemberFields)
    check = Action("POST", "/{id}/check", body=MemberFields, answer=Member, reads=True)
    inner = Action("GET", "/{id}/inner", answer=Member, inside="data")
    inners = Action("POST", "/inners", one=False, body=MemberFields, answer=builtins.list[Member], inside="data.rows")
    counted = Action("POST", "/counted", one=False, answer=str, reads=True)


async def calls(meitner: Meitner, portal: Portal) -> None:
    members = meitner.resource(Members, space="x")
    assert_type(members, Members)
    assert_type(members.list(limit=5, offset=1, concurrency=2), Listing[Member])
    assert_type(members.by(role="x").paged(limit=5), Listing[Member])
    assert_type(await members.list(), Page[Member])
    assert_type(members.search(first_name=like("K%")), Listing[Member])
    assert_type(await members.get("m-1"), Member)
    assert_type(await members.got("m-1", role="x"), Member)
    assert_type(await members.create(first_name="Kim", age=3), Member)
    assert_type(await members.update("m-1", first_name="Kim"), Member)
    assert_type(await members.delete("m-1"), None)
    assert_type(await members.invite("m-1"), Member)
    assert_type(await members.nudge("m-1"), None)
    assert_type(await members.write("m-1", first_name="Kim"), Member)
    assert_type(await members.call("m-1", "Kim", age=3), None)
    assert_type(await members.call("m-1", name="Kim"), None)
    assert_type(await members.badge("m-1", role="x"), bytes)
    assert_type(await members.names(), str)
    assert_type(await members.every(role="x"), list[Member])
    assert_type(await members.reset(), None)
    assert_type(await members.load(first_name="Kim"), None)
    assert_type(await members.check("m-1", first_name="Kim"), Member)
    assert_type(await members.inner("m-1"), Member)
    assert_type(await members.inners(first_name="Kim"), list[Member])
    assert_type(await meitner.cached(default=None).resource(Members, space="x").counted(), str)
    task: Callable[[str], Coroutine[Any, Any, Member]] = members.invite
    async for member in members.list():
        assert_type(member, Member)
    assert_type(portal.run(task("m-1")), Member)
