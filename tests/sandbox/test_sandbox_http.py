"""The sandbox over HTTP, through a plain aiohttp session: the same answers, on the wire."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from email.utils import parsedate_to_datetime

import aiohttp
import pytest
from sandbox_calls import KEY, NOBODY, NOON, Clock, call, person
from yarl import URL

from meitner_aio.sandbox import Fault, Sandbox


@pytest.fixture
async def session():
    """Give a session that carries credentials."""
    async with aiohttp.ClientSession(headers=KEY) as session:
        yield session


async def test_a_record_through_its_whole_life(session):
    """Create, get, update, search, list, delete: statuses, bodies and types as the API documents them."""
    async with Sandbox(students=0, schools=0) as sandbox:
        url = f"{sandbox.url}/student"
        async with session.post(url, json=person(lastName="Åberg")) as answer:
            row = await answer.json()
            assert (answer.status, answer.content_type) == (201, "application/json")
        async with session.get(f"{url}/{row['id']}") as answer:
            assert (answer.status, await answer.json()) == (200, row)
        same = {name: row[name] for name in ("identityNumber", "firstName", "lastName")}
        async with session.patch(f"{url}/{row['id']}", json={**same, "gender": "Other"}) as answer:
            row = await answer.json()
            assert (answer.status, row["gender"]) == (200, "Other")
        found = {"filter": {"orCondition": False, "like": {"lastName": "Å%"}}}
        async with session.post(f"{url}/_search", json=found, params={"limit": 7}) as answer:
            page = {"data": [row], "pagination": {"offset": 0, "limit": 7, "total": 1}}
            assert (answer.status, await answer.json()) == (200, page)
        async with session.get(url, params={"limit": 7}) as answer:
            assert await answer.json() == page
        async with session.delete(f"{url}/{row['id']}") as answer:
            assert (answer.status, await answer.read()) == (204, b"")
        async with session.get(f"{url}/{row['id']}") as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (404, "NotFound")


async def test_in_process_and_over_http_is_one_directory(session):
    """What is written at one is read at the other, and both are remembered."""
    async with Sandbox() as sandbox:
        async with session.get(f"{sandbox.url}/student?limit=20&offset=30") as answer:
            outside = await answer.json()
        inside = await call(sandbox, "GET", "/student", query="limit=20&offset=30")
        assert outside == inside.data
        assert list(sandbox.requests) == [("GET", "/student", 200)] * 2


async def test_headers_ride_on_every_answer(session):
    """Quota, date by the sandbox's clock and request id, on successes and errors."""
    async with Sandbox(clock=Clock(), quota=2, limiter="window") as sandbox:
        for path, status, remaining in (("/student", 200, "1"), ("/student/5", 400, "0"), ("/student", 429, "0")):
            async with session.get(sandbox.url + path) as answer:
                assert answer.status == status
                assert answer.headers["RateLimit-Limit"] == "2"
                assert answer.headers["RateLimit-Remaining"] == remaining
                assert answer.headers["RateLimit-Reset"] == str(int((NOON + 3600) * 1000))
                assert parsedate_to_datetime(answer.headers["Date"]).timestamp() == NOON
                assert len(answer.headers["X-Request-ID"]) == 36


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/directory/v1/student/%7Bid%7D", 400),
        ("PUT", "/directory/v1/student", 405),
        ("OPTIONS", "/directory/v1/student", 405),
        ("GET", "/directory/v1/student/_search", 405),
        ("GET", f"/directory/v1/student/{NOBODY}", 404),
        ("GET", "/directory/v1/student?limit=0", 400),
    ],
)
async def test_errors_are_the_api_s_everywhere(method, path, status, session):
    """On a path of the API, no method is answered by the HTTP library in its own words."""
    async with Sandbox() as sandbox:
        origin = sandbox.url.removesuffix("/directory/v1")
        async with session.request(method, origin + path) as answer:
            assert answer.status == status
            assert (await answer.json())["error"].keys() == {"code", "message", "requestID"}


@pytest.mark.parametrize(
    "path",
    [
        "/student",
        "/directory/v1",
        "/directory/v1/",
        "/directory/v1/student/",
        "/directory/v1//student",
        "/directory/v1/grade-elementary/_search",
        "/-/nothing",
    ],
)
async def test_another_path_is_answered_as_by_a_router(path, session):
    """In plain text."""
    async with Sandbox() as sandbox, session.get(sandbox.url.removesuffix("/directory/v1") + path) as answer:
        assert (answer.status, answer.content_type, await answer.text()) == (
            404,
            "text/plain",
            "404 page not found",
        )


async def test_head_has_no_body(session):
    """Refused like any other method, in the form that HTTP demands."""
    async with Sandbox() as sandbox, session.head(f"{sandbox.url}/student") as answer:
        assert (answer.status, await answer.read()) == (405, b"")


async def test_bodies_as_they_come(session):
    """Chunked, compressed and large ones are read; one that does not claim to be JSON is refused."""
    async with Sandbox(students=0, schools=0) as sandbox:
        url = f"{sandbox.url}/unit"
        json_type = {"Content-Type": "application/json"}

        async def chunks():
            yield b'{"title":'
            yield b'"a"}'

        async with session.post(url, data=chunks(), headers=json_type) as answer:
            assert answer.status == 201
        packed = gzip.compress(b'{"title":"b"}')
        async with session.post(url, data=packed, headers={**json_type, "Content-Encoding": "gzip"}) as answer:
            assert answer.status == 201
        ids = {"filter": {"orCondition": False, "contains": {"id": [NOBODY] * 60_000}}}
        large = io.BytesIO(json.dumps(ids).encode())
        async with session.post(f"{url}/_search", data=large, headers=json_type) as answer:
            assert (answer.status, (await answer.json())["data"]) == (200, [])
        for data in (b'{"title":"c"}', {"title": "c"}, None):
            async with session.post(url, data=data) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (400, "BadRequest")


async def test_a_token_over_http():
    """At the origin and below the base URL; the token opens the API."""
    async with Sandbox(credentials=("a", "b")) as sandbox, aiohttp.ClientSession() as session:
        origin = sandbox.url.removesuffix("/directory/v1")
        for base in (origin, sandbox.url):
            form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
            async with session.post(f"{base}/oauth/token", data=form) as answer:
                token = (await answer.json())["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            async with session.get(f"{sandbox.url}/unit", headers=headers) as answer:
                assert answer.status == 200
        async with session.get(f"{sandbox.url}/unit") as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (401, "Unauthorized")
        basic = aiohttp.encode_basic_auth("a", "wrong")
        form = {"grant_type": "client_credentials"}
        async with session.post(f"{origin}/oauth/token", data=form, headers={"Authorization": basic}) as answer:
            assert (answer.status, await answer.json()) == (401, {"error": "invalid_client"})


@pytest.mark.parametrize("committed", [False, True])
async def test_a_cut_connection_is_cut(committed, session, caplog):
    """No byte of an answer, and nothing in the logs; the next request is served."""
    faults = [Fault(0, committed=committed, times=1, operations=["create"])]
    async with Sandbox(students=0, schools=0, faults=faults) as sandbox:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.post(f"{sandbox.url}/unit", json={"title": "a"})
        assert len(sandbox.records("units")) == committed
        async with session.get(f"{sandbox.url}/unit") as answer:
            assert len((await answer.json())["data"]) == committed
        assert caplog.records == []


async def test_a_fault_is_what_it_says(session):
    """Status, headers and body reach the wire as ordered."""
    fault = Fault(502, headers={"Content-Type": "text/html", "Retry-After": "3"}, body=b"<h1>Bad gateway</h1>")
    async with Sandbox(faults=[fault]) as sandbox, session.get(f"{sandbox.url}/unit") as answer:
        assert (answer.status, answer.content_type, answer.headers["Retry-After"]) == (502, "text/html", "3")
        assert await answer.read() == fault.body


async def test_requests_run_side_by_side(session):
    """Latency is each request's own."""
    async with Sandbox(latency=0.2) as sandbox:
        started = asyncio.get_running_loop().time()

        async def one():
            async with session.get(f"{sandbox.url}/unit") as answer:
                return answer.status

        assert await asyncio.gather(*(one() for _ in range(20))) == [200] * 20
        assert asyncio.get_running_loop().time() - started < 2


async def test_it_starts_and_stops(session):
    """On a given port, more than once, with what it holds kept; served twice or not at all, it says so."""
    sandbox = Sandbox(students=0, schools=0)
    with pytest.raises(RuntimeError, match="not served"):
        _ = sandbox.url
    url = await sandbox.start()
    for count in (1, 2):
        assert sandbox.url == url in repr(sandbox)
        with pytest.raises(RuntimeError, match="already"):
            await sandbox.start()
        async with session.post(f"{url}/unit", json={"title": "a"}) as answer:
            assert answer.status == 201
        await sandbox.close()
        await sandbox.close()
        assert len(sandbox.records("units")) == count
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(f"{url}/unit")
        assert await sandbox.start("127.0.0.1", URL(url).port or 0) == url
    await sandbox.close()


async def test_a_port_that_is_taken():
    """The error is the system's, and the sandbox can be started elsewhere afterwards."""
    async with Sandbox() as first:
        second = Sandbox()
        with pytest.raises(OSError, match="in use"):
            await second.start(port=URL(first.url).port)
        async with second:
            assert second.url != first.url


async def test_closing_does_not_wait_for_connections(session):
    """Clients that keep their connection open do not hold the sandbox up, and leave no task behind."""
    before = asyncio.all_tasks()
    async with Sandbox() as sandbox:
        async with session.get(f"{sandbox.url}/unit") as answer:
            await answer.read()
        started = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - started < 0.5
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
