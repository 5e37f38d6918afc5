"""How the command `export` ends: what it refuses, what it says of disks, signals and interrupted exports, its exit code."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from terminals import session
from test_cli_process import ANY, DEADLINE, _run, _start

from meitner_aio._runtime import durable
from meitner_aio.cli.rendering.disk import explained
from meitner_aio.export import is_kept
from meitner_aio.sandbox import Sandbox

Cli = Callable[..., tuple[int, str, str]]

SANDBOX = ("--sandbox", "--students", "30")


def _fill_after(monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """Let the disk be full after so many writes."""
    write, left = durable.RawFile.write, iter(range(writes))

    def full(file: durable.RawFile, data: bytes) -> int:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(durable.RawFile, "write", full)


def test_a_disk_that_is_full_before_the_first_checkpoint_keeps_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows had arrived, and are lost: nobody is advised to resume."""
    _fill_after(monkeypatch, 1)
    code, out, err = cli("export", "students", "--to", str(tmp_path), "--page-size", "5", *SANDBOX)
    assert (code, out) == (1, "")
    assert f"no room for {tmp_path}: free some on its disk" in err
    assert "kept" not in err
    assert not is_kept(tmp_path, ["students"])
    assert [path.name for path in tmp_path.iterdir()] == ["exports.log"]


def test_a_disk_that_is_full_later_keeps_the_rows_of_the_last_checkpoint(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint is true, and what it says to type brings the rest."""
    from meitner_aio.export import _spool

    monkeypatch.setattr(_spool, "PAGES", 1)
    _fill_after(monkeypatch, 4)
    arguments = ("export", "students", "--to", str(tmp_path), "--page-size", "5", *SANDBOX)
    code, _, err = cli(*arguments)
    monkeypatch.undo()
    assert code == 1
    assert err.splitlines()[-1] == f"What was read is kept. To go on: meitner-aio {' '.join(arguments)} --resume"
    assert is_kept(tmp_path, ["students"])


async def test_sigterm_says_how_to_go_on(tmp_path: Path) -> None:
    """As Ctrl-C does, with its exit code: a service that is stopped loses nothing, and its log says so."""
    async with Sandbox(students=500, latency=0.02) as sandbox:
        options = ("--to", str(tmp_path), "--page-size", "5", "--concurrency", "1", "--base-url", sandbox.url)
        with _start("export", "schools", "students", *options, environment=ANY) as process:
            assert await asyncio.to_thread(process.stderr.readline) == b"schools: 4 rows\n"
            process.send_signal(signal.SIGTERM)
            out, err = await asyncio.to_thread(process.communicate, timeout=DEADLINE)
        assert (process.returncode, out) == (130, b"")
        interrupted, kept = err.decode().splitlines()
        assert interrupted == "meitner-aio: interrupted"
        again = kept.partition("meitner-aio ")[2].split()
        assert again[-1] == "--resume"
        code, _, _ = await asyncio.to_thread(_run, *again, environment=ANY)
    assert code == 0
    assert len((tmp_path / "students.ndjson").read_bytes().splitlines()) == 500


async def test_what_is_given_up_is_said(tmp_path: Path) -> None:
    """Beginning afresh throws away what `--resume` would go on with: that is said, once, and goes on."""
    async with Sandbox(students=300, latency=0.02) as sandbox:
        arguments = ("export", "schools", "students", "--to", str(tmp_path), "--base-url", sandbox.url)
        slowly = ("--page-size", "5", "--concurrency", "1")
        with _start(*arguments, *slowly, environment=ANY) as process:
            while len(sandbox.requests) < 20:
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGINT)
            await asyncio.to_thread(process.communicate, timeout=DEADLINE)
        assert is_kept(tmp_path, ["students"])
        code, _, err = await asyncio.to_thread(_run, *arguments, environment=ANY)
        again = await asyncio.to_thread(_run, *arguments, environment=ANY)
    (said,) = [line for line in err.splitlines() if "given up" in line]
    assert code == 0
    assert "rows of students that an interrupted export had read" in said
    assert said.endswith("are given up: without resume=True (--resume) an export begins afresh")
    assert "given up" not in again[2]


def test_whoever_sits_there_is_asked_before_rows_are_given_up(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No keeps them, and says how to go on; yes and `--force` begin afresh, and without kept rows nobody is asked."""
    from meitner_aio.export import _spool

    arguments = ["export", "students", "--to", str(tmp_path), "--page-size", "5", *SANDBOX]

    def interrupted() -> None:
        with monkeypatch.context() as full:
            full.setattr(_spool, "PAGES", 1)
            _fill_after(full, 4)
            cli(*arguments)
        assert is_kept(tmp_path, ["students"])

    interrupted()
    left = session(arguments, {}, [("Begin afresh? [y/N] ", b"\n")])
    assert left.code == 3
    assert "To go on: meitner-aio" in left.drawn
    assert is_kept(tmp_path, ["students"])
    afresh = session(arguments, {}, [("Begin afresh? [y/N] ", b"y\n")])
    assert (afresh.code, "given up" in afresh.drawn) == (0, True)
    interrupted()
    for again in ([*arguments, "--force"], arguments):
        done = session(again, {}, [])
        assert (done.code, "Begin afresh?" in done.drawn) == (0, False)


def test_json_has_rows_completeness_and_level(cli: Cli, tmp_path: Path) -> None:
    """Of the export as a whole, and of each resource."""
    code, out, _ = cli("export", "students", "units", "--to", str(tmp_path), "--json", *SANDBOX)
    report = json.loads(out)
    assert code == 0
    assert report.keys() == {"rows", "complete", "level", "resources", "seconds"}
    assert (report["rows"], report["complete"], report["level"]) == (31, True, "certified")
    assert [(one["rows"], one["complete"], one["level"]) for one in report["resources"]] == [
        (30, True, "certified"),
        (1, True, "certified"),
    ]


@pytest.mark.parametrize("to", ["s3:/bucket/dir", "gs://", "sftp://host/x"])
def test_an_address_is_wrong_usage(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str) -> None:
    """Exit code 2, one line of ours, and no folder called `sftp:`."""
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("export", "students", "--to", to, *SANDBOX)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("meitner-aio: --to ")
    assert "s3://" in err
    assert list(tmp_path.glob("*:*")) == []


def test_a_file_is_wrong_usage(cli: Cli, tmp_path: Path) -> None:
    """No `[Errno 17] File exists`: what it is, and what would be right."""
    (tmp_path / "taken").write_text("mine")
    for name, problem in (("taken", "is a file, and each"), ("out.csv", "looks like a file")):
        code, out, err = cli("export", "students", "units", "--to", str(tmp_path / name), *SANDBOX)
        assert (code, out, err.count("\n"), "Errno" in err) == (2, "", 1, False)
        assert f"--to {tmp_path / name} {problem}" in err
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["taken"]


def test_a_folder_in_the_way_is_named(cli: Cli, tmp_path: Path) -> None:
    """No number of the system's: the place, and what to do."""
    (tmp_path / "students.ndjson").mkdir()
    (tmp_path / "students.ndjson" / "x").touch()
    code, _, err = cli("export", "students", "--to", str(tmp_path), *SANDBOX)
    assert code == 1
    assert f"{tmp_path / 'students.ndjson'} is in the way of a file of the export: move it" in err
    assert "Errno" not in err


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "no room for out/a: free some"),
        (errno.EROFS, "out/a cannot be written"),
        (errno.EEXIST, "out/a is in the way"),
        (errno.EIO, "out/a could not be read or written: Input/output error"),
    ],
)
def test_a_disk_is_explained_in_words(number: int, said: str) -> None:
    """Which file, and what to do; where the system names none, the folder."""
    error = OSError(number, os.strerror(number), "out/a")
    assert explained(error, "out").startswith(said)
    assert explained(OSError(number, os.strerror(number)), "out/a").startswith(said)


def test_a_part_replaces_a_whole_only_when_asked_to(cli: Cli, tmp_path: Path) -> None:
    """`--since` after a whole export is refused with what to type; `--replace` is what to type."""
    arguments = ("export", "students", "--to", str(tmp_path), *SANDBOX)
    assert cli(*arguments)[0] == 0
    before = (tmp_path / "students.ndjson").read_bytes()
    code, out, err = cli(*arguments, "--limit", "3")
    assert (code, out, "--replace" in err) == (2, "", True)
    assert (tmp_path / "students.ndjson").read_bytes() == before
    code, _, _ = cli(*arguments, "--limit", "3", "--replace")
    assert (code, len((tmp_path / "students.ndjson").read_bytes().splitlines())) == (0, 3)


def test_a_table_that_is_updated_is_not_called_complete(cli: Cli, tmp_path: Path) -> None:
    """Exit code 3 and a line that says why; the rows are those of the table."""
    arguments = ("export", "students", "--to", str(tmp_path), "--format", "sqlite", *SANDBOX)
    assert cli(*arguments)[0] == 0
    code, out, err = cli(*arguments, "--where", "gender=Female")
    assert code == 3
    assert "keeps rows that this export did not see, perhaps deleted ones" in err
    assert out.splitlines()[1].split()[:2] == ["students", "30"]


def test_another_directory_is_refused(cli: Cli, tmp_path: Path) -> None:
    """A sandbox of another size is one: exit code 1, and what to do."""
    arguments = ("export", "students", "--to", str(tmp_path), "--sandbox", "--students")
    assert cli(*arguments, "30")[0] == 0
    code, out, err = cli(*arguments, "31", "--resume")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "it was read from the sandbox of 30 students" in err
