"""The files of a registry: found, opened, and known again when they are read a second time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..._wire.validation import suggestion
from ...errors import MeitnerError, mask
from ...resources import RESOURCES
from ._declared import resource_of
from ._problems import Flaw, UnreadableFileError

FORMATS = ("csv", "ndjson", "parquet")
_IGNORED = ("readme", "license", "makefile")
_IGNORED_ENDS = (".md", ".rst", ".txt", ".journal")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
BOM = b"\xef\xbb\xbf"
_CP1252 = 'encoding="cp1252" (--encoding cp1252)'


class Snapshot(NamedTuple):
    """What tells that a file is the one that was read before."""

    size: int
    changed_ns: int
    sha256: bytes


def found_in(folder: Path) -> dict[str, Path]:
    """Return the file of every resource in a folder; `ValueError` for a file that no resource has, or two of one.

    Folders, hidden files, README and LICENSE, texts (.md, .rst, .txt) and journals are none of a registry's files.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if _is_ignored(path):
            continue
        resource = _resource(path)
        if resource in found:
            raise ValueError(f"{found[resource].name} and {path.name} are both {resource}: keep one")
        found[resource] = path
    return {name: found[name] for name in RESOURCES if name in found}


def _is_ignored(path: Path) -> bool:
    name = path.name.lower()
    return name.startswith(".") or path.is_dir() or path.stem.lower() in _IGNORED or name.endswith(_IGNORED_ENDS)


def _resource(path: Path) -> str:
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        close = suggestion(kind, FORMATS) if path.stem.replace("-", "_") in RESOURCES else ""
        raise ValueError(f"{mask(path.name)} is no csv, ndjson or parquet file{close}; move it out of the registry")
    try:
        return resource_of(path.stem)
    except ValueError as error:
        raise ValueError(f"{mask(path.name)}: {error}") from None


@contextmanager
def opened(path: Path, before: Snapshot | None = None) -> Generator[tuple[BinaryIO, Snapshot]]:
    """Open a file at its beginning, and make sure at the end that nobody wrote to it meanwhile.

    `MeitnerError` where it is not the file `before`, or has changed while it was read.
    """
    if not path.is_file():
        raise ValueError(f"{mask(path.name)} is no regular file")
    with path.open("rb") as file:
        snapshot = _taken(file)
        if before is not None and snapshot != before:
            raise MeitnerError(f"{path.name} has changed since it was checked: load the registry again")
        file.seek(0)
        yield file, snapshot
        if _stat(file) != snapshot[:2]:
            raise MeitnerError(f"{path.name} changed while it was read: load the registry again")


def _taken(file: BinaryIO) -> Snapshot:
    stat = _stat(file)
    return Snapshot(*stat, hashlib.file_digest(file, "sha256").digest())  # type: ignore[arg-type]


def _stat(file: BinaryIO) -> tuple[int, int]:
    stat = os.fstat(file.fileno())
    return stat.st_size, stat.st_mtime_ns


def checked_encoding(file: BinaryIO, encoding: str) -> str:
    """Return how a file is to be read, and go back to its beginning; `UnreadableFileError` where that fails.

    A byte order mark says that a file is UTF-8, whatever else was said. One without that is UTF-8 to the last letter
    is not read as anything else: every letter beyond ASCII would become two.
    """
    first = file.read(3)
    if first.startswith(_UTF16):
        raise UnreadableFileError(Flaw("", "is UTF-16", "save it as UTF-8"))
    if first == BOM:
        encoding = "utf-8-sig"
    file.seek(0)
    if encoding == "cp1252" and _is_utf8(file):
        raise UnreadableFileError(
            Flaw("", "is UTF-8, not cp1252", "leave out the encoding, or save all files as UTF-8")
        )
    offset = 0
    for number, line in enumerate(file, 1):
        try:
            line.decode(encoding)
        except UnicodeDecodeError as error:
            place = f"is not {encoding.removesuffix('-sig')}: byte {offset + error.start + 1:,} of the file is none"
            proposal = f"{_CP1252} reads what older Windows programs write" if encoding == "utf-8" else ""
            raise UnreadableFileError(Flaw("", place, proposal), line=number) from None
        offset += len(line)
    file.seek(0)
    return encoding


def _is_utf8(file: BinaryIO) -> bool:
    """Whether a file has letters beyond ASCII, all of them in UTF-8; go back to where it was."""
    begin, beyond = file.tell(), False
    try:
        for line in file:
            beyond = beyond or not line.isascii()
            line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    finally:
        file.seek(begin)
    return beyond
