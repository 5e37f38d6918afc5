"""What a record is in a table: its columns, derived once from its declarations, and its rows, read from spooled lines.

One rule for every flat format. The column of a field has the field's name; a nested object becomes a column for each of
its fields, `address.postal_code` as `address_postal_code`; a list becomes one column of JSON text. Instants are text in
UTC, always with six digits of fraction, so that the order of the text is the order in time. A nested object that is
null, and one without a single value, are the same row. Knows no format and no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from ..._wire.field_names import is_nested
from ..._wire.validation import suggestion
from ...errors import MeitnerError
from ...records import Field, Kind, Record, fields

_PIECE = 1 << 19
"""Bytes that are columns at a time: what fits a processor's cache takes a third less time than megabytes do."""
_INSTANT, _WHOLE_SECOND = len("2026-03-01T12:00:00.000000Z"), len("2026-03-01T12:00:00Z")
"""Characters: of an instant in UTC as msgspec writes it, with six digits of fraction or none. No offset is as long."""
_TYPES: dict[Kind, type] = {Kind.BOOLEAN: bool, Kind.INTEGER: int}


class Column(NamedTuple):
    """A column of a table."""

    name: str
    kind: Kind | None
    """That of its field; None for a list, which is JSON text."""

    @property
    def textual(self) -> bool:
        """Whether its cells are text that somebody may have typed: neither numbers nor times."""
        return self.kind not in (Kind.BOOLEAN, Kind.INTEGER, Kind.DATE, Kind.INSTANT)


class Table(NamedTuple):
    """What a table holds, after an export to a file that has several."""

    rows: int
    others: bool
    """Whether it was not empty before: it may hold rows that the export did not see."""


def kept(model: type[Record], names: Sequence[str] | None = None) -> tuple[Field, ...]:
    """Return the fields of a record that are named (all when `names` is None) and its id, in the record's order.

    Raises `ValueError` for a name that the record lacks, with the closest one that exists.
    """
    declared = {field.name: field for field in fields(model)}
    if names is None:
        return tuple(declared.values())
    for name in names:
        if name not in declared:
            raise ValueError(f"{model.__name__} has no field {name!r}{suggestion(name, declared)}")
    return tuple(field for name, field in declared.items() if name == "id" or name in names)


def pieces(lines: bytes, size: int) -> Iterator[memoryview]:
    """Cut whole lines into pieces of whole lines: of `size` bytes, or of one line that is longer."""
    view, start = memoryview(lines), 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + size) + 1 or lines.find(b"\n", start) + 1 or len(lines)
        yield view[start:end]
        start = end


class Rows:
    """Reads spooled records as columns of cells: text, `bool`, `int` or None.

    Dates, enums and ids stay the text that they are on the line: nothing is built to be written down again.
    """

    def __init__(self, model: type[Record], names: Sequence[str] | None = None) -> None:
        """Keep the fields named, and the id; all when None."""
        self._name = model.__name__
        self._fields = kept(model, names)
        self._decoder = msgspec.json.Decoder(_row(model.__name__, self._fields))
        self.columns = tuple(_columns(self._fields))

    def batches(self, lines: bytes) -> Iterator[list[list[Any]]]:
        """Yield the cells of some records at a time, column by column. `MeitnerError` for a line that is no record."""
        for piece in pieces(lines, _PIECE):
            yield list(_cells(self._fields, self._records(piece)))

    def _records(self, piece: memoryview) -> list[Any]:
        try:
            return self._decoder.decode_lines(piece)
        except (ValueError, RecursionError):  # what msgspec raises, and UnicodeDecodeError, are ValueErrors
            pass
        raise MeitnerError(f"a spooled line does not hold {self._name}")


def _columns(declared: Sequence[Field], prefix: str = "") -> Iterator[Column]:
    for field in declared:
        if is_nested(field):
            yield from _columns(fields(field.type), f"{prefix}{field.name}_")
        else:
            yield Column(prefix + field.name, None if field.many else field.kind)


@cache
def _row(name: str, declared: tuple[Field, ...]) -> type[msgspec.Struct]:
    """Return a Struct that reads fields of a record as the cells of a table."""
    members = [(field.name, *_type_and_default(field)) for field in declared]
    return msgspec.defstruct(name, members, rename={field.name: field.wire for field in declared}, gc=False)


def _type_and_default(field: Field) -> tuple[Any, Any]:
    if field.many:
        return msgspec.Raw, msgspec.Raw(b"null")
    kind = _row_of(field) if is_nested(field) else _TYPES.get(field.kind, str)
    return kind | None, None


def _row_of(nested: Field) -> type[msgspec.Struct]:
    return _row(nested.type.__name__, fields(nested.type))


def _cells(declared: Sequence[Field], rows: list[Any]) -> Iterator[list[Any]]:
    """Yield the cells of every column. By columns, because `map` and comprehensions then do nearly all the work."""
    for field in declared:
        values = list(map(attrgetter(field.name), rows))
        if field.many:
            texts = [str(value, "utf-8") for value in values]
            yield [None if text == "null" else text for text in texts]
        elif is_nested(field):
            blank = _row_of(field)()
            yield from _cells(fields(field.type), [value or blank for value in values])
        elif field.kind is Kind.INSTANT:
            yield [value if value is None or len(value) == _INSTANT else _utc(value) for value in values]
        else:
            yield values


def _utc(text: str) -> str:
    """Return an instant in UTC with six digits of fraction, or as it is when in UTC it has no year."""
    if len(text) == _WHOLE_SECOND:
        return f"{text[:-1]}.000000Z"
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    except OverflowError:
        return text
