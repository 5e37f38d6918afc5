"""Files and folders for their owner alone, and one warning for each file system that does not keep permissions.

FAT, exFAT and many mounts of SMB, FUSE and WSL show the permissions that they were mounted with, and refuse to change
them, or say that they did. So what was set is read again. Windows keeps lists of rights (ACLs) that a file has from its
folder: the user's own folder is private there (from the documentation of Microsoft; not run on that system).
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
from pathlib import Path

from .file_systems import ABSENT, file_system

_log = logging.getLogger("meitner_aio.files")

_WITHOUT = ABSENT | {errno.EPERM}
"""What `chmod` of a file of one's own says where there are no permissions."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_AS_MOUNTED = frozenset({"vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk", "cifs", "smb3", "9p", "drvfs", "v9fs"})
"""Types of file systems whose permissions may be those of the mount."""
_REMEDY = "mount it for yourself alone (uid=, umask=077; in WSL: metadata), or use another folder"

_told: set[int] = set()
"""The devices that were warned of."""


def restrict(path: Path, mode: int, handle: int | None = None) -> None:
    """Give a file or folder of our own the mode 0600 or 0700, by its handle where it is open.

    Where that has no effect, and others may read it, a warning says so, once a file system. `OSError` for any other
    failure.
    """
    if sys.platform == "win32":
        if not path.absolute().is_relative_to(Path.home()):
            _warn(path, 0, "whoever has rights on its folder has them on it, too: keep it in your own folder")
        return
    try:
        if handle is None:
            path.chmod(mode)
        else:
            os.fchmod(handle, mode)
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise
    found = path.stat() if handle is None else os.fstat(handle)
    if found.st_mode & _OTHERS:
        _warn(path, found.st_dev, f"others may read it, and its file system keeps no permissions: {_REMEDY}")


def remedy(path: Path, device: int, change: str) -> str:
    """Return what to do about permissions that are too wide: `chmod`, or what helps where that has no effect."""
    kind = file_system(device).type
    said = f"run chmod {change} {path}"
    return f"{said}; where that has no effect, as on many a {kind}, {_REMEDY}" if kind in _AS_MOUNTED else said


def _warn(path: Path, device: int, why: str) -> None:
    if device not in _told:
        _told.add(device)
        _log.warning("%s: %s", path, why)
