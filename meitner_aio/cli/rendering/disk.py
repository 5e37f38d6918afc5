"""Errors of a disk as sentences: which file, and what to do. Pure."""

from __future__ import annotations

import errno

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_IN_THE_WAY = frozenset({errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY})


def explained(error: OSError, folder: str) -> str:
    """Return one line about what an export to a folder failed at."""
    name = error.filename2 or error.filename
    place = str(name) if isinstance(name, str) or hasattr(name, "__fspath__") else folder
    match error.errno:
        case number if number in _FULL:
            return f"no room for {place}: free some on its disk, or export to another one"
        case number if number in _CLOSED:
            return f"{place} cannot be written: its owner, its mode or its disk does not allow it; export elsewhere"
        case number if number in _IN_THE_WAY:
            return f"{place} is in the way of a file of the export: move it, or export to another folder"
        case _:
            return f"{place} could not be read or written: {error.strerror or type(error).__name__}"
