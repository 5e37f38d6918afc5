"""Streams that are closed, full or not UTF-8, and mounts that keep no permissions: what a command says and returns."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from poor_mounts import without_permissions
from rich.console import Console
from test_cli_process import COMMAND, DEADLINE, ENVIRONMENT

from meitner_aio._runtime import permissions
from meitner_aio.cli import run
from meitner_aio.cli._runs import Requests
from meitner_aio.cli.rendering.under_way import shown_requests

SANDBOX = ("--sandbox", "--students", "30")
C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
"""An ASCII process, as in an old image or an old cron."""

Cli = Callable[..., tuple[int, str, str]]


def _shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which `$M` is the command."""
    command = ["bash", "-c", f'M="{" ".join(COMMAND)}"\n{line}']
    return subprocess.run(command, env=ENVIRONMENT | environment, capture_output=True, timeout=DEADLINE, check=False)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$M count schools --sandbox >&-", 0),
        ("$M count nothing --sandbox >&- 2>&-", 2),
        ("$M list students --sandbox --json | head -c 1 >/dev/null; exit ${PIPESTATUS[0]}", 0),
        ("$M --help | true; exit ${PIPESTATUS[0]}", 0),
        ("$M export students --sandbox --to - 2>/dev/null | true; exit ${PIPESTATUS[0]}", 0),
    ],
)
def test_a_stream_that_nobody_reads_ends_a_command_in_silence(line: str, code: int) -> None:
    """Closed beforehand or by `head`: the exit code is that of the command, and no traceback is left."""
    done = _shell(line)
    assert (done.returncode, done.stderr) == (code, b"")


def test_a_full_disk_behind_stdout_is_told() -> None:
    """That is no reader who has had enough."""
    done = _shell("$M count schools --sandbox >/dev/full")
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_ascii_process_writes_utf_8_data_and_escaped_messages(tmp_path: Path) -> None:
    """Rows to a pipe and to files are whatever they are; a folder with a Swedish name is no reason for a traceback."""
    done = _shell(f"$M list students {' '.join(SANDBOX)} --json", **C_LOCALE)
    assert done.returncode == 0
    names = [json.loads(line)["firstName"] for line in done.stdout.decode("utf-8").splitlines()]
    assert any(not name.isascii() for name in names)
    folder = tmp_path / "skolår"
    told = _shell(f"$M export students {' '.join(SANDBOX)} --to {folder}", **C_LOCALE)
    assert (told.returncode, told.stdout.isascii(), told.stderr.isascii()) == (0, True, True)
    rows = (folder / "students.ndjson").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["firstName"].isascii() for row in rows] == [name.isascii() for name in names]


class _Closed(io.RawIOBase):
    """A pipe of Windows whose reader has gone."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._handle

    def write(self, _: object) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


@pytest.mark.parametrize(("platform", "code"), [("win32", 0), ("linux", 1)])
@pytest.mark.parametrize(
    "arguments",
    [
        ("count", "schools"),
        ("count", "schools", "--json"),
        ("list", "schools", "--json"),
        ("export", "schools", "--to", "-"),
    ],
)
def test_a_pipe_that_windows_closes_with_einval_is_a_closed_pipe(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    platform: str,
    code: int,
) -> None:
    """As EPIPE is; elsewhere EINVAL is an error that is told."""
    handle = os.open(tmp_path / "stdout", os.O_WRONLY | os.O_CREAT)
    stream = io.TextIOWrapper(io.BufferedWriter(_Closed(handle)), encoding="utf-8")
    with monkeypatch.context() as there:
        there.setattr(sys, "stdout", stream)
        there.setattr(sys, "platform", platform)
        assert run((*arguments, "--sandbox")) == code
    err = capfd.readouterr().err
    assert ("Invalid argument" in err or "could not be read or written" in err) == (code == 1)
    stream.buffer.raw.write = len  # what is buffered goes nowhere when it is closed
    stream.close()
    os.close(handle)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_goes_on_is_drawn_in_the_encoding_of_the_terminal(encoding: str) -> None:
    """A spinner of Braille dots is for UTF-8 only."""
    screen = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    console = Console(file=screen, force_terminal=True, width=60)
    with shown_requests(Requests(), lambda: None, console):
        pass
    screen.flush()
    drawn = screen.buffer.getvalue().decode(encoding)
    assert drawn.isascii() == (encoding != "utf-8")


def test_that_others_may_read_the_files_is_said_once(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whichever command writes them, on stderr."""
    monkeypatch.setattr(permissions, "_told", set())
    without_permissions(monkeypatch, errno.EPERM)
    code, _, err = cli("export", "students", "schools", "--to", str(tmp_path / "out"), *SANDBOX)
    assert code == 0
    (said,) = (line for line in err.splitlines() if "permissions" in line)
    assert said.startswith(f"meitner-aio: {tmp_path / 'out'}: others may read it, and its file system keeps no")


def test_metrics_that_another_program_holds_do_not_end_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are told of, and written after the next run."""
    import asyncio

    from meitner_aio import MeitnerError
    from meitner_aio.cli import _metrics, _told
    from meitner_aio.cli._runs import Ran

    def held(*_: object) -> None:
        raise MeitnerError("sync.prom is open in another program")

    monkeypatch.setattr(_metrics, "replace", held)
    told = _told.Told(tmp_path / "d.sqlite", tmp_path / "sync.prom", [], json=False)
    asyncio.run(told.counted(Ran(SimpleNamespace(timestamp=lambda: 0.0), 0.5, {})))  # type: ignore[arg-type]
    assert capfd.readouterr().err == "meitner-aio: sync.prom is open in another program\n"
    assert not list(tmp_path.iterdir())
