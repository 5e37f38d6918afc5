"""Disks that fail: a clear error, and nothing destroyed."""

import asyncio
import errno
import json
import os
import resource
import signal
import stat
import tempfile
from pathlib import Path
from traceback import StackSummary, walk_tb

import pytest
from numbered_directory import NumberedDirectory, refusing

from meitner_aio import NotFoundError
from meitner_aio._runtime.durable import RawFile, new_file
from meitner_aio.export import _spool, export
from meitner_aio.export.formats import writers as _writers

ROWS = {"students": 95}


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(_spool, "PAGES", 2)


def _failing_sync(monkeypatch, nth):
    """Let the n-th sync fail, once: the system has dropped the data, and says so a single time.

    Returns the files that were synced from then on.
    """
    sync, calls, after = os.fsync, iter(range(10**6)), []

    def failing(handle):
        number = next(calls)
        if number >= nth:
            after.append(os.fstat(handle).st_ino)
        if number == nth:
            raise OSError(errno.EIO, "Input/output error")
        sync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    return after


@pytest.mark.parametrize("nth", range(12))
async def test_a_failed_sync_is_never_tried_again(tmp_path, monkeypatch, nth):
    """Whichever it is, the export fails, and can be resumed from the checkpoint before: no success is claimed."""
    await export(NumberedDirectory({"students": 5}), ["students"], to=tmp_path)
    before = (tmp_path / "students.ndjson").read_bytes()
    synced = _failing_sync(monkeypatch, nth)
    with pytest.raises(OSError, match="Input/output error"):
        await export(NumberedDirectory(ROWS), ["students"], to=tmp_path, concurrency=1)
    monkeypatch.undo()
    assert synced[0] not in synced[1:]
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())["resources"]["students"]
    data = (tmp_path / "students.ndjson").read_bytes()
    assert data == before or len(data.splitlines()) == 95
    assert manifest["rows"] in (5, 95)
    report = await export(NumberedDirectory(ROWS), ["students"], to=tmp_path, resume=True)
    assert (report.rows, report.complete) == (95, True)
    assert len((tmp_path / "students.ndjson").read_bytes().splitlines()) == 95


def _limited(folder, size):
    """Export in a process that may write no file longer than `size` bytes; return what it ended with."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        asyncio.run(export(NumberedDirectory(ROWS), ["students"], to=folder, concurrency=1))
    except OSError as error:
        code = error.errno
    finally:
        os._exit(code)


@pytest.mark.parametrize("size", [1000, 5000, 9000, 14_000])
def test_a_full_disk_is_an_error_and_costs_nothing_that_was_safe(tmp_path, size):
    """The export of before stays, what was read stays, and is taken up when there is room again."""
    asyncio.run(export(NumberedDirectory({"students": 5}), ["students"], to=tmp_path))
    before = {name: (tmp_path / name).read_bytes() for name in ("students.ndjson", "manifest.json")}
    assert _limited(tmp_path, size) == errno.EFBIG
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    directory = NumberedDirectory(ROWS)
    report = asyncio.run(export(directory, ["students"], to=tmp_path, resume=True, concurrency=1))
    assert (report.rows, report.complete) == (95, True)
    page = (tmp_path / "students.ndjson").stat().st_size / 9.5
    assert len(directory.requests) == 10 - int(size // page)


def test_a_disk_that_takes_a_part_takes_no_whole(tmp_path):
    """The system may write half of what it is given, and call it a success."""
    child = os.fork()
    if not child:
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
            new_file(tmp_path / "file").write(bytes(20))
        except OSError as error:
            code = error.errno
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == errno.EFBIG


async def test_a_full_disk_while_a_format_is_written_leaves_the_spool(tmp_path, monkeypatch):
    """The rows need not be fetched again."""
    opened = _writers.open_writer

    def full(*given, **named):
        writer = opened(*given, **named)
        monkeypatch.setattr(type(writer), "write", _no_space)
        return writer

    monkeypatch.setattr(_writers, "open_writer", full)
    with pytest.raises(OSError, match="No space left"):
        await export(NumberedDirectory(ROWS), ["students"], to=tmp_path, format="csv")
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "exports.log") == [
        "students.journal",
        "students.part",
    ]
    directory = NumberedDirectory(ROWS)
    report = await export(directory, ["students"], to=tmp_path, format="csv", resume=True)
    assert (report.rows, report.complete, directory.requests) == (95, True, [])
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "exports.log") == [
        "manifest.json",
        "students.csv",
    ]


def _no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs another user")
def test_a_read_only_folder_is_an_error_before_any_request():
    """The system's own reason, and no request spent."""
    directory = NumberedDirectory(ROWS)
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        folder.chmod(0o555)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65_534)
        try:
            with pytest.raises(PermissionError):
                asyncio.run(export(directory, ["students"], to=folder))
        finally:
            os.seteuid(before)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o555
        folder.chmod(0o755)
    assert not directory.requests


def _shown(error):
    """Return all that a crash report would show of an error, the locals of the package's frames included."""
    frames = StackSummary.extract(walk_tb(error.__traceback__), capture_locals=True)
    ours = [frame for frame in frames if Path(__file__).parents[1] not in Path(frame.filename).parents]
    parts = [repr(error), str(error), *(f"{frame.name}: {frame.locals}" for frame in ours)]
    return parts + [part for other in (error.__cause__, error.__context__) if other for part in _shown(other)]


@pytest.mark.parametrize("trouble", ["a full disk", "a closed pipe", "a refusal"])
async def test_no_crash_report_shows_rows_or_conditions(tmp_path, monkeypatch, trouble):
    """What was read and what was asked for are in no local of any frame that an error came through."""
    directory, to = NumberedDirectory(ROWS), tmp_path
    if trouble == "a full disk":
        monkeypatch.setattr(RawFile, "write", _no_space)
    elif trouble == "a closed pipe":
        reader, writer = os.pipe()
        os.close(reader)
        to = os.fdopen(writer, "wb", buffering=0)
    else:
        directory.before = refusing("students", 40)
    with pytest.raises((OSError, NotFoundError)) as raised:
        await export(directory, ["students"], to=to, where={"first_name": "canary"})
    if to is not tmp_path:
        to.close()
    for shown in _shown(raised.value):
        assert not [text for text in ("canary", "20100101", "Åsa") if text in shown], shown
