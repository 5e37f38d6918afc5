"""Names: of the resources that a caller means, and of what becomes of them in a folder. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..resources import LISTED, RESOURCES, listed_name

SHARED = "directory.sqlite"
"""The one file of the format that has a table for each resource."""

SINGLE = ("ndjson", "csv", "parquet")
"""The formats that have a file for each resource, and it the format's name."""


def parts_of(resource: str) -> tuple[str, ...]:
    """Return the files that an export of a resource may leave when it ends early, in the order in which they go.

    The journal first, which is worth nothing without the rows; then the spool, files that were not whole yet, and rows
    on their way to a table.
    """
    notes = f"{resource}.journal"
    files = (resource, notes, *(f"{resource}.{form}" for form in SINGLE), f"{SHARED}.{resource}")
    return (notes, *(f"{file}.part" for file in files))


def resource_names(given: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the attributes of the resources named, each once, in the order given; the directory's when none is named.

    `student-placements` is `student_placements`; those of the Data Export API are only meant by name. Raises
    `ValueError` for a name that no resource has, with the closest one that exists.
    """
    return named(given) or tuple(RESOURCES)


def named(given: Iterable[str]) -> tuple[str, ...]:
    """Return what `resource_names` does, and nothing where none is named.

    Whether all were meant or each was named makes a difference to an export with `since`.
    """
    return tuple(dict.fromkeys(map(listed_name, [given] if isinstance(given, str) else given)))


NOTES = "upload.json"
"""What a run on its way to an object store needs to be resumed."""
ATTEMPT = "attempt.json"
"""What a worker of a cluster needs to go on where another one ended."""
MANIFEST = "manifest.json"
FILES = frozenset(f"{name}.{form}" for name in LISTED for form in SINGLE) | {SHARED}
"""Whole files of an export."""
PARTS = frozenset(
    {ATTEMPT, f"{ATTEMPT}.part", f"{SHARED}.part", f"{MANIFEST}.part", f"{NOTES}.part"},
).union(part for name in LISTED for part in parts_of(name) if part.endswith(".part"))
BESIDE = tuple(f"{SHARED}-{end}" for end in ("journal", "wal", "shm"))
"""What SQLite may have left beside its database."""
JOURNALS = tuple(f"{name}.journal" for name in LISTED)
OURS = (NOTES, *JOURNALS, *sorted(PARTS), *sorted(FILES), *BESIDE, MANIFEST)
"""All that an export puts into a folder but `exports.log`, in the order in which it goes."""
