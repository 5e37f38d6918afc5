"""The command `sync`, once: what it hands to the mirror, what it tells of a run, how it ends."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from log_lines import TIMED
from rich.console import Console

from meitner_aio import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    Meitner,
    MeitnerError,
    Quota,
    QuotaWait,
    RequestSent,
    TooManyDeletions,
)
from meitner_aio.cli._options import DirectoryOptions
from meitner_aio.cli._runs import Ran, Requests
from meitner_aio.cli.rendering.runs import run_line
from meitner_aio.cli.rendering.typed import interval
from meitner_aio.cli.rendering.under_way import shown_requests, under_way
from meitner_aio.mirror import Count, Mirror, SyncReport, VerifyReport
from meitner_aio.sandbox import Sandbox

Cli = Callable[..., tuple[int, str, str]]

SANDBOX = ("--sandbox", "--students", "30")
AT = datetime(2026, 11, 29, 5, 15, 3, tzinfo=UTC)
CET = timezone(timedelta(hours=1), "CET")
MANY = TooManyDeletions("many", deletions={"students": 137, "groups": 1}, rows={"students": 412, "groups": 20})


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Return where a copy goes."""
    return str(tmp_path / "directory.sqlite")


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the directory that every command reads, and that tests change."""
    sandbox = Sandbox(students=30)
    monkeypatch.setattr(DirectoryOptions, "client", lambda *_, **__: Meitner.sandbox(sandbox))
    return sandbox


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """Return what the command hands to a mirror, which then does nothing."""
    calls: dict[str, list[dict[str, Any]]] = {"sync": [], "verify": []}

    async def synced(_: Mirror, __: Meitner, resources: Any = None, **keywords: Any) -> SyncReport:
        calls["sync"].append({"resources": resources, **keywords})
        return SyncReport({}, 0, complete=True)

    async def verified(_: Mirror, __: Meitner, resources: Any = None, **keywords: Any) -> VerifyReport:
        calls["verify"].append({"resources": resources, **keywords})
        return VerifyReport({}, 0, complete=True)

    monkeypatch.setattr(Mirror, "sync", synced)
    monkeypatch.setattr(Mirror, "verify", verified)
    return calls


def _raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    async def failed(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Mirror, "sync", failed)


def _same(quota: Quota | None) -> Quota | None:
    return quota


def _ids(file: str, table: str) -> set[str]:
    with closing(sqlite3.connect(file)) as database:
        return {id_ for (id_,) in database.execute(f"SELECT id FROM {table}")}


async def _delete_groups(sandbox: Sandbox, number: int) -> None:
    async with Meitner.sandbox(sandbox) as meitner:
        for group in sandbox.records("groups")[:number]:
            await meitner.groups.delete(group.id)


# -- one run


def test_a_run_makes_the_copy_true_and_shows_a_table(cli: Cli, file: str, directory: Sandbox) -> None:
    """A line for each resource: what changed, what it cost, whether all of it was read."""
    code, out, err = cli("sync", "students", "groups", "--to", file)
    lines = [line.split() for line in out.splitlines()]
    groups = str(len(directory.records("groups")))
    assert (code, err) == (0, "")
    assert lines[0] == ["resource", "inserted", "updated", "deleted", "in", "file", "requests", "read"]
    assert lines[1] == ["groups", groups, "0", "0", groups, "1", "full"]
    assert lines[2] == ["students", "30", "0", "0", "30", "1", "full"]
    assert lines[3][:2] == ["all", f"{30 + int(groups)}"]
    assert " is true as of " in out.splitlines()[4]
    assert all(len(line) <= 80 for line in out.splitlines()[:4])
    assert _ids(file, "students") == {student.id for student in directory.records("students")}


def test_the_next_run_tells_what_changed(cli: Cli, file: str, directory: Sandbox) -> None:
    """Deletions are read from audit events, which have a line for what they cost."""
    cli("sync", "groups", "--to", file)
    asyncio.run(_delete_groups(directory, 1))
    code, out, _ = cli("sync", "groups", "--to", file)
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert lines[1][0::3] == [
        "groups",
        "1",
    ]
    assert lines[2] == ["audit_events", "1"]
    assert _ids(file, "groups") == {group.id for group in directory.records("groups")}


def test_json_has_numbers_by_resource(cli: Cli, file: str, directory: Sandbox) -> None:
    """What the table says, and how many rows the copy has."""
    code, out, err = cli("sync", "students", "--to", file, "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert (told["complete"], told["rows"], told["inserted"], told["requests"]) == (True, 30, 30, 1)
    assert told["resources"] == {
        "students": {"inserted": 30, "updated": 0, "deleted": 0, "unchanged": 0, "requests": 1, "rows": 30}
    }
    assert told["read_anew"] == ["students"]
    assert datetime.fromisoformat(told["at"]).tzinfo is not None


def test_every_option_reaches_the_mirror(cli: Cli, file: str, handed: dict[str, list[dict[str, Any]]]) -> None:
    """Under the names that it has there, as the values that it takes."""
    code, _, err = cli(
        *("sync", "students", "--to", file, "--full", "--verify", "--accept-deletions", "137"),
        *("--max-deletions", "0.5", "--grades-every", "1d", *SANDBOX),
    )
    brakes = {"resources": ("students",), "accept_deletions": 137, "max_deletions": 0.5}
    assert (code, err) == (0, "")
    assert handed["sync"] == [{**brakes, "full": True, "grades_every": timedelta(days=1)}]
    assert handed["verify"] == [brakes]


def test_what_is_not_typed_is_for_the_mirror_to_decide(
    cli: Cli, file: str, handed: dict[str, list[dict[str, Any]]]
) -> None:
    """No default is said twice, and nothing is compared unasked."""
    cli("sync", "--to", file, *SANDBOX)
    assert handed == {"sync": [{"resources": None, "full": False}], "verify": []}


def test_what_a_comparison_repaired_is_told(
    cli: Cli, file: str, handed: dict[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the table, and to programs; the copy is true then."""

    async def verified(*_: object, **__: object) -> VerifyReport:
        return VerifyReport({"students": Count(2)}, 1, complete=True, mismatches={"students": 2})

    monkeypatch.setattr(Mirror, "verify", verified)
    code, out, _ = cli("sync", "--to", file, "--verify", *SANDBOX)
    assert code == 0
    assert out.splitlines()[-1].endswith("; the directory differed by students +2, which is repaired")
    assert json.loads(cli("sync", "--to", file, "--verify", "--json", *SANDBOX)[1])["mismatches"] == {"students": 2}


def test_too_many_deletions_are_explained(cli: Cli, file: str, directory: Sandbox) -> None:
    """Exit code 3, nothing changed, and a line to type for who knows that they are meant; typed, it works."""
    cli("sync", "groups", "--to", file)
    before = _ids(file, "groups")
    number = len(before) - 1
    asyncio.run(_delete_groups(directory, number))
    code, out, err = cli("sync", "groups", "--to", file)
    said = err.splitlines()
    assert (code, out) == (3, "")
    assert said[0].startswith(f"meitner-aio: {file} was left as it is: Meitner no longer has {number} records")
    assert said[1] == f"  {number} of {len(before)} groups would be deleted"
    assert _ids(file, "groups") == before

    again = said[2].partition("meitner-aio ")[2].split()
    assert again[-2:] == ["--accept-deletions", str(number)]
    assert cli(*again)[0] == 0
    assert _ids(file, "groups") == {group.id for group in directory.records("groups")}


def test_held_deletions_are_told_to_programs_too(cli: Cli, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the numbers of each resource; the explanation is for people, on stderr."""
    _raises(monkeypatch, MANY)
    code, out, err = cli("sync", "--to", file, "--json", *SANDBOX)
    told = json.loads(out)
    assert (code, told["complete"]) == (3, False)
    assert told["held"] == {"deletions": {"students": 137, "groups": 1}, "rows": {"students": 412, "groups": 20}}
    assert "--accept-deletions 138" in err


def test_an_incomplete_run_is_exit_code_3(cli: Cli, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is in the file, but it is not shown to be all."""

    async def partly(*_: object, **__: object) -> SyncReport:
        return SyncReport({"students": Count(inserted=3)}, 1, complete=False)

    monkeypatch.setattr(Mirror, "sync", partly)
    code, out, _ = cli("sync", "--to", file, *SANDBOX)
    assert code == 3
    assert "may not be all: not all was shown to be read" in out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (APIConnectionError("no connection"), 5),
        (AuthenticationError("no", status_code=401), 4),
        (MeitnerError("d.sqlite is being written by another run"), 1),
        (OSError(errno.ENOSPC, "No space left on device", "/x/directory.sqlite"), 1),
        (ConfigurationError("others may write to /x"), 2),
    ],
)
def test_what_fails_ends_as_in_any_command(
    cli: Cli, file: str, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    """One line on stderr; nothing on stdout."""
    _raises(monkeypatch, error)
    ended, out, err = cli("sync", "--to", file, *SANDBOX)
    assert (ended, out, err.count("\n")) == (code, "", 1)


def test_an_interrupted_run_says_that_nothing_is_half_done(
    cli: Cli, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 130, as everywhere."""
    _raises(monkeypatch, KeyboardInterrupt())
    code, _, err = cli("sync", "--to", file, *SANDBOX)
    assert (code, err.splitlines()) == (
        130,
        ["meitner-aio: interrupted", f"{file} is unchanged since the last complete run."],
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "--to FILE is missing"),
        (("--to", "."), "--to takes a file, but . is a folder"),
        (("--to", "s3://bucket/d.sqlite"), "--to takes a file on this machine"),
        (("--to", "d.sqlite", "--metrics", "."), "--metrics takes a file"),
        (("--to", "d.sqlite", "--every", "soon"), "--every must be a time such as 15m"),
        (("--to", "d.sqlite", "--every", "0m"), "--every must be a time such as 15m"),
        (("--to", "d.sqlite", "--grades-every", "1"), "--grades-every must be a time such as 15m"),
        (("--to", "d.sqlite", "--every", "1h", "--accept-deletions", "5"), "--accept-deletions is for a single run"),
        (("audit_events", "--to", "d.sqlite"), "audit_events never change"),
        (("--to", "d.sqlite", "--max-deletions", "1.5"), "Invalid value"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], reason: str
) -> None:
    """Exit code 2, one line, and no file is made."""
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("sync", *arguments, *SANDBOX)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"meitner-aio: {reason}")
    assert not list(tmp_path.glob("d.sqlite*"))


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("15m", 900), ("1h", 3600), ("1d", 86400), ("1w", 604800)])
def test_intervals_as_people_type_them(text: str, seconds: int) -> None:
    """Seconds to weeks."""
    assert interval(text) == timedelta(seconds=seconds)


def test_another_programs_database_is_left_alone(cli: Cli, file: str) -> None:
    """Wrong usage, and its rows are there."""
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE students (id)")
        database.execute("INSERT INTO students VALUES ('theirs')")
        database.commit()
    code, out, err = cli("sync", "--to", file, "--metrics", f"{file}.prom", *SANDBOX)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "another program's database" in err
    assert _ids(file, "students") == {"theirs"}


def test_a_damaged_file_is_an_error_on_one_line(cli: Cli, file: str, tmp_path: Path) -> None:
    """With metrics that say that it failed, and of nothing that nobody can read."""
    Path(file).write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    Path(file).chmod(0o600)
    metrics = tmp_path / "meitner.prom"
    code, out, err = cli("sync", "--to", file, "--metrics", str(metrics), *SANDBOX)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "meitner_sync_failures_total" in metrics.read_text()
    assert "last_success" not in metrics.read_text()


@pytest.mark.parametrize("options", [(), ("--every", "1h")])
def test_a_wait_for_the_quota_is_told(
    cli: Cli, file: str, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """Without that line a log would fall silent for an hour."""

    async def waiting(_: Mirror, meitner: Meitner, *__: object, **___: object) -> SyncReport:
        on_event = meitner._options.on_event
        assert on_event is not None
        on_event(QuotaWait("closed", 1800.0, 0, AT, "spent"))
        raise ConfigurationError("the end")

    monkeypatch.setattr(Mirror, "sync", waiting)
    code, _, err = cli("sync", "--to", file, *SANDBOX, *options)
    line = err.splitlines()[0]
    assert (code, line.endswith("the hourly quota is spent: going on in 30 min")) == (2, True)
    assert bool(TIMED.match(line)) == bool(options)


def test_metrics_are_written_after_a_run_that_failed_too(
    cli: Cli, file: str, tmp_path: Path, directory: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the copy was last true is in the copy, and outlives the process."""
    metrics = tmp_path / "meitner.prom"
    cli("sync", "students", "--to", file, "--metrics", str(metrics))
    (true_at,) = [line for line in metrics.read_text().splitlines() if line.startswith("meitner_sync_last_success")]
    _raises(monkeypatch, APIConnectionError("no connection"))
    assert cli("sync", "students", "--to", file, "--metrics", str(metrics))[0] == 5
    lines = metrics.read_text().splitlines()
    assert true_at in lines
    assert f'meitner_sync_failures_total{{mirror="{file}"}} 1' in lines
    assert f'meitner_mirror_rows{{mirror="{file}",resource="students"}} 30' in lines


def test_metrics_that_cannot_be_written_stop_nothing(cli: Cli, file: str, tmp_path: Path, directory: Sandbox) -> None:
    """The copy matters more; a line says what is wrong."""
    code, _, err = cli("sync", "students", "--to", file, "--metrics", str(tmp_path / "none" / "meitner.prom"))
    assert (code, err.count("\n")) == (0, 1)
    assert "meitner.prom" in err


def test_a_terminal_shows_what_is_going_on() -> None:
    """What is asked for, how many requests it took, how long it has been, what is left of the quota."""
    requests = Requests()
    for _ in range(3):
        requests.tell(RequestSent("GET", "/student", 1))
    assert under_way(requests, 65) == "students  3 requests  1 min 5 s"
    for quota, shown in ((Quota(1500, 1200, AT), True), (None, False)):
        screen = io.StringIO()
        with shown_requests(requests, partial(_same, quota), Console(file=screen, force_terminal=True, width=80)):
            pass
        assert "students  3 requests" in screen.getvalue()
        assert ("quota: 1,200 of 1,500 requests left until " in screen.getvalue()) == shown


# -- the line of a log


def _ran(*reports: SyncReport, error: Exception | None = None) -> Ran:
    return Ran(AT, 1.24, {"students": 8, "audit_events": 1}, reports, error)


@pytest.mark.parametrize(
    ("ran", "line"),
    [
        (
            _ran(SyncReport({"students": Count(12, 3, 1, 9)}, 9, complete=True)),
            "12 inserted, 3 updated, 1 deleted in 9 requests, 1 s",
        ),
        (_ran(SyncReport({"students": Count(unchanged=9)}, 9, complete=True)), "nothing changed in 9 requests, 1 s"),
        (
            _ran(SyncReport({"students": Count(1200)}, 9, complete=False, read_anew=frozenset({"students"}))),
            "1,200 inserted in 9 requests, 1 s; 1 resource read in full; not all was shown to be read, so the next run reads it again",
        ),
        (
            _ran(
                SyncReport({"students": Count()}, 8, complete=True),
                VerifyReport({"students": Count(2)}, 1, complete=True, mismatches={"students": 2}),
            ),
            "2 inserted in 9 requests, 1 s; the directory differed by students +2, which is repaired",
        ),
        (
            _ran(error=APIConnectionError("no\nconnection")),
            "failed in 9 requests, 1 s: APIConnectionError: no connection; the next run tries again",
        ),
        (
            _ran(error=MANY),
            "held in 9 requests, 1 s: 137 of 412 students, 1 of 20 groups would be deleted, so nothing was changed; if they are really gone: meitner-aio sync",
        ),
    ],
)
def test_a_run_is_one_line(ran: Ran, line: str) -> None:
    """By the clock of this machine, with its zone."""
    assert run_line(ran, "meitner-aio sync", CET) == f"2026-11-29 06:15:03 CET  {line}"
