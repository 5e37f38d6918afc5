"""A declared resource stays where it is declared: below the base URL, or below a sibling of the same origin."""

from __future__ import annotations

import pytest
from conftest import AT_ONCE, CREDENTIALS, NO_QUOTA
from raw_server import RawServer, answer

from meitner_aio import ApiKey, Meitner
from meitner_aio._pipeline.settings import api_url
from meitner_aio.declare import Action, Get, List, Record, Resource

CLIENT = Meitner(auth=ApiKey("me", "hush"))


class Thing(Record):
    """Whatever."""

    id: str


def made(**declared):
    """Return a class with this table."""
    return type("Things", (Resource,), {"model": Thing, "path": "/things", "list": List()} | declared)


class Inner(Resource[Thing]):
    """Things in two folders."""

    path = "/a/{one}/b/{other_one}"
    model = Thing
    id_pattern = r".+"

    get = Get()
    ping = Action("POST", "/{id}:ping")


@pytest.mark.parametrize(
    "path",
    [
        "things",
        "//host/things",
        "https://host/things",
        "/a//b",
        "/..",
        "/a/../b",
        "/./a",
        "/a/",
        "/a?b=c",
        "/a#b",
        "/a%2e",
        "/a\\b",
        "/å",
        "/a b",
        "/{}",
        "/{A}",
        "/{a",
        "/{id}",
        "/{a}/{a}",
        None,
        7,
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused_with_the_class(path):
    """Absolute URLs, dots, another host, a query, an escape; and parameters that are none."""
    with pytest.raises(TypeError, match="path"):
        made(path=path)


@pytest.mark.parametrize("api", ["/v1", "https://host/v1", "//host", "../v1", "a/../b", "a?b", "{a}", None, 7])
def test_a_sibling_that_could_lead_elsewhere_is_refused_with_the_class(api):
    """The name of another API is a plain path below the origin."""
    with pytest.raises(TypeError, match="api"):
        made(api=api)


@pytest.mark.parametrize("suffix", ["/..", "//host", "https://host", "/{id}/../x", "/{id}/{x}", "{id}", ""])
def test_an_action_that_could_lead_elsewhere_is_refused_with_the_class(suffix):
    """The same for what an action adds to the path."""
    with pytest.raises(TypeError, match="path"):
        made(act=Action("POST", suffix))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("x", "x"),
        ("0f1e-2", "0f1e-2"),
        ("a b", "a%20b"),
        ("å?#%", "%C3%A5%3F%23%25"),
        ("{id}", "%7Bid%7D"),
        ("a;b=c&d", "a%3Bb%3Dc%26d"),
        ("...x", "...x"),
    ],
)
async def test_a_value_is_escaped_into_its_segment(value, written):
    """Parameters and ids alike, as the bytes that arrive show; nothing is escaped twice."""
    async with (
        RawServer([answer(200, {"id": value})]) as server,
        Meitner(*CREDENTIALS, base_url=server.url, retry=AT_ONCE, quota=NO_QUOTA) as meitner,
    ):
        inner = meitner.resource(Inner, one=value, other_one="z")
        await inner.get(value)
        await inner.ping(value)
    assert [seen.target for seen in server.seen] == [
        f"/directory/v1/a/{written}/b/z/{written}",
        f"/directory/v1/a/{written}/b/z/{written}:ping",
    ]


@pytest.mark.parametrize("value", ["", ".", "..", "...", "a/b", "../x", "a\\b", "a\nb", "a\x00", "\ud800"])
def test_a_value_that_could_leave_its_segment_is_refused(value):
    """Before any request, and without quoting it; a server may undo escapes before it looks for slashes."""
    with pytest.raises(ValueError, match="one must be text for one segment") as caught:
        CLIENT.resource(Inner, one=value, other_one="z")
    assert len(value) < 3 or value not in str(caught.value)
    with pytest.raises(ValueError, match="id must be text for one segment"):
        CLIENT.resource(Inner, one="x", other_one="z").get(value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, r"Inner lacks one, other_one for its path .*: meitner.resource\(Inner, one=...\)"),
        ({"one": "x"}, "Inner lacks other_one"),
        ({"one": "x", "other_one": "y", "third": "z"}, "Inner has no parameter 'third' in its path"),
        ({"one": 7, "other_one": "y"}, "one must be a str, not int"),
    ],
)
def test_parameters_are_those_of_the_path(given, told):
    """What is missing or unknown is named when the resource is made, not at the first call."""
    with pytest.raises(TypeError, match=told):
        CLIENT.resource(Inner, **given)


@pytest.mark.parametrize("kind", [Resource, Thing, None, 7, Meitner])
def test_only_a_declaration_can_be_asked_for(kind):
    """A clear error for anything else."""
    with pytest.raises(TypeError, match="declares operations"):
        CLIENT.resource(kind)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://api.example/directory/v1", "https://api.example/data-export/v1"),
        ("https://gate.example/meitner/directory/v1", "https://gate.example/meitner/data-export/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/data-export/v1"),
        ("http://127.0.0.1:8080/other/v2", "http://127.0.0.1:8080/data-export/v1"),
    ],
)
def test_a_sibling_api_has_the_origin_of_the_client(base, expected):
    """Beside the directory where the base URL names it, which keeps the path of a gateway; else below the origin."""
    assert api_url(base, "data-export/v1") == expected
    assert api_url(base, "") == base


def test_routes_name_parameters_and_not_their_values():
    """Logs, errors and metrics say `/a/{one}/b/{other_one}/{id}`: a value may be personal."""
    inner = CLIENT.resource(Inner, one="secret", other_one="z")
    assert "GET /a/{one}/b/{other_one}/{id}" in (inner.get.__doc__ or "")
    assert "secret" not in repr(inner)
