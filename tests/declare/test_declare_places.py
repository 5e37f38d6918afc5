"""Declared resources in the sandbox, through a cache, and offline."""

from __future__ import annotations

import pytest

from meitner_aio import ConflictError, Meitner, NotFoundError
from meitner_aio.declare import (
    UNSET,
    Action,
    Create,
    Delete,
    Get,
    List,
    Paging,
    Record,
    Resource,
    ResourceQuery,
    Search,
    UnsetType,
    Update,
)
from meitner_aio.errors import APIConnectionError, MeitnerError
from meitner_aio.export import export
from meitner_aio.query import Text, like
from meitner_aio.sandbox import Sandbox


class Member(Record):
    """A member."""

    id: str
    name: str
    role: str = "guest"


class Fields(Record):
    """What a write says."""

    name: str | UnsetType = UNSET
    role: str | UnsetType = UNSET


class Filter(Record):
    """What a list is narrowed by."""

    role: str | UnsetType = UNSET


class Query(ResourceQuery):
    """Conditions."""

    name: Text = UNSET


class Members(Resource[Member]):
    """Everything that can be declared."""

    path = "/space/{space}/members"
    model = Member
    id_pattern = r"m\d+"
    paging = Paging(items="items", total="page.total", limit="top", offset="skip")

    list = List()
    by = List(Filter)
    get = Get()
    search = Search(Query)
    create = Create(Fields, key="name")
    update = Update(Fields)
    delete = Delete()
    invite = Action("POST", "/{id}/invite", answer=Member)
    rename = Action("PUT", "/{id}/name", body=Fields, answer=Member)
    badge = Action("GET", "/badge", one=False, answer=bytes)


ACTIONS = {
    "badge": lambda *_: b"PNG",
    "rename": lambda row, body: Member(id=row.id, name=body.name),
}


class Other(Resource[Member]):
    """Rows of another API."""

    path = "/rows"
    api = "data-export/v1"
    model = Member
    list = List()


def members(number: int) -> list[Member]:
    """Return so many."""
    return [Member(id=f"m{n}", name=f"Kim {n}", role="admin" if n % 2 else "guest") for n in range(number)]


@pytest.fixture
def sandbox():
    """Give a directory that has members in two spaces."""
    sandbox = Sandbox(students=1, schools=1, page_cap=50, limiter="none")
    sandbox.serve(Members, members(120), space="a b", actions=ACTIONS)
    sandbox.serve(Members, members(2), space="c", actions=ACTIONS)
    sandbox.serve(Other, members(3))
    return sandbox


async def everything(meitner: Meitner) -> None:
    """Call every operation once, and look at what it did."""
    here = meitner.resource(Members, space="a b")
    assert await here.list().all() == members(120)
    assert [one.role for one in await here.by(role="admin").all()] == ["admin"] * 60
    assert await here.get("m3") == members(4)[3]
    assert len(await here.search(name=like("Kim 1%")).all()) == 31
    made = await here.create(name="Bo")
    assert await here.get(made.id) == made
    with pytest.raises(ConflictError):
        await here.create(name="Bo")
    assert (await here.update(made.id, role="admin")).role == "admin"
    await here.delete(made.id)
    with pytest.raises(NotFoundError):
        await here.get(made.id)
    assert await here.invite("m1") == members(2)[1]
    assert (await here.rename("m1", name="Li")).name == "Li"
    assert await here.badge() == b"PNG"
    assert await meitner.resource(Members, space="c").list().all() == members(2)
    with pytest.raises(NotFoundError):
        await meitner.resource(Members, space="d").list().all()
    assert await meitner.resource(Other).list().all() == members(3)


async def test_the_sandbox_serves_a_declaration_in_process(sandbox):
    """Every operation, in a space of its own, beside the directory."""
    async with Meitner.sandbox(sandbox) as meitner:
        await everything(meitner)
        assert len(await meitner.students.list().all()) == 1


async def test_the_sandbox_serves_a_declaration_over_http(sandbox):
    """The same over a socket."""
    async with sandbox, Meitner(*sandbox.credentials, base_url=sandbox.url) as meitner:
        await everything(meitner)


async def test_faults_and_the_quota_are_those_of_the_sandbox():
    """A fault strikes by the name of the operation; each request costs one."""
    sandbox = Sandbox(students=0, schools=1, quota=100)
    sandbox.serve(Members, members(2), space="a", actions=ACTIONS)
    sandbox.fail("503", times=1, operations=["list"])
    async with Meitner.sandbox(sandbox) as meitner:
        assert len(await meitner.resource(Members, space="a").list().all()) == 2
        assert meitner.quota is not None
        assert meitner.quota.remaining == 99
    assert [one.operation for one in sandbox.requests] == ["Members.list"] * 2
    assert len(sandbox.requested("list")) == 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"space": "a"}, "say what Members.badge answers"),
        ({"space": "a", "actions": ACTIONS | {"x": None}}, "Members has no action x"),
        ({"actions": ACTIONS}, "Members lacks space"),
        ({"space": "a", "actions": ACTIONS, "rows": [Fields(name="x")]}, "Members has rows of Member, not Fields"),
    ],
)
def test_what_cannot_be_served_is_refused(given, told):
    """When it is asked for, not by an answer."""
    with pytest.raises(TypeError, match=told):
        Sandbox(students=0, schools=0).serve(Members, **given)


async def test_a_cached_view_keeps_reads_by_all_their_parameters(sandbox):
    """Two spaces, two filters and two APIs are kept apart; each is asked for once."""
    async with Meitner.sandbox(sandbox) as meitner:
        view = meitner.cached(ttl=60)
        for _ in range(2):
            first, second = view.resource(Members, space="a b"), view.resource(Members, space="c")
            assert [len(await one.list(limit=50).all()) for one in (first, second)] == [120, 2]
            assert [len(await first.by(role=role).paged(limit=50).all()) for role in ("admin", "guest")] == [60, 60]
            assert (await first.get("m1"), await second.get("m0")) == (members(2)[1], members(2)[0])
            assert await first.badge() == b"PNG"
            assert len(await view.resource(Other).list().all()) == 3
        asked = [one.operation for one in sandbox.requests]
    assert sorted(set(asked)) == ["Members.badge", "Members.by", "Members.get", "Members.list", "Other.list"]
    assert (asked.count("Members.get"), asked.count("Members.list"), asked.count("Members.by")) == (2, 4, 4)


class Company(Record):
    """What keys find."""

    id: str
    keys: dict[str, str]


class Keys(Record):
    """By what it is found."""

    keys: dict[str, str]


class Companies(Resource[Company]):
    """Companies in envelopes, found by keys."""

    path = "/companies"
    model = Company
    id_pattern = r"c\d+"
    list = List()
    by = List(Keys)
    show = Action("GET", "/{id}", answer=Company, inside="result.data")
    found = Action("GET", "/found", one=False, query=Keys, answer=Company, inside="data")
    check = Action("POST", "/{id}/check", body=Keys, answer=Company, inside="data", reads=True)


async def test_the_sandbox_serves_envelopes_and_lookups_by_keys(sandbox):
    """A list by keys has the rows with these keys; an action's answer is where its declaration has it."""
    rows = [Company(id=f"c{n}", keys={"email": f"{n}@example.org", "size": str(n % 2)}) for n in range(4)]
    sandbox.serve(Companies, rows, actions={"found": lambda _, __: rows[3]})
    async with Meitner.sandbox(sandbox) as meitner:
        companies = meitner.resource(Companies)
        assert await companies.by(keys={"size": "1"}).all() == [rows[1], rows[3]]
        assert await companies.by(keys={"size": "1", "email": "3@example.org"}).all() == [rows[3]]
        assert await companies.by(keys={"colour": "1"}).all() == []
        assert await companies.show("c1") == rows[1]
        assert await companies.found(keys={"size": "1"}) == rows[3]
        view = meitner.cached().resource(Companies)
        assert [await view.check("c2", keys={"a": "b"}) for _ in range(3)] == [rows[2]] * 3
        assert [one.operation for one in sandbox.requests].count("Companies.check") == 1
        raw = await meitner.request("GET", "/companies/c1")
        assert raw.body.startswith(b'{"result":{"data":{"id":"c1"')


async def test_a_cached_view_refuses_writes(sandbox):
    """Nothing is sent."""
    async with Meitner.sandbox(sandbox) as meitner:
        here = meitner.cached().resource(Members, space="c")
        with pytest.raises(MeitnerError, match="a cached view only reads"):
            await here.create(name="Bo")
        with pytest.raises(MeitnerError, match="a cached view only reads"):
            await here.invite("m1")
    assert not sandbox.requests


async def test_a_snapshot_says_what_it_lacks(sandbox, tmp_path):
    """A declared resource is in no snapshot: that is no record that does not exist."""
    async with Meitner.sandbox(sandbox) as meitner:
        await export(meitner, ["schools"], to=str(tmp_path / "out"), format="ndjson")
    async with Meitner(offline=tmp_path / "out") as offline:
        for kind, parameters in ((Members, {"space": "c"}), (Other, {})):
            with pytest.raises(APIConnectionError, match="is no resource of the directory"):
                await offline.resource(kind, **parameters).list().all()
        assert len(await offline.schools.list().all()) == 1
