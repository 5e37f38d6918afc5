"""What an export asks of where it goes: a folder to make files in, and to publish them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .._files import Folder
from .._manifest import Manifest
from .._report import ResourceReport

if TYPE_CHECKING:
    from ..._pipeline.identity import Reader
    from ..formats.written import Target


class Destination(Protocol):
    """Where an export goes."""

    @property
    def folder(self) -> Folder:
        """The folder in which files, spools and journals are made."""
        ...

    @property
    def log(self) -> Path:
        """The folder of `exports.log`."""
        ...

    @property
    def address(self) -> str | None:
        """Of an object store; None for a folder."""
        ...

    async def check(self, reader: Reader | None, key: str | None, targets: Sequence[Target]) -> None:
        """Raise `MeitnerError` where the export would mix with what is there, or replace a whole by a part."""
        ...

    async def begin(self) -> None:
        """Prepare for files, now that the folder is held."""
        ...

    async def publish(self, manifest: Manifest, names: Collection[str]) -> tuple[ResourceReport, ...]:
        """Let readers find the files of these resources, and return what the manifest says of each."""
        ...

    async def end(self) -> None:
        """Let go of what only an interrupted export needs."""
        ...


class LocalDestination:
    """A folder: each file takes its name there as soon as it is whole, and its checks are those of the files."""

    address = None

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.log = folder.path

    async def check(self, reader: Reader | None, key: str | None, targets: Sequence[Target]) -> None:
        """Leave it to the folder."""

    async def begin(self) -> None:
        """Do nothing."""

    async def publish(self, manifest: Manifest, names: Collection[str]) -> tuple[ResourceReport, ...]:
        """Return what the folder's manifest says already."""
        return tuple(manifest.resources[name] for name in names)

    async def end(self) -> None:
        """Do nothing."""
