"""A small file for its owner alone, put in place whole. Blocking."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .private_files import check_folder, open_private


def replace_private(path: str | os.PathLike[str], data: bytes) -> None:
    """Put a file (0600) in place: whoever opens it sees the old content or the new one, also after a power cut.

    Raises `ConfigurationError` where others may write, and `OSError` where it cannot be written; the old one stays.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")  # hidden, so that in the folder of a registry it is passed over
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(open_private(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names of the files in a folder survive a power cut."""
    if sys.platform == "win32":
        return
    handle = os.open(check_folder(folder), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
