"""Exports to shares and to FAT, and as on Windows: whole, one at a time, with a warning where others may read them."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from numbered_directory import NumberedDirectory
from poor_mounts import (
    LOCKLESS,
    Clock,
    on_windows,
    windows_error,
    without_folder_sync,
    without_locks,
    without_permissions,
)

from meitner_aio._runtime import durable, permissions
from meitner_aio.errors import MeitnerError
from meitner_aio.export import export
from meitner_aio.export._files import Folder

ROWS = {"students": 23}


@pytest.fixture(params=["a share", "windows"])
def _place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the folder be on a share without locks, syncs and permissions, then on Windows."""
    assert tmp_path.is_dir()  # made before
    monkeypatch.setattr(permissions, "_told", set())
    if request.param == "windows":
        on_windows(monkeypatch)
        return
    without_locks(monkeypatch)
    without_folder_sync(monkeypatch)
    without_permissions(monkeypatch, errno.EPERM)


def _rows(folder: Path) -> int:
    return len((folder / "students.ndjson").read_bytes().splitlines())


@pytest.mark.usefixtures("_place")
@pytest.mark.parametrize("format", ["ndjson", "csv", "sqlite"])
async def test_an_export_is_whole_and_leaves_no_lock(tmp_path: Path, format: str) -> None:
    """The same files as on a disk of one's own."""
    folder = tmp_path / "out"
    report = await export(NumberedDirectory(ROWS), ["students"], to=folder, format=format)
    assert (report.rows, report.complete) == (23, True)
    known = json.loads((folder / "manifest.json").read_bytes())["resources"]["students"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(["exports.log", "manifest.json", known["file"]])


@pytest.mark.usefixtures("_place")
async def test_one_at_a_time(tmp_path: Path) -> None:
    """The second is refused before it touches anything, and goes through afterwards."""
    await export(NumberedDirectory(ROWS), ["students"], to=tmp_path)
    with Folder(tmp_path):
        with pytest.raises(MeitnerError, match=f"another export is writing to {tmp_path}"):
            await export(NumberedDirectory({"students": 5}), ["students"], to=tmp_path)
        assert _rows(tmp_path) == 23
    await export(NumberedDirectory({"students": 5}), ["students"], to=tmp_path)
    assert _rows(tmp_path) == 5


@pytest.mark.parametrize("number", LOCKLESS)
def test_where_the_lock_says_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """And which file to remove should that be over."""
    without_locks(monkeypatch, number)
    with Folder(tmp_path), pytest.raises(MeitnerError, match=f"if it has ended, remove {tmp_path / 'exports.lock'}"):
        Folder(tmp_path).__enter__()
    assert not list(tmp_path.iterdir())


async def test_a_file_that_is_open_elsewhere_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file stays, what was read is kept, and the next run reads nothing again."""
    await export(NumberedDirectory({"students": 5}), ["students"], to=tmp_path)
    before = (tmp_path / "students.ndjson").read_bytes()
    with monkeypatch.context() as open_elsewhere:
        on_windows(open_elsewhere)
        open_elsewhere.setattr(durable, "time", Clock())
        _held(open_elsewhere, tmp_path / "students.ndjson")
        with pytest.raises(MeitnerError, match=r"students\.ndjson is open in another program: close it and run again"):
            await export(NumberedDirectory(ROWS), ["students"], to=tmp_path)
    assert (tmp_path / "students.ndjson").read_bytes() == before
    again = NumberedDirectory(ROWS)
    await export(again, ["students"], to=tmp_path, resume=True)
    assert _rows(tmp_path) == 23
    assert not again.requests


def _held(monkeypatch: pytest.MonkeyPatch, target: Path) -> None:
    real: Callable[..., Path] = Path.replace

    def refused(path: Path, other: Path) -> Path:
        if other == target:
            raise windows_error(errno.EACCES, 32)
        return real(path, other)

    monkeypatch.setattr(Path, "replace", refused)


def test_windows_makes_a_second_file_of_one_that_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No name of an open file can be changed there, a second one either."""
    for platform, same in ((sys.platform, True), ("win32", False)):
        monkeypatch.setattr(sys, "platform", platform)
        folder = Folder(tmp_path)
        folder.put("a", b"rows")
        folder.duplicate("a", "b")
        assert (tmp_path / "b").read_bytes() == b"rows"
        assert (tmp_path / "a").samefile(tmp_path / "b") == same
