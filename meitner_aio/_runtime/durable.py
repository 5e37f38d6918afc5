"""Files that survive a power cut: synced, put in place whole, and removed, also while another program looks. Blocking.

The content of a file reaches the disk before its name does: data is synced, then renamed, then the folder is synced. A
sync that fails is never tried again: the system may have dropped the data and would call the second one a success.
What is tried otherwise is only what a system refuses to do at all.

What it does for Windows and macOS is from the documentation of Microsoft, of Apple (`man 2 fsync`) and of Python; not
run there.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from ..errors import MeitnerError
from .file_systems import ABSENT
from .private_files import check_folder, open_private

_PATIENCE = 5.0
"""Seconds that another program may hold a file: a virus scanner takes less, a spreadsheet more."""
_FIRST, _LONGEST = 0.02, 0.5
"""Seconds between two attempts: doubled from the first to the longest."""
_IN_USE = frozenset({errno.EBUSY, errno.ETXTBSY})
"""How Linux and macOS report, on a share, that a program on another machine holds a file."""
_SHARING, _DENIED = frozenset({32, 33}), 5
"""Windows: ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION; and ERROR_ACCESS_DENIED, which can mean that, too."""


def sync(handle: int) -> None:
    """Wait until the disk itself has what was written to a file; `OSError` where that failed."""
    if sys.platform == "darwin":  # fsync leaves it in the cache of the disk there
        import fcntl

        try:
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
        except OSError as error:  # shares and some disks have no such call
            if error.errno not in ABSENT | {errno.ENOTTY}:
                raise
        else:
            return
    os.fsync(handle)


class RawFile(FileIO):
    """A file without a buffer: what `write` wrote is with the operating system, and survives this process."""

    def __init__(self, handle: int) -> None:
        super().__init__(handle, "rb+")

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write all of it; on a nearly full disk one call may write only a part."""
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) :]
        return len(data)

    def sync(self) -> None:
        """Wait until the disk has what was written."""
        sync(self.fileno())


def new_file(path: Path) -> RawFile:
    """Return a file that did not exist, readable by the owner alone (0600)."""
    return RawFile(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))


def sync_names(folder: int) -> None:
    """Make the names in an open folder survive a power cut, as far as its file system can be told to.

    CIFS and some FUSE file systems refuse to sync a folder; there the server decides.
    """
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in ABSENT | {errno.EBADF}:
            raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, as far as that can be asked for; Windows opens no folder."""
    if sys.platform == "win32":
        return
    handle = os.open(check_folder(folder), os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync_names(handle)
    finally:
        os.close(handle)


def put_private(path: str | os.PathLike[str], data: bytes, *, part: str | None = None) -> None:
    """Put a file (0600) in place: whoever opens it sees the old content or the new one, also after a power cut.

    It is made as `part`, beside it; by default that is hidden, so that in the folder of a registry it is passed over.
    Raises `ConfigurationError` where others may write, and what `replace` raises; the old one stays then.
    """
    path = Path(path)
    beside = path.with_name(part or f".{path.name}.part")
    remove(beside)
    try:
        with new_file(beside) as file:
            file.write(data)
            file.sync()
        replace(beside, path)
    finally:
        remove(beside)
    sync_folder(path.parent)


def replace(source: Path, target: Path) -> None:
    """Give a file its name, in place of the one that has it.

    Where another program holds one of the two, this waits up to five seconds for it, then raises `MeitnerError`: both
    are as they were.
    """
    _insist(lambda: source.replace(target), target, source)


def remove(path: Path) -> None:
    """Remove a file, where it exists; `MeitnerError` when another program holds it for more than five seconds."""
    _insist(lambda: path.unlink(missing_ok=True), path)


def _insist(change: Callable[[], object], *paths: Path) -> None:
    end, pause = time.monotonic() + _PATIENCE, _FIRST
    while True:
        try:
            change()
        except OSError as error:
            if not _is_in_use(error, paths):
                raise
        else:
            return
        if time.monotonic() + pause > end:
            raise MeitnerError(f"{paths[0]} is open in another program: close it and run again; nothing is lost")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST)


def _is_in_use(error: OSError, paths: tuple[Path, ...]) -> bool:
    """Whether an error may be over when another program closes a file."""
    if sys.platform != "win32":
        return error.errno in _IN_USE
    if error.winerror in _SHARING:
        return True
    # Also that of a folder in the way, and of a file that is read-only, for which nobody has to wait.
    return error.winerror == _DENIED and all(
        path.is_file() and os.access(path, os.W_OK) for path in paths if os.path.lexists(path)
    )
