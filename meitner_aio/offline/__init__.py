"""Files in the place of the directory, for `Meitner(offline=...)`: an exported folder, or a mirror."""

from __future__ import annotations

import os
from pathlib import Path

from ._file import PATIENCE, VERSION, examine, newer, open_to_read, plainly
from ._folder import Snapshot
from ._mirrored import Mirrored

__all__ = [
    "PATIENCE",
    "VERSION",
    "Mirrored",
    "Snapshot",
    "examine",
    "newer",
    "open_to_read",
    "opened",
    "plainly",
]


def opened(path: str | os.PathLike[str]) -> Snapshot | Mirrored:
    """Return what answers from a path: a file is a mirror, anything else the folder of an export."""
    return Mirrored(path) if Path(path).is_file() else Snapshot(path)
