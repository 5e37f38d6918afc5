"""Declared writes: created once whatever is lost, updated, deleted, searched."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest
from conftest import AT_ONCE, CREDENTIALS, NO_QUOTA
from declared_server import Spaces
from raw_server import RawServer, answer, page

from meitner_aio import AmbiguousWriteError, ConflictError, Meitner, NotFoundError, RetryPolicy
from meitner_aio._operations import create_recovery
from meitner_aio.declare import (
    UNSET,
    Create,
    Delete,
    Get,
    List,
    Personal,
    Record,
    Resource,
    ResourceQuery,
    Search,
    UnsetType,
    Update,
)
from meitner_aio.query import Text


class Member(Record):
    """A member of a space."""

    id: str
    email: Personal[str]
    first_name: Personal[str]


class NewMember(Record):
    """What a member is made of; the pin is never shown again."""

    email: Personal[str]
    first_name: Personal[str]
    pin: Personal[str | UnsetType] = UNSET


class Changes(Record):
    """What may change."""

    first_name: Personal[str | UnsetType] = UNSET


class Members(Resource[Member]):
    """Members that are made by their address."""

    path = "/space/{space}/members"
    model = Member
    id_pattern = r"m-\d+"

    all_of_them = List()
    fetch = Get()
    add = Create(NewMember, key="email")
    change = Update(Changes)
    drop = Delete()


class Keyless(Resource[Member]):
    """The same without a key."""

    path = "/space/{space}/members"
    model = Member

    add = Create(NewMember)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Look up without waiting: what is committed here is committed at once."""
    monkeypatch.setattr(create_recovery, "_LOOKS", (0.0, 0.0, 0.0, 0.0))


@asynccontextmanager
async def client(api, **options):
    """Give a client of the server, which retries at once."""
    options = {"retry": AT_ONCE, "quota": NO_QUOTA} | options
    async with api.raw() as server, Meitner(*CREDENTIALS, base_url=server.url, **options) as meitner:
        yield meitner


@pytest.mark.parametrize("unique", [True, False])
async def test_creates_whose_answers_are_lost_happen_once(unique):
    """30 % of the answers are lost, most after the server did what it was asked: no duplicate, and none is missing.

    The server does not keep the key unique in one of the two: it is the look-up in the list that prevents duplicates.
    """
    api = Spaces(loses=0.3, seed=5, unique=unique)
    api.spaces["a"] = []
    async with client(api, retry=RetryPolicy(initial=0.0, max_retries=5)) as meitner:
        members = meitner.resource(Members, space="a")
        made = [await members.add(email=f"{n}@x.org", first_name="Kim", pin="1") for n in range(60)]
    assert [row["email"] for row in api.spaces["a"]] == [f"{n}@x.org" for n in range(60)]
    assert [one.id for one in made] == [row["id"] for row in api.spaces["a"]]
    assert api.counted["POST members"] >= 60
    assert api.counted["GET members"] > 10


async def test_a_create_that_was_answered_costs_one_request():
    """The key costs nothing while nothing is lost."""
    api = Spaces()
    async with client(api) as meitner:
        made = await meitner.resource(Members, space="b c").add(email="x@y.org", first_name="Bo")
    assert (made.email, sum(api.counted.values())) == ("x@y.org", 1)


async def test_a_create_without_a_key_is_not_sent_again():
    """It may have happened, and the error says so, with the fields to look it up by and none of their values."""
    api = Spaces(loses=1.0)
    async with client(api) as meitner:
        with pytest.raises(AmbiguousWriteError, match="by email and first_name") as caught:
            await meitner.resource(Keyless, space="a").add(email="x@y.org", first_name="Bo")
    assert api.counted["POST members"] <= 1
    assert "x@y.org" not in str(caught.value)


async def test_the_key_of_another_record_is_a_conflict():
    """The server refuses it; after a lost answer, the look-up finds who has it."""
    api = Spaces()
    async with client(api) as meitner:
        members = meitner.resource(Members, space="a")
        with pytest.raises(ConflictError):
            await members.add(email="7@example.org", first_name="Somebody else")
        api.loses = 1.0
        with pytest.raises(ConflictError, match="record m-7 has the same email"):
            await members.add(email="7@example.org", first_name="Somebody else")


async def test_updates_and_deletions():
    """Only what is given is sent; what is gone is a 404."""
    api = Spaces()
    async with client(api) as meitner:
        members = meitner.resource(Members, space="b c")
        assert (await members.change("m-7", first_name="Bo")).first_name == "Bo"
        assert (await members.fetch("m-7")).email == "7@example.org"
        assert await members.drop("m-7") is None
        with pytest.raises(NotFoundError):
            await members.drop("m-7")
    assert api.spaces["b c"] == []


async def test_a_deletion_whose_answer_was_lost_is_done():
    """The 404 of the second attempt is its success."""
    async with (
        RawServer([None, answer(404, {}), answer(404, {})]) as server,
        Meitner(*CREDENTIALS, base_url=server.url, retry=AT_ONCE, quota=NO_QUOTA) as meitner,
    ):
        assert await meitner.resource(Members, space="a").drop("m-1") is None
    assert [seen.method for seen in server.seen] == ["DELETE", "DELETE"]


class MemberQuery(ResourceQuery):
    """Conditions on members."""

    email: Text = UNSET


class Searched(Resource[Member]):
    """Members that can be searched, by whatever name."""

    path = "/space/{space}/members"
    model = Member

    where = Search(MemberQuery)
    add = Create(NewMember, key=("email",))


async def test_a_lost_create_is_looked_up_by_the_search_where_there_is_one():
    """One request, with the condition on the key."""
    row = {"id": "m-1", "email": "x@y.org", "firstName": "Bo"}
    async with (
        RawServer([None, page([row])]) as server,
        Meitner(*CREDENTIALS, base_url=server.url, retry=AT_ONCE, quota=NO_QUOTA) as meitner,
    ):
        made = await meitner.resource(Searched, space="a").add(email="x@y.org", first_name="Bo")
        assert await meitner.resource(Searched, space="a").where(email="x@y.org").all() == [made]
    create, *searches = server.seen
    assert (create.target, {seen.target.partition("?")[0] for seen in searches}) == (
        "/directory/v1/space/a/members",
        {"/directory/v1/space/a/members/_search"},
    )
    assert all("x@y.org" in json.dumps(json.loads(seen.body)) for seen in searches)
    assert len(searches) == 2
