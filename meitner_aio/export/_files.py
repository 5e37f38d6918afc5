"""Files that are whole or absent, in a folder that one export at a time may fill. Blocking.

All of them pass the checks of `private_files`: the folder is ours and closed to others' writing, and so are they.

The content of a file reaches the disk before its name does; how, `durable` knows.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from .._runtime import durable
from .._runtime.durable import RawFile, new_file
from .._runtime.locks import hold
from .._runtime.private_files import check_makeable, make_folder, open_private

LOCK = "exports.lock"
"""The file that is the lock of a folder where the folder itself cannot be locked."""


class Folder:
    """The folder of an export, made for the owner alone (0700) where it did not exist, held until the block ends."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._handle: int | None = None
        self._release: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        """Hold the folder; `MeitnerError` when another export does, `ConfigurationError` when others may write."""
        place = make_folder(self.path)
        if sys.platform != "win32":
            self._handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            self._release = hold(self._handle, place / LOCK, f"another export is writing to {self.path}")
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._release is not None:
                self._release()
        finally:
            self._close()

    def _close(self) -> None:
        self._release = None
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
        durable.put_private(self.path / name, data, part=f"{name}.part")

    def duplicate(self, name: str, copy: str) -> None:
        """Give a file that is on the disk a second name; a file system without links gets a second file.

        So does Windows, where no name of a file that is open can be changed.
        """
        self.remove(copy)
        if not self._link(name, copy):
            with self.reopen(name) as source, self.create(copy) as target:
                shutil.copyfileobj(source, target)
                target.sync()

    def _link(self, name: str, copy: str) -> bool:
        if sys.platform == "win32":
            return False
        try:
            os.link(self.path / name, self.path / copy)
        except OSError:
            return False
        return True

    def rename(self, part: str, name: str) -> None:
        """Rename a file that is on the disk; a file of that name stays until then."""
        durable.replace(self.path / part, self.path / name)
        self.remove(part)  # where both names are one file already, a rename does nothing
        self.sync()

    def remove(self, *names: str) -> None:
        """Remove files, where they exist."""
        for name in names:
            durable.remove(self.path / name)

    def sync(self) -> None:
        """Make the names of the files survive a power cut."""
        if self._handle is not None:
            durable.sync_names(self._handle)
