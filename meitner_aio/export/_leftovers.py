"""What exports that ended early leave in a folder: rows and notes about them, which serve nobody for long. Blocking."""

from __future__ import annotations

import logging
import os
import re
import stat
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from ..resources import RESOURCES
from ._files import Folder

_PART = re.compile(
    r"([a-z_]+)(?:\.journal|(?:\.(?:ndjson|csv|parquet|journal))?\.part)|directory\.sqlite\.([a-z_]+)\.part"
)
"""The spool and the journal of a resource, a file that was not whole yet, and the rows on their way to a table."""
_NOTES = ".journal"

_log = logging.getLogger("meitner_aio.export")


def forget(folder: Folder, resource: str) -> None:
    """Remove what is left of reading a resource: first the notes, which are worth nothing without the rows."""
    names = [name for name, whose, _ in _left(folder) if whose == resource]
    folder.remove(*sorted(names, key=lambda name: not name.endswith(_NOTES)))


def tell_abandoned(folder: Folder, but: Collection[str], older: float) -> None:
    """Warn of what is left of resources, `but` of some, when it is `older` than so many seconds."""
    found: dict[str, list[tuple[float, str]]] = {}
    for name, resource, changed in _left(folder):
        if resource in RESOURCES and resource not in but and time.time() - changed > older:
            found.setdefault(resource, []).append((changed, name))
    for resource, files in sorted(found.items()):
        _log.warning(
            "%s holds rows of %s that an export which ended early left on %s, and nothing can go on with them: "
            "remove %s, or export %s again",
            folder.path,
            resource,
            datetime.fromtimestamp(max(files)[0], UTC).date(),
            ", ".join(sorted(name for _, name in files)),
            resource,
        )


def _left(folder: Folder) -> Iterator[tuple[str, str, float]]:
    """Yield names, whose rows they hold, and when they were changed, in seconds since 1970."""
    with os.scandir(folder.path) as entries:
        for entry in entries:
            match = _PART.fullmatch(entry.name)
            if match is None:
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # another resource of this export is done with it
                continue
            if not stat.S_ISDIR(found.st_mode):
                yield entry.name, match[1] or match[2], found.st_mtime
