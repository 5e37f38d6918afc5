"""The test kit for users: its fixtures in every kind of test, faults by name, the clock, and what a failure tells."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import NO_QUOTA

from meitner_aio import (
    AmbiguousWriteError,
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    InternalServerError,
    Meitner,
    MeitnerError,
    NotFoundError,
    RateLimitError,
    ResponseValidationError,
    RetryPolicy,
    RetryScheduled,
)
from meitner_aio._wire.messages import Request
from meitner_aio.sandbox import Fault, Sandbox, fault
from meitner_aio.sandbox.faults import NEVER
from meitner_aio.testing import VirtualClock

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ("-p", "meitner_aio.testing")
STRICT_SETTINGS = ("-W", "error", "-o", "asyncio_default_fixture_loop_scope=function")
PUPIL = {"identity_number": "20150101-1234", "first_name": "Bo", "last_name": "Ek"}


def told(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    """Run a test module of a user's, warnings being errors."""
    pytester.makepyfile(f"import pytest\nfrom meitner_aio import *\nfrom meitner_aio.sandbox import fault\n{source}")
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *PLUGIN, *STRICT_SETTINGS, *options)


# The fixtures, in every kind of test


_ASYNC = """
async def test_in_process(meitner, meitner_sandbox):
    assert await meitner.students.list().count() == len(meitner_sandbox.records("students")) == 200

async def test_over_http(meitner, meitner_sandbox):
    async with Meitner("any", "thing", base_url=meitner_sandbox.url) as outside:
        unit = await outside.units.create(title="Norr")
    assert (await meitner.units.get(unit.id)).title == "Norr"
    assert [seen.status for seen in meitner_sandbox.requested("units.create")] == [201]
"""
_FIXTURE = """
@{}
async def unit(meitner):
    yield await meitner.units.create(title="Norr")

async def test_in_a_fixture_of_ones_own(meitner, unit):
    assert await meitner.units.get(unit.id) == unit
"""


def test_asynchronous_tests_of_pytest_asyncio_in_auto_mode(pytester):
    """Nothing has to be marked, and asynchronous fixtures of the user's take the client."""
    result = told(pytester, _ASYNC + _FIXTURE.format("pytest.fixture"), "--asyncio-mode=auto")
    result.assert_outcomes(passed=3)


def test_asynchronous_tests_of_pytest_asyncio_in_strict_mode(pytester):
    """The fixtures of the kit are plain, so that only the user's own need the marks of that mode."""
    source = "import pytest_asyncio\npytestmark = pytest.mark.asyncio\n" + _ASYNC
    result = told(pytester, source + _FIXTURE.format("pytest_asyncio.fixture"), "--asyncio-mode=strict")
    result.assert_outcomes(passed=3)


def test_asynchronous_tests_of_anyio(pytester):
    """On asyncio, the only loop that the client knows."""
    source = f"@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\npytestmark = pytest.mark.anyio\n{_ASYNC}"
    told(pytester, source + _FIXTURE.format("pytest.fixture"), "--asyncio-mode=strict").assert_outcomes(passed=3)


def test_tests_without_a_loop(pytester):
    """The sandbox serves them from a thread, which is gone when the test is over."""
    source = """
    import asyncio, threading, urllib.request

    def test_another_client(meitner_sandbox):
        key = {"Client-ID": "any", "Client-Secret": "thing"}
        with urllib.request.urlopen(urllib.request.Request(meitner_sandbox.url + "/unit", headers=key)) as answer:
            assert answer.status == 200
        assert meitner_sandbox.requests[-1] == ("GET", "/unit", 200)

    def test_a_loop_of_its_own(meitner):
        assert asyncio.run(meitner.schools.list().count()) == 4

    def test_no_thread_is_left():
        assert "meitner sandbox" not in [thread.name for thread in threading.enumerate()]
    """
    told(pytester, "\n".join(line[4:] for line in source.splitlines())).assert_outcomes(passed=3)


def test_each_test_has_a_directory_of_its_own(pytester):
    """The same data, fresh: what one test writes, the next does not see."""
    source = """
ids = []

@pytest.mark.parametrize("turn", [1, 2])
async def test_turn(turn, meitner, meitner_sandbox):
    rows = meitner_sandbox.records("students")
    ids.append([row.id for row in rows])
    assert ids[0] == ids[-1]
    assert len(meitner_sandbox.requests) == 0
    await meitner.students.delete(rows[0].id)
"""
    told(pytester, source, "--asyncio-mode=auto").assert_outcomes(passed=2)


def test_the_marker_says_which_directory_and_which_client(pytester):
    """That of a test beats that of its module, keyword by keyword; `client` takes the options of a client."""
    source = """
pytestmark = pytest.mark.meitner(students=10, schools=1)

async def test_of_the_module(meitner):
    assert (await meitner.students.list().count(), await meitner.schools.list().count()) == (10, 1)

@pytest.mark.meitner(students=20, seed=7, credentials=("an-id", "a-secret"))
async def test_of_its_own(meitner):
    assert (await meitner.students.list().count(), await meitner.schools.list().count()) == (20, 1)

@pytest.mark.meitner(faults=["503"], client={"max_retries": 4, "headers": {"X-Test": "yes"}})
async def test_of_the_client(meitner, meitner_sandbox):
    with pytest.raises(InternalServerError) as caught:
        await meitner.schools.list().count()
    assert caught.value.attempts == 5
    assert meitner_sandbox.requests[-1].headers["x-test"] == "yes"
"""
    told(pytester, source, "--asyncio-mode=auto", "--strict-markers").assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("marker", "told_of"),
    [
        ("20", "*the marker meitner takes keywords only*"),
        ("pupils=20", "*unexpected keyword argument 'pupils'*"),
        ("faults=['timout']", "*a fault must be a status from 400 to 599 or one of reset, timeout, *, not 'timout'*"),
    ],
)
def test_a_marker_that_means_nothing_is_an_error(pytester, marker, told_of):
    """A misspelt keyword would test something else than was meant."""
    source = f"@pytest.mark.meitner({marker})\ndef test_it(meitner): pass\n"
    result = told(pytester, source)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([told_of])


async def test_the_environment_points_to_the_sandbox(meitner_environment, meitner_sandbox):
    """Code that builds its own client from the environment needs no change to be tested."""
    async with Meitner() as meitner:
        await meitner.units.create(title="Norr")
    assert meitner_environment == meitner_sandbox.url == os.environ["MEITNER_BASE_URL"]
    assert meitner_sandbox.records("units")[-1].title == "Norr"


@pytest.mark.meitner(credentials=("an-id", "a-secret"))
async def test_the_environment_has_the_credentials_that_are_good(meitner_environment):
    """Where a sandbox takes only one pair, it is that one."""
    async with Meitner() as meitner:
        assert await meitner.schools.list().count() == 4
    with pytest.raises(AuthenticationError):
        async with Meitner("an-id", "another", base_url=meitner_environment) as meitner:
            await meitner.schools.list().count()


async def test_closing_a_client_leaves_the_sandbox(meitner, meitner_sandbox):
    """A client in process does not own the directory that it was given."""
    url = meitner_sandbox.url
    await meitner.close()
    async with Meitner("any", "thing", base_url=url) as other:
        assert await other.schools.list().count() == 4


async def test_two_threads_share_a_directory(meitner, meitner_sandbox):
    """In process and over HTTP at once, no write is lost and no look at the records goes wrong."""
    async with Meitner("any", "thing", base_url=meitner_sandbox.url) as outside:
        async with asyncio.TaskGroup() as group:
            for client in (meitner, outside):
                for number in range(40):
                    group.create_task(client.units.create(title=f"{number}"))
            for _ in range(200):
                assert all(meitner_sandbox.records("units"))
                await asyncio.sleep(0)
        assert await outside.units.list().count() == len(meitner_sandbox.records("units"))
    assert len(meitner_sandbox.requested("units.create")) == 80


async def test_one_at_a_time_touches_the_directory(meitner, meitner_sandbox, monkeypatch):
    """What two threads could do at once needs the lock of the door: requests, records, faults."""
    held = list[bool]()

    def watched(method: Any) -> Any:
        def call(*args: Any) -> Any:
            held.append(meitner_sandbox.app.lock.locked())
            return method(*args)

        return call

    for part, name in (("_directory", "rows"), ("_faults", "strike"), ("_faults", "add"), ("_faults", "clear")):
        target = getattr(meitner_sandbox, part)
        monkeypatch.setattr(target, name, watched(getattr(target, name)))
    await meitner.schools.list()
    meitner_sandbox.records("schools")
    meitner_sandbox.fail("503")
    meitner_sandbox.heal()
    assert held == [True] * 5


# How pytest finds the plugin


@pytest.mark.parametrize("plugins", ["", "pytest_plugins = ['meitner_aio.testing']"])
def test_an_installed_package_brings_its_plugin(pytester, plugins):
    """By the entry point of pyproject.toml, whose name lets a `pytest_plugins` of the user's do no harm."""
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    info = pytester.mkdir("meitner_kit-1.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: meitner-kit\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{k} = {v}\n" for k, v in entries.items()))
    pytester.syspathinsert()
    pytester.makeconftest(plugins)
    pytester.makepyfile("async def test_it(meitner):\n    await meitner.schools.list()\n")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *STRICT_SETTINGS, "--asyncio-mode=auto")
    result.assert_outcomes(passed=1)


def test_the_plugin_costs_an_import_of_the_package_and_no_more():
    """Whoever has it installed and does not use it never loads aiohttp, the sandbox, or data for it."""
    heavy = "{'aiohttp', 'tenacity', 'aiolimiter', 'meitner_aio.sandbox', 'meitner_aio._pipeline.transport', 'opentelemetry'}"
    code = f"import sys, pytest, meitner_aio.testing; print({heavy} & set(sys.modules))"
    result = subprocess.run((sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


# Faults by name


async def _get(meitner: Meitner) -> object:
    return await meitner.students.get((await meitner.students.list(limit=1)).data[0].id)


NAMES: dict[str, tuple[type[MeitnerError], type[MeitnerError], int]] = {
    "reset": (APIConnectionError, AmbiguousWriteError, 0),
    "timeout": (APITimeoutError, AmbiguousWriteError, 0),
    "lost_answer": (APIConnectionError, AmbiguousWriteError, 1),
    "late_answer": (APITimeoutError, AmbiguousWriteError, 1),
    "garbage": (ResponseValidationError, AmbiguousWriteError, 0),
    "bad_gateway": (InternalServerError, AmbiguousWriteError, 0),
    "404": (NotFoundError, NotFoundError, 0),
    "429": (RateLimitError, RateLimitError, 0),
    "503": (InternalServerError, AmbiguousWriteError, 0),
}
"""What a read and a create without a key come to, and how many of the creates were carried out."""


@pytest.fixture(params=["in process", "over HTTP"])
async def either(request, meitner, meitner_sandbox):
    """Give a client of the sandbox by either door."""
    if request.param == "in process":
        yield meitner
        return
    policy = RetryPolicy(max_retries=0)
    async with Meitner(
        "any", "thing", base_url=meitner_sandbox.url, retry=policy, timeout=0.1, quota=NO_QUOTA
    ) as client:
        yield client


@pytest.mark.meitner(students=5, schools=1, client={"max_retries": 0})
@pytest.mark.parametrize("name", NAMES)
async def test_a_fault_by_its_name(either, meitner_sandbox, name):
    """The same by either door: what becomes of a read, of a create, and of the directory."""
    of_get, of_create, carried_out = NAMES[name]
    units = len(meitner_sandbox.records("units"))
    meitner_sandbox.fail(name, operations=["students.get", "units.create"])
    with pytest.raises(of_get) as caught:
        await _get(either)
    assert type(caught.value) is of_get
    with pytest.raises(of_create) as caught:
        await either.units.create(title="Norr")
    assert type(caught.value) is of_create
    assert len(meitner_sandbox.records("units")) == units + carried_out
    assert {one.operation for one in meitner_sandbox.faults_injected} == {"students.get", "units.create"}
    meitner_sandbox.heal()
    assert await _get(either)


async def test_faults_come_and_go_during_a_test(meitner, meitner_sandbox):
    """`fail` and `heal` arrange what the marker cannot know; the log of what struck stays."""
    meitner_sandbox.fail("503", times=2)
    meitner_sandbox.fail(Fault(500, times=1))
    with pytest.raises(InternalServerError) as caught:
        await meitner.schools.list().count()
    assert caught.value.status_code == 500
    assert [one.fault.status for one in meitner_sandbox.faults_injected] == [503, 503, 500]
    meitner_sandbox.fail("404", operations=["get"])
    assert [one.status for one in meitner_sandbox.faults_idle] == [404]
    meitner_sandbox.heal()
    assert meitner_sandbox.faults_idle == []
    assert await meitner.schools.list().count() == 4
    assert len(meitner_sandbox.faults_injected) == 3


HEARD: list[Any] = []


@pytest.mark.meitner(faults=[fault("503", times=2)], client={"on_event": HEARD.append})
async def test_retries_of_the_client_under_test_do_not_wait(meitner, meitner_sandbox):
    """Two failures are survived as by any client, without its pauses."""
    HEARD.clear()
    assert await meitner.schools.list().count() == 4
    assert [seen.status for seen in meitner_sandbox.requests] == [503, 503, 200]
    assert [event.delay for event in HEARD if isinstance(event, RetryScheduled)] == [0.0, 0.0]


async def test_a_delay_leaves_the_answer_of_the_directory():
    """A fault without a status is late and otherwise honest."""
    clock, sandbox = VirtualClock(), Sandbox(faults=[Fault(None, delay=7.0, times=1)])

    async def main() -> int:
        async with Meitner.sandbox(sandbox) as meitner:
            return await meitner.schools.list().count()

    assert await asyncio.to_thread(clock.run, main()) == 4
    assert clock.elapsed == 7
    assert [seen.status for seen in sandbox.requests] == [200]


async def test_an_answer_that_never_comes_ends_with_the_sandbox(monkeypatch):
    """A client without patience is cut off when the sandbox closes, which does not wait for it."""
    monkeypatch.setattr("meitner_aio.sandbox.http.server._GRACE", 3600.0)
    sandbox = Sandbox(faults=["timeout"])
    async with Meitner("any", "thing", base_url=await sandbox.start(), max_retries=0) as meitner:
        waiting = asyncio.create_task(meitner.schools.list().count())
        while not sandbox.requests:
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await sandbox.close()
        with pytest.raises(APIConnectionError):
            await waiting


@pytest.mark.parametrize("name", ["", "399", "600", "timout", "-50", "5O3", "٤٠٤"])
def test_a_fault_that_has_no_name(name):
    """The message lists the names."""
    with pytest.raises(
        ValueError, match=r"one of reset, timeout, lost_answer, late_answer, slow, garbage, bad_gateway, not "
    ):
        fault(name)


@pytest.mark.parametrize("choices", [{"status": None}, {"delay": -1.0}, {"delay": float("nan")}])
def test_a_delay_that_cannot_be(choices):
    """Nothing is delayed by less than nothing."""
    with pytest.raises(ValueError, match="delay"):
        Fault(**choices)


def test_a_name_can_be_narrowed():
    """By every field of a fault."""
    assert fault("timeout", times=1, operations=["token"]) == Fault(0, times=1, operations=["token"], delay=NEVER)


# The requests that were seen


async def test_a_request_can_be_looked_at(meitner, meitner_sandbox):
    """By operation: method, path, route, query, body and answer; it equals a plain triple."""
    student = meitner_sandbox.records("students")[0]
    await meitner.students.modify(student, first_name="Ada", date_of_birth=date(2015, 1, 2))
    await meitner.students.list(limit=3, offset=6)
    with pytest.raises(NotFoundError):
        await meitner.students.get("00000000-0000-4000-8000-000000000000")
    update, listing, get = meitner_sandbox.requests
    assert meitner_sandbox.requested("students.update") == meitner_sandbox.requested("update") == [update]
    assert (update.method, update.path, update.status) == update == ("PATCH", f"/student/{student.id}", 200)
    assert (update.operation, update.route, update.query) == ("students.update", "/student/{id}", {})
    assert update.json == {
        "identityNumber": student.identity_number,
        "firstName": "Ada",
        "lastName": student.last_name,
        "dateOfBirth": "2015-01-02",
    }
    assert (listing.query, listing.json, listing.problem) == ({"limit": "3", "offset": "6"}, None, "")
    assert (get.status, get.problem) == (404, "Student 00000000-0000-4000-8000-000000000000 does not exist")
    with pytest.raises(ValueError, match=r"there is no operation 'students\.fetch'"):
        meitner_sandbox.requested("students.fetch")


async def test_a_request_shows_no_secret(meitner_sandbox):
    """Neither its repr nor what it keeps has the credentials, the token or what was asked for it; the repr no body."""
    from meitner_aio import OAuth2

    auth = OAuth2("canary-id", "canary-secret")
    async with Meitner(auth=auth, base_url=meitner_sandbox.url, headers={"X-Mine": "yes"}) as meitner:
        await meitner.students.create(**PUPIL)
    async with Meitner("canary-id", "canary-secret", base_url=meitner_sandbox.url) as meitner:
        await meitner.schools.list().count()
    token, create, count = meitner_sandbox.requests
    assert [seen.operation for seen in meitner_sandbox.requests] == ["token", "students.create", "schools.list"]
    assert token.json is None
    assert create.headers["X-MINE"] == "yes"
    for seen in (token, create, count):
        assert "canary" not in repr(seen) + repr(vars(seen))
        assert "Bearer" not in repr(vars(seen))
    assert repr(create) == "<POST /student 201>"


async def test_a_cut_connection_was_not_answered(meitner, meitner_sandbox):
    """Status 0, and words for it."""
    meitner_sandbox.fail("reset", times=1)
    await meitner.schools.list().count()
    assert repr(meitner_sandbox.requests[0]) == "<GET /school unanswered>"


UNITS = Request("list", "GET", "/unit", "/unit", headers={"Client-ID": "a", "Client-Secret": "b"})


async def test_there_is_no_quota_unless_a_test_asks_for_one(meitner, meitner_sandbox):
    """Nothing counts, and nothing is told: a test is not about the quota by accident."""
    for _ in range(1600):
        await meitner_sandbox.send(UNITS)
    assert {seen.status for seen in meitner_sandbox.requests} == {200}
    await meitner.units.list().count()
    assert meitner.quota is None


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"quota": 3, "window": 60.0}, marks=pytest.mark.meitner(quota=3, window=60.0)),
        pytest.param({"quota": 1500, "burst": 3}, marks=pytest.mark.meitner(burst=3)),
        pytest.param({"quota": 3}, marks=pytest.mark.meitner(quota=3, limiter="window")),
    ],
)
async def test_a_test_that_names_a_quota_has_one(asked, meitner_sandbox):
    """The usual bucket, or another kind; three requests are served of each."""
    answers = [await meitner_sandbox.send(UNITS) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert {answer.headers["RateLimit-Limit"] for answer in answers} == {str(asked["quota"])}


@pytest.mark.meitner(quota=3, limiter="none")
async def test_a_limiter_that_is_named_is_the_one(meitner_sandbox):
    """Whatever else the marker says."""
    assert {(await meitner_sandbox.send(UNITS)).status for _ in range(9)} == {200}


# The clock


@pytest.mark.meitner(quota=5, limiter="window")
async def test_hours_of_quota_pass_at_once(meitner, meitner_sandbox, meitner_clock):
    """The loop, the quota window of the sandbox and the patience of the client move together."""
    began = meitner_clock.now()
    with meitner_clock:
        rows = await meitner.students.list(limit=10).all()
    assert len(rows) == 200
    assert 429 not in [seen.status for seen in meitner_sandbox.requests]
    assert 3 * 3600 < meitner_clock.elapsed < 5 * 3600
    assert (meitner_clock.now() - began).total_seconds() == pytest.approx(meitner_clock.elapsed, abs=0.002)


@pytest.mark.meitner(faults=[fault("timeout", times=2)])
async def test_on_a_clock_the_client_is_as_patient_as_any(meitner, meitner_clock):
    """A minute for each attempt, and the pauses between them."""
    with meitner_clock:
        assert await meitner.schools.list().count() == 4
    assert 120 < meitner_clock.elapsed < 122


@pytest.mark.meitner(faults=[fault("429", headers={"Retry-After": "700"}, times=1)])
async def test_what_the_server_asks_for_is_waited_to_the_second(meitner, meitner_clock):
    """A user's test can tell how long its code waited: bulk waits, where a single call would raise."""
    with meitner_clock:
        await meitner.schools.list().all()
    assert meitner_clock.elapsed == pytest.approx(700, abs=1)


@pytest.mark.meitner(quota=1, limiter="window")
async def test_a_clock_goes_on_where_it_stopped(meitner, meitner_clock):
    """What is let pass outside of a block is caught up in the next; in between the loop has its own time."""
    loop = asyncio.get_running_loop()
    with meitner_clock:
        await meitner.schools.list().count()
        await asyncio.sleep(500)
    outside = loop.time()
    meitner_clock.advance(3600)
    await asyncio.sleep(0.001)
    assert 0 < loop.time() - outside < 1000
    with meitner_clock:
        await meitner.schools.list().count()
        assert 3600 <= loop.time() - outside < 3700
    assert 4100 <= meitner_clock.elapsed < 4200


async def test_a_loop_never_goes_back():
    """Timers that were set before and during a block keep their order after it."""
    loop, clock, heard = asyncio.get_running_loop(), VirtualClock(), list[str]()
    loop.call_later(0.02, heard.append, "before")
    times = [loop.time()]
    with clock:
        await asyncio.sleep(5)
        times.append(loop.time())
        loop.call_later(0.01, heard.append, "during")
    times.append(loop.time())
    await asyncio.sleep(0.02)
    times.append(loop.time())
    assert heard == ["before", "during"]
    assert times == sorted(times)
    assert type(loop._selector).__module__ == "selectors"


def test_a_clock_runs_a_coroutine_by_itself():
    """Where no loop runs: a day, in order, from a start of one's own."""
    clock = VirtualClock(datetime(2026, 3, 1, tzinfo=UTC))

    async def main() -> list[int]:
        done = list[int]()

        async def wait(hours: int) -> None:
            await asyncio.sleep(hours * 3600)
            done.append(hours)

        await asyncio.gather(*(wait(hours) for hours in (24, 1, 13)))
        return done

    assert clock.run(main()) == [1, 13, 24]
    assert (clock.elapsed, clock.now().replace(microsecond=0)) == (86400, datetime(2026, 3, 2, tzinfo=UTC))
    assert repr(clock) == "<VirtualClock 2026-03-02 00:00:00, 86400.0 s after its start>"


def test_a_clock_waits_for_threads():
    """Work outside of the loop that is waited for, and for nothing else, gets its time."""
    go = threading.Event()

    async def main() -> str:
        asyncio.get_running_loop().call_soon(go.set)
        return await asyncio.to_thread(lambda: "done" if go.wait(5) else "late")

    assert VirtualClock().run(main()) == "done"


def test_waiting_for_ever_is_an_error(monkeypatch):
    """Else a test would hang without a word."""
    monkeypatch.setattr("meitner_aio.testing._clock._OUTSIDE", 0.01)

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="no timer is set and every task waits"):
        VirtualClock().run(main())


def test_a_rest_that_rounds_to_nothing_passes():
    """Code that waits until it is time comes to an end, however little is missing."""

    async def main() -> int:
        loop, turns = asyncio.get_running_loop(), 0
        began = loop.time()
        while loop.time() == began and turns < 1000:
            await asyncio.sleep(1e-30)
            turns += 1
        return turns

    assert VirtualClock().run(main()) < 10


async def test_a_clock_is_for_one_block_at_a_time():
    """Two loops would let time pass twice."""
    clock = VirtualClock()
    with clock, pytest.raises(RuntimeError, match="in use already"), clock:
        pass
    with clock:
        await asyncio.sleep(1)


def test_a_clock_refuses_loops_that_it_cannot_hold(monkeypatch):
    """And says what it needs: uvloop's, for one, keep their time in C."""

    class Loop:
        """A loop without a selector."""

    monkeypatch.setattr(asyncio, "get_running_loop", Loop)
    clock = VirtualClock()
    with pytest.raises(RuntimeError, match="needs an event loop of asyncio's own, not Loop"), clock:
        pass


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_clock_advances(seconds):
    """By seconds, and never back."""
    with pytest.raises(ValueError, match="at least 0"):
        VirtualClock().advance(seconds)


def test_a_start_without_a_zone_is_no_instant():
    """It would be another one on another machine."""
    with pytest.raises(ValueError, match="aware"):
        VirtualClock(datetime(2026, 3, 1))


# What a failed test is told


def _failure(pytester: pytest.Pytester, body: str, marker: str = "", fixtures: str = "meitner, meitner_sandbox") -> Any:
    source = (
        f"@pytest.mark.meitner({marker})\nasync def test_it({fixtures}):\n    {body}\n    assert 'Norr' == 'Söder'\n"
    )
    result = told(pytester, source, "--asyncio-mode=auto")
    result.assert_outcomes(failed=1)
    return result.stdout


def test_a_failure_shows_the_requests_and_what_they_were_answered(pytester):
    """In order, with why they were refused; no credentials, no bodies."""
    body = """await meitner.units.list(limit=2)
    with pytest.raises(UnprocessableEntityError):
        await meitner.students.create(identity_number="1", first_name="Canary", last_name="Ek")"""
    out = _failure(
        pytester, body, "faults=[fault('503', times=1, operations=['list']), fault('reset', operations=['delete'])]"
    )
    out.fnmatch_lines(
        [
            "*- meitner sandbox -*",
            "GET /unit?limit=2&offset=0 -> 503 a fault of the sandbox",
            "GET /unit?limit=2&offset=0 -> 200",
            "POST /student -> 422 *identityNumber*",
            "fault: 503 struck units.list",
            "hint: a cut connection never struck: nothing asked for delete",
        ]
    )
    assert "Client-Secret" not in out.str()


@pytest.mark.parametrize(
    ("marker", "body", "hint"),
    [
        ("", "pass", "hint: no request reached the sandbox; *meitner_environment*"),
        (
            "quota=1, client={'max_retries': 0}",
            "await meitner.schools.list()\n    async with Meitner('a', 'c', base_url=meitner_sandbox.url, max_retries=0) as other:\n        with pytest.raises(RateLimitError): await other.schools.list()",
            "hint: the sandbox's quota is spent; *meitner_clock*",
        ),
        (
            "credentials=('a', 'b')",
            "with pytest.raises(AuthenticationError):\n        async with Meitner('a', 'c', base_url=meitner_sandbox.url) as other: await other.schools.list()",
            "hint: 401 *",
        ),
        (
            "",
            "with pytest.raises(NotFoundError):\n        async with Meitner('a', 'c', base_url=meitner_sandbox.url + '/v2') as other: await other.schools.list()",
            "hint: a path that the API does not have was asked for*",
        ),
    ],
)
def test_a_failure_brings_hints(pytester, marker, body, hint):
    """Of what usually is the matter."""
    _failure(pytester, body, marker).fnmatch_lines([hint])


def test_what_was_ordered_is_no_hint(pytester):
    """A 401 that the test itself arranged needs no advice on credentials."""
    body = "with pytest.raises(AuthenticationError): await meitner.schools.list()"
    out = _failure(pytester, body, "faults=['401']")
    out.fnmatch_lines(["fault: 401 struck schools.list"])
    out.no_fnmatch_line("hint: *")


def test_only_the_last_requests_are_shown(pytester):
    """The rest is counted."""
    out = _failure(pytester, "for _ in range(25): await meitner.schools.list()")
    out.fnmatch_lines(["(5 earlier requests)"])
    assert len([line for line in out.lines if line.strip().startswith("GET /school") and "attempt" not in line]) == 20


def test_a_test_that_passes_is_told_nothing(pytester):
    """Not even when all reports are asked for."""
    result = told(pytester, "async def test_it(meitner): await meitner.schools.list()\n", "--asyncio-mode=auto", "-rA")
    result.stdout.no_fnmatch_line("*meitner sandbox*")


def test_records_come_back_as_records(meitner_sandbox):
    """To arrange and to assert with."""
    student = meitner_sandbox.records("students")[0]
    assert msgspec.structs.replace(student) == student
    assert "***" in repr(student)
