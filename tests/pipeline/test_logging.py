"""The log: one line at the end of a call, every attempt for whoever looks closer, no secrets and nobody's data."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import virtual_time
from conftest import Scripted
from raw_server import STUDENT_ID, answer, failure, page

from meitner_aio import (
    APIConnectionError,
    APIStatusError,
    ConfigurationError,
    Meitner,
    OAuth2,
    QuotaExhausted,
    RequestSent,
    ResponseReceived,
    ResponseValidationError,
)
from meitner_aio._pipeline import logging as engine
from meitner_aio._pipeline.logging import CallEnded
from meitner_aio.events import Event

CANARIES = ("an-id", "a-secret", "canary", "20150101-0000", "Sixten", "0701-23", "@example", STUDENT_ID)


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    """Leave the package's logger as it was found."""
    level, handlers = engine.LOG.level, list(engine.LOG.handlers)
    yield
    engine.LOG.setLevel(level)
    engine.LOG.handlers[:] = handlers


def _lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return the messages of a level, with what differs between runs taken out."""
    texts = [record.getMessage() for record in caplog.records if record.levelno == level]
    return [re.sub(r"\d+\.\d{3} s", "# s", re.sub(r"\d+ ms", "# ms", text)) for text in texts]


async def test_info_is_one_line_for_each_call(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    """However many attempts it took, and however it ended."""
    meitner, _ = await scripted(failure(503), answer(headers={"X-Request-ID": "r-1"}), failure(404, "NotFound"), None)
    caplog.set_level(logging.INFO, "meitner_aio")
    await meitner.students.get(STUDENT_ID)
    for _ in range(2):
        with contextlib.suppress(APIStatusError, APIConnectionError):
            await meitner.students.get(STUDENT_ID)
    assert _lines(caplog, logging.INFO) == [
        "GET /student/{id}: 200 after # ms in 2 attempts (request r-1)",
        "GET /student/{id}: 404 NotFoundError after # ms in 1 attempt (request req-1)",
        "GET /student/{id}: APIConnectionError after # ms in 3 attempts",
    ]
    assert {record.name for record in caplog.records} == {"meitner_aio"}


async def test_debug_is_every_attempt_and_why_there_was_another(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """Method, route, status, time, attempt and request id."""
    meitner, _ = await scripted(failure(503), answer())
    caplog.set_level(logging.DEBUG, "meitner_aio")
    await meitner.students.get(STUDENT_ID)
    assert _lines(caplog, logging.DEBUG) == [
        "GET /student/{id}: attempt 1 leaves",
        "GET /student/{id}: attempt 1 was answered 503 after # ms (request req-1)",
        "GET /student/{id}: attempt 1 failed (503), next in # s",
        "GET /student/{id}: attempt 2 leaves",
        "GET /student/{id}: attempt 2 was answered 200 after # ms",
    ]
    assert len(_lines(caplog, logging.INFO)) == 1


async def test_token_requests_are_logged_and_told_too(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    """They are requests, and the reason why a call takes longer."""
    told: list[Any] = []
    token = answer(200, {"access_token": "canary", "expires_in": 3600})
    meitner, _ = await scripted(token, answer(), auth=OAuth2("a", "canary"), on_event=told.append)
    caplog.set_level(logging.DEBUG, "meitner_aio")
    await meitner.students.get(STUDENT_ID)
    assert "POST token endpoint: attempt 1 leaves" in _lines(caplog, logging.DEBUG)
    assert "canary" not in caplog.text
    assert [event.route for event in told if isinstance(event, RequestSent)] == ["/student/{id}", "token endpoint"]


def test_a_wait_for_the_quota_is_explained(caplog: pytest.LogCaptureFixture) -> None:
    """At INFO: it may last an hour."""

    async def main() -> None:
        async with Meitner.sandbox(students=1, schools=1, quota=8, limiter="window") as meitner:
            for _ in range(7):
                await meitner.students.list().count()
            await meitner.students.list().all()
            with contextlib.suppress(QuotaExhausted):
                await meitner.students.list().count()

    caplog.set_level(logging.INFO, "meitner_aio")
    virtual_time.run(main())
    waits = [line for line in _lines(caplog, logging.INFO) if line.startswith("a request waits")]
    assert waits
    assert all(
        re.fullmatch(r"a request waits [\w# ]+ for the quota: closed \((probing|spent)\), \d left", line)
        for line in waits
    )
    assert _lines(caplog, logging.INFO)[-1] == "GET /student: QuotaExhausted after # ms in 0 attempts"


async def test_nobody_listens_nobody_pays(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the logger off, no event is made at all."""
    meitner, _ = await scripted(answer())
    made: list[object] = []
    for name in ("RequestSent", "ResponseReceived"):
        monkeypatch.setattr(f"meitner_aio._pipeline.retry.{name}", lambda *args: made.append(args))
    engine.LOG.setLevel(logging.WARNING)
    await meitner.students.get(STUDENT_ID)
    assert not made


async def test_a_logger_of_ones_own_takes_the_place(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    """A Logger or an adapter of one; the usual one stays silent."""
    mine = logging.getLogger("mine")
    mine.setLevel(logging.INFO)
    adapted = logging.LoggerAdapter(mine, {"tenant": "north"})
    meitner, _ = await scripted(answer(), logger=mine)
    caplog.set_level(logging.DEBUG, "meitner_aio")
    await meitner.students.get(STUDENT_ID)
    await meitner.with_options(logger=adapted).students.get(STUDENT_ID)
    assert [record.name for record in caplog.records] == ["mine", "mine"]
    assert caplog.records[1].tenant == "north"  # type: ignore[attr-defined]


async def test_a_record_carries_its_event(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    """For structured logs: fields, not text."""
    meitner, _ = await scripted(answer(headers={"X-Request-ID": "r-1"}))
    caplog.set_level(logging.DEBUG, "meitner_aio")
    await meitner.students.get(STUDENT_ID)
    events = [record.meitner for record in caplog.records]  # type: ignore[attr-defined]
    assert [type(event) for event in events] == [RequestSent, ResponseReceived, CallEnded]
    assert msgspec.to_builtins(events[2]) | {"elapsed": 0} == {
        "method": "GET",
        "route": "/student/{id}",
        "outcome": "200",
        "elapsed": 0,
        "attempts": 1,
        "request_id": "r-1",
    }


async def test_what_a_filter_or_a_listener_raises_breaks_no_call(scripted: Scripted) -> None:
    """A broken log is not a broken directory."""

    class Broken(logging.Filter):
        def filter(self, _: logging.LogRecord) -> bool:
            raise RuntimeError("the log is broken")

    mine = logging.getLogger("broken")
    mine.setLevel(logging.DEBUG)
    mine.addFilter(Broken())
    meitner, _ = await scripted(failure(503), answer(), logger=mine)
    assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID


async def test_a_listener_that_fails_is_logged_by_the_clients_logger(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback, on the logger that the client was given."""

    def broken(_: Event) -> None:
        raise RuntimeError("mine")

    meitner, _ = await scripted(answer(), on_event=broken, logger=logging.getLogger("other"))
    await meitner.students.get(STUDENT_ID)
    failed = [record for record in caplog.records if record.getMessage() == "on_event failed"]
    assert failed
    assert {(record.name, record.levelno) for record in failed} == {("other", logging.ERROR)}


async def test_a_call_that_is_cancelled_or_closed_ends_in_the_log(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that began is left without an end."""

    async def silence(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    meitner, server = await scripted(silence)
    caplog.set_level(logging.INFO, "meitner_aio")
    call = asyncio.create_task(meitner.students.get(STUDENT_ID))
    while not server.seen:
        await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert _lines(caplog, logging.INFO) == ["GET /student/{id}: CancelledError after # ms"]


PERSON = {
    "id": STUDENT_ID,
    "identityNumber": "20150101-0000",
    "firstName": "Sixten",
    "lastName": "canary",
    "emailAddress1": "canary@example.se",
}


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
async def test_no_line_holds_a_secret_or_a_person(
    scripted: Scripted, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    """S2, for every kind of call and end: no body, header, query string, id, name or secret, not in extras either."""
    said = "no student 20150101-0000 named Sixten, call 0701-234567"
    bad = answer(
        404, {"error": {"code": "NotFound", "message": said, "requestID": "20150101-0000\r\ncanary@example.se"}}
    )
    replies = [
        answer(201, PERSON),
        page([PERSON]),
        page([PERSON]),
        answer(200, PERSON),
        bad,
        answer(200, {**PERSON, "identityNumber": 5}),
    ]
    told: list[Any] = []
    meitner, _ = await scripted(*replies, headers={"X-Key": "canary"}, max_retries=0, retry=None, on_event=told.append)
    with caplog.at_level(level):  # asyncio's and aiohttp's, too
        await meitner.students.create(identity_number="20150101-0000", first_name="Sixten", last_name="canary")
        await meitner.students.search(last_name="canary").first()
        await meitner.request("POST", "/student/20150101-0000/_search", params={"q": "canary"}, json={"n": "Sixten"})
        await meitner.students.get(STUDENT_ID)
        with pytest.raises(APIStatusError):
            await meitner.request("GET", "/student/Sixten1", params={"identity": "20150101-0000"})
        with pytest.raises(ResponseValidationError):
            await meitner.students.get(STUDENT_ID)
    ours = [record for record in caplog.records if record.name == "meitner_aio"]
    assert len(ours) == (18 if level == logging.DEBUG else 6)
    shown = "".join(f"{record.getMessage()} {vars(record)!r}" for record in caplog.records)
    assert "".join(record.getMessage() for record in ours).isprintable()  # what a server says cannot begin a line
    shown += repr(told)
    assert [canary for canary in CANARIES if canary in shown] == []


# The switch in the environment

_SCRIPT = """
import asyncio
from meitner_aio import Meitner
async def main():
    for _ in range(3):
        async with Meitner.sandbox(students=3, schools=1) as meitner:
            await meitner.with_options(timeout=5).students.list().count()
{before}
asyncio.run(main())
"""


def _stderr(before: str = "", **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(before=before)],
        env={"PYTHONPATH": ":".join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


@pytest.mark.parametrize(
    ("environment", "lines"),
    [
        ({}, 0),
        ({"MEITNER_LOG": ""}, 0),
        ({"MEITNER_LOG": "info"}, 3),
        ({"MEITNER_LOG": "DEBUG"}, 9),
        ({"MEITNER_DEBUG": "true"}, 9),
        ({"MEITNER_DEBUG": "false"}, 0),
        ({"MEITNER_LOG": "info", "MEITNER_DEBUG": "true"}, 3),
    ],
)
def test_the_environment_switches_the_log_on(environment: dict[str, str], lines: int) -> None:
    """On stderr, one line for each, however many clients: no line twice, nothing on stdout."""
    found = _stderr(**environment)
    assert len(found) == lines
    form = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|DEBUG) meitner_aio: GET /student: .+"
    assert [line for line in found if not re.fullmatch(form, line)] == []


def test_an_application_that_logs_to_stderr_itself_gets_no_line_twice() -> None:
    """The switch steps back where the application shows the same lines."""
    found = _stderr("import logging; logging.basicConfig(level=logging.INFO)", MEITNER_LOG="info")
    assert len(found) == 3
    assert all(line.startswith("INFO:meitner_aio:GET /student: 200 ") for line in found)


@pytest.mark.parametrize(
    ("name", "value"), [("LOG", "trace"), ("LOG", "true"), ("LOG", "warning"), ("DEBUG", "debug"), ("DEBUG", "2")]
)
def test_a_value_that_means_nothing_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Whoever looks for a log that does not come is told why, at construction."""
    monkeypatch.setenv(f"MEITNER_{name}", value)
    with pytest.raises(ConfigurationError, match=f"MEITNER_{name} must be"):
        Meitner.sandbox(students=1, schools=1)
    assert engine._to_stderr not in engine.LOG.handlers


def test_the_switch_writes_to_whatever_stderr_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be redirected, or missing."""
    monkeypatch.setenv("MEITNER_LOG", "info")
    Meitner.sandbox(students=1, schools=1)
    Meitner.sandbox(students=1, schools=1)
    assert engine.LOG.handlers.count(engine._to_stderr) == 1
    engine.LOG.info("hello")
    assert capsys.readouterr().err.endswith("INFO meitner_aio: hello\n")
    monkeypatch.setattr(sys, "stderr", None)
    engine.LOG.info("nobody hears this")


def test_a_level_that_the_application_set_later_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch is thrown once, by the first client."""
    monkeypatch.setenv("MEITNER_LOG", "debug")
    Meitner.sandbox(students=1, schools=1)
    engine.LOG.setLevel(logging.ERROR)
    Meitner.sandbox(students=1, schools=1)
    assert engine.LOG.level == logging.ERROR


def test_every_event_has_its_line() -> None:
    """An event that the log forgets would be lost in silence."""
    assert set(engine._LINES) == set(Event.__subclasses__())


def test_an_unused_logger_says_nothing_by_itself() -> None:
    """A library has a NullHandler, and leaves the rest to the application."""
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("meitner_aio").handlers)
