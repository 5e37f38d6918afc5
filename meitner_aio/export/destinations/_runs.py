"""The runs that an object store holds: their names, the manifest that names one of them, and which are too old. Pure.

A run is a folder of objects, `run=<id>/`, with a manifest of its own, which is put there after all of its files. So a
run without one is on its way, or was abandoned. `manifest.json` beside the runs is that of the published one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from ...errors import MeitnerError
from .._manifest import Manifest
from .._names import MANIFEST
from ._object_store import Object

ABANDONED = timedelta(days=2)
"""Age of a run without a manifest that nobody can go on with: twice as long as an export can be resumed."""
_RUN = re.compile(r"run=\d{8}T\d{6}Z-[0-9a-f]{8}")


class RunManifest(Manifest, kw_only=True):
    """What the files of a run are. Their names are relative to the address of the export."""

    run: str
    """The id of the run: its files are below `run=<id>/`."""


def new_run() -> str:
    """Return an id for a run: when it began, and a part that no other has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.urandom(4).hex()}"


def folder_of(run: str) -> str:
    """Return the name of the folder of a run."""
    return f"run={run}"


def is_run(folder: str) -> bool:
    """Whether a folder has the name of a run of ours."""
    return _RUN.fullmatch(folder) is not None


def manifest_of(data: bytes, address: str) -> RunManifest:
    """Return a manifest; `MeitnerError` for one of another kind, which is not ours to replace."""
    try:
        found = msgspec.json.decode(data, type=RunManifest)
    except ValueError:  # msgspec's errors are ValueErrors
        found = None
    if found is None or not found.current or not is_run(folder_of(found.run)):
        raise MeitnerError(f"{MANIFEST} in {address} is not a manifest of this version; export to another prefix")
    return found


def outdated(runs: Mapping[str, Sequence[Object]], ours: str, keep: int) -> list[str]:
    """Return folders of runs beyond those to `keep`, the published one among them; the oldest first.

    Of what others may be about to publish, nothing: a run that is newer than ours, or one without a manifest that was
    not abandoned.
    """
    marks = {folder: _marked(folder, objects) for folder, objects in runs.items()}
    now = marks.get(ours)
    if now is None:
        return []
    older = [(mark, folder) for folder, mark in marks.items() if mark is not None and mark < now and folder != ours]
    beyond = [folder for _, folder in sorted(older, reverse=True)[keep - 1 :]]
    beyond += [
        folder
        for folder, objects in runs.items()
        if marks[folder] is None and objects and max(one.changed for one in objects) < now - ABANDONED
    ]
    return sorted(beyond)


def _marked(folder: str, objects: Sequence[Object]) -> datetime | None:
    """Return when a run got its manifest, by the store's clock."""
    return next((one.changed for one in objects if one.path == f"{folder}/{MANIFEST}"), None)
