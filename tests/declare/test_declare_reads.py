"""Actions that read, in a cached view and out of it; defaults of declared reads; objects in a query string."""

from __future__ import annotations

import inspect
from collections import Counter

import pytest
from aiohttp import web
from conftest import AT_ONCE, CREDENTIALS, NO_QUOTA

from meitner_aio import APIConnectionError, Meitner, MeitnerError, NotFoundError, ResponseValidationError
from meitner_aio.declare import UNSET, Action, Get, Record, Resource, UnsetType


class Check(Record):
    """Whether a flag is on."""

    flag: str
    value: bool


class Keys(Record):
    """Whom to check it for."""

    company: dict[str, str] | UnsetType = UNSET


class Thresholds(Record):
    """What a count is asked for: it has a default of its own."""

    default: int


def _named(text: str) -> Keys:
    return Keys(company={"name": text})


class Flags(Resource[Check]):
    """Flags, read by POST."""

    path = "/flags"
    model = Check
    id_pattern = "[a-z-]+"

    get = Get()
    check = Action("POST", "/{id}/check", body=Keys, answer=Check, reads=True)
    found = Action("GET", "/found", one=False, query=Keys, answer=str)
    named = Action("POST", "/named", one=False, body=_named, answer=str, reads=True)
    count = Action("GET", "/count", one=False, query=Thresholds, answer=str)
    flip = Action("POST", "/{id}/flip", body=Keys, answer=Check, safe=True)


class Server:
    """Flags behind aiohttp.web; counts what arrives. The first `broken` requests lose their answer."""

    def __init__(self, broken: int = 0) -> None:
        self.seen: Counter[str] = Counter()
        self.broken = broken
        self.app = web.Application()
        self.app.router.add_route("*", "/{rest:.*}", self.answer)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer by the path; the value of a check is whether the company is acme."""
        body = await request.json() if request.can_read_body else {}
        self.seen[f"{request.method} {request.path_qs} {body}"] += 1
        if sum(self.seen.values()) <= self.broken and request.transport is not None:
            request.transport.close()
        if request.path.endswith("missing"):
            return web.json_response({}, status=404)
        if request.path.endswith(("found", "named", "count")):
            return web.Response(text="&".join(f"{name}={value}" for name, value in request.query.items()))
        flag = request.path.split("/")[2]
        return web.json_response({"flag": flag, "value": body.get("company") == {"id": "acme"}})


def client(url: object, **options):
    """Return a client that retries at once."""
    return Meitner(*CREDENTIALS, base_url=str(url).rstrip("/"), retry=AT_ONCE, quota=NO_QUOTA, **options)


async def test_a_read_by_post_is_kept_by_its_id_and_its_body(aiohttp_server):
    """Five equal checks are one request; another flag or another company is another one."""
    here = Server()
    async with client((await aiohttp_server(here.app)).make_url("/")) as meitner:
        flags = meitner.cached(ttl=60).resource(Flags)
        for _ in range(5):
            assert (await flags.check("a", company={"id": "acme"})).value
            assert not (await flags.check("a", company={"id": "other"})).value
            assert (await flags.check("b", company={"id": "acme"})).flag == "b"
        with pytest.raises(MeitnerError, match="a cached view only reads"):
            await flags.flip("a", company={"id": "acme"})
    assert list(here.seen.values()) == [1, 1, 1]


async def test_a_read_by_post_is_sent_again_when_its_answer_was_lost(aiohttp_server):
    """As a GET is; an action that says nothing would raise AmbiguousWriteError."""
    here = Server(broken=2)
    async with client((await aiohttp_server(here.app)).make_url("/")) as meitner:
        assert (await meitner.resource(Flags).check("a", company={"id": "acme"})).value
    assert sum(here.seen.values()) == 3


@pytest.fixture
async def down(aiohttp_server):
    """Give the URL of a server that has ended."""
    server = await aiohttp_server(web.Application())
    url = server.make_url("/")
    await server.close()
    return url


async def test_defaults_answer_for_declared_reads_while_the_service_is_down(down):
    """By id for what takes an id, else that of the view, and before both the one of the call."""
    on, off = Check(flag="a", value=True), Check(flag="?", value=False)
    async with client(down) as meitner:
        flags = meitner.cached(default=off, defaults={"a": on}).resource(Flags)
        assert await flags.check("a", company={"id": "acme"}) is on
        assert await flags.get("a") is on
        assert await flags.check("b") is off
        assert await flags.check("a", default=None) is None
        assert await flags.named("a") is off  # its text is no id
        assert await flags.count(default=5) is off  # the field of its query
        with pytest.raises(TypeError, match=r"Keys\.company"):
            await flags.check("a", company="acme")
        with pytest.raises(APIConnectionError):
            await meitner.cached().resource(Flags).check("a")
        with pytest.raises(APIConnectionError):
            await meitner.resource(Flags).check("a")
    shown = inspect.signature(flags.check).parameters
    assert shown["default"].default is off
    assert inspect.signature(flags.count).parameters["default"].default is inspect.Parameter.empty


async def test_a_default_is_for_no_refusal(aiohttp_server):
    """404 is an answer."""
    async with client((await aiohttp_server(Server().app)).make_url("/")) as meitner:
        with pytest.raises(NotFoundError):
            await meitner.cached(default=Check(flag="a", value=True)).resource(Flags).get("missing")


async def test_an_object_of_a_query_has_its_keys_in_brackets(aiohttp_server):
    """As OpenAPI's deepObject: company[id]=acme; what is escaped arrives as it was."""
    here = Server()
    async with client((await aiohttp_server(here.app)).make_url("/")) as meitner:
        flags = meitner.resource(Flags)
        assert (
            await flags.found(company={"id": "acme & co", "e-mail": "å"}) == "company[id]=acme & co&company[e-mail]=å"
        )
        assert await flags.found() == await flags.found(company={}) == ""
        raw = await meitner.request("GET", "/found", params={"at": {"x": 1, "y": True, "z": None}})
        assert raw.body == b"at[x]=1&at[y]=true"


@pytest.mark.parametrize(
    "wrong", [{"a[b]": "secret"}, {"": "secret"}, {1: "secret"}, {"a": ["secret"]}, {"a": {"b": "secret"}}]
)
async def test_an_object_of_a_query_is_flat(wrong):
    """No key could be taken for another, nothing deeper is guessed, and no value is told."""
    async with client("http://127.0.0.1:9") as meitner:
        with pytest.raises(TypeError, match="the param 'company'") as caught:
            await meitner.request("GET", "/found", params={"company": wrong})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_what_writes_is_no_read(method):
    """A cached view would keep the answer of a write."""
    with pytest.raises(TypeError, match=rf"Wrong\.write: a {method} writes"):

        class Wrong(Resource[Check]):
            path = "/flags"
            model = Check
            write = Action(method, "/{id}", answer=Check, reads=True)


class Wrapped(Resource[Check]):
    """Answers in envelopes."""

    path = "/wrapped"
    id_pattern = "[a-z]+"

    one = Action("GET", "/{id}", answer=Check, inside="data")
    deep = Action("GET", "/{id}", answer=Check, inside="result.checks.first")
    many = Action("GET", "/{id}", answer=list[Check], inside="data")


A, B = {"flag": "a", "value": True}, {"flag": "b", "value": False}


@pytest.mark.parametrize(
    ("name", "said", "wanted"),
    [
        ("one", {"data": A, "params": {"x": [1]}}, Check(flag="a", value=True)),
        ("deep", {"more": 1, "result": {"checks": {"last": B, "first": A}}}, Check(flag="a", value=True)),
        ("many", {"data": [A, B]}, [Check(flag="a", value=True), Check(flag="b", value=False)]),
        ("one", {"data": None}, "Expected `object`, got `null`"),
        ("one", {"params": {}}, "missing required field `data`"),
        ("deep", {"result": {"checks": A}}, "missing required field `first`"),
        ("one", {"data": {"flag": "secret", "value": 1}}, "Expected `bool`, got `int`"),
        ("one", A, "missing required field `data`"),
    ],
)
async def test_an_answer_is_read_from_inside_its_envelope(aiohttp_server, name, said, wanted):
    """By a path of names; what is not there is a ResponseValidationError that tells no value."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(said)

    app = web.Application()
    app.router.add_get("/wrapped/x", answer)
    async with client((await aiohttp_server(app)).make_url("/")) as meitner:
        call = getattr(meitner.with_options(max_retries=0).resource(Wrapped), name)
        if not isinstance(wanted, str):
            assert await call("x") == wanted
            return
        with pytest.raises(ResponseValidationError) as caught:
            await call("x")
    assert wanted in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "inside"),
    [(Check, 1), (Check, "a..b"), (Check, ".data"), (Check, "da ta"), (str, "data"), (None, "data")],
)
def test_where_an_answer_is_must_be_a_path_to_a_record(answer, inside):
    """Text and nothing have no inside."""
    with pytest.raises(TypeError, match=r"Wrong\.show: inside="):

        class Wrong(Resource[Check]):
            path = "/wrapped"
            show = Action("GET", "/{id}", answer=answer, inside=inside)
