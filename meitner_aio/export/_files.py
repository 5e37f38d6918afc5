"""Files that are whole or absent, in a folder that one export at a time may fill. Blocking.

All of them pass the checks of `private_files`: the folder is ours and closed to others' writing, and so are they.

The content of a file reaches the disk before its name does: data is synced, then renamed, then the folder is synced. A
sync that fails is never tried again: the system may have dropped the data and would call the second one a success.
"""

from __future__ import annotations

import os
import shutil
import sys
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from .._runtime.private_files import check_makeable, make_folder, open_private
from ..errors import MeitnerError

if sys.platform != "win32":
    import fcntl


class Folder:
    """The folder of an export, made for the owner alone (0700) where it did not exist, held until the block ends."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._handle: int | None = None

    def __enter__(self) -> Self:
        """Hold the folder; `MeitnerError` when another export does, or when others may write to it."""
        place = make_folder(self.path)
        if sys.platform != "win32":
            self._handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
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

    def check(self) -> None:
        """Raise what holding the folder would raise for where it is, and whose. Makes nothing."""
        check_makeable(self.path)

    def create(self, name: str) -> RawFile:
        """Return a new file, readable by the owner alone (0600), in place of whatever had the name."""
        self.remove(name)  # it may have another owner's mode, or be a link to elsewhere
        return new_file(self.path / name)

    def reopen(self, name: str) -> RawFile:
        """Return a file of this folder, to go on with, 0600 from now on.

        `FileNotFoundError` when it is not there, `ConfigurationError` when it is a link, or another user's.
        """
        return RawFile(open_private(self.path / name, os.O_RDWR))

    def put(self, name: str, data: bytes) -> None:
        """Put a small file in place."""
        part = f"{name}.part"
        try:
            with self.create(part) as file:
                file.write(data)
                file.sync()
            self.rename(part, name)
        finally:
            self.remove(part)

    def duplicate(self, name: str, copy: str) -> None:
        """Give a file that is on the disk a second name; a file system without links gets a second file."""
        self.remove(copy)
        try:
            os.link(self.path / name, self.path / copy)
        except OSError:
            with self.reopen(name) as source, self.create(copy) as target:
                shutil.copyfileobj(source, target)
                target.sync()

    def rename(self, part: str, name: str) -> None:
        """Rename a file that is on the disk; a file of that name stays until then."""
        (self.path / part).replace(self.path / name)
        self.remove(part)  # where both names are one file already, a rename does nothing
        self.sync()

    def remove(self, *names: str) -> None:
        """Remove files, where they exist."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def sync(self) -> None:
        """Make the names of the files survive a power cut."""
        if self._handle is not None:
            os.fsync(self._handle)


class RawFile(FileIO):
    """A file without a buffer: what `write` wrote is with the operating system, and survives this process."""

    def __init__(self, handle: int) -> None:
        super().__init__(handle, "rb+")

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write all of it; on a nearly full disk one call may write only a part."""
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) :]
        return len(data)

    def sync(self) -> None:
        """Wait until the disk has what was written."""
        os.fsync(self.fileno())


def new_file(path: Path) -> RawFile:
    """Return a file that did not exist, readable by the owner alone (0600)."""
    return RawFile(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
