"""What interrupted exports leave in a folder: rows and journals, useful for a day. Blocking."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..resources import LISTED
from ._files import Folder
from ._names import parts_of

if TYPE_CHECKING:
    from ._report import ResourceReport

_log = logging.getLogger("meitner_aio.export")


def forget(folder: Folder, resource: str) -> None:
    """Remove what is left of reading a resource."""
    left = {name for name, _, _ in _left(folder, [resource])}
    folder.remove(*(name for name in parts_of(resource) if name in left))


def warn_abandoned(folder: Folder, but: Collection[str], older: float) -> None:
    """Warn of what is left of resources, except those in `but`, when it is `older` than so many seconds."""
    found: dict[str, list[tuple[float, str]]] = {}
    for name, resource, changed in _left(folder, set(LISTED).difference(but)):
        if time.time() - changed > older:
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


def warn_outlived(folder: Folder, before: Mapping[str, ResourceReport], now: Mapping[str, ResourceReport]) -> None:
    """Warn of files of `before` that the manifest `now` has another one for: no export replaces them."""
    for resource, one in before.items():
        if now[resource].file != one.file and (folder.path / one.file).exists():
            _log.warning(
                "%s still holds %s of %s, and manifest.json names %s instead: no later export replaces them, so purge "
                "them, or remove them yourself, when nobody needs them",
                folder.path / one.file,
                resource,
                one.exported_at.date(),
                now[resource].file,
            )


def _left(folder: Folder, resources: Iterable[str]) -> Iterator[tuple[str, str, float]]:
    """Yield names, whose rows they hold, and when they were changed, in seconds since 1970."""
    whose = {name: resource for resource in resources for name in parts_of(resource)}
    with os.scandir(folder.path) as entries:
        for entry in entries:
            if entry.name not in whose:
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # another resource of this export is done with it
                continue
            if not stat.S_ISDIR(found.st_mode):
                yield entry.name, whose[entry.name], found.st_mtime
