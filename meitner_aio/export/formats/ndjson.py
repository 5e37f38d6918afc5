"""Newline-delimited JSON with some of the fields: one record a line, named and spelled as the API does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import UNSET, Raw, UnsetType

from ..._runtime.durable import new_file
from ...records import wire_name

_encode = msgspec.json.Encoder().encode_lines


def picker(names: Sequence[str]) -> Callable[[bytes], bytes]:
    """Return what makes of lines those with the fields of these wire names only, their values untouched."""
    places = {f"field{number}": name for number, name in enumerate(names)}
    members = [(place, Raw | UnsetType, UNSET) for place in places]
    decode = msgspec.json.Decoder(msgspec.defstruct("Picked", members, rename=places, gc=False)).decode_lines
    return lambda lines: _encode(decode(lines))


class NdjsonWriter:
    """Writes lines to a file of its own."""

    held = None

    def __init__(self, path: Path, fields: tuple[str, ...] | None) -> None:
        """Keep the fields with these names of the record; all of them for None."""
        self._pick = None if fields is None else picker(tuple(map(wire_name, fields)))
        self._path = path
        self._file = new_file(path)

    def write(self, lines: bytes) -> None:
        """Add whole lines."""
        self._file.write(lines if self._pick is None else self._pick(lines))

    def close(self) -> None:
        """Make the file whole."""
        self._file.close()

    def abort(self) -> None:
        """Remove what was written."""
        self._file.close()
        self._path.unlink(missing_ok=True)
