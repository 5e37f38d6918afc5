"""The larger recipes run: a service and its tests, and tracing that shows no personal data."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Scripted
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pages import block
from raw_server import STUDENT_ID, answer
from yarl import URL

from meitner_aio import Meitner, MeitnerError, ResponseReceived, like
from meitner_aio.sandbox import fault

HERE = Path(__file__).resolve().parent
SERVICE = HERE / "example_service"
CANARY = "Kanariefagel"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def _module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, SERVICE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


spans: Callable[[Any], Callable[[Any], None]] = _module("tracing").spans


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_the_tests_of_the_example_service_pass(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """As a user runs them, with nothing of this project's own test setup around; in strict mode the marks are added."""
    for path in SERVICE.glob("*.py"):
        monkeypatch.delitem(sys.modules, path.stem, raising=False)  # this project's run has collected them, too
        source = path.read_text(encoding="utf-8")
        if mode == "strict":
            source = source.replace("@pytest.fixture\nasync def", "@__import__('pytest_asyncio').fixture\nasync def")
            source = source.replace("async def test_", "@pytest.mark.asyncio\nasync def test_")
        (pytester.path / path.name).write_text(source, encoding="utf-8")
    options = ("-W", "error", "-p", "no:cacheprovider", "-p", "meitner_aio.testing", f"--asyncio-mode={mode}")
    result = pytester.runpytest_inprocess(*options, "-o", "asyncio_default_fixture_loop_scope=function")
    result.assert_outcomes(passed=9)


QUOTED = {"service.py": "service.md", "test_service.py": "testing.md", "tracing.py": "operate.md"}


def test_pages_quote_the_example_as_it_is() -> None:
    """A recipe that only lives in a document rots: each quoted file is the one that the tests above run."""
    for name, where in QUOTED.items():
        assert block(where, name) == (SERVICE / name).read_text(encoding="utf-8"), name


# Tracing


@pytest.fixture
def traced():
    """Give a tracer provider, and what it exported."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter
    provider.shutdown()


def _text(exported: Sequence[ReadableSpan]) -> str:
    """Return all that the spans say."""
    return "\n".join(span.to_json() for span in exported)


@pytest.mark.meitner(faults=[fault("503", times=1, operations=["get"])])
async def test_spans_of_events_are_named_by_routes(meitner, meitner_sandbox, traced) -> None:
    """One span for each answer, below the caller's, with the retries of a call as events of the caller's span."""
    provider, exporter = traced
    tracer, student = provider.get_tracer("tests"), meitner_sandbox.records("students")[0]
    client = meitner.with_options(on_event=spans(tracer))
    with tracer.start_as_current_span("work") as work:
        await client.students.get(student.id)
        await client.students.search(last_name=like(f"{CANARY}%")).count()
    first, second, search, outer = exporter.get_finished_spans()
    assert [span.name for span in (first, second, search)] == ["GET /student/{id}"] * 2 + ["POST /student/_search"]
    assert [span.attributes["http.response.status_code"] for span in (first, second, search)] == [503, 200, 200]
    assert [span.attributes["http.request.resend_count"] for span in (first, second, search)] == [0, 1, 0]
    assert [span.status.is_ok for span in (first, second)] == [False, True]
    assert {span.parent.span_id for span in (first, second, search)} == {work.get_span_context().span_id}
    assert [(event.name, event.attributes["reason"]) for event in outer.events] == [("meitner.retry", "503")]
    for secret in (CANARY, student.id, student.first_name, "Client-Secret", "limit"):
        assert secret not in _text(exporter.get_finished_spans())


@pytest.mark.meitner(quota=2, limiter="window")
async def test_a_wait_for_the_quota_is_in_the_span_of_who_waits(meitner, meitner_clock, traced) -> None:
    """So that a slow call says why."""
    provider, exporter = traced
    tracer = provider.get_tracer("tests")
    client = meitner.with_options(on_event=spans(tracer))
    with meitner_clock, tracer.start_as_current_span("work"):
        await client.students.list(limit=50).all()
    outer = exporter.get_finished_spans()[-1]
    assert "closed" in [event.attributes["zone"] for event in outer.events if event.name == "meitner.quota_wait"]


def without_ids(url: URL) -> str:
    """Return what a span may say of a URL: no query, no ids."""
    return f"{url.origin()}{_ID.sub('{id}', url.path)}"


async def test_the_instrumentation_of_aiohttp_works_on_the_session(meitner_sandbox, traced) -> None:
    """Through `trace_configs`, with the URL filtered: spans of every attempt on the wire, and a traceparent for it."""
    provider, exporter = traced
    config = create_trace_config(url_filter=without_ids, tracer_provider=provider)
    student = meitner_sandbox.records("students")[0]
    async with Meitner("canary-id", "canary-secret", base_url=meitner_sandbox.url, trace_configs=[config]) as meitner:
        await meitner.students.get(student.id)
        await meitner.students.list(limit=3, offset=6)
        await meitner.students.delete(student.id)
    exported = exporter.get_finished_spans()
    urls = [span.attributes.get("url.full") or span.attributes["http.url"] for span in exported]
    assert urls == [f"{meitner_sandbox.url}/student{end}" for end in ("/{id}", "", "/{id}")]
    assert "traceparent" in meitner_sandbox.requests[0].headers
    for secret in (student.id, "limit", "canary"):
        assert secret not in _text(exported)


BROKEN = f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{CANARY} with a blank: x\r\n\r\n{{}}".encode()
"""An answer that is no HTTP, with personal data where it breaks."""


@pytest.mark.parametrize("recipe", ["events", "instrumentation"])
async def test_an_answer_that_breaks_shows_in_no_span_of_events(scripted: Scripted, traced, recipe: str) -> None:
    """Spans of events cannot quote an answer; those of aiohttp's instrumentation record its exceptions, which do."""
    provider, exporter = traced
    ours = {"on_event": spans(provider.get_tracer("tests"))}
    theirs = {"trace_configs": [create_trace_config(url_filter=without_ids, tracer_provider=provider)]}
    client, _ = await scripted(BROKEN, answer(), max_retries=0, retry=None, **(ours if recipe == "events" else theirs))
    with provider.get_tracer("tests").start_as_current_span("work"):
        with pytest.raises(MeitnerError):
            await client.students.get(STUDENT_ID)
        await client.students.get(STUDENT_ID)
    said = _text(exporter.get_finished_spans())
    assert "GET" in said
    assert (CANARY in said) == (recipe == "instrumentation")


async def test_events_are_facts_without_ids(meitner, meitner_sandbox) -> None:
    """What a recipe for any other tool gets: method, route, status and seconds."""
    heard: list[Any] = []
    student = meitner_sandbox.records("students")[0]
    await meitner.with_options(on_event=heard.append).students.get(student.id)
    assert any(isinstance(event, ResponseReceived) for event in heard)
    assert student.id not in repr(heard)


# Documents


def test_every_promise_of_security_md_names_tests_that_exist() -> None:
    """A promise without a test is a hope."""
    text = (HERE.parent / "SECURITY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!promise |---)(.*?) \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) >= 14
    for promise, tests in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
        assert named, promise
        for path, name in named:
            assert re.search(
                rf"^(async )?def {name}\(", (HERE.parent / path).read_text(encoding="utf-8"), re.MULTILINE
            ), name
