"""`exports.log`: a line for each run, with who, when and what; nothing of anybody it was about."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import json
import multiprocessing
import os
import pwd
import socket
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from numbered_directory import NumberedDirectory

from meitner_aio import ConfigurationError, Meitner, NotFoundError, __version__, like
from meitner_aio.export import Progress, export
from meitner_aio.export._log import Actor, Log, PurgeLine

LONG = 40_000
"""Characters of a line that no buffer holds."""


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return what the log of a folder says."""
    return [json.loads(line) for line in (folder / "exports.log").read_bytes().splitlines()]


async def test_a_line_says_who_took_what_and_when(tmp_path: Path) -> None:
    """All that an officer asks for, once the export is over; names of conditions, not what they were compared with."""
    before = datetime.now(UTC)
    async with Meitner.sandbox(students=40) as meitner:
        report = await export(
            meitner,
            ["students"],
            to=tmp_path,
            format="csv",
            fields=["last_name"],
            where={"first_name": like("%Kanariella%")},
            since=datetime(2020, 1, 1, tzinfo=UTC),
            limit=7,
        )
    (line,) = lines(tmp_path)
    began, ended = (datetime.fromisoformat(line.pop(name)) for name in ("began", "ended"))
    assert before <= began <= ended <= datetime.now(UTC)
    assert line.pop("server").startswith("the sandbox of 40 students")
    sha256 = hashlib.sha256((tmp_path / "students.csv").read_bytes()).hexdigest()
    assert line == {
        "event": "export",
        "outcome": "complete",
        "error": None,
        "by": {
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "uid": os.getuid(),
            "host": socket.gethostname(),
            "version": __version__,
        },
        "format": "csv",
        "where": ["first_name"],
        "since": True,
        "limit": 7,
        "resumed": False,
        "pseudonymised": False,
        "key": None,
        "to": None,
        "resources": [
            {
                "resource": "students",
                "fields": ["id", "last_name"],
                "rows": 0,
                "file": "students.csv",
                "sha256": sha256,
                "level": report.level,
                "complete": True,
            }
        ],
    }


async def test_nobody_is_named_but_who_took(tmp_path: Path) -> None:
    """Neither a value of a row nor of a condition: what is longer than a word and in the export is not in the log."""
    async with Meitner.sandbox(students=15) as meitner:
        await export(meitner, ["students"], to=tmp_path)
        (student, *_) = await meitner.students.list()
        await export(meitner, ["students"], to=tmp_path / "found", where={"last_name": student.last_name})
    text = (tmp_path / "exports.log").read_text() + (tmp_path / "found" / "exports.log").read_text()
    rows = [json.loads(line) for line in (tmp_path / "students.ndjson").read_bytes().splitlines()]
    values = {row[name] for row in rows for name in ("id", "identityNumber", "firstName", "lastName", "emailAddress1")}
    assert [value for value in values if value and value in text] == []


async def test_the_account_is_the_systems_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """`LOGNAME=somebody meitner-aio export` is still logged as who it is."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert getpass.getuser() == "somebody-else"
    assert Actor.here().user == pwd.getpwuid(os.getuid()).pw_name


async def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container there is often no entry for who runs it."""

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert Actor.here().user == str(os.getuid())


async def test_a_failed_run_is_logged_with_what_it_had_taken(tmp_path: Path) -> None:
    """Rows that were read left the directory, whether or not a file came of them. Of the error, only its kind."""
    directory = NumberedDirectory()

    def stop(news: Progress) -> None:
        if news.resource == "students" and news.rows >= 10:
            raise NotFoundError("20150101-4242 is nobody")

    with pytest.raises(NotFoundError):
        await export(directory, ["students"], to=tmp_path, page_size=10, concurrency=1, progress=stop)
    (line,) = lines(tmp_path)
    assert (line["outcome"], line["error"]) == ("failed", "NotFoundError")
    (taken,) = line["resources"]
    assert (taken["rows"], taken["file"], taken["sha256"]) == (10, None, None)
    assert "4242" not in (tmp_path / "exports.log").read_text()
    await export(directory, ["students"], to=tmp_path, page_size=10, resume=True)
    assert [(one["outcome"], one["resumed"]) for one in lines(tmp_path)] == [("failed", False), ("complete", True)]


async def test_an_interrupted_run_is_logged(tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM reach an export as a cancellation."""
    read = asyncio.Event()
    running = asyncio.create_task(
        export(
            NumberedDirectory(),
            ["students"],
            to=tmp_path,
            page_size=5,
            concurrency=1,
            progress=lambda _: read.set(),
        )
    )
    await read.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (line,) = lines(tmp_path)
    assert (line["outcome"], line["error"]) == ("interrupted", "CancelledError")


async def test_all_tables_of_a_database_have_its_hash(tmp_path: Path) -> None:
    """The last one written is the one that lies there."""
    await export(NumberedDirectory(), ["schools", "students"], to=tmp_path, format="sqlite")
    (line,) = lines(tmp_path)
    found = hashlib.sha256((tmp_path / "directory.sqlite").read_bytes()).hexdigest()
    assert {one["sha256"] for one in line["resources"]} == {found}


async def test_the_log_is_the_owners_and_only_grows(tmp_path: Path) -> None:
    """0600 whatever it was, and every line stays."""
    await export(NumberedDirectory(), ["students"], to=tmp_path)
    log = tmp_path / "exports.log"
    before = log.read_bytes()
    log.chmod(0o644)
    await export(NumberedDirectory(), ["students"], to=tmp_path)
    assert log.read_bytes().startswith(before)
    assert (stat.S_IMODE(log.stat().st_mode), len(lines(tmp_path))) == (0o600, 2)


async def test_who_cannot_be_logged_takes_nothing(tmp_path: Path) -> None:
    """A link in the place of the log leads it elsewhere: refused before the first request."""
    directory, elsewhere = NumberedDirectory(), tmp_path / "elsewhere"
    out = tmp_path / "out"
    out.mkdir(mode=0o700)
    elsewhere.write_text("mine")
    (out / "exports.log").symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="is a link"):
        await export(directory, ["students"], to=out)
    assert (directory.requests, elsewhere.read_text()) == ([], "mine")


async def test_what_was_finished_before_is_in_the_line_of_who_went_on(tmp_path: Path) -> None:
    """The folder is the last run's: its line has the hash of every file that it was asked for."""
    directory = NumberedDirectory()
    finished: list[str] = []

    def refuse(resource: str, offset: int) -> None:
        if resource == "students" and offset >= 10 and "schools" in finished:
            raise NotFoundError("stop")

    def progress(news: Progress) -> None:
        finished.extend([news.resource] if news.finished else [])

    directory.rows["students"] = 5000
    directory.before = refuse
    with pytest.raises(NotFoundError):
        await export(directory, ["schools", "students"], to=tmp_path, concurrency=2, progress=progress)
    directory.before = lambda *_: None
    await export(directory, ["schools", "students"], to=tmp_path, resume=True)
    first, second = lines(tmp_path)
    assert [one["file"] for one in first["resources"]] == ["schools.ndjson", None]
    assert [one["file"] for one in second["resources"]] == ["schools.ndjson", "students.ndjson"]
    assert second["resources"][0]["sha256"] == first["resources"][0]["sha256"]


def _line(number: int) -> PurgeLine:
    now = datetime.now(UTC)
    return PurgeLine(now, now, f"{number}:{'x' * LONG}", None, Actor.here(), 0.0, assured=False, removed=())


def _write(folder: Path, number: int, together: Any) -> None:
    together.wait(30)
    for _ in range(20):
        with Log(folder) as log:
            log.add(_line(number))


def test_lines_of_many_processes_are_not_torn(tmp_path: Path) -> None:
    """A purge and an export of other resources may end at the same time; no buffer's end cuts a line in two."""
    spawned = multiprocessing.get_context("spawn")
    together = spawned.Barrier(3)
    writers = [spawned.Process(target=_write, args=(tmp_path, number, together)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    found = [line["outcome"] for line in lines(tmp_path)]
    assert sorted(found) == sorted(f"{number}:{'x' * LONG}" for number in range(3) for _ in range(20))


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    """A full disk may take half a line; the next begins on one of its own."""
    (tmp_path / "exports.log").write_bytes(b'{"event":"purge","beg')
    with Log(tmp_path) as log:
        log.add(_line(1))
    first, second = (tmp_path / "exports.log").read_bytes().splitlines()
    assert first == b'{"event":"purge","beg'
    assert json.loads(second)["event"] == "purge"
