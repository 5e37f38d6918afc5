"""A lock that is a file, for file systems without locks: who made it holds it, and removes it at the end. Blocking.

It says who that is. One whose process has ended is taken over; only this machine's own processes can be known to have
ended, so that of another machine, of another container and of this machine before it was started anew stays, and the
error says how to remove it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from .private_files import open_private, read_private

_ATTEMPTS = 3
_STARTED = 19
"""The place of a process's start time, in ticks since boot, behind its name in /proc/PID/stat (`man 5 proc`)."""
_PROC = Path("/proc")


class Busy(Exception):  # noqa: N818 - a fact for whoever asked for the lock, who says what it means
    """Somebody holds the lock; the text, which may be empty, says who, and goes on a sentence."""


class _Holder(Struct, frozen=True):
    pid: int
    started: str | None
    """When the process began, in the system's own terms; None where that is not known."""
    machine: str
    """The boot and the container in which its number means anything."""
    host: str
    since: datetime

    @classmethod
    def here(cls) -> Self:
        pid = os.getpid()
        return cls(pid, _started(pid), _machine(), socket.gethostname(), datetime.now(UTC).replace(microsecond=0))

    @property
    def is_gone(self) -> bool:
        """Whether its process is known to have ended."""
        if not self.machine or self.machine != _machine():
            return False
        if not _is_running(self.pid):
            return True
        now = _started(self.pid)
        return None not in (now, self.started) and now != self.started


def hold(path: Path) -> Callable[[], None]:
    """Make the file (0600), and return what removes it; raise `Busy` while somebody holds it."""
    mine = msgspec.json.encode(_Holder.here())
    for _ in range(_ATTEMPTS):
        try:
            handle = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            _take_over(path)
            continue
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(mine)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return partial(_leave, path, mine)
    raise Busy  # others were quicker


def respect(path: Path) -> None:
    """Raise `Busy` while somebody who has no better lock holds the file."""
    if os.path.lexists(path):
        _take_over(path)


def _take_over(path: Path) -> None:
    """Remove the file of a process that has ended; raise `Busy` for any other.

    One process at a time may: else the second would remove what the first has just made.
    """
    holder = _holder(path)
    if holder is None:
        return
    if not holder.is_gone:
        raise Busy(_told(holder, path))
    turn = path.with_name(f"{path.name}.stale")
    try:
        os.close(open_private(turn, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        raise Busy(f"; if nothing is running, remove {path} and {turn}") from None
    try:
        holder = _holder(path)
        if holder is not None and holder.is_gone:
            path.unlink(missing_ok=True)
    finally:
        turn.unlink(missing_ok=True)


def _told(holder: _Holder, path: Path) -> str:
    if not holder.pid:
        return f": {path} says so; if nothing is running, remove it"
    who = f"process {holder.pid} on {holder.host}, since {holder.since:%Y-%m-%d %H:%M} UTC"
    return f": {who}; if it has ended, remove {path}"


def _holder(path: Path) -> _Holder | None:
    """Return who holds a file; None where there is none. Of one that says nothing yet, nothing is known."""
    try:
        return msgspec.json.decode(read_private(path), type=_Holder)
    except FileNotFoundError:
        return None
    except ValueError:  # msgspec's errors are ValueErrors
        return _Holder(0, None, "", "", datetime.fromtimestamp(0, UTC))


def _leave(path: Path, mine: bytes) -> None:
    """Remove a file of ours, unless somebody did and it is another's now."""
    try:
        if read_private(path) == mine:
            path.unlink()
    except FileNotFoundError:
        return


def _is_running(pid: int) -> bool:
    if sys.platform == "win32":  # where signal 0 is a Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _started(pid: int) -> str | None:
    if sys.platform != "linux":
        return None
    try:
        line = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return line.rpartition(")")[2].split()[_STARTED]
    except (OSError, IndexError):
        return None


def _machine() -> str:
    """Return what the numbers of processes belong to: a boot and a container on Linux, the host elsewhere.

    Empty where that cannot be found out.
    """
    if sys.platform != "linux":
        return socket.gethostname()
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""
