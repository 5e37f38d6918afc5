"""What three documents of other clients promise, as far as a client of this API can keep it: one test per promise.

"Meitner" is the official client of this API, "Wootiv" and "Schematic" are clients of others. Each docstring names the
documents that a promise comes from, and says how it is kept here. `docs/coming-from.md` maps
their idioms to those of this package.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import socket
import subprocess
import sys
from datetime import date
from typing import Any

import aiohttp
import pytest
from conftest import Scripted
from raw_server import STUDENT_ID, RawServer, answer, failure, page

import meitner_aio
from meitner_aio import (
    RESOURCES,
    Address,
    AmbiguousWriteError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    External,
    Gender,
    InternalServerError,
    Meitner,
    MeitnerError,
    NotFoundError,
    PageInfo,
    PermissionDeniedError,
    RateLimitError,
    ResponseValidationError,
    RetryPolicy,
    Student,
    UnprocessableEntityError,
    to_dict,
)
from meitner_aio.sandbox import Sandbox, fault

NOBODY = "00000000-0000-4000-8000-000000000000"
CHILD = {"identity_number": "20150315-1234", "first_name": "Sixten", "last_name": "Ek"}
STATUSES: list[tuple[int, type[APIStatusError]]] = [
    (400, BadRequestError),
    (401, AuthenticationError),
    (403, PermissionDeniedError),
    (404, NotFoundError),
    (409, ConflictError),
    (422, UnprocessableEntityError),
    (429, RateLimitError),
    (500, InternalServerError),
    (503, InternalServerError),
]

# Opening a client


LISTED = {
    "employee_placements": "list create search get delete update",
    "employees": "list create search get delete update",
    "groups": "list create search get delete update",
    "guardians": "list create search get delete update",
    "schools": "list create search get update",
}


@pytest.mark.parametrize("attribute", LISTED)
async def test_every_operation_that_is_listed_works(meitner, meitner_sandbox, attribute):
    """Meitner: 29 operations by name; every one reaches the route of its own here, and comes back with a record."""
    resource: Any = getattr(meitner, attribute)
    record = await resource.list().first()
    assert await resource.get(record.id) == record
    assert await resource.search(id=record.id).all() == [record]
    assert (await resource.modify(record, **_a_change(attribute))).id == record.id
    made = await resource.create(**_a_new(attribute, meitner_sandbox))
    if "delete" in LISTED[attribute]:
        assert await resource.delete(made.id) is None
        with pytest.raises(NotFoundError):
            await resource.get(made.id)
    asked = {seen.operation.partition(".")[2] for seen in meitner_sandbox.requests}
    assert asked == set(LISTED[attribute].split())


def _a_change(attribute: str) -> dict[str, Any]:
    return {
        "groups": {"title": "Lag 7"},
        "schools": {"title": "Ekskolan"},
        "employee_placements": {"end_date": date(2099, 6, 1)},
    }.get(attribute, {"first_name": "Ada"})


def _a_new(attribute: str, sandbox: Sandbox) -> dict[str, Any]:
    school, employee = sandbox.records("schools")[0].id, sandbox.records("employees")[0].id
    return {
        "groups": {"title": "Lag 8", "school_id": school, "category": "Other"},
        "schools": {"title": "Alskolan", "school_type": "GR"},
        "employee_placements": {"employee_id": employee, "school_id": school, "start_date": date(2040, 8, 18)},
    }.get(attribute, dict(CHILD))


def test_there_is_no_second_operation_to_look_for():
    """Meitner: operations carry their resource; here the whole API does, and what it lacks does not exist."""
    client = Meitner("an-id", "a-secret")
    assert len(RESOURCES) == 11
    assert not hasattr(client.schools, "delete")
    assert not hasattr(client.audit_events, "create")


@pytest.mark.usefixtures("meitner_environment")
async def test_both_credentials_come_from_the_environment(meitner_sandbox, monkeypatch):
    """Meitner, Wootiv: nothing in the source; without them the client is not built, and says which variables it wants."""
    async with Meitner() as meitner:
        await meitner.schools.list().count()
    assert meitner_sandbox.requests[-1].status == 200
    for name in ("CLIENT_CREDENTIALS", "CLIENT_SECRET"):
        monkeypatch.delenv(f"MEITNER_{name}")
    with pytest.raises(ConfigurationError, match="MEITNER_CLIENT_CREDENTIALS and MEITNER_CLIENT_SECRET"):
        Meitner()


async def test_credentials_are_two_arguments(scripted: Scripted):
    """Meitner, Wootiv, Schematic: or they are passed, and reach every request as the two headers."""
    client, server = await scripted(answer())
    await client.students.get(STUDENT_ID)
    headers = server.seen[0].headers
    assert (headers["client-id"], headers["client-secret"]) == ("an-id", "a-secret")


@pytest.mark.parametrize(("server", "host"), [("production", "api"), ("staging", "api.staging")])
async def test_a_server_has_a_name(mocked, server, host):
    """Meitner, Wootiv: production unless told otherwise, staging by its name."""
    mocked.get(f"https://{host}.meitner.se/directory/v1/student/{STUDENT_ID}", body=answer().partition(b"\r\n\r\n")[2])
    async with Meitner("an-id", "a-secret", server=server) as client:
        assert (await client.students.get(STUDENT_ID)).id == STUDENT_ID
    with pytest.raises(ConfigurationError):
        Meitner("an-id", "a-secret", server="environment_1")


async def test_a_server_has_a_url(meitner_sandbox):
    """Meitner, Wootiv: any other server by its base URL."""
    async with Meitner("an-id", "a-secret", base_url=meitner_sandbox.url) as client:
        assert await client.schools.list().count() == 4


async def test_one_client_lives_as_long_as_the_application(scripted: Scripted):
    """Meitner: one instance, opened by `async with` and used again and again; it keeps its connection meanwhile."""
    client, server = await scripted(answer())
    for _ in range(5):
        await client.students.get(STUDENT_ID)
    assert server.connections == 1


@pytest.mark.parametrize("close", ["close", "aclose"])
async def test_closing_by_hand_or_by_leaving_the_block(meitner_sandbox, close):
    """Meitner, Wootiv: either lets go of the connections, may come twice, and a closed client says so."""
    client = Meitner("an-id", "a-secret", base_url=meitner_sandbox.url)
    await client.schools.list().count()
    await getattr(client, close)()
    async with Meitner("an-id", "a-secret", base_url=meitner_sandbox.url) as other:
        await other.schools.list().count()
    await getattr(other, close)()
    for closed in (client, other):
        with pytest.raises(MeitnerError, match="closed"):
            await closed.schools.list().count()


def test_a_client_without_asyncio():
    """Meitner, Wootiv, Schematic: the same operations where nothing is awaited; listings are plain loops."""
    from meitner_aio import Portal

    with Portal(Meitner.sandbox(students=120)) as portal:
        student = portal.run(portal.meitner.students.list().first())
        assert portal.run(portal.meitner.students.get(student.id)) == student
        assert len({row.id for row in portal.iterate(portal.meitner.students.list(limit=50))}) == 120


async def test_every_call_is_awaited(meitner):
    """Meitner, Wootiv, Schematic: an asynchronous client whose calls run side by side."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(meitner.units.create(title=f"{number}")) for number in range(20)]
    assert sorted(int(task.result().title) for task in tasks) == list(range(20))


def test_the_version_can_be_pinned():
    """Meitner, Schematic: a version to pin, which the package itself knows."""
    assert meitner_aio.__version__.count(".") == 2


# Types


def test_editors_know_every_field():
    """Meitner, Wootiv, Schematic: requests and answers are typed; a call's signature names its fields."""
    client = Meitner("an-id", "a-secret")
    fields = inspect.signature(client.students.create).parameters
    assert {"identity_number", "first_name", "last_name", "gender", "date_of_birth", "address"} <= set(fields)
    assert all(field.kind is inspect.Parameter.KEYWORD_ONLY for field in fields.values())
    with pytest.raises(TypeError, match="shoe_size"):
        client.students.create(**CHILD, shoe_size=37)


async def test_nested_parameters_are_typed(meitner, meitner_sandbox):
    """Wootiv: what nests is an object of its own, on the way there and back."""
    student = await meitner.students.create(**CHILD, address=Address(postal_city="Solna"), gender=Gender.MALE)
    assert meitner_sandbox.requested("students.create")[0].json["address"] == {"postalCity": "Solna"}
    assert student.address.postal_city == "Solna"
    with pytest.raises(TypeError):
        Address(postal_town="Solna")


async def test_a_record_becomes_a_dictionary(meitner):
    """Wootiv: a model as plain data, for JSON and anything else."""
    student = await meitner.students.create(**CHILD)
    data = to_dict(student)
    assert (data["first_name"], data["id"]) == ("Sixten", student.id)
    assert isinstance(student, Student)


# Pages


async def test_pages_by_next_until_none(meitner):
    """Meitner: limit and offset, then `next()` until None; here it really reaches the last page."""
    page_, seen = await meitner.students.list(limit=30, offset=20), []
    while page_ is not None:
        assert page_.pagination.total == 200
        seen += page_.data
        page_ = await page_.next()
    assert len({student.id for student in seen}) == len(seen) == 180


async def test_pages_by_their_methods(meitner):
    """Wootiv: has_next_page, next_page_info and get_next_page for finer control."""
    first = await meitner.students.list(limit=150)
    assert (first.has_next_page(), first.next_page_info()) == (True, PageInfo(limit=150, offset=150))
    last = await first.get_next_page()
    assert (len(last), last.has_next_page(), last.next_page_info()) == (50, False, None)
    assert {row.id for row in first}.isdisjoint(row.id for row in last)
    with pytest.raises(MeitnerError):
        await last.get_next_page()


async def test_a_loop_asks_for_more_pages_as_needed(meitner, meitner_sandbox):
    """Wootiv: iterating a listing goes across pages; leaving the loop leaves the rest unasked."""
    ids = [student.id async for student in meitner.students.list(limit=50)]
    assert ids == [student.id for student in meitner_sandbox.records("students")]
    assert len(meitner_sandbox.requests) == 4
    meitner_sandbox.requests.clear()
    async for _ in meitner.students.list(limit=5, concurrency=1):
        break
    assert len(meitner_sandbox.requests) <= 2


# Errors


@pytest.mark.parametrize(("status", "kind"), STATUSES)
async def test_each_status_has_its_class(scripted: Scripted, status, kind):
    """Meitner, Wootiv, Schematic: one class for each status, below one for all answers, below one for all errors."""
    client, _ = await scripted(failure(status, "Internal", "why"), max_retries=0, retry=None)
    with pytest.raises(kind) as caught:
        await client.students.get(STUDENT_ID)
    assert type(caught.value) is kind
    assert isinstance(caught.value, APIStatusError)
    assert isinstance(caught.value, MeitnerError)


async def test_an_error_carries_the_answer(scripted: Scripted):
    """Meitner: message, status_code, headers, body and data; Wootiv, Schematic: status_code and body."""
    client, _ = await scripted(failure(404, "NotFound", "no such student", X_Mine="yes"))
    with pytest.raises(APIStatusError) as caught:
        await client.students.get(STUDENT_ID)
    error = caught.value
    assert (error.message, error.status_code, error.headers["x-mine"]) == ("no such student", 404, "yes")
    assert json.loads(error.body)["error"]["code"] == error.code == error.data.code == "NotFound"
    assert (error.data.message, error.request_id) == ("no such student", "req-1")


async def test_data_that_fails_validation_is_422(meitner):
    """Meitner: creates, updates and searches that the server rejects raise one class, whatever the operation."""
    with pytest.raises(UnprocessableEntityError):
        await meitner.students.create(identity_number="1", first_name="Bo", last_name="Ek")
    student = await meitner.students.list().first()
    with pytest.raises(UnprocessableEntityError):
        await meitner.students.modify(student, identity_number="1")


async def test_no_connection_is_an_error_of_its_own():
    """Meitner, Wootiv: the server could not be reached; the kind of failure is in the message, not in a foreign cause."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/directory/v1"
    async with Meitner("an-id", "a-secret", base_url=url, max_retries=0) as client:
        with pytest.raises(APIConnectionError, match="ClientConnectorError, errno") as caught:
            await client.students.get(STUDENT_ID)
    assert not isinstance(caught.value, APITimeoutError)
    assert caught.value.__cause__ is None


@pytest.mark.meitner(faults=["timeout"])
async def test_a_timeout_is_an_error_of_its_own(meitner):
    """Meitner, Wootiv: an APITimeoutError, which is a connection error too."""
    with pytest.raises(APITimeoutError) as caught:
        await meitner.schools.list().count()
    assert isinstance(caught.value, APIConnectionError)


async def test_an_answer_of_the_wrong_shape_says_where(scripted: Scripted):
    """Meitner: a response that does not fit the model; the path into it is named, the values never are."""
    client, _ = await scripted(page([{"id": STUDENT_ID, "firstName": "Canary", "lastName": 7}]))
    with pytest.raises(ResponseValidationError, match=r"lastName|identityNumber") as caught:
        await client.students.list().all()
    assert STUDENT_ID in str(caught.value)
    assert "Canary" not in str(caught.value) + repr(caught.value)


# Retries


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
async def test_statuses_are_tried_again_twice(meitner, meitner_sandbox, status):
    """Wootiv: 409, 429 and 5xx; Schematic: 408, 429 and 5xx; Meitner: its API's default. Two retries unless told."""
    meitner_sandbox.fail(str(status), times=2)
    assert await meitner.schools.list().count() == 4
    assert [seen.status for seen in meitner_sandbox.requests] == [status, status, 200]


async def test_two_retries_are_the_default_of_a_client_too(meitner_sandbox):
    """Wootiv, Schematic: without any configuration."""
    meitner_sandbox.fail("503", headers={"Retry-After": "0"})
    async with Meitner("an-id", "a-secret", base_url=meitner_sandbox.url) as client:
        with pytest.raises(InternalServerError):
            await client.schools.list().count()
    assert len(meitner_sandbox.requests) == 3


@pytest.mark.parametrize("name", ["reset", "timeout"])
async def test_connections_and_timeouts_are_tried_again_twice(meitner, meitner_sandbox, name):
    """Wootiv: connection errors and timeouts count as failures like any other."""
    meitner_sandbox.fail(name, times=2)
    assert await meitner.schools.list().count() == 4
    meitner_sandbox.fail(name)
    with pytest.raises(APIConnectionError) as caught:
        await meitner.schools.list().count()
    assert caught.value.attempts == 3


@pytest.mark.parametrize("name", ["400", "401", "403", "404", "422"])
async def test_what_no_retry_can_change_is_raised_at_once(meitner, meitner_sandbox, name):
    """Meitner, Wootiv, Schematic: other statuses are not tried again."""
    meitner_sandbox.fail(name)
    with pytest.raises(APIStatusError):
        await meitner.schools.list().count()
    assert len(meitner_sandbox.requests) == 1


async def test_a_create_is_not_repeated_for_a_lost_answer(meitner, meitner_sandbox):
    """All three retry writes; here none of them makes a second record."""
    meitner_sandbox.fail("lost_answer", operations=["create"])
    with pytest.raises(AmbiguousWriteError):
        await meitner.units.create(title="Norr")
    assert [unit.title for unit in meitner_sandbox.records("units")].count("Norr") == 1


@pytest.mark.parametrize("retries", [0, 1, 5])
async def test_retries_of_a_client(meitner_sandbox, retries):
    """Wootiv: how often is the client's choice, and 0 turns them off."""
    meitner_sandbox.fail("503")
    policy = RetryPolicy(max_retries=retries, initial=0.0)
    async with Meitner("an-id", "a-secret", base_url=meitner_sandbox.url, retry=policy) as client:
        with pytest.raises(InternalServerError):
            await client.schools.list().count()
    assert len(meitner_sandbox.requests) == 1 + retries
    assert Meitner("an-id", "a-secret", max_retries=retries)


async def test_retries_of_a_call(meitner, meitner_sandbox):
    """Meitner, Wootiv, Schematic: or that of a single call, which changes nothing for the others."""
    meitner_sandbox.fail("503")
    for client, attempts in ((meitner.with_options(max_retries=0), 1), (meitner, 3)):
        meitner_sandbox.requests.clear()
        with pytest.raises(InternalServerError):
            await client.schools.list().count()
        assert len(meitner_sandbox.requests) == attempts


@pytest.mark.meitner(faults=["503"])
async def test_backoff_has_an_initial_and_a_maximum_interval_an_exponent_and_an_end(meitner, meitner_clock):
    """Meitner: the four numbers of a backoff strategy, for a client or for a call; pauses are drawn below its curve."""
    policy = RetryPolicy(max_retries=1000, initial=1.0, maximum=50.0, exponent=1.1, deadline=100.0)
    heard: list[Any] = []
    patient = meitner.with_options(retry=policy, on_event=heard.append)
    with meitner_clock, pytest.raises(InternalServerError) as caught:
        await patient.schools.list().count()
    pauses = [event.delay for event in heard if isinstance(event, meitner_aio.RetryScheduled)]
    assert caught.value.attempts > 5
    assert all(pause <= min(50.0, 1.1**turn) for turn, pause in enumerate(pauses))
    assert 0 < meitner_clock.elapsed <= 100


@pytest.mark.meitner(faults=[fault("429", headers={"Retry-After": "30"}, times=1)])
async def test_a_rate_limit_backs_off_for_as_long_as_it_says(meitner, meitner_clock):
    """Wootiv: a 429 means to back off; here the client does, by the server's own words."""
    with meitner_clock:
        assert await meitner.schools.list().count() == 4
    assert 30 <= meitner_clock.elapsed < 32


# Timeouts


@pytest.mark.meitner(faults=["timeout"])
async def test_a_request_times_out_after_a_minute(meitner, meitner_clock):
    """Wootiv, Schematic: 60 seconds unless told otherwise, for one attempt."""
    with meitner_clock, pytest.raises(APITimeoutError):
        await meitner.with_options(max_retries=0).schools.list().count()
    assert meitner_clock.elapsed == pytest.approx(60, abs=0.1)


@pytest.mark.parametrize("limit", [20.0, aiohttp.ClientTimeout(total=20.0, sock_connect=2.0, sock_read=5.0)])
@pytest.mark.meitner(faults=["timeout"])
async def test_a_timeout_of_a_call(meitner, meitner_clock, limit):
    """Wootiv, Schematic: a number or a structure of several, for one call."""
    with meitner_clock, pytest.raises(APITimeoutError):
        await meitner.with_options(timeout=limit, max_retries=0).schools.list().count()
    assert meitner_clock.elapsed == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("limit", [0.05, aiohttp.ClientTimeout(total=60.0, sock_read=0.05)])
async def test_a_timeout_of_a_client(meitner_sandbox, limit):
    """Wootiv, Schematic: the same for all calls of a client; the parts of a structure count over a socket."""
    meitner_sandbox.fail("timeout")
    options = {"timeout": limit, "max_retries": 0, "base_url": meitner_sandbox.url}
    async with Meitner("an-id", "a-secret", **options) as client:
        with pytest.raises(APITimeoutError):
            await client.schools.list().count()


# The HTTP client underneath


async def test_headers_for_every_request(scripted: Scripted):
    """Meitner: a header of one's own on all requests, without an HTTP client of one's own."""
    client, server = await scripted(answer(), headers={"X-Custom-Header": "someValue"})
    await client.students.get(STUDENT_ID)
    await client.with_options(headers={"X-Call": "1"}).students.get(STUDENT_ID)
    assert [seen.headers.get("x-custom-header") for seen in server.seen] == ["someValue"] * 2
    assert [seen.headers.get("x-call") for seen in server.seen] == [None, "1"]


async def test_an_http_client_of_ones_own(scripted: Scripted):
    """Meitner, Wootiv, Schematic: its headers and cookies are sent, and it outlives the client."""
    async with aiohttp.ClientSession(headers={"X-Session": "mine"}, cookies={"a": "b"}) as session:
        client, server = await scripted(answer(), session=session)
        await client.students.get(STUDENT_ID)
        await client.close()
        assert not session.closed
    assert (server.seen[0].headers["x-session"], server.seen[0].headers["cookie"]) == ("mine", "a=b")


async def test_an_http_client_may_be_wrapped(scripted: Scripted):
    """Meitner: custom logic around every request; here as a middleware of the session."""

    async def stamped(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        request.headers["Client-Level-Header"] = "added by client"
        return await handler(request)

    async with aiohttp.ClientSession(middlewares=[stamped]) as session:
        client, server = await scripted(answer(), session=session)
        await client.students.get(STUDENT_ID)
    assert server.seen[0].headers["client-level-header"] == "added by client"


async def test_a_proxy():
    """Meitner, Wootiv, Schematic: requests go to the proxy, with the whole address of the server."""
    async with RawServer([answer()]) as proxy:
        options = {"base_url": "http://127.0.0.1:9/directory/v1", "proxy": proxy.origin}
        async with Meitner("an-id", "a-secret", **options) as client:
            await client.students.get(STUDENT_ID)
    assert proxy.seen[0].target == f"http://127.0.0.1:9/directory/v1/student/{STUDENT_ID}"


async def test_a_local_address(scripted: Scripted):
    """Wootiv, Schematic: options of the transport, such as the address to call from, are those of the session."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    callers: list[int] = []

    async def reply(writer: asyncio.StreamWriter) -> None:
        callers.append(writer.get_extra_info("peername")[1])
        writer.write(answer())
        await writer.drain()

    connector = aiohttp.TCPConnector(local_addr=("127.0.0.1", port))
    async with aiohttp.ClientSession(connector=connector) as session:
        client, _ = await scripted(reply, session=session)
        await client.students.get(STUDENT_ID)
    assert callers == [port]


# Looking inside


async def test_a_logger_of_ones_own(meitner_sandbox, caplog):
    """Meitner: requests and responses of a client go to the logger that it is given; no body and no secret does."""
    mine = logging.getLogger("mine")
    caplog.set_level(logging.DEBUG, "mine")
    async with Meitner("an-id", "canary", base_url=meitner_sandbox.url, logger=mine) as client:
        await client.students.create(**CHILD)
    said = "\n".join(record.getMessage() for record in caplog.records if record.name == "mine")
    assert "POST /student" in said
    for secret in ("canary", "Sixten", "20150315"):
        assert secret not in said


def test_debug_logs_by_the_environment():
    """Meitner: MEITNER_DEBUG=true is enough; without it nothing is said."""
    code = (
        "import asyncio; from meitner_aio import Meitner\n"
        "async def main():\n"
        "    async with Meitner.sandbox() as meitner: await meitner.students.search(last_name='Canary').count()\n"
        "asyncio.run(main())"
    )
    said = {}
    for debug in ("", "true"):
        environment = {**os.environ, "MEITNER_DEBUG": debug}
        command = (sys.executable, "-c", code)
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        said[debug] = result.stderr
    assert "POST /student/_search" in said["true"]
    assert "Canary" not in said["true"]
    assert said[""] == ""


@pytest.mark.meitner(quota=1500)
async def test_the_raw_answers_of_a_block(meitner):
    """Meitner, Wootiv: the response behind a result or an error; here those of all calls in a block."""
    with meitner.capture() as seen:
        student = await meitner.students.list().first()
        with pytest.raises(NotFoundError) as caught:
            await meitner.students.get(NOBODY)
    assert [raw.status for raw in seen] == [200, 404]
    assert student.id.encode() in seen[0].body
    assert seen[1].request_id == caught.value.request_id
    assert int(seen[1].headers["RateLimit-Limit"]) == 1500


async def test_an_endpoint_that_has_no_name_yet(meitner):
    """All three are generated anew for what their API adds; here any path works meanwhile."""
    raw = await meitner.request("GET", "/student", params={"limit": 3})
    assert (raw.status, len(json.loads(raw.body)["data"])) == (200, 3)


# Writes


async def test_writes_that_nobody_waits_for(meitner, meitner_sandbox):
    """Schematic: a call that returns at once and is sent in the background."""
    async with meitner.outbox() as outbox:
        for number in range(50):
            outbox.put(meitner.units.create(title=f"Lag {number}"))
        assert len(meitner_sandbox.requests) == 0
        await outbox.flush()
        assert len(meitner_sandbox.requested("units.create")) == 50


async def test_nothing_is_lost_when_the_application_ends(meitner, meitner_sandbox):
    """Schematic: the buffer is emptied at shutdown; what the server refused is kept, not dropped."""
    async with meitner.outbox() as outbox:
        outbox.put(meitner.units.create(title="Norr"))
        outbox.put(meitner.students.create(identity_number="1", first_name="Bo", last_name="Ek"))
    assert "Norr" in [unit.title for unit in meitner_sandbox.records("units")]
    assert (outbox.sent, len(outbox.failures)) == (1, 1)


async def test_upsert_by_a_key_of_ones_own(meitner, meitner_sandbox):
    """Schematic: create or update by your own identifier, with the record as the answer; no write where none is due."""
    made = await meitner.students.upsert("identity_number", **CHILD)
    same = await meitner.students.upsert("identity_number", **CHILD)
    changed = await meitner.students.upsert("identity_number", **{**CHILD, "first_name": "Ada"})
    assert [(one.created, one.changed) for one in (made, same, changed)] == [
        (True, True),
        (False, False),
        (False, True),
    ]
    assert {one.record.id for one in (made, same, changed)} == {made.record.id}
    assert len(meitner_sandbox.requested("students.create") + meitner_sandbox.requested("students.update")) == 2


async def test_more_than_one_kind_of_key(meitner):
    """Schematic: records are addressed by any of several keys; here by identity number or by the source's id."""
    school = await meitner.schools.upsert(
        "source_id", title="Ekskolan", school_type="GR", external=meitner_aio.ExternalRequest(source_id="ek-1")
    )
    again = await meitner.schools.upsert(
        "source_id", title="Nya Ekskolan", school_type="GR", external=meitner_aio.ExternalRequest(source_id="ek-1")
    )
    assert again.record.id == school.record.id
    assert again.record.title == "Nya Ekskolan"
    assert isinstance(again.record.external, External)


# Cache and offline


async def test_a_cache_with_a_size_and_a_lifetime(meitner, meitner_sandbox, meitner_clock):
    """Schematic: checks are answered locally for a while; the oldest answer makes room."""
    one, other, third = [student.id for student in meitner_sandbox.records("students")[:3]]
    cached = meitner.cached(ttl=10.0, maxsize=2)

    async def asked(*ids: str) -> int:
        before = len(meitner_sandbox.requests)
        for record_id in ids:
            assert (await cached.students.get(record_id)).id == record_id
        return len(meitner_sandbox.requests) - before

    with meitner_clock:
        assert await asked(one, one, other, one) == 2
        assert await asked(third, one) == 1
        assert await asked(other) == 1
        await asyncio.sleep(11)
        assert await asked(one) == 1


async def test_a_cache_can_be_turned_off(meitner, meitner_sandbox):
    """Schematic: then every check is a request."""
    cached = meitner.cached(maxsize=0)
    student = meitner_sandbox.records("students")[0]
    for _ in range(3):
        await cached.students.get(student.id)
    assert len(meitner_sandbox.requests) == 3


async def test_a_cache_provider_of_ones_own(meitner, meitner_sandbox):
    """Schematic: where answers are kept is pluggable, so that processes can share them."""
    from meitner_aio.cached import MemoryCache

    class Shared(MemoryCache):
        hits = 0

        async def get(self, key: str) -> Any:
            kept = await super().get(key)
            self.hits += kept is not None
            return kept

    shared = Shared()
    student = meitner_sandbox.records("students")[0]
    for _ in range(2):
        assert await meitner.cached(provider=shared).students.get(student.id)
    assert (shared.hits, len(meitner_sandbox.requests)) == (1, 1)


async def test_an_old_answer_is_better_than_none(meitner, meitner_sandbox, meitner_clock):
    """Schematic: an interruption of the service is bridged by what is known."""
    cached = meitner.cached(ttl=5.0, stale_if_error=True)
    student = meitner_sandbox.records("students")[0]
    with meitner_clock:
        await cached.students.get(student.id)
        meitner_sandbox.fail("503")
        await asyncio.sleep(60)
        assert await cached.students.get(student.id) == student


async def test_defaults_while_the_service_is_interrupted(meitner, meitner_sandbox):
    """Schematic: where nothing is known, the application's own default; never instead of a real refusal."""
    cached = meitner.cached(default=None)
    with pytest.raises(NotFoundError):
        await cached.students.get(NOBODY)
    meitner_sandbox.fail("503")
    assert await cached.students.get(meitner_sandbox.records("students")[0].id) is None


async def test_offline_mode(meitner, meitner_sandbox, tmp_path):
    """Schematic: no network and no real key, for development; here with real answers, from a snapshot."""
    from meitner_aio.export import export

    await export(meitner, ["students", "schools"], to=tmp_path / "snapshot", format="ndjson")
    meitner_sandbox.requests.clear()
    student = meitner_sandbox.records("students")[0]
    async with Meitner(offline=str(tmp_path / "snapshot")) as offline:
        assert await offline.students.get(student.id) == student
        assert await offline.students.list().count() == 200
        assert await offline.students.search(last_name=student.last_name).first()
        with pytest.raises(MeitnerError):
            await offline.students.delete(student.id)
    assert len(meitner_sandbox.requests) == 0


async def test_offline_mode_works_with_defaults(meitner, tmp_path):
    """Schematic: a default answers for what the snapshot does not hold."""
    from meitner_aio.export import export

    await export(meitner, ["schools"], to=tmp_path / "snapshot", format="ndjson")
    async with Meitner(offline=str(tmp_path / "snapshot")) as offline:
        assert await offline.cached(default=None).students.get(NOBODY) is None
