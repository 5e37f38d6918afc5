"""`meitner.request`: any endpoint, as safe and as patient as the declared ones."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

import pytest
from conftest import CREDENTIALS, Scripted
from hypothesis import example, given
from hypothesis import strategies as st
from raw_server import STUDENT_ID, RawServer, answer, failure

from meitner_aio import (
    AmbiguousWriteError,
    Gender,
    InternalServerError,
    Meitner,
    NotFoundError,
    RawResponse,
    RequestSent,
    UnitFields,
)
from meitner_aio._wire.raw_request import any_request


async def test_any_endpoint_is_reached_with_the_client_credentials(scripted: Scripted) -> None:
    """The answer comes raw, with what was learned on the way."""
    meitner, server = await scripted(failure(503), answer(200, {"any": "thing"}, headers={"X-Request-ID": "r-7"}))
    got = await meitner.request("get", "/new-thing", params={"limit": 5})
    assert isinstance(got, RawResponse)
    assert (got.status, json.loads(got.body), got.request_id, got.attempts) == (200, {"any": "thing"}, "r-7", 2)
    assert got.elapsed > 0
    assert got.headers["content-type"] == "application/json"
    seen = server.seen[-1]
    assert (seen.method, seen.target) == ("GET", "/directory/v1/new-thing?limit=5")
    assert seen.headers["client-id"] == CREDENTIALS[0]


async def test_a_body_is_whatever_msgspec_encodes(scripted: Scripted) -> None:
    """Our own writes too: what is unset is not sent."""
    meitner, server = await scripted(answer(201))
    for body in ({"title": "Norr"}, UnitFields(title="Norr"), [1, None, date(2026, 3, 1)]):
        await meitner.request("POST", "unit", json=body)
    assert [json.loads(seen.body) for seen in server.seen] == [{"title": "Norr"}] * 2 + [[1, None, "2026-03-01"]]
    assert {seen.headers["content-type"] for seen in server.seen} == {"application/json"}


async def test_failures_are_the_errors_of_the_status(scripted: Scripted) -> None:
    """With the facts that every error has, and a route without the id."""
    meitner, _ = await scripted(failure(404, "NotFound"))
    with pytest.raises(NotFoundError) as caught:
        await meitner.request("GET", f"/student/{STUDENT_ID}/notes")
    assert (caught.value.method, caught.value.route) == ("GET", "/student/{id}/notes")
    assert caught.value.request_id == "req-1"


@pytest.mark.parametrize(
    ("method", "path", "attempts"),
    [
        ("GET", "/x", 3),
        ("HEAD", "/x", 3),
        ("PUT", "/x", 3),
        ("PATCH", "/x", 3),
        ("DELETE", "/x", 3),
        ("POST", "/student/_search", 3),  # a read of the API, although POST
        ("POST", "/x", 1),
    ],
)
async def test_what_may_be_sent_again_is_told_by_the_method(
    scripted: Scripted, method: str, path: str, attempts: int
) -> None:
    """A POST that may have been processed is not: AmbiguousWriteError."""
    meitner, server = await scripted(answer(500, headers={"Connection": "close"}, body=b""))
    with pytest.raises(AmbiguousWriteError if attempts == 1 else InternalServerError):
        await meitner.request(method, path, json=None if method in ("GET", "HEAD") else {})
    assert len(server.seen) == attempts


async def test_a_delete_whose_answer_was_lost_is_done_when_nothing_is_there(scripted: Scripted) -> None:
    """As with the declared ones."""
    meitner, server = await scripted(None, failure(404, "NotFound"))
    assert (await meitner.request("DELETE", f"/thing/{STUDENT_ID}")).status == 204
    assert len(server.seen) >= 2


async def test_a_post_that_was_refused_is_sent_again(scripted: Scripted) -> None:
    """429 says that nothing was done."""
    meitner, server = await scripted(failure(429, Retry_After="0"), answer(201))
    assert (await meitner.request("POST", "/unit", json={"title": "Norr"})).status == 201
    assert len(server.seen) == 2


async def test_head_is_answered_without_a_body(scripted: Scripted) -> None:
    """Whatever length its headers promise."""
    meitner, _ = await scripted(b"HTTP/1.1 200 X\r\nContent-Length: 500\r\nContent-Type: application/json\r\n\r\n")
    got = await meitner.request("HEAD", "/student")
    assert (got.status, got.body) == (200, b"")


async def test_the_sandbox_answers_too() -> None:
    """In process, without a socket."""
    async with Meitner.sandbox(students=7, schools=1) as meitner:
        got = await meitner.request(
            "POST", "/student/_search", params={"limit": 2}, json={"filter": {"orCondition": False}}
        )
        assert json.loads(got.body)["pagination"] == {"offset": 0, "limit": 2, "total": 7}


class _Far:
    """Never asked."""

    async def send(self, _: object) -> RawResponse:
        raise AssertionError("something was sent")

    async def close(self) -> None: ...


BAD_PATHS = [
    "",
    "/",
    "//evil.example/student",
    "https://evil.example/student",
    "http:/evil.example",
    "/student/../school",
    "/student/..",
    "../student",
    "./student",
    "/student/%2e%2e/school",
    "/student%2f..",
    "/student?limit=1",
    "/student#x",
    "/student\\..\\school",
    "/student\r\nEvil: 1",
    "/student\n",
    "/student\x00",
    "/student /x",
    "/stud\u00e9nt",
    "/student//x",
    "/student/",
    "/student;x=1",
    "/student@evil.example",
    "/student/{id}",
    None,
    b"/student",
]


@pytest.mark.parametrize("path", BAD_PATHS)
async def test_a_path_that_could_lead_elsewhere_is_refused_before_any_request(path: Any) -> None:
    """The credentials go below the base URL and nowhere else; the path is not repeated."""
    async with Meitner.sandbox(students=1, schools=1) as meitner:
        meitner._core.transport.send = _Far().send  # type: ignore[method-assign]
        with pytest.raises(ValueError, match="path must be") as caught:
            await meitner.request("GET", path)
    assert "evil" not in str(caught.value)


@given(st.text() | st.from_regex(r"\A[/.A-Za-z0-9%:?#@\\-]{0,12}\Z"))
@example("a/.b/..c")
def test_whatever_the_text_it_is_a_path_below_or_refused(text: str) -> None:
    """S3: on the wire there are only segments of unreserved characters, none of them dots."""
    try:
        request = any_request("GET", text, None, None)
    except ValueError:
        return
    assert re.fullmatch(r"(?:/[A-Za-z0-9_~.-]+)+", request.path)
    assert not {".", ".."} & set(request.path.split("/"))
    assert request.path.removeprefix("/") == text.removeprefix("/")


@pytest.mark.parametrize("method", ["", "TRACE", "CONNECT", "OPTIONS", "GET /evil HTTP/1.1\r\n", None, b"GET"])
def test_methods_that_the_api_cannot_mean_are_refused(method: Any) -> None:
    """A typing error is no request."""
    with pytest.raises(ValueError, match="method must be one of GET"):
        any_request(method, "/x", None, None)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        (f"/student/{STUDENT_ID}", "/student/{id}"),
        (f"student-placement/{STUDENT_ID}/archive", "/student-placement/{id}/archive"),
        (f"/a/{STUDENT_ID.upper()}/b/{STUDENT_ID}", "/a/{id}/b/{id}"),
        ("/student/20150101-0000", "/student/{id}"),
        ("/student/bo.ek", "/student/{id}"),
        ("/v2/student/_search", "/v2/student/_search"),
    ],
)
def test_a_route_holds_no_id(path: str, route: str) -> None:
    """Errors, events and log lines show the route: an identity number is no part of it."""
    assert any_request("POST", path, None, None).route == route


@pytest.mark.parametrize(
    ("params", "pairs"),
    [
        ({}, []),
        ({"a": "x&y=z#?/ å"}, [("a", "x&y=z#?/ å")]),
        ({"a": 1, "b": 2.5, "c": True, "d": None}, [("a", "1"), ("b", "2.5"), ("c", "true")]),
        ({"a": ["x", 1, None]}, [("a", "x"), ("a", "1")]),
        ({"a": date(2026, 3, 1)}, [("a", "2026-03-01")]),
        ({"a": datetime(2026, 3, 1, 12, tzinfo=UTC)}, [("a", "2026-03-01T12:00:00Z")]),
        ({"a": datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=1)))}, [("a", "2026-03-01T11:00:00Z")]),
        ({"a": Gender.FEMALE}, [("a", "Female")]),
        ({"a b": "1"}, [("a b", "1")]),
    ],
)
def test_params_arrive_as_they_were_meant(params: dict[str, Any], pairs: list[tuple[str, str]]) -> None:
    """Escaped, in order; None is left out, a sequence is repeated."""
    query = any_request("GET", "/x", params, None).query
    assert query.isascii()
    assert not re.search(r"[\s#/?]", query)
    assert parse_qsl(query, keep_blank_values=True) == pairs


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(_TEXT, _TEXT | st.integers() | st.lists(_TEXT)))
def test_whatever_params_hold_they_arrive(params: dict[str, Any]) -> None:
    """Nothing in a value can end it."""
    query = any_request("GET", "/x", params, None).query
    wanted = [(k, str(one)) for k, v in params.items() for one in (v if isinstance(v, list) else [v])]
    assert parse_qsl(query, keep_blank_values=True) == wanted


@pytest.mark.parametrize(
    ("params", "json", "error"),
    [
        ({"a": object()}, None, TypeError),
        ({"a": {"b": {"c": 1}}}, None, TypeError),
        ({"a": b"x"}, None, TypeError),
        ({"a": float("nan")}, None, TypeError),
        ({"a": datetime(2026, 3, 1)}, None, ValueError),
        ({"a": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))}, None, ValueError),
        ({1: "x"}, None, TypeError),
        ({"a": "canary\ud800"}, None, ValueError),
        (None, object(), TypeError),
        (None, {"a": "canary\ud800"}, ValueError),
    ],
)
def test_what_cannot_be_sent_is_refused_without_quoting_it(params: Any, json: Any, error: type[Exception]) -> None:
    """Before any request; values are personal data, in the error and in what caused it."""
    with pytest.raises(error) as caught:
        any_request("POST", "/x", params, json)
    assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


def test_a_body_that_holds_itself_is_refused() -> None:
    """No RecursionError escapes."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="itself"):
        any_request("POST", "/x", None, endless)


async def test_it_waits_its_turn_and_is_told_like_any_call() -> None:
    """The same gate and the same events."""
    told: list[Any] = []
    arrived, hold = 0, asyncio.Event()

    async def slow(writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        await hold.wait()
        writer.write(answer())

    async with (
        RawServer([answer(), slow]) as server,
        Meitner(*CREDENTIALS, base_url=server.url, max_concurrency=2, on_event=told.append) as meitner,
    ):
        await meitner.request("GET", "/x")
        calls = [asyncio.create_task(meitner.request("GET", "/x")) for _ in range(5)]
        while arrived < 2:
            await asyncio.sleep(0)
        assert len([event for event in told if isinstance(event, RequestSent)]) == 6
        assert arrived == 2
        hold.set()
        await asyncio.gather(*calls)
