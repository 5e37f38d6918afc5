"""Syncs that a system refuses, names that another program holds, and errors that stay errors."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from poor_mounts import SYNCLESS, Clock, windows_error, without_folder_sync

from meitner_aio._runtime import durable
from meitner_aio.errors import MeitnerError

FULL = 51


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let the waits of a replacement pass at once."""
    clock = Clock()
    monkeypatch.setattr(durable, "time", clock)
    return clock


@pytest.mark.parametrize("number", SYNCLESS)
def test_a_folder_that_cannot_be_synced_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """CIFS and some FUSE file systems refuse it: the file is in place all the same."""
    without_folder_sync(monkeypatch, number)
    durable.put_private(tmp_path / "a", b"content")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"content")]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_failed_sync_of_a_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A disk that fails is not a file system that has no such call."""
    without_folder_sync(monkeypatch, number)
    with pytest.raises(OSError) as failed:
        durable.put_private(tmp_path / "a", b"content")
    assert failed.value.errno == number


def test_windows_syncs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None can be opened there."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("a folder was opened"))
    durable.sync_folder(tmp_path)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], list[str]]:
    """Return what makes this a macOS whose F_FULLFSYNC fails with a number, if any, and lists its syncs."""

    def faked(number: int | None) -> list[str]:
        made: list[str] = []

        def full(_handle: int, command: int) -> int:
            assert command == FULL
            made.append("full")
            if number is not None:
                raise OSError(number, os.strerror(number))
            return 0

        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(fcntl, "F_FULLFSYNC", FULL, raising=False)
        monkeypatch.setattr(fcntl, "fcntl", full)
        monkeypatch.setattr(os, "fsync", lambda _: made.append("fsync"))
        return made

    return faked


def test_macos_syncs_to_the_disk_itself(calls: Callable[[int | None], list[str]]) -> None:
    """One call: fsync alone would leave the data in the disk's own memory."""
    made = calls(None)
    durable.sync(3)
    assert made == ["full"]


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.EINVAL, errno.ENOTTY])
def test_macos_falls_back_where_a_disk_has_no_such_call(calls: Callable[[int | None], list[str]], number: int) -> None:
    """Shares have none."""
    made = calls(number)
    durable.sync(3)
    assert made == ["full", "fsync"]


def test_macos_never_tries_a_failed_sync_again(calls: Callable[[int | None], list[str]]) -> None:
    """The system may have dropped the data, and a second sync would call that a success."""
    made = calls(errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        durable.sync(3)
    assert made == ["full"]


class Holder:
    """Another program that holds a file for some of the attempts to rename or remove it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: OSError, attempts: int, call: str = "replace") -> None:
        self.left, self.made = attempts, 0
        real: Any = getattr(Path, call)

        def held(path: Path, *given: Any, **named: Any) -> Any:
            self.made += 1
            if self.left:
                self.left -= 1
                raise error
            return real(path, *given, **named)

        monkeypatch.setattr(Path, call, held)


WINDOWS = [(errno.EACCES, 5), (errno.EACCES, 32), (errno.EACCES, 33)]


@pytest.mark.parametrize(("number", "winerror"), WINDOWS)
def test_a_file_that_a_scanner_holds_for_a_moment_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, number: int, winerror: int
) -> None:
    """Windows refuses to rename what is open; the waits double."""
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(sys, "platform", "win32")
    Holder(monkeypatch, windows_error(number, winerror), 4)
    durable.put_private(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert clock.slept == [0.02, 0.04, 0.08, 0.16]


@pytest.mark.parametrize(("number", "winerror"), WINDOWS)
def test_a_file_that_a_spreadsheet_holds_is_said_to_be_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, number: int, winerror: int
) -> None:
    """After a bounded time; the old file is whole, and nothing is left beside it."""
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(sys, "platform", "win32")
    Holder(monkeypatch, windows_error(number, winerror), 10**6)
    with pytest.raises(MeitnerError) as said:
        durable.put_private(tmp_path / "a", b"new")
    assert str(said.value) == (f"{tmp_path / 'a'} is open in another program: close it and run again; nothing is lost")
    assert 4.0 < clock.now <= 5.0
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.ETXTBSY])
def test_a_file_that_somebody_holds_on_a_share_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, number: int
) -> None:
    """Linux passes on what the server says."""
    Holder(monkeypatch, OSError(number, os.strerror(number)), 2)
    durable.put_private(tmp_path / "a", b"new")
    assert len(clock.slept) == 2


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EXDEV])
def test_nobody_waits_for_a_right_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, number: int
) -> None:
    """No other program decides these."""
    holder = Holder(monkeypatch, OSError(number, os.strerror(number)), 10**6)
    with pytest.raises(OSError) as failed:
        durable.put_private(tmp_path / "a", b"new")
    assert (failed.value.errno, holder.made, clock.slept) == (number, 1, [])


def test_a_folder_in_the_way_is_not_waited_for_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """It is refused with the same number as a file that is open."""
    (tmp_path / "a").mkdir()
    monkeypatch.setattr(sys, "platform", "win32")
    Holder(monkeypatch, windows_error(errno.EACCES, 5), 10**6)
    with pytest.raises(PermissionError):
        durable.put_private(tmp_path / "a", b"new")
    assert clock.slept == []


def test_a_file_that_is_open_is_removed_once_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """A removal waits as a replacement does."""
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(sys, "platform", "win32")
    Holder(monkeypatch, windows_error(errno.EACCES, 32), 3, "unlink")
    durable.remove(tmp_path / "a")
    assert (list(tmp_path.iterdir()), len(clock.slept)) == ([], 3)
