"""File systems: the type and options of the one that a file lies in, on Linux, and how they say that they cannot."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import NamedTuple

ABSENT = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""What a file system says to a call that it does not have. EIO, ENOSPC and the like are failures of one that it has."""
MOUNTS = Path("/proc/self/mountinfo")


class FileSystem(NamedTuple):
    """A mounted file system, as Linux names it (`man 5 proc`); the type is empty where nothing is known."""

    type: str
    options: tuple[str, ...] = ()


def file_system(device: int) -> FileSystem:
    """Return the file system of a device (`st_dev`)."""
    if sys.platform != "linux":
        return FileSystem("")
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return FileSystem("")
    for line in lines:
        mount, _, system = line.partition(" - ")
        if mount.split()[2:3] == [number] and len(system.split()) > 2:
            kind, _, options, *_ = system.split()
            return FileSystem(kind, tuple(options.split(",")))
    return FileSystem("")
