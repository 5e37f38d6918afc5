"""An exported folder in the place of the directory: the sandbox's engine on the rows of a snapshot, for reading only.

Knows of exports what their `manifest.json` says; opens no connection and writes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from .._operations.resource import model_of
from .._runtime.cleanup import finished
from .._runtime.private_files import read_private
from .._runtime.threads import threaded
from .._wire.decoding import PART
from .._wire.messages import FOREIGN, Headers, RawResponse, Request
from ..errors import ConfigurationError
from ..resources import LISTED
from ..sandbox.frozen import Frozen, reads
from ._answers import away, marked, unwritten

_log = logging.getLogger("meitner_aio")

_MANIFEST = "manifest.json"
_VERSION = 1
_NOT_FOUND = 404


class _File(Struct, frozen=True):
    """What the manifest says of a resource, as far as it matters here."""

    file: str
    format: str
    sha256: str
    complete: bool
    exported_at: datetime | None = None
    partial: bool = False
    where: tuple[str, ...] = ()
    since: datetime | None = None
    fields: tuple[str, ...] | None = None

    @property
    def narrowed(self) -> str:
        """By what the export was narrowed; empty when it was not."""
        limited = "limit" if self.partial else ""
        by = [f"where {', '.join(self.where)}" if self.where else "", "since" if self.since else ""]
        return " and ".join(filter(None, [*by, "fields" if self.fields else ""])) or limited


class _Manifest(Struct, frozen=True):
    version: int
    resources: dict[str, _File]
    pseudonymised: bool = False


class Snapshot:
    """Answers lists, searches and gets from a folder that an export wrote: a transport without a network.

    Each resource is read into memory when it is first asked for, and must then be what the manifest says. The folder is
    the directory as it was: listings are certified against it, whatever the server holds by now. What was exported in
    part, or not shown to be complete, does not pass for the whole: its listings are `unverified`, a record that it
    lacks is no `NotFoundError`, and opening it warns.
    """

    identity = b""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Raise `ConfigurationError`, naming the path, for a folder that holds no snapshot in NDJSON."""
        self._folder = Path(folder)
        self._files = _files(self._folder)
        self._directories: dict[str, Frozen] = {"": Frozen("schools", ())}
        self._turn = asyncio.Lock()
        parts = [f"{attribute} ({file.narrowed})" for attribute, file in self._files.items() if file.narrowed]
        if parts:
            _log.warning(
                "%s holds a part of the directory only, of %s: no listing of it is complete", folder, ", ".join(parts)
            )

    def __repr__(self) -> str:
        return f"<Snapshot {self._folder}: {', '.join(self._files)}>"

    @property
    def since(self) -> datetime | None:
        """When the oldest of the files was exported."""
        return min((file.exported_at for file in self._files.values() if file.exported_at is not None), default=None)

    async def send(self, request: Request) -> RawResponse:
        """Answer a read.

        Raises `APIConnectionError` for a write and for a resource that was not exported, and
        `ConfigurationError` for a file that is not the one exported.
        """
        attribute = reads(request)
        if attribute is None:
            raise unwritten(request, "a snapshot is read-only")
        if attribute and attribute not in self._files:
            raise away(request, f"the snapshot {self._folder} holds no {attribute}; export them, too")
        response = await (await self._directory(attribute)).send(request)
        file = self._files.get(attribute)
        if file is None or (file.complete and not file.narrowed):
            return marked(response)
        if response.status == _NOT_FOUND:
            raise away(
                request, f"the snapshot {self._folder} holds a part of {attribute}, and this record is not in it"
            )
        return replace(response, headers=Headers({**response.headers, PART: "1"}))

    async def close(self) -> None:
        """Let go of the rows."""
        self._directories.clear()

    async def _directory(self, attribute: str) -> Frozen:
        async with self._turn:
            found = self._directories.get(attribute)
            return await finished(self._loaded(attribute)) if found is None else found

    async def _loaded(self, attribute: str) -> Frozen:
        """Read a resource; whoever asks next has it, also when the one who asked first is cancelled meanwhile."""
        found = await threaded(_read, self._folder, attribute, self._files[attribute])
        self._directories[attribute] = found
        return found


def _files(folder: Path) -> dict[str, _File]:
    """Return what the manifest of a folder says, having made sure that the files are there."""
    path = folder / _MANIFEST
    try:
        manifest = msgspec.json.decode(read_private(path), type=_Manifest)
    except OSError as error:
        raise ConfigurationError(f"offline: {path} cannot be read: {error.strerror}") from None
    except FOREIGN:
        raise ConfigurationError(f"offline: {path} is not the manifest of an export") from None
    if manifest.version != _VERSION:
        raise ConfigurationError(f"offline: {path} is of version {manifest.version}, not {_VERSION}")
    if manifest.pseudonymised:
        raise ConfigurationError(
            f"offline: {folder} is under pseudonyms, and no directory: its ids and numbers are nobody's; export without"
        )
    for attribute, file in manifest.resources.items():
        if attribute not in LISTED or Path(file.file).name != file.file:
            raise ConfigurationError(f"offline: {path} names a resource or a file that no export writes")
        if file.format != "ndjson":
            raise ConfigurationError(f"offline: {folder / file.file} is {file.format}; export with the format ndjson")
        if not (folder / file.file).is_file():
            raise ConfigurationError(f"offline: {folder / file.file} is missing")
    return manifest.resources


def _read(folder: Path, attribute: str, file: _File) -> Frozen:
    """Read a file into memory. Blocking: takes about a second for each hundred thousand rows."""
    path = folder / file.file
    if file.fields is not None:
        raise ConfigurationError(f"offline: {path} has only some fields of its records; export all of them")
    try:
        data = read_private(path)
    except OSError as error:
        raise ConfigurationError(f"offline: {path} cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise ConfigurationError(f"offline: {path} is not the file that was exported: its SHA-256 is another")
    try:
        rows = msgspec.json.Decoder(model_of(LISTED[attribute])).decode_lines(data)
    except FOREIGN:  # its text may quote a value
        raise ConfigurationError(f"offline: {path} holds rows of another shape") from None
    if not file.complete and not file.narrowed:  # what was narrowed was told of when it was opened
        _log.warning("%s may lack rows: its export was not shown to be complete", path)
    return Frozen(attribute, rows)
