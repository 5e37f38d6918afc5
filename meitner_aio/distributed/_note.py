"""A note beside what an export leaves, of which call it is: after a worker's death, the next one goes on with it.

Without it, a worker could not tell the beginning of its own call from what another one left there yesterday. Blocking.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from .._runtime.private_files import read_private
from ..export import Report
from ..export._files import Folder
from ..export._names import ATTEMPT
from ..export.destinations._address import address_of, spool_of


class Note(Struct, frozen=True):
    """What is known of a call's export of one tenant. Counts only."""

    run: str
    report: Report | None = None
    """Set when the export came to its end: a worker that dies before it told so has nothing to do again."""

    @classmethod
    def of(cls, place: Path, run: str) -> Self | None:
        """Return the note of a call; None when there is none, or that of another one."""
        try:
            note = msgspec.json.decode(read_private(place / ATTEMPT), type=cls)
        except (FileNotFoundError, ValueError):  # msgspec's errors are ValueErrors
            return None
        return note if note.run == run else None

    def save(self, place: Path) -> None:
        """Replace the note in a folder that exists."""
        Folder(place).put(ATTEMPT, msgspec.json.encode(self))


def place_of_note(to: str, spool: str | os.PathLike[str] | None) -> Path:
    """Return the folder of this machine in which an export to a destination leaves what it needs to be resumed."""
    address = address_of(to)
    return Path(to) if address is None else spool_of(address, spool)
