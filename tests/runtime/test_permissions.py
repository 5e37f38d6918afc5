"""File systems that keep no permissions: said once, refused where others may write, with what helps."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from poor_mounts import without_permissions

from meitner_aio._runtime import file_systems, permissions
from meitner_aio._runtime.private_files import check_folder, make_folder, open_private, read_private
from meitner_aio.errors import ConfigurationError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its permissions are faked here")

LOGGER = "meitner_aio.files"


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permissions, "_told", set())


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what gives the file system of this test another type."""

    def mount(kind: str) -> None:
        device = tmp_path.stat().st_dev
        mounts = tmp_path / "mountinfo"
        mounts.write_text(f"36 35 {os.major(device)}:{os.minor(device)} / /x rw - {kind} /dev/x rw,umask=0\n")
        monkeypatch.setattr(file_systems, "MOUNTS", mounts)

    return mount


def _write(path: Path) -> None:
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT), "wb") as file:
        file.write(b"rows")


@pytest.mark.parametrize("number", [None, errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_it_is_said_once_and_the_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int | None
) -> None:
    """Whether `chmod` refuses, as on FAT, or says that it did, as on many a share."""
    without_permissions(monkeypatch, number)
    with caplog.at_level(logging.WARNING, LOGGER):
        folder = make_folder(tmp_path / "a" / "b")
        for name in "cd":
            _write(folder / name)
    assert read_private(folder / "c") == b"rows"
    (said,) = caplog.messages
    assert said.startswith(f"{tmp_path / 'a'}: others may read it, and its file system keeps no permissions: mount it")


def test_where_permissions_are_kept_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As nearly everywhere."""
    with caplog.at_level(logging.WARNING, LOGGER):
        _write(make_folder(tmp_path / "a") / "b")
    assert not caplog.messages


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EACCES])
def test_another_failure_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """It says nothing about permissions."""
    without_permissions(monkeypatch, number)
    with pytest.raises(OSError) as failed:
        _write(tmp_path / "a")
    assert failed.value.errno == number


def test_what_others_may_write_is_refused_with_what_helps(tmp_path: Path, mounted: Callable[[str], None]) -> None:
    """A mount with umask=0 is open to everybody, and `chmod` does not change that."""
    mounted("vfat")
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(
        ConfigurationError, match=r"run chmod go-w .*; where that has no effect, as on many a vfat, mount"
    ):
        check_folder(shared)
    mounted("ext4")
    with pytest.raises(ConfigurationError, match=rf"run chmod go-w {shared}$"):
        check_folder(shared)


def test_windows_warns_outside_of_ones_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Inside, a file has the rights of the folder, which is the user's alone."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setattr(sys, "platform", "win32")
    with caplog.at_level(logging.WARNING, LOGGER):
        _write(home / "a")
        assert not caplog.messages
        for name in "ab":
            _write(tmp_path / name)
    (said,) = caplog.messages
    assert said.startswith(f"{tmp_path / 'a'}: whoever has rights on its folder")
