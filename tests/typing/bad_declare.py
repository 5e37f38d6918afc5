"""Declarations and calls that type checkers must refuse: one on each marked line, and nothing on any other."""
# pyright: strict

from __future__ import annotations

from good_declare import Filter, Member, MemberFields, Members

from meitner_aio import Meitner
from meitner_aio.declare import Action, Create, Get, List, Paging, Search

by = List(7)  # wrong: a record is expected
got = Get(limit=3)  # wrong: no such option
search = Search(Filter)  # wrong: a ResourceQuery is expected
create = Create(dict)  # wrong: a record is expected
create_by = Create(MemberFields, key=7)  # wrong: names of fields
paged = Paging(rows="items")  # wrong: no such option
fetch = Action("FETCH", "/{id}")  # wrong: no such method
invite = Action("POST", "/{id}", answer=Member(id="m-1", first_name="x"))  # wrong: the class is expected
sure = Action("POST", "/{id}", sure=True)  # wrong: no such option
nothing = Action("POST", "/{id}", inside="data")  # wrong: nothing is read
reads = Action("POST", "/{id}", reads="yes")  # wrong: true or false
listed = Action("POST", "/{id}", body=dict)  # wrong: a record is expected


async def calls(meitner: Meitner) -> None:
    meitner.resource(Member, space="x")  # wrong: no resource
    meitner.resource(Members, space=7)  # wrong: parameters are text
    members = meitner.resource(Members, space="x")
    members.list(role="x")  # wrong: not a parameter of this one
    members.by(limit=5)  # wrong: paged(limit=5)
    members.by(rol="x")  # wrong: no such field
    members.search(first_name=7)  # wrong: text is expected
    await members.get()  # wrong: which one?
    await members.get(7)  # wrong: ids are text
    await members.got("m-1", rol="x")  # wrong: no such field
    await members.create()  # wrong: a required field is missing
    await members.create(first_name=7)  # wrong: text is expected
    await members.update(first_name="x")  # wrong: which one?
    await members.delete("m-1", "m-2")  # wrong: one at a time
    await members.invite()  # wrong: which one?
    await members.invite("m-1", first_name="x")  # wrong: it takes no fields
    await members.write("m-1")  # wrong: a required field is missing
    await members.write("m-1", first_name="x", colour="red")  # wrong: no such field
    await members.call("m-1", "Kim", age="x")  # wrong: a number is expected
    await members.names("m-1")  # wrong: it concerns no single record
    await members.every(role=7)  # wrong: text is expected
    await members.load(age=3)  # wrong: a required field is missing
    (await members.nudge("m-1")).id  # wrong: it answers nothing
    (await members.badge("m-1")).id  # wrong: bytes
    members.archive("m-1")  # wrong: not declared
