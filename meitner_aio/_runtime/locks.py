"""One at a time: a lock between processes on a folder or a file. Blocking; knows not what it is for.

On POSIX it is `flock`, which the system gives back when the process ends, whatever ends it. Where the file system has
no locks, as some mounts of SMB and NFS, it is a file (`lock_files`). On Windows it is a locked byte of a file beside,
for no folder can be locked there, and a locked byte of the file itself could not be read: from the documentation of
`msvcrt.locking` and of `LockFile`; not run on that system.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from ..errors import MeitnerError
from . import lock_files
from .file_systems import ABSENT
from .lock_files import Busy
from .private_files import open_private

_WITHOUT = ABSENT | {errno.ENOLCK}
"""What `flock` says where there are no locks."""
_TAKEN = frozenset({errno.EACCES, errno.EDEADLK, getattr(errno, "EDEADLOCK", errno.EDEADLK)})
"""What `msvcrt.locking` says of a byte that somebody else has locked."""
_PAUSE = 0.02


def hold(handle: int | None, beside: Path, busy: str, *, patience: float = 0.0) -> Callable[[], None]:
    """Hold what is open as `handle`, and return what lets it go, to be called before the handle is closed.

    `beside` names the file that is the lock where the handle cannot be locked. Raises `MeitnerError`, which begins with
    the sentence `busy`, when somebody else holds it for longer than `patience`, in seconds.
    """
    end, owner = time.monotonic() + patience, os.getpid()
    while True:
        try:
            release = _taken(handle, beside)
        except Busy as other:
            if time.monotonic() >= end:
                raise MeitnerError(f"{busy}{other}") from None
        else:
            return partial(_released, release, owner)
        time.sleep(_PAUSE)


def _released(release: Callable[[], object], owner: int) -> None:
    if os.getpid() == owner:  # a forked process does not let go of what is its parent's
        release()


def _taken(handle: int | None, beside: Path) -> Callable[[], object]:
    if sys.platform == "win32":
        return _locked_byte(beside)
    import fcntl

    if handle is None:
        return lock_files.hold(beside)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy from None
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise
        return lock_files.hold(beside)
    unlock = partial(fcntl.flock, handle, fcntl.LOCK_UN)
    try:
        lock_files.respect(beside)  # of another machine, which has no locks on the same share
    except BaseException:
        unlock()
        raise
    return unlock


def _locked_byte(path: Path) -> Callable[[], object]:
    """Lock the first byte of a file, which need not be there (Windows)."""
    if sys.platform != "win32":
        raise NotImplementedError
    import msvcrt

    handle = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        os.close(handle)
        if error.errno in _TAKEN:
            raise Busy from None
        raise

    def release() -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        os.close(handle)
        with suppress(OSError):  # somebody has opened it meanwhile: Windows removes no open file
            path.unlink()

    return release
