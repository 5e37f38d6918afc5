"""What answers in the place of the directory, for `Meitner(offline=...)`: an exported folder, a mirror, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ConfigurationError
from ._bound import directory_of
from ._file import PATIENCE, VERSION, examine, newer, open_to_read, plainly
from ._folder import Snapshot
from ._mirrored import Mirrored
from ._nowhere import Nowhere

__all__ = [
    "PATIENCE",
    "VERSION",
    "Mirrored",
    "Nowhere",
    "Snapshot",
    "directory_of",
    "examine",
    "newer",
    "open_to_read",
    "opened",
    "plainly",
]


def opened(offline: str | os.PathLike[str] | bool) -> tuple[Snapshot | Mirrored | Nowhere, str]:  # noqa: FBT001 - as it was given
    """Return what answers, and where that is: a file is a mirror, another path the folder of an export, True nothing.

    Raises `TypeError` for anything else, and `ConfigurationError` for a path that holds neither.
    """
    if offline is True:
        return Nowhere(), "nowhere"
    if not isinstance(offline, str | os.PathLike):
        raise TypeError(f"offline must be a path, True or False, not {type(offline).__name__}")
    if not os.fspath(offline):
        raise ConfigurationError("offline is an empty path: give a folder or a file, or True for neither")
    answering = Mirrored(offline) if Path(offline).is_file() else Snapshot(offline)
    return answering, f"a snapshot in {os.path.realpath(offline)}"
