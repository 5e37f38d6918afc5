"""Refuses an export that would mix with, or replace, what its folder holds already. Blocking; writes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .._pipeline.identity import Reader, Stamp, check
from ..errors import MeitnerError
from ..resources import LISTED
from ._journal import Journal, left_in
from ._manifest import Manifest
from ._names import SHARED

if TYPE_CHECKING:
    from ._files import Folder
    from ._report import ResourceReport
    from .formats.written import Target

_log = logging.getLogger("meitner_aio.export")


def directory_of(
    folder: Folder, manifest: Manifest, reader: Reader | None, resources: Iterable[str], *, tables: bool, resume: bool
) -> Stamp | None:
    """Return the stamp that names an export's directory in its files; it reuses the salt of the folder's other files.

    `tables` are written to its database, `resume` goes on with what an interrupted export left. `MeitnerError` when
    any of that is of another directory.
    """
    found: list[tuple[Stamp | None, str]] = []
    if manifest.resources:
        found.append((manifest.directory, f"what {folder.path} holds"))
    if tables:
        from .formats.sqlite import held

        database = held(folder.path / SHARED)
        if database.tables:
            found.append((database.directory, str(folder.path / SHARED)))
    if resume:
        left = left_in(folder, resources).values()
        found += ((journal.directory, f"the interrupted export of {journal.resource}") for journal in left)
    for stamp, what in found:
        check(reader, stamp, what)
    salt = next((stamp.salt for stamp, _ in found if stamp is not None), None)
    return None if reader is None else reader.stamp(salt)


def check_key(folder: Folder, manifest: Manifest, key: str | None, resources: Iterable[str], *, resume: bool) -> None:
    """Raise `MeitnerError` where rows under pseudonyms would lie beside rows as they are, or under another key.

    What an interrupted export of these `resources` left is given up, unless to `resume` it.
    """
    found = [(f"what {folder.path} holds", manifest.key)] if manifest.resources else []
    given_up = frozenset(() if resume else resources)
    left = left_in(folder, (name for name in LISTED if name not in given_up))
    found += [(f"the interrupted export of {name}", journal.choices.key) for name, journal in left.items()]
    for what, other in found:
        check_same_key(what, other, key)


def check_same_key(what: str, other: str | None, key: str | None, remedy: str = "export to another folder") -> None:
    """Raise `MeitnerError`, which ends with the `remedy`, unless `what` has pseudonyms of the same key, or none."""
    if other == key:
        return
    is_, was = (f"under pseudonyms of the key {one}" if one else "not under pseudonyms" for one in (key, other))
    raise MeitnerError(f"{what} is {was}, and this export is {is_}: the two do not mix, {remedy}")


class _PartOfWholeError(MeitnerError, ValueError):
    """Wrong usage: asking otherwise is all that helps."""


def part_of_whole(message: str) -> MeitnerError:
    """Return the error for a part that would replace a whole; it is a `ValueError`, too."""
    return _PartOfWholeError(message)


def check_wholes(folder: Folder, manifest: Manifest, targets: Sequence[Target], left: Mapping[str, Journal]) -> None:
    """Raise `MeitnerError` when a part would take the place of a whole. In a table with ids, a part updates its rows.

    What an interrupted export `left` was allowed when that began.
    """
    for target in targets:
        if not target.narrowed or target.replace or target.name in left:
            continue
        file = _whole(folder, manifest.resources.get(target.name), target)
        if file is None:
            continue
        raise part_of_whole(
            f"{folder.path / file} holds all {target.name}, as far as is known, and this export is a part of them: "
            "pass replace=True (--replace) to replace the whole, or export to another folder"
        )


def _whole(folder: Folder, known: ResourceReport | None, target: Target) -> str | None:
    """Return the file that a part would replace, or push out of the manifest, although it is no part itself."""
    if known is not None and known.file == target.file:
        if known.partial or (target.keyed and target.file == SHARED):
            return None
    elif target.file != SHARED and (folder.path / target.file).exists():
        return target.file  # of no manifest: nobody knows that it is a part
    elif target.file == SHARED and not target.keyed and _has_table(folder, target.name):
        return SHARED
    return None if known is None or known.partial or not (folder.path / known.file).exists() else known.file


def warn_given_up(folder: Folder, left: Mapping[str, Journal]) -> None:
    """Warn of rows that are lost because an export begins afresh."""
    for name, journal in left.items():
        rows = journal.summary.rows if journal.summary is not None else sum(mark.rows for mark in journal.marks)
        if rows and not journal.kept:
            _log.warning(
                "%s rows of %s that an interrupted export had read to %s are given up: "
                "without resume=True (--resume) an export begins afresh",
                f"{rows:,}",
                name,
                folder.path,
            )


def _has_table(folder: Folder, name: str) -> bool:
    from .formats.sqlite import held

    return name in held(folder.path / SHARED).tables
