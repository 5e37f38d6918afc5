"""Calls of the system as they are on a share, on FAT and on Windows: refused, without effect, or another program's."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

LOCKLESS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""How mounts say that they have no locks."""
SYNCLESS = (errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP)
"""How they say that a folder cannot be synced."""


def without_locks(monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOLCK) -> None:
    """Let `flock` say that there are no locks."""

    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)


def without_folder_sync(monkeypatch: pytest.MonkeyPatch, number: int = errno.EINVAL) -> None:
    """Let `fsync` refuse folders."""
    sync = os.fsync

    def refused(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr(os, "fsync", refused)


def without_permissions(monkeypatch: pytest.MonkeyPatch, number: int | None = None) -> None:
    """Let files and folders have the modes of the mount, which others may read; `chmod` refuses, or does nothing."""

    def refused(*_: object, **__: object) -> None:
        if number is not None:
            raise OSError(number, os.strerror(number))

    real, chmod, made = os.open, os.chmod, Path.mkdir

    def opened(path: Any, flags: int, mode: int = 0o777, **given: Any) -> int:
        new = bool(flags & os.O_CREAT) and not os.path.lexists(path)
        handle = real(path, flags, mode, **given)
        if new:
            chmod(path, 0o755)
        return handle

    def folder(path: Path, mode: int = 0o777, **given: Any) -> None:
        made(path, mode, **given)
        chmod(path, 0o755)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(Path, "mkdir", folder)
    monkeypatch.setattr(os, "fchmod", refused)
    monkeypatch.setattr(Path, "chmod", refused)


class Msvcrt(ModuleType):
    """`msvcrt` as its documentation says: locks of bytes that one handle at a time has, in one process as between two.

    A lock is of the file, not of its name.
    """

    LK_UNLCK, LK_NBLCK = 0, 2

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self.held: dict[tuple[int, int, int], int] = {}

    def locking(self, handle: int, mode: int, count: int) -> None:
        """Lock or unlock bytes from where the file stands."""
        found = os.fstat(handle)
        for at in range(os.lseek(handle, 0, os.SEEK_CUR), os.lseek(handle, 0, os.SEEK_CUR) + count):
            key = (found.st_dev, found.st_ino, at)
            if (mode == self.LK_NBLCK) == (key in self.held):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if mode == self.LK_NBLCK:
                self.held[key] = handle
            else:
                del self.held[key]


def on_windows(monkeypatch: pytest.MonkeyPatch) -> Msvcrt:
    """Let the package believe that it runs on Windows, with locks like those there."""
    module = Msvcrt()
    monkeypatch.setitem(sys.modules, "msvcrt", module)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "getlogin", lambda: "somebody")
    return module


class Clock:
    """The functions of `time` that wait, on a clock that only they move."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def monotonic(self) -> float:
        """Return the time, in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.now += seconds
        self.slept.append(seconds)


def windows_error(number: int, winerror: int) -> PermissionError:
    """Return an error with the number that Windows gives it; elsewhere `OSError` has none."""

    class Error(PermissionError):
        pass

    error = Error(number, os.strerror(number))
    error.winerror = winerror  # type: ignore[attr-defined]
    return error
