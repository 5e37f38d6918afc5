"""Credentials, quota, latency and faults, and the sandbox as an object: everything around what the directory holds."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
import uuid
from email.utils import parsedate_to_datetime
from typing import get_type_hints
from urllib.parse import urlencode

import pytest
from sandbox_calls import KEY, NOBODY, NOON, Clock, call, made, person, search

from meitner_aio import Meitner
from meitner_aio._wire.messages import Request
from meitner_aio.errors import APIConnectionError, APITimeoutError
from meitner_aio.sandbox import Fault, Sandbox
from meitner_aio.sandbox._choices import Choices

FORM = "application/x-www-form-urlencoded"
LISTING = Request("list", "GET", "/unit", "/unit", headers=KEY)
LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@pytest.fixture
def clock():
    """Give a clock that stands still."""
    return Clock()


def _empty(**choices):
    return Sandbox(students=0, schools=0, **choices)


# Credentials


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Client-ID": "tests"},
        {"Client-Secret": "secret"},
        {"Client-ID": "", "Client-Secret": "secret"},
        {"Client-ID": "tests", "Client-Secret": ""},
        {"Authorization": "Bearer nothing"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dGVzdHM6c2VjcmV0"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/student"), ("PUT", "/student"), ("GET", "/student/5")])
async def test_without_credentials_there_is_nothing(headers, method, path):
    """401 comes before all that the API itself says, even before 400 and 405, and costs no quota."""
    sandbox = _empty()
    answer = await call(sandbox, method, path, headers=headers)
    assert (answer.status, answer.code) == (401, "Unauthorized")
    assert answer.headers["RateLimit-Remaining"] == "1500"


@pytest.mark.parametrize("headers", [KEY, {}])
async def test_a_path_that_is_nowhere_is_not_the_api(headers):
    """The router says so, in plain text: it asks for no credentials, and counts and names no quota."""
    sandbox = _empty(quota=1)
    answer = await call(sandbox, "GET", "/nothing", headers=headers)
    assert (answer.status, answer.data) == (404, "404 page not found")
    assert answer.headers["Content-Type"] == "text/plain"
    assert not any(name in answer.headers for name in LIMITS)
    assert (await call(sandbox, "GET", "/unit")).status == 200


async def test_the_credentials_given_are_the_only_good_ones():
    """Header names ignore case, values do not."""
    sandbox = _empty(credentials=("tests", "secret"))
    assert (
        await call(sandbox, "GET", "/unit", headers={"client-id": "tests", "CLIENT-SECRET": "secret"})
    ).status == 200
    for wrong in ({"Client-ID": "other"}, {"Client-Secret": "Secret"}):
        assert (await call(sandbox, "GET", "/unit", headers={**KEY, **wrong})).status == 401


async def _token(sandbox, path="/oauth/token", headers=None, method="POST", content_type=FORM, **form):
    return await call(
        sandbox, method, path, urlencode(form).encode(), headers=headers or {}, content_type=content_type
    )  # fmt: skip


GRANT = {"grant_type": "client_credentials", "client_id": "tests", "client_secret": "secret"}


@pytest.mark.parametrize(
    "path",
    [
        "/oauth/token",
        "/directory/v1/oauth/token",
        "http://127.0.0.1:1/oauth/token",
        "https://a.example/directory/v1/oauth/token",
    ],
)
async def test_a_token_is_accepted(path):
    """From the origin and from below the base URL, as a path and as a URL; it acts as the client that it was given to."""
    sandbox = _empty()
    answer = await _token(sandbox, path, **GRANT)
    assert answer.status == 200
    assert (answer.data["token_type"], answer.data["expires_in"]) == ("Bearer", 3600)
    assert answer.headers["Cache-Control"] == "no-store"
    bearer = {"Authorization": f"Bearer {answer.data['access_token']}"}
    unit = await call(sandbox, "POST", "/unit", {"title": "a"}, headers=bearer)
    assert unit.status == 201
    assert unit.data["meta"]["createdBy"] == (await made(sandbox, "/unit", title="b"))["meta"]["createdBy"]


async def test_a_token_for_http_basic():
    """The client may prove itself in the header, its halves form-encoded (RFC 6749, 2.3.1)."""
    sandbox = _empty(credentials=("a client", "s%c"))
    proof = base64.b64encode(b"a+client:s%25c").decode()
    answer = await _token(sandbox, headers={"Authorization": f"Basic {proof}"}, grant_type="client_credentials")
    assert answer.status == 200


@pytest.mark.parametrize(
    ("form", "more", "status", "error"),
    [
        ({**GRANT, "client_secret": "other"}, {}, 401, "invalid_client"),
        ({**GRANT, "client_id": ""}, {}, 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, {}, 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, {"headers": {"Authorization": "Basic !"}}, 401, "invalid_client"),
        ({**GRANT, "grant_type": "password"}, {}, 400, "unsupported_grant_type"),
        ({}, {}, 400, "invalid_request"),
        (GRANT, {"content_type": "application/json"}, 400, "invalid_request"),
        (GRANT, {"method": "GET"}, 405, "invalid_request"),
    ],
)
async def test_no_token_for_the_wrong_ones(form, more, status, error):
    """The errors are OAuth's own (RFC 6749, 5.2)."""
    answer = await _token(_empty(credentials=("tests", "secret")), **more, **form)
    assert (answer.status, answer.data) == (status, {"error": error})


async def test_a_token_expires_by_the_clock(clock):
    """To the second; an older token is not prolonged by a new one."""
    sandbox = _empty(clock=clock, token_lifetime=60)
    answer = await _token(sandbox, **GRANT)
    assert answer.data["expires_in"] == 60
    bearer = {"Authorization": f"bearer {answer.data['access_token']}"}
    clock.now += 59.9
    assert (await call(sandbox, "GET", "/unit", headers=bearer)).status == 200
    await _token(sandbox, **GRANT)
    clock.now += 0.1
    assert (await call(sandbox, "GET", "/unit", headers=bearer)).status == 401


# Quota: what counts. How it is limited is in test_sandbox_limiters.


@pytest.mark.parametrize("limiter", ["bucket", "window"])
async def test_errors_count_and_refusals_do_not(limiter, clock):
    """Whatever the API itself answers costs one; a 429 does not, and names the quota like any other answer."""
    sandbox = _empty(clock=clock, quota=3, limiter=limiter)
    asked = (("GET", "/unit"), ("GET", "/unit/5"), ("PUT", "/unit"), ("GET", "/unit"), ("GET", "/unit"))
    answers = [await call(sandbox, method, path) for method, path in asked]
    assert [answer.status for answer in answers] == [200, 400, 405, 429, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
    assert answers[-1].code == "RateLimited"
    assert "Retry-After" not in answers[-1].headers


async def test_a_write_over_the_quota_does_not_happen(clock):
    """429 means that nothing was done."""
    sandbox = _empty(clock=clock, quota=1)
    await made(sandbox, "/unit", title="a")
    assert (await call(sandbox, "POST", "/unit", {"title": "b"})).status == 429
    assert len(sandbox.records("units")) == 1


async def test_tokens_cost_no_quota():
    """The token endpoint is outside the API: it neither spends nor names the quota."""
    sandbox = _empty(quota=1)
    answer = await _token(sandbox, **GRANT)
    assert not any(name in answer.headers for name in LIMITS)
    assert (await call(sandbox, "GET", "/unit")).headers["RateLimit-Remaining"] == "0"


async def test_every_answer_has_the_date_of_the_clock(clock):
    """So that a client can tell the server's time from its own."""
    sandbox = _empty(clock=clock)
    for answer in (
        await call(sandbox, "GET", "/unit"),
        await call(sandbox, "GET", "/x"),
        await _token(sandbox, **GRANT),
    ):
        assert parsedate_to_datetime(answer.headers["Date"]).timestamp() == NOON
        assert uuid.UUID(answer.headers["X-Request-ID"])


# Latency


@pytest.fixture
def naps(monkeypatch):
    """Give the naps that would have been taken."""
    taken: list[float] = []

    async def sleep(seconds):
        taken.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return taken


async def test_latency_is_waited_before_every_answer(naps):
    """Without latency nobody waits."""
    await call(_empty(), "GET", "/unit")
    assert naps == []
    await call(_empty(latency=0.25), "GET", "/unit")
    assert naps == [0.25]


async def test_latency_beyond_the_timeout_is_a_timeout(naps):
    """In process, too, a client waits no longer than it said; what it did not wait for was not done."""
    sandbox = _empty(latency=2.0)
    with pytest.raises(APITimeoutError):
        await call(sandbox, "POST", "/unit", {"title": "a"}, timeout=1.5)
    assert naps == [1.5]
    assert sandbox.records("units") == []
    assert (await call(sandbox, "POST", "/unit", {"title": "a"}, timeout=2.5)).status == 201


# Faults


async def test_a_fault_answers_in_place_of_the_directory():
    """With the error object unless it has a body; the directory never sees the request, and no quota is spent."""
    sandbox = _empty(faults=[Fault(503, times=1)])
    answer = await call(sandbox, "POST", "/unit", {"title": "a"})
    assert (answer.status, answer.code) == (503, "Internal")
    assert answer.data["error"]["requestID"] == answer.headers["X-Request-ID"]
    assert (answer.headers["RateLimit-Remaining"], sandbox.records("units")) == ("1500", [])
    assert (await call(sandbox, "POST", "/unit", {"title": "a"})).status == 201


async def test_a_committed_fault_loses_the_answer_only():
    """The write is done, and counts."""
    sandbox = _empty(faults=[Fault(502, committed=True, times=1, operations=["create"])])
    answer = await call(sandbox, "POST", "/unit", {"title": "a"})
    assert (answer.status, answer.headers["RateLimit-Remaining"]) == (502, "1499")
    assert [unit.title for unit in sandbox.records("units")] == ["a"]


@pytest.mark.parametrize("committed", [False, True])
async def test_a_cut_connection(committed):
    """Status 0 is no answer at all."""
    sandbox = _empty(faults=[Fault(0, committed=committed, operations=["units.create"])])
    with pytest.raises(APIConnectionError):
        await call(sandbox, "POST", "/unit", {"title": "a"})
    assert len(sandbox.records("units")) == committed
    assert sandbox.requests[-1] == ("POST", "/unit", 0)


async def test_a_fault_brings_its_own_headers_and_body():
    """Its headers beat the usual ones, whatever their case; a success without a body is empty."""
    headers = {"content-type": "text/html", "Retry-After": "7", "ratelimit-remaining": "x"}
    sandbox = _empty(faults=[Fault(429, headers=headers, body=b"<html>", times=1), Fault(200)])
    response = await sandbox.send(LISTING)
    assert (response.status, response.body) == (429, b"<html>")
    assert [response.headers[name] for name in ("Content-Type", "Retry-After", "RateLimit-Remaining")] == ["text/html", "7", "x"]  # fmt: skip
    assert (await sandbox.send(LISTING)).body == b""


@pytest.mark.parametrize(
    ("operations", "struck"),
    [
        ((), "units.list units.create students.list units.search nothing"),
        (("list",), "units.list students.list"),
        (("units.list", "search"), "units.list units.search"),
        (("token",), "token"),
        ({"create", "token"}, "units.create token"),
    ],
)
async def test_faults_strike_what_they_name(operations, struck):
    """By operation, by resource and operation, or everything but the token endpoint."""
    sandbox = _empty(faults=[Fault(500, operations=operations)])
    statuses = {
        "units.list": await call(sandbox, "GET", "/unit"),
        "units.create": await call(sandbox, "POST", "/unit", {"title": "a"}),
        "students.list": await call(sandbox, "GET", "/student"),
        "units.search": await search(sandbox, "/unit"),
        "nothing": await call(sandbox, "GET", "/nothing"),
        "token": await _token(sandbox, **GRANT),
    }
    assert {name for name, answer in statuses.items() if answer.status == 500} == set(struck.split())
    assert [one.operation for one in sandbox.faults_injected] == [
        name if name != "nothing" else "" for name in statuses if name in struck.split()
    ]


async def _statuses(sandbox, count=200):
    return [(await call(sandbox, "GET", "/unit")).status for _ in range(count)]


async def test_faults_replay_by_their_seed():
    """The same seed and requests bring the same faults, as often as their probability says."""
    faults = [Fault(503, probability=0.3), Fault(429, probability=0.2)]
    first, again, other = [await _statuses(_empty(seed=seed, faults=faults)) for seed in (1, 1, 2)]
    assert first == again != other
    assert 40 < first.count(503) < 80
    assert 15 < first.count(429) < 45


async def test_the_log_of_faults_says_what_was_done():
    """In order, with where; `times` is the most that a fault strikes, and the next one takes over."""
    brief, long = Fault(503, times=2), Fault(500, times=1)
    sandbox = _empty(faults=[brief, long])
    assert await _statuses(sandbox, 4) == [503, 503, 500, 200]
    assert sandbox.faults_injected == [("units.list", "/unit", fault) for fault in (brief, brief, long)]


async def test_a_fault_that_never_strikes():
    """Probability 0 is never, 1 is always."""
    assert set(await _statuses(_empty(faults=[Fault(probability=0.0)]))) == {200}
    assert set(await _statuses(_empty(faults=[Fault(probability=1.0)]))) == {503}


@pytest.mark.parametrize(
    "choices",
    [
        {"status": 100}, {"status": 600}, {"status": -1}, {"probability": -0.1}, {"probability": 1.1}, {"times": 0},
        {"operations": "create"}, {"operations": ["created"]}, {"operations": ["audit_events.create"]},
    ],
)  # fmt: skip
def test_a_fault_that_cannot_be(choices):
    """A misspelt operation would never strike, and the test that orders it would prove nothing."""
    with pytest.raises(ValueError, match=r"fault|operations|times must be"):
        Fault(**choices)


# The sandbox itself


async def test_requests_are_remembered():
    """In process and over HTTP, refusals and tokens included, without queries; the oldest are forgotten first."""
    sandbox = _empty(page_cap=5)
    await call(sandbox, "GET", "/unit", query="limit=5")
    await call(sandbox, "GET", f"/directory/v1/unit/{NOBODY}")
    await _token(sandbox, **GRANT)
    assert list(sandbox.requests) == [
        ("GET", "/unit", 200),
        ("GET", f"/unit/{NOBODY}", 404),
        ("POST", "/oauth/token", 200),
    ]
    assert sandbox.requests.maxlen is not None


async def test_an_absolute_path_must_lead_to_the_api():
    """What is outside the base URL is 404, as over HTTP."""
    sandbox = _empty()
    assert (await call(sandbox, "GET", "https://a.example/directory/v1/unit")).status == 200
    for path in ("https://a.example/unit", "https://a.example/directory/v11/unit", "https://a.example", "unit"):
        assert (await call(sandbox, "GET", path)).status == 404


@pytest.mark.parametrize(
    "choices",
    [
        {"students": -1}, {"schools": -1}, {"students": 1, "schools": 0},
        {"quota": 0}, {"page_cap": 0}, {"latency": -1}, {"latency": float("nan")},
        {"limiter": "leaky"}, {"reset": "never"}, {"headers": True}, {"burst": 0}, {"burst": 5, "limiter": "window"},
        {"window": 0}, {"over_cap": "cut"}, {"resolution": "minute"}, {"unknown": "keep"}, {"zones": "utc"},
        {"normalize": "NFD"},
        {"latency": float("inf")}, {"token_lifetime": 0}, {"order": "random"}, {"faults": ["x"]},
        {"credentials": ("a", "")}, {"credentials": "ab"}, {"credentials": ("a",)}, {"credentials": ("a", 1)},
    ],
)  # fmt: skip
def test_a_sandbox_that_cannot_be(choices):
    """`ValueError`, at construction."""
    with pytest.raises(ValueError, match=r"must be|at least"):
        Sandbox(**{"students": 1, "schools": 1, **choices})


def test_options_beside_a_sandbox_are_told_where_they_go():
    """Options of the client are taken for choices of the sandbox, so the message speaks of both."""
    with pytest.raises(TypeError, match=r"^timeout, retry cannot .* a Sandbox takes .* with_options\(\)$"):
        Meitner.sandbox(Sandbox(students=1), timeout=4, retry=None)


def test_a_client_in_process_takes_the_same_choices():
    """`Meitner.sandbox(...)` names them to type checkers: the same names and types, none of them required."""
    taken = get_type_hints(Sandbox.__init__)
    del taken["return"]
    assert get_type_hints(Choices) == taken
    assert not Choices.__required_keys__


async def test_records_are_a_copy():
    """What a test does with the list is not done to the directory; an unknown resource is a `ValueError`."""
    sandbox = _empty()
    await made(sandbox, "/student", **person())
    sandbox.records("students").clear()
    assert len(sandbox.records("students")) == 1
    with pytest.raises(ValueError, match="pupils"):
        sandbox.records("pupils")


def test_in_process_it_needs_no_aiohttp():
    """The embedded sandbox starts without the HTTP library."""
    code = (
        "import asyncio, sys\n"
        "from meitner_aio.sandbox import Sandbox\n"
        "from meitner_aio._wire.messages import Request\n"
        "request = Request('list', 'GET', '/unit', '/unit', headers={'Client-ID': 'a', 'Client-Secret': 'b'})\n"
        "assert asyncio.run(Sandbox().send(request)).status == 200\n"
        "assert 'aiohttp' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
