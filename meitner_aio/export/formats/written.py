"""From the spool of a resource to the file that was asked for. Blocking."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..._pipeline.identity import Stamp
from ..._runtime import durable
from ..._runtime.private_files import open_private
from ...records import Record
from .._files import Folder
from .._journal import ReadSummary
from .._names import SHARED
from .._spool import Spool

if TYPE_CHECKING:
    from .._selection import ResourceJob
    from .columns import Table
    from .writers import Writer


class Target(NamedTuple):
    """The file to make of a spool."""

    name: str
    """Of the resource."""
    format: str
    model: type[Record]
    fields: tuple[str, ...] | None
    narrowed: bool
    """Whether a part is asked for, which must not take the place of a whole."""
    replace: bool
    """Whether it may do so all the same."""
    excel: bool
    """The dialect, of a csv."""
    directory: Stamp | None = None
    """What the file says of the directory that it is of, where the format can."""

    @classmethod
    def of(cls, one: ResourceJob, format: str, *, replace: bool, excel: bool) -> Target:
        """Return the file to make of a resource."""
        return cls(one.name, format, one.model, one.fields, one.selection.narrowed, replace, excel)

    @property
    def keyed(self) -> bool:
        """Whether rows have ids, by which a part of them can be put among those of a table."""
        return "id" in self.model.__struct_fields__

    @property
    def file(self) -> str:
        """The name of the file in the folder."""
        return SHARED if self.format == "sqlite" else f"{self.name}.{self.format}"

    @property
    def dialect(self) -> str | None:
        """That of a csv: `plain` or `excel`; None for other formats."""
        return ("excel" if self.excel else "plain") if self.format == "csv" else None


class Placed(NamedTuple):
    """A file in its place."""

    bytes: int
    sha256: str
    rows: int
    updated: int | None = None
    """Rows that were put among others of a table; None where there are no others."""


class Stopped(Exception):  # noqa: N818 - no error: the export was cancelled, and nobody waits for what it raises
    """A file was given up because nobody waits for it any more."""


def put_in_place(spool: Spool, summary: ReadSummary, folder: Folder, target: Target, stop: threading.Event) -> Placed:
    """Make the file of a spool and give it its name.

    What had the name before is there until the new file is whole and on the disk.
    """
    part, rows = f"{target.file}.part", summary.rows - len(summary.gone)
    if spool.journal.choices.verbatim and summary.sha256 is not None and not summary.gone:
        folder.duplicate(f"{target.name}.part", part)
        folder.rename(part, target.file)
        return Placed(summary.end, summary.sha256, rows)
    if target.format == "sqlite":
        return _put_in_table(spool, summary, folder, target, stop)
    folder.remove(part)
    _convert(spool.chunks(), summary, folder.path / part, target, stop)
    size, sha256 = _digest(folder.path / part, sync=True)
    folder.rename(part, target.file)
    return Placed(size, sha256, rows)


def _put_in_table(spool: Spool, summary: ReadSummary, folder: Folder, target: Target, stop: threading.Event) -> Placed:
    """Put rows in their table: they replace it when they are all, or somebody says so, and else come among its own."""
    path, rows = folder.path / target.file, summary.rows - len(summary.gone)
    replace = target.replace or (not target.narrowed and summary.complete)
    held = _convert(spool.chunks(), summary, path, target, stop, replace=replace)
    folder.sync()
    return Placed(*_digest(path), held.rows if held else rows, rows if held and held.others else None)


def _convert(
    chunks: Iterator[bytes],
    summary: ReadSummary,
    path: Path,
    target: Target,
    stop: threading.Event,
    *,
    replace: bool = True,
) -> Table | None:
    writer = _writer(target, path, replace=replace)
    try:
        for lines in _remaining(chunks, frozenset(summary.gone), stop):
            writer.write(lines)
        writer.close()
    except BaseException:
        writer.abort()
        raise
    return writer.held


def _writer(target: Target, path: Path, *, replace: bool) -> Writer:
    if target.format == "ndjson":
        from .ndjson import NdjsonWriter

        return NdjsonWriter(path, target.fields)
    from .writers import open_writer

    return open_writer(
        target.format,
        target.model,
        path,
        table=target.name,
        fields=target.fields,
        replace=replace,
        excel=target.excel,
        directory=target.directory,
    )


def _remaining(chunks: Iterator[bytes], gone: frozenset[int], stop: threading.Event) -> Iterator[bytes]:
    """Yield the lines of `chunks` but those whose places are `gone`."""
    place = 0
    for chunk in chunks:
        if stop.is_set():
            raise Stopped
        if not gone:
            yield chunk
            continue
        lines = chunk.splitlines(keepends=True)
        yield b"".join(line for number, line in enumerate(lines, place) if number not in gone)
        place += len(lines)


def _digest(path: Path, *, sync: bool = False) -> tuple[int, str]:
    handle = open_private(path, os.O_RDWR if sync else os.O_RDONLY)
    with os.fdopen(handle, "rb", buffering=0) as file:
        if sync:
            durable.sync(file.fileno())
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), sha256
