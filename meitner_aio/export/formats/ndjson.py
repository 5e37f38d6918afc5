"""Newline-delimited JSON with some of the fields: one record a line, named and spelled as the API does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from ..._runtime.durable import new_file
from ...records import wire_name

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode_lines
_encode = msgspec.json.Encoder().encode_lines


def picked(lines: bytes, names: Iterable[str]) -> bytes:
    """Return the lines with the fields of these wire names only, their values untouched."""
    return _encode([{name: row[name] for name in names if name in row} for row in _decode(lines)])


class NdjsonWriter:
    """Writes lines to a file of its own."""

    held = None

    def __init__(self, path: Path, fields: tuple[str, ...] | None) -> None:
        """Keep the fields with these names of the record; all of them for None."""
        self._names = None if fields is None else tuple(map(wire_name, fields))
        self._path = path
        self._file = new_file(path)

    def write(self, lines: bytes) -> None:
        """Add whole lines."""
        self._file.write(lines if self._names is None else picked(lines, self._names))

    def close(self) -> None:
        """Make the file whole."""
        self._file.close()

    def abort(self) -> None:
        """Remove what was written."""
        self._file.close()
        self._path.unlink(missing_ok=True)
