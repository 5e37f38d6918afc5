"""The runs that exports to an object store left on this machine, each in a folder of its own. Blocking."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from ...resources import LISTED
from .._files import Folder
from .._held import warn_given_up
from .._journal import left_in
from .._names import NOTES, OURS

_log = logging.getLogger("meitner_aio.export")
_RUN = "run="


def newest(spool: Path) -> Folder | None:
    """Return the folder of the latest run that can be gone on with; None when there is none."""
    for path in reversed(_runs(spool)):
        if (path / NOTES).exists() and left_in(Folder(path), LISTED):
            return Folder(path)
    return None


def give_up(spool: Path, but: Folder) -> list[str]:
    """Remove what other runs left, with a warning of rows that were read; return the names of their folders."""
    others = [path for path in _runs(spool) if path != but.path]
    for path in others:
        folder = Folder(path)
        warn_given_up(folder, left_in(folder, LISTED))
        empty(folder)
    return [path.name for path in others]


def empty(folder: Folder) -> None:
    """Remove a run, its notes first: without them nobody goes on with what is left. Files of others stay."""
    folder.remove(*OURS)
    with suppress(OSError):  # the folder is not empty
        folder.path.rmdir()


def _runs(spool: Path) -> list[Path]:
    try:
        return sorted(path for path in spool.iterdir() if path.name.startswith(_RUN) and path.is_dir())
    except FileNotFoundError:
        return []
