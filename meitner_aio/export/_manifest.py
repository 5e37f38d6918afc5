"""`manifest.json`: what the files of a folder are.

Counts, hashes, times, ids of rows left out; no row, no credential.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from .. import __version__
from .._pipeline.identity import Stamp
from .._runtime.private_files import read_private
from ..errors import MeitnerError
from ._files import Folder
from ._names import MANIFEST
from ._report import ResourceReport

_VERSION = 1
_GENERATOR = f"meitner-aio {__version__}"


class Manifest(Struct):
    """The state of a folder: the latest export of each resource, whichever run wrote it."""

    version: int
    """Of the manifest's own shape."""
    generator: str
    resources: dict[str, ResourceReport]
    directory: Stamp | None = None
    """Which directory they are of: its server, and a digest of who read it. None when nobody could say."""
    pseudonymised: bool = False
    key: str | None = None
    """The fingerprint of the key of the pseudonyms."""

    @classmethod
    def of(cls, folder: Folder) -> Manifest:
        """Return the manifest of a folder, empty where it has none.

        Raises `MeitnerError` for a `manifest.json` of another kind, which is not ours to overwrite, and
        `ConfigurationError` for one that others may have written.
        """
        path = folder.path / MANIFEST
        try:
            found = msgspec.json.decode(read_private(path), type=cls)
        except FileNotFoundError:
            return cls(_VERSION, _GENERATOR, {})
        except ValueError:  # msgspec's errors are ValueErrors
            found = None
        if found is None or not found.current:
            raise MeitnerError(f"{path} is not a manifest of this version; export to another folder")
        return cls(_VERSION, _GENERATOR, found.resources, found.directory, found.pseudonymised, found.key)

    def enter(self, report: ResourceReport) -> None:
        """Enter a resource, and what else is new about the file that it shares with others."""
        for name, other in self.resources.items():
            if other.file == report.file:
                self.resources[name] = msgspec.structs.replace(other, bytes=report.bytes, sha256=report.sha256)
        self.resources[report.resource] = report

    @property
    def current(self) -> bool:
        """Whether it has the shape of this version."""
        return self.version == _VERSION

    def encoded(self) -> bytes:
        """Return it as JSON, indented for people."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def save(self, folder: Folder) -> None:
        """Put the manifest in the folder, whole."""
        folder.put(MANIFEST, self.encoded())
