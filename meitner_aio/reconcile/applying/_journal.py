"""The journal: what a run is about to do, on the disk before any of it is sent, and what became of it. Blocking.

After a kill it tells which creates may have happened, and with which source ids. It holds hashes of keys and ids,
source ids that were made, and counts of rows: no value of a record, no credential.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self, TypeAlias

import msgspec
from msgspec import Struct

from ..._pipeline.identity import Reader
from ..._pipeline.journals import Content, Head, JournalFile, Kind
from ..._runtime.private_files import open_private
from ..planning._actions import ActionKind
from ..planning._hashes import Hashes
from ._report import Result

_REMEMBERED = (ActionKind.CREATE, ActionKind.RESTORE)
"""What takes more than to look at the record: a create that may show only later, and the first of two requests."""


class Intent(Struct, frozen=True, array_like=True):
    """What is about to be done to one record."""

    kind: ActionKind
    name: str
    """A keyed hash of the resource and the key that a create has, or of the record's id."""
    source_id: str | None = None
    """The one that a create writes, where it was made for it."""


class _Head(Head, frozen=True, tag="head"):
    pass


class _Rows(Struct, frozen=True, tag="rows"):
    """Of the registry that was carried out last, by resource."""

    counts: dict[str, int]


class _Intents(Struct, frozen=True, tag="intents"):
    intents: tuple[Intent, ...]


class _Settled(Struct, frozen=True, tag="settled"):
    name: str
    result: Result


_Line: TypeAlias = _Rows | _Intents | _Settled
_KIND: Kind[_Line] = Kind(
    head=_Head,
    version=1,
    decode=msgspec.json.Decoder(_Head | _Line).decode,
    name="journal of a registry",
    remedy="use another journal",
)


class Journal:
    """The journal of one run, which nobody else uses until it is closed."""

    def __init__(self, file: JournalFile[_Line], reader: Reader) -> None:
        """Go on with an open file; see `open`."""
        self._file = file
        notes = _Notes(file.found)
        self.hashes = Hashes(reader, file.directory.salt)
        """Of the names in it."""
        self.row_counts: Mapping[str, int] | None = notes.rows
        """By resource, rows of the registry that was carried out last; None when none was."""
        self.unsettled: Mapping[str, Intent] = notes.open
        """Creates and restores of an earlier run of which nobody knows whether they happened, by name."""
        self.created: Mapping[str, Intent] = notes.created
        """Creates of an earlier run that happened."""
        self._open: dict[str, Intent] = {}

    @classmethod
    def open(cls, path: Path, reader: Reader) -> Self:
        """Open the journal of a run, or begin one (0600).

        Raises `MeitnerError` while another run uses it, and when it is of another directory; `ConfigurationError` for
        what is no journal, or a damaged one, and for a file that others may write.
        """
        return cls(JournalFile[_Line].open(path, _KIND, reader, f"another run uses {path}"), reader)

    def intend(self, intents: Iterable[Intent]) -> None:
        """Write down what is about to be sent, and return when the disk has it."""
        noted = tuple(intents)
        self._file.add(_Intents(noted))
        self._file.sync()
        self._open |= {one.name: one for one in noted if one.kind in _REMEMBERED}

    def settle(self, name: str, result: Result) -> None:
        """Write down what became of it. That this may be lost with the power does no harm: it is looked up then."""
        self._file.add(_Settled(name, result))
        self._open.pop(name, None)

    def keep(self, name: str) -> None:
        """Leave it to the next run to find out whether an action of an earlier one happened."""
        self._open[name] = self.unsettled[name]

    def finish(self, row_counts: Mapping[str, int]) -> None:
        """Put what the next run needs in the place of all that: counts of rows, and creates that nobody can tell of."""
        lines: list[_Line] = [_Rows(dict(row_counts))]
        if self._open:
            lines.append(_Intents(tuple(self._open.values())))
        self._file.replace(lines)

    def close(self) -> None:
        """Close the file, and let others use it. May be called again."""
        self._file.close()


def last_row_counts(path: str | os.PathLike[str], reader: Reader) -> Mapping[str, int] | None:
    """Return how many rows of each resource the registry had that was carried out last; None when none was. Blocking.

    Raises what `Journal.open` raises for a file that is there.
    """
    try:
        file = os.fdopen(open_private(path), "rb")
    except FileNotFoundError:
        return None
    with file:
        content = Content(file, Path(path), _KIND)
    content.check(reader, Path(path), _KIND)
    return _Notes(content.lines).rows


class _Notes:
    """What the lines of a journal say."""

    def __init__(self, lines: Iterable[_Line]) -> None:
        self.rows: Mapping[str, int] | None = None
        self.open: dict[str, Intent] = {}
        self.created: dict[str, Intent] = {}
        for line in lines:
            self._enter(line)

    def _enter(self, said: _Line) -> None:
        if isinstance(said, _Rows):
            self.rows = said.counts
        elif isinstance(said, _Intents):
            self.open |= {one.name: one for one in said.intents if one.kind in _REMEMBERED}
        else:
            intent = self.open.pop(said.name, None)
            is_created = intent is not None and intent.kind is ActionKind.CREATE
            if intent is not None and is_created and said.result in (Result.DONE, Result.ALREADY_DONE):
                self.created[said.name] = intent
