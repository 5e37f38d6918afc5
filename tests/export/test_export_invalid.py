"""Rows that break the contract of the API: they end an export, or are left out of it and named, never with a value."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from raw_server import RawServer, Seen, answer

from meitner_aio import Meitner, ResponseValidationError
from meitner_aio.export import InvalidRow, export, plan

CREDENTIALS = {"MEITNER_CLIENT_CREDENTIALS": "an-id", "MEITNER_CLIENT_SECRET": "a-secret"}
CREATED = "2025-01-01T00:00:00Z"
POISON = {7: {"firstName": 4711}, 23: {"meta": {"createdAt": "a while ago"}}, 24: {"identityNumber": None}, 41: None}
"""What is wrong with some of the rows; with the last one, everything: it has not even an id."""
LEFT_OUT = (
    InvalidRow(f"{7:08d}-0000-4000-8000-000000000000", "firstName"),
    InvalidRow(f"{23:08d}-0000-4000-8000-000000000000", "meta.createdAt"),
    InvalidRow(f"{24:08d}-0000-4000-8000-000000000000", "identityNumber"),
    InvalidRow("number 1 of the page at 40", "id"),
)


def row(number: int) -> dict[str, Any]:
    """Return a student as a server might send it."""
    wrong = POISON.get(number, {})
    if wrong is None:
        return {"lastName": "Ek-canary"}
    student = {"id": f"{number:08d}-0000-4000-8000-000000000000", "identityNumber": f"20150101-{number:04d}"}
    meta = {"createdAt": CREATED}
    return student | {"firstName": "Bo", "lastName": "Ek-canary", "meta": meta} | wrong


class Poisoned:
    """Serves fifty students in pages of at most ten, four of them poisoned, and counts what it is asked."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.server = RawServer(self.reply)

    def reply(self, seen: Seen) -> bytes:
        """Answer a list, a search for when rows were created, or one for deletions, of which there are none."""
        url = urlsplit(seen.target)
        asked = parse_qs(url.query)
        offset, limit = int(asked["offset"][0]), min(10, int(asked["limit"][0]))
        total = 0 if "/audit-event" in url.path else 50
        if seen.method == "GET":
            self.offsets.append(offset)
        elif total:
            filter_ = json.loads(seen.body)["filter"]
            low, high = (
                filter_.get(name, {}).get("meta", {}).get("createdAt") for name in ("greaterOrEqual", "smallerThan")
            )
            total = total if (low or "") <= CREATED < high else 0
        rows = [row(number) for number in range(offset, min(total, offset + limit))]
        body = {"data": rows, "pagination": {"offset": offset, "limit": limit, "total": total}}
        return answer(data=body, headers={"Date": "Sat, 21 Nov 2026 10:00:00 GMT"})


@pytest.fixture
async def poisoned() -> AsyncIterator[Poisoned]:
    """Give the server."""
    directory = Poisoned()
    async with directory.server:
        yield directory


@pytest.fixture
async def meitner(poisoned: Poisoned) -> AsyncIterator[Meitner]:
    """Give a client of it."""
    async with Meitner("an-id", "a-secret", base_url=poisoned.server.url) as meitner:
        yield meitner


def _students(folder: Path) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())["resources"]["students"]
    return entry


async def test_rows_that_are_skipped_are_named(meitner: Meitner, tmp_path: Path) -> None:
    """Each by its id and the path of its field, in report and manifest; all the others are exported."""
    report = await export(meitner, ["students"], to=tmp_path, on_invalid="skip")
    (one,) = report.resources
    assert (one.rows, one.total, one.complete, report.complete) == (46, 50, False, False)
    assert one.invalid == LEFT_OUT
    assert [(left["id"], left["field"]) for left in _students(tmp_path)["invalid"]] == [
        (left.id, left.field) for left in LEFT_OUT
    ]
    assert len((tmp_path / "students.ndjson").read_bytes().splitlines()) == 46
    text = (tmp_path / "manifest.json").read_text()
    assert not [value for value in ("4711", "a while ago", "canary", "20150101") if value in text]


async def test_a_stream_names_them_too(meitner: Meitner) -> None:
    """In its report, the only word that it leaves."""
    report = await export(meitner, ["students"], to=io.BytesIO(), on_invalid="skip")
    assert (report.resources[0].invalid, report.complete) == (LEFT_OUT, False)


@pytest.mark.parametrize("how", [{}, {"max_wait": 3600.0}, {"limit": 30}])
async def test_without_it_the_error_names_the_option(meitner: Meitner, tmp_path: Path, how: Any) -> None:
    """And the row, and no value; wherever the row was met."""
    for reading in (
        lambda: export(meitner, ["students"], to=tmp_path, **how),
        lambda: export(meitner, ["students"], to=io.BytesIO(), **how),
    ):
        with pytest.raises(
            ResponseValidationError, match=r"row 00000007-.*on_invalid=.skip. .--on-invalid skip. leaves such rows"
        ) as caught:
            await reading()
        assert caught.value.row == LEFT_OUT[0].id
        assert "4711" not in caught.value.message
        assert caught.value.route == "/student"


async def test_other_broken_answers_name_no_option_that_does_not_help(tmp_path: Path) -> None:
    """An answer that is no page at all is nobody's row."""
    async with (
        RawServer([answer(body=b"<html>")]) as server,
        Meitner("an-id", "a-secret", base_url=server.url, max_retries=0) as meitner,
    ):
        with pytest.raises(ResponseValidationError) as caught:
            await export(meitner, ["students"], to=tmp_path)
        assert "on_invalid" not in str(caught.value)
        assert caught.value.row is None


async def test_what_stopped_at_a_row_goes_on_without_it(poisoned: Poisoned, meitner: Meitner, tmp_path: Path) -> None:
    """Whoever resumes with the option pays for no page twice, and no row is forgotten on the way."""
    far = 20
    with pytest.raises(ResponseValidationError):
        await export(meitner, ["students"], to=tmp_path, concurrency=1, on_invalid="raise")
    poisoned.offsets.clear()

    def stop(step: Any) -> None:
        if step.rows > far:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await export(meitner, ["students"], to=tmp_path, concurrency=1, on_invalid="skip", resume=True, progress=stop)
    assert (tmp_path / "students.journal").read_bytes().count(b"firstName") == 1
    poisoned.offsets.clear()
    report = await export(meitner, ["students"], to=tmp_path, concurrency=1, on_invalid="skip", resume=True)
    assert poisoned.offsets == [30, 40]
    assert (report.rows, report.resources[0].invalid) == (46, LEFT_OUT)


async def test_a_plan_counts_them(meitner: Meitner) -> None:
    """They cost what others cost; the option lets a plan be made at all."""
    planned = await plan(meitner, ["students"], on_invalid="skip")
    assert planned.rows == 50


async def test_a_wrong_choice_is_refused(meitner: Meitner, poisoned: Poisoned, tmp_path: Path) -> None:
    """Before any request."""
    with pytest.raises(ValueError, match='"raise" or "skip"'):
        await export(meitner, ["students"], to=tmp_path, on_invalid="ignore")  # type: ignore[arg-type]
    assert not poisoned.offsets


async def test_the_command_names_them_and_ends_with_3(
    cli: Callable[..., tuple[int, str, str]],
    poisoned: Poisoned,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On stderr, one line; without the option the error says which one helps."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    arguments = ("export", "students", "--to", str(tmp_path), "--base-url", poisoned.server.url)
    code, out, err = await asyncio.to_thread(cli, *arguments)
    assert (code, out) == (1, "")
    assert 'on_invalid="skip" (--on-invalid skip) leaves such rows out' in err
    code, out, err = await asyncio.to_thread(cli, *arguments, "--on-invalid", "skip", "--json")
    report = json.loads(out)
    said = [line for line in err.splitlines() if line.startswith("meitner-aio: ")]
    assert (code, report["complete"], report["rows"], len(said)) == (3, False, 46, 1)
    assert said[0].startswith(
        f"meitner-aio: students lacks 4 rows that the API's contract does not allow: {LEFT_OUT[0].id}"
    )
    assert "(meta.createdAt)" in said[0]
