"""The tests of the service: no credentials, no network, no waiting."""

import httpx
import pytest
from service import app, directory

from meitner_aio.sandbox import fault

KEY = "a-key-for-tests-0123456789abcdef"
NOBODY = "00000000-0000-4000-8000-000000000000"


def calls(to):
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(to), base_url="http://service", headers=headers)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("ROLL_API_KEY", KEY)


@pytest.fixture
async def service(meitner_environment):  # the client that the service builds from the environment finds the sandbox
    async with app.router.lifespan_context(app), calls(app) as client:
        yield client


async def test_the_roll_of_a_school(service, meitner_sandbox):
    """Data is arranged and asserted with the records of the sandbox, requests with what it saw."""
    placement = meitner_sandbox.records("student_placements")[0]
    rows = meitner_sandbox.records("student_placements")
    wanted = {row.student_id for row in rows if row.school_id == placement.school_id}

    answer = await service.get(f"/schools/{placement.school_id}/students")

    assert {pupil["id"] for pupil in answer.json()} == wanted
    search = meitner_sandbox.requested("student_placements.search")[0]
    assert search.json["filter"]["equals"]["schoolID"] == placement.school_id


@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {KEY}", "Bearer "])
async def test_nobody_without_the_key_sees_a_child(service, meitner_sandbox, header):
    """Whatever is asked for, and whether it is there or not; the directory is not even asked."""
    service.headers.clear()
    headers = {"Authorization": header} if header else {}
    for student in [meitner_sandbox.records("students")[0].id, NOBODY]:
        assert (await service.get(f"/students/{student}", headers=headers)).status_code == 401
    assert not meitner_sandbox.requested("students.get")


async def test_a_student_who_is_not_there_is_404(service):
    """The error of the client becomes that of the service."""
    assert (await service.get(f"/students/{NOBODY}")).status_code == 404


@pytest.mark.meitner(faults=[fault("reset", times=1)])
async def test_a_connection_that_breaks_once_is_not_noticed(service, meitner_sandbox):
    """A fault has a name, and may be narrowed to operations, times and chance."""
    student = meitner_sandbox.records("students")[0]
    assert (await service.get(f"/students/{student.id}")).json()["id"] == student.id


@pytest.mark.meitner(quota=1, limiter="window")
async def test_a_spent_quota_is_503_until_the_hour_is_over(service, meitner_sandbox):
    """Who calls the service learns when to come back."""
    student = meitner_sandbox.records("students")[0]
    assert (await service.get(f"/students/{student.id}")).status_code == 200
    answer = await service.get(f"/students/{student.id}")
    assert answer.status_code == 503
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600


@pytest.fixture
async def inside(meitner):  # a client in this process: no socket, so that a virtual clock can hold its event loop
    app.dependency_overrides[directory] = lambda: meitner
    async with calls(app) as client:
        yield client
    app.dependency_overrides.clear()


@pytest.mark.meitner(faults=["timeout"])
async def test_a_directory_that_never_answers_is_502(inside, meitner_clock):
    """Three attempts of a minute each, in no time."""
    with meitner_clock:
        answer = await inside.get(f"/students/{NOBODY}")
    assert answer.status_code == 502
    assert meitner_clock.elapsed > 180
