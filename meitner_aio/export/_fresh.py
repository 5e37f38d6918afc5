"""A new file, for its owner alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .._runtime.durable import remove, sync
from .._runtime.private_files import open_private

_BUFFER = 1 << 18


class FreshFile:
    """A new file, readable by the owner alone (0600): whole after `close`, gone after an `abort` before it."""

    def __init__(self, path: Path) -> None:
        """Make the file; `FileExistsError` when something has its name, a link included."""
        self._path = path
        self.file = os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb", _BUFFER)
        self._whole = False

    def close(self) -> None:
        """Put what was written on the disk itself."""
        self.file.flush()
        sync(self.file.fileno())
        self.file.close()
        self._whole = True

    def abort(self) -> None:
        """Remove the file, unless it is whole."""
        if self._whole:
            return
        with suppress(OSError):  # a full disk fails again here, and the file goes anyway
            self.file.close()
        remove(self._path)
