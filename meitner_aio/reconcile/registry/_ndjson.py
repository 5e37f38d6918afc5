"""Rows of newline-delimited JSON: an object a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from ._declared import Declared
from ._files import BOM, checked_encoding
from ._objects import raw_row
from ._problems import Flaw
from ._rows import RawRow

_LONGEST = 16 << 20
"""Bytes of a line."""


def ndjson_rows(file: BinaryIO, known: Declared) -> Iterator[RawRow]:
    """Yield the rows of a file; `UnreadableFileError` where it is not UTF-8."""
    checked_encoding(file, "utf-8")
    decode = msgspec.json.Decoder().decode
    for number, line in enumerate(file, 1):
        data = line.removeprefix(BOM) if number == 1 else line
        if not data.strip():
            continue
        if len(data) > _LONGEST:
            yield RawRow(number, (), (Flaw("", f"is longer than {_LONGEST:,} bytes"),))
            continue
        try:
            item = decode(data)
        except (msgspec.DecodeError, RecursionError):
            yield RawRow(number, (), (Flaw("", "is no JSON", "write one object a line"),))
            continue
        yield raw_row(number, item, known)
