"""No text that a caller hands in becomes a header, a path or a server of somebody else's choosing."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from conftest import CREDENTIALS, Scripted
from hypothesis import example, given, settings
from hypothesis import strategies as st
from raw_server import STUDENT, STUDENT_ID, answer, page
from samples import call, record, required

from meitner_aio import ApiKey, AuthenticationError, Meitner, MeitnerError, OAuth2, StudentQuery, like, one_of
from meitner_aio._operations.operations import operations
from meitner_aio._pipeline.authentication import BearerAuth
from meitner_aio._pipeline.transport import HttpTransport
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio.resources import RESOURCES, Students

# Headers.

CONTROLS = st.sampled_from(
    ["\r", "\n", "\r\n", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u010a", "\u560a", "å", "\ud800"]
)
"""What ends a line, is no text in a header, or turns into one of these where an encoder cuts a code point short."""
around = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=8)
hostile = st.builds("{}{}{}".format, around, CONTROLS, st.sampled_from(["", "Evil: 1", "\r\nEvil: 1\r\n\r\n"]))

BUILDERS: dict[str, Callable[[str], object]] = {
    "a header's value": lambda text: Meitner(*CREDENTIALS, headers={"X-A": text}),
    "a header's name": lambda text: Meitner(*CREDENTIALS, headers={text: "a"}),
    "the user agent": lambda text: Meitner(*CREDENTIALS, user_agent=text),
    "client_credentials": lambda text: Meitner(text, "a-secret"),
    "client_secret": lambda text: Meitner("an-id", text),
    "an API key's id": lambda text: ApiKey(text, "a-secret"),
    "an API key's secret": lambda text: ApiKey("an-id", text),
    "an OAuth id": lambda text: OAuth2(text, "a-secret"),
    "an OAuth secret": lambda text: OAuth2("an-id", text),
    "a base URL": lambda text: Meitner(*CREDENTIALS, base_url=f"https://api.example/{text}"),
    "a base URL's host": lambda text: Meitner(*CREDENTIALS, base_url=f"https://api.{text}example/"),
    "a server": lambda text: Meitner(*CREDENTIALS, server=text),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(text=hostile)
@example(text="a\r\nEvil: 1")
@example(text="a\nEvil: 1")
def test_no_text_makes_a_second_header(build: Callable[[str], object], text: str) -> None:
    """Refused when the client is built, by every way in, with an error that does not repeat the text."""
    with pytest.raises((ValueError, MeitnerError)) as caught:
        build(text)
    assert "Evil" not in f"{caught.value!r}"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(text=hostile, where=st.sampled_from(["https://api.example/", "/oauth/", ""]))
@example(text="a\r\nEvil: 1", where="/oauth/")
def test_no_token_url_makes_a_second_header(text: str, where: str) -> None:
    """Refused, or else without what could end a line: joining URLs drops some of it."""
    try:
        meitner = Meitner(auth=OAuth2("an-id", "a-secret", where + text))
    except MeitnerError as error:
        assert "Evil" not in str(error)
    else:
        assert isinstance(meitner._core.auth, BearerAuth)
        assert re.fullmatch(r"[\x21-\x7e]+", meitner._core.auth._url)


@pytest.mark.parametrize("name", ["CLIENT_CREDENTIALS", "CLIENT_SECRET", "BASE_URL"])
@pytest.mark.parametrize("text", ["a\r\nEvil: 1", "a\nEvil: 1", "a\x1b", "å"])
def test_no_variable_makes_a_second_header(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    """The environment is no better than an argument."""
    for variable, value in {"CLIENT_CREDENTIALS": "an-id", "CLIENT_SECRET": "a-secret", name: text}.items():
        monkeypatch.setenv(f"MEITNER_{variable}", value)
    with pytest.raises(MeitnerError) as caught:
        Meitner()
    assert "Evil" not in str(caught.value)


TOKENS = ["a\r\nEvil: 1", "a\nEvil: 1", "a b", "", "\x1b[2J", "å", "a\x00", "a,b\t", "a\u010aEvil: 1"]


@pytest.mark.parametrize("token", TOKENS, ids=ascii)
async def test_no_token_makes_a_second_header(scripted: Scripted, token: str) -> None:
    """What the token endpoint says is checked before it is a header."""
    reply = answer(data={"access_token": token, "token_type": "Bearer", "expires_in": 60})
    meitner, server = await scripted(reply, auth=OAuth2("a", "b"))
    with pytest.raises(AuthenticationError):
        await meitner.students.get(STUDENT_ID)
    assert {seen.target for seen in server.seen} == {"/oauth/token"}


@pytest.mark.parametrize("text", ["a\r\nEvil: 1", "a\nEvil: 1", "a\x00b"])
@pytest.mark.parametrize("where", ["name", "value"])
async def test_no_auth_of_the_callers_makes_a_second_header(scripted: Scripted, where: str, text: str) -> None:
    """Its headers are looked at by nobody before aiohttp, which refuses: nothing is sent, and a MeitnerError says so."""

    class Gateway:
        async def headers(self) -> dict[str, str]:
            return {text: "a"} if where == "name" else {"X-A": text}

    meitner, server = await scripted(answer(), auth=Gateway(), max_retries=0)
    for operation in (meitner.students.get(STUDENT_ID), meitner.units.create(title="Norr")):
        with pytest.raises((MeitnerError, ValueError)) as caught:
            await operation
        assert "Evil" not in f"{caught.value!r}"
    assert [seen for seen in server.seen if "evil" in seen.headers] == []
    assert server.seen == []


PROXIES = [
    "http://127.0.0.1:1\r\nEvil: 1",
    "http://127.0.0.1:1/\nEvil",
    "not a proxy",
    "http://a\x00b",
    "socks5://127.0.0.1:1",
]


@pytest.mark.parametrize("proxy", PROXIES, ids=ascii)
async def test_no_proxy_makes_a_second_header(scripted: Scripted, proxy: str) -> None:
    """A proxy that is none ends in an error of ours; nothing goes to the server around it."""
    servers: list[Any] = []

    async def ask() -> None:
        meitner, server = await scripted(answer(), proxy=proxy, max_retries=0)
        servers.append(server)
        await meitner.students.get(STUDENT_ID)

    with pytest.raises((MeitnerError, ValueError)) as caught:
        await ask()
    assert [server.seen for server in servers] in ([], [[]])
    assert "Evil" not in f"{caught.value!r}"


# Paths.

PATH = re.compile(
    r"/directory/v1/[a-z-]+(/_search|/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(/archive|/restore)?)?", re.ASCII
)
BASE = "https://api.example/directory/v1"
_wire = HttpTransport(BASE)


def _sent(awaitable: Any) -> Request:
    """Return the request of a call, as soon as it is made."""
    try:
        asyncio.run(awaitable)
    except _Sent as sent:
        return sent.args[0]
    raise AssertionError("nothing was sent")


class _Sent(Exception):
    """Carries a request out of a call."""


async def _send(request: Request) -> RawResponse:
    raise _Sent(request)


def _on_the_wire(request: Request) -> tuple[str, str]:
    """Return path and query as aiohttp writes them into the request's first line."""
    url = _wire._url(request)
    assert (url.scheme, url.host, url.fragment, url.user) == ("https", "api.example", "", None)
    return url.raw_path, url.raw_query_string


BY_ID = [
    (kind(_send), name) for kind in RESOURCES.values() for name, one in operations(kind).items() if "{id}" in one.suffix
]
_hex = st.text("0123456789abcdefABCDEF", min_size=8, max_size=12)
_uuid = st.uuids().map(str)
_pieces = [
    "/",
    "..",
    "../",
    "%2e%2e%2f",
    "\\",
    "?",
    "#",
    "&",
    ";",
    "//",
    "\r\n",
    "\0",
    "@",
    ":",
    "_search",
    "archive",
    "%00",
    " ",
    "{id}",
]
ids = st.one_of(
    st.text(max_size=40),
    _uuid,
    _uuid.map(str.upper),
    st.uuids().map(lambda one: one.hex),
    st.uuids().map(lambda one: f"{{{one}}}"),
    st.uuids().map(lambda one: one.urn),
    st.builds("{}{}".format, _uuid, st.sampled_from([*_pieces, "/archive", "\n", "\u2028", "\u0661"])),
    st.builds("{}{}".format, st.sampled_from(_pieces), _uuid),
    st.lists(st.sampled_from(_pieces) | _hex, max_size=6).map("".join),
    st.builds(lambda one, at, what: one[:at] + what + one[at + 1 :], _uuid, st.integers(0, 35), st.characters()),
    _uuid.map(lambda one: one.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))),
    _uuid.map(lambda one: one.translate(str.maketrans("-", "\u2010"))),
    _uuid.map(lambda one: one.translate(str.maketrans("abcdef", "\uff41\uff42\uff43\uff44\uff45\uff46"))),
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(ids, min_size=20, max_size=20))
def test_no_id_leads_to_another_path(several: list[str]) -> None:
    """2,000 ids: what is no UUID is refused before any I/O, and what is one stands in the path as itself."""
    for number, id in enumerate(several):
        resource, name = BY_ID[(number + len(id)) % len(BY_ID)]
        body = operations(type(resource))[name].body
        given = {} if body is None else required(body)
        try:
            path, query = _on_the_wire(_sent(getattr(resource, name)(id, **given)))
        except ValueError:
            with pytest.raises(ValueError, match=r"^id must be a UUID"):
                getattr(resource, name)(id, **given)
            continue
        assert PATH.fullmatch(path), path
        assert (str(UUID(id)) in path, query) == (True, "")


texts = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(_pieces), max_size=6).map("".join), st.just("a\ud800"))
TEXTS = ("first_name", "last_name", "identity_number", "email_address1", "phone_number1")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(texts, min_size=20, max_size=20))
def test_no_filter_leaves_its_body(several: list[str]) -> None:
    """2,000 texts to search for: the path is always the same, and the body says the text and nothing else."""
    students = Students(_send)
    for number, text in enumerate(several):
        name = TEXTS[number % len(TEXTS)]
        value = (text, like(text), one_of(text, text), ~like(text))[number % 4]
        nested = number % 2 == 1
        try:
            asked = {"any_of": [StudentQuery(**{name: value})]} if nested else {name: value}
            request = _sent(students.search(**asked).count())
        except ValueError:
            assert "\ud800" in text
            continue
        assert _on_the_wire(request) == ("/directory/v1/student/_search", request.query)
        assert re.fullmatch(r"limit=\d+&offset=\d+", request.query)
        level = json.loads(request.body or b"")["filter"]
        groups = level["nestedFilters"][0] if nested else level
        [found] = [group for group in groups.values() if isinstance(group, dict)]
        assert next(iter(found.values())) in (text, [text, text])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(max_size=20), st.sampled_from(["modify", "upsert", "get_many"]))
def test_no_id_that_a_server_made_up_leads_to_another_path(id: str, how: str) -> None:
    """A record whose id is no UUID is not written back to wherever its id points."""
    asked: list[Request] = []

    async def send(request: Request) -> RawResponse:
        asked.append(request)
        row = {**STUDENT, "id": id}
        rows = {"data": [row], "pagination": {"offset": 0, "limit": 2, "total": 1}}
        body = rows if request.operation == "search" else row
        return RawResponse(200, Headers({"Content-Type": "application/json"}), json.dumps(body).encode())

    students = Students(send)
    person: Any = record(Students.model)
    calls = {
        "modify": lambda: students.modify(type(person)(**{**_fields(person), "id": id}), first_name="Bo"),
        "upsert": lambda: students.upsert("identity_number", **{**required(_create()), "first_name": "Bo"}),
        "get_many": lambda: students.get_many([STUDENT_ID]),
    }
    with suppress(ValueError, MeitnerError):
        asyncio.run(_awaited(calls[how]))
    assert [request.path for request in asked if not PATH.fullmatch(_on_the_wire(request)[0])] == []


async def _awaited(call: Callable[[], Any]) -> Any:
    return await call()


def _create() -> Any:
    return operations(Students)["create"].body


def _fields(person: Any) -> dict[str, Any]:
    return {name: getattr(person, name) for name in person.__struct_fields__}


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=RESOURCES)
async def test_every_operation_keeps_to_the_paths_of_the_api(resource: Any) -> None:
    """The control: good calls of every operation match the pattern that hostile ones are held to."""
    for name in operations(resource):
        with pytest.raises(_Sent) as sent:
            await (await call(resource, name, _send))  # a listing asks when it is read
        assert PATH.fullmatch(_on_the_wire(sent.value.args[0])[0])


async def test_what_goes_over_a_socket_is_what_was_checked(scripted: Scripted) -> None:
    """aiohttp changes nothing of a path on its way into the request's first line."""
    meitner, server = await scripted(answer(), answer(), page([]))
    await meitner.students.get(STUDENT_ID.upper())
    await meitner.students.update(STUDENT_ID, **required(operations(Students)["update"].body))  # type: ignore[arg-type]
    await meitner.students.search(last_name="../?#\r\n%").all()
    targets = [seen.target.partition("?")[0] for seen in server.seen]
    assert targets == [f"/directory/v1/student/{STUDENT_ID}"] * 2 + ["/directory/v1/student/_search"]
