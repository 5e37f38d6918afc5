"""Files that are whole or absent, in a folder that one export at a time may fill. Blocking; knows no event loop."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import MeitnerError

if sys.platform != "win32":
    import fcntl


class Folder:
    """The folder of an export, made for the owner alone (0700) where it did not exist, held until the block ends."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._handle: int | None = None

    def __enter__(self) -> Self:
        """Hold the folder; `MeitnerError` when another export does."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            self._handle = os.open(self.path, os.O_RDONLY)
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._release()
                raise MeitnerError(f"another export is writing to {self.path}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def sync(self) -> None:
        """Make the names of the files survive a power cut."""
        if self._handle is not None:
            os.fsync(self._handle)


class PartFile:
    """A file being written as `<name>.part`, readable by the owner alone (0600). `keep` gives it its name."""

    def __init__(self, folder: Folder, name: str) -> None:
        self.name = name
        self._folder = folder
        self._path = folder.path / name
        self._part = folder.path / f"{name}.part"
        self._part.unlink(missing_ok=True)  # what a killed export left may have another owner's mode, or be a link
        self._file = open(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")  # noqa: PTH123, SIM115 - pathlib opens no descriptor, and keep or discard closes it
        self._hash = hashlib.sha256()
        self.size = 0
        """Bytes written."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was written, in hexadecimal digits."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Add to the end."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def keep(self) -> None:
        """Put the file in place, on the disk itself: what had its name before is there until this is."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        self._folder.sync()

    def discard(self) -> None:
        """Remove what was not kept; after `keep` there is nothing to remove."""
        self._file.close()
        self._part.unlink(missing_ok=True)
