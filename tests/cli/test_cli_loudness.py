"""`-q` and `-v`: how much a command says beside its result, the same for all."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

import pytest
from canaries import CREDENTIALS
from log_lines import TIMED

from meitner_aio import MeitnerError
from meitner_aio.cli._runs import Ran
from meitner_aio.cli._told import Told
from meitner_aio.cli.rendering.loudness import loudness
from meitner_aio.sandbox import Fault, Sandbox

AT = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
SANDBOX = ("--sandbox", "--students", "20")


@pytest.mark.parametrize(
    "words",
    [
        ("export", "students", "--to", "out", *SANDBOX),
        ("export", "--to", "week", "--since", "7d", *SANDBOX),
        ("sync", "students", "--to", "copy.sqlite", *SANDBOX),
        ("doctor", "--sandbox"),
        ("purge", ".", "--older-than", "1d"),
        ("profiles",),
    ],
)
def test_a_quiet_command_that_ends_well_says_nothing(cli, tmp_path, monkeypatch, words):
    """A mail from cron means trouble."""
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*words)
    assert (code, bool(out or err)) == (0, True)
    assert cli(*words, "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("count", "students", *SANDBOX), "20"),
        (("list", "schools", *SANDBOX), '"id"'),
        (("export", "--plan", *SANDBOX), "expected duration"),
        (("export", "students", "--to", "out", "--json", *SANDBOX), '"rows":20'),
        (("export", "students", "--to", "-", *SANDBOX), '"lastName"'),
    ],
)
def test_a_quiet_command_shows_its_result(cli, tmp_path, monkeypatch, words, shown):
    """What was asked for is no noise."""
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("-q", *words)
    assert (code, shown in out, err) == (0, True, "")


def test_a_quiet_command_tells_errors(cli, monkeypatch):
    """With the exit code, and without anything else."""
    code, out, err = cli("count", "-q")
    assert (code, out) == (4, "")
    assert err.startswith("meitner-aio: no credentials")
    code, out, err = cli("doctor", "-q")
    assert (code, err) == (4, "")
    assert [line.split()[0] for line in out.splitlines()[:2]] == ["check", "credentials"]
    assert " ok " not in out


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_verbose_command_logs_calls_with_times(cli, place):
    """Wherever the option stands; what was searched for and found is in no line."""
    words = ["search", "students", "--where", "last_name~Canaryson%", *SANDBOX]
    words.insert(place, "-v") if place < 3 else words.append("--verbose")
    code, out, err = cli(*words)
    call, *_ = err.splitlines()
    assert (code, out) == (0, "")
    assert TIMED.match(call)
    assert "POST /student/_search: 200 after" in call
    assert "attempt 1 leaves" not in err
    assert "Canaryson" not in err
    assert logging.getLogger("meitner_aio").level == logging.NOTSET


def test_a_very_verbose_command_logs_every_request(cli):
    """Also those that a call repeats; a second command begins anew."""
    code, _, err = cli("count", "students", "-vv", *SANDBOX)
    lines = err.splitlines()
    assert (code, len(lines), all(map(TIMED.match, lines))) == (0, 3, True)
    assert "GET /student: attempt 1 leaves" in lines[0]
    assert cli("count", "students", *SANDBOX)[2] == ""


async def test_a_verbose_command_logs_what_it_repeats(cli, monkeypatch):
    """Why, and how long it waits."""
    async with Sandbox(students=3, credentials=CREDENTIALS) as served:
        served.fail(Fault(503), times=1)
        for name, value in zip(("CREDENTIALS", "SECRET"), CREDENTIALS, strict=True):
            monkeypatch.setenv(f"MEITNER_CLIENT_{name}", value)
        code, _, err = await asyncio.to_thread(cli, "count", "students", "-v", "--base-url", served.url)
    again, call = err.splitlines()
    assert code == 0
    assert "attempt 1 failed (503), next in" in again
    assert "in 2 attempts" in call
    assert not [secret for secret in CREDENTIALS if secret in err]


def test_quiet_and_verbose_contradict_each_other(cli):
    """Nothing is sent."""
    code, out, err = cli("count", *SANDBOX, "-q", "-v")
    assert (code, out) == (2, "")
    assert "--quiet and --verbose contradict each other" in err


async def test_a_quiet_service_tells_runs_that_failed(tmp_path, capsys):
    """The others are in its metrics."""
    told = Told(tmp_path / "copy.sqlite", None, ["sync"], json=False)
    with loudness(quiet=True):
        await told.line(Ran(AT, 1.0, {}))
        await told.line(Ran(AT, 1.0, {}, (), MeitnerError("no room")))
    (line,) = capsys.readouterr().out.splitlines()
    assert TIMED.match(line)
    assert "no room" in line
