"""Overwrites files before removing them, and says whether that reaches the disk. Blocking.

Overwriting in place helps where a file system writes to the blocks that a file has, and its disk does so as well. Where
neither is known nothing is assured: encryption of the disk is what helps there.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from .._runtime.durable import remove, sync
from .._runtime.file_systems import file_system
from .._runtime.private_files import open_private

_IN_PLACE = frozenset({"ext2", "ext3", "ext4", "vfat", "exfat"})
"""Types of file systems that write to the blocks that a file has. xfs shares them between copies."""
_BLOCK = 1 << 20
_VIRTUAL = re.compile(r"(vd|xvd|loop|nbd|rbd|zram)")
"""Names of disks that other software makes."""
_DISKS = Path("/sys/dev/block")


def shred(path: Path) -> bool:
    """Remove a file of ours, its content overwritten and on the disk first; return whether it was overwritten.

    It is not where it has a second name, which may be somebody's copy. Raises what `open_private` does, for links too.
    """
    handle = open_private(path, os.O_RDWR)
    try:
        found = os.fstat(handle)
        alone = found.st_nlink == 1
        if alone:
            _overwrite(handle, found.st_size)
    finally:
        os.close(handle)
    remove(path)
    return alone


def _overwrite(handle: int, size: int) -> None:
    noise = memoryview(os.urandom(min(size, _BLOCK)))
    os.lseek(handle, 0, os.SEEK_SET)
    left = size
    while left:
        left -= os.write(handle, noise[: min(left, _BLOCK)])
    sync(handle)


def doubt(folder: Path) -> str:
    """Return why overwriting in a folder may leave what was there before; empty where nothing says so."""
    if sys.platform != "linux":
        return "this system does not say where it writes"
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    kind, options = file_system(device)
    if kind not in _IN_PLACE:
        return f"{kind or 'an unknown file system'} may keep what was overwritten"
    if "data=journal" in options:
        return f"{kind} with data=journal keeps a second copy for a while"
    if _VIRTUAL.match(os.path.realpath(_DISKS / number).rpartition("/")[2]):
        return "the disk is a virtual one, and what is below it cannot be seen from here"
    if _rotates(number):
        return ""
    return "the disk is no rotating one, as far as can be seen, and may keep what was overwritten"


def _rotates(number: str) -> bool:
    """Whether the disk of a device says that it rotates; a partition's disk is the folder above it."""
    for where in ("queue/rotational", "../queue/rotational"):
        try:
            return (_DISKS / number / where).read_text(encoding="ascii").strip() == "1"
        except OSError:
            continue
    return False
