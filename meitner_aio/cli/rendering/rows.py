"""Records on stdout for programs: JSON, one object a line, or CSV. Whole values; a terminal is not steered by them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..._wire.field_names import leaves, paths
from ...records import Record
from .output import encode_lines, for_people, write_lines, write_utf8


class Rows(Protocol):
    """Writes records to stdout, and hands them on at once. Blocking; raises `OSError` for a stdout that is closed."""

    def write(self, records: Sequence[Record]) -> None:
        """Write some records; the first call, with none even, writes what stands before them."""
        ...


class NdjsonRows:
    """One JSON object a line, named and nested as in the API."""

    def __init__(self, model: type[Record], chosen: Sequence[str] | None) -> None:
        """Keep the fields of these paths; all of them for None."""
        self._tree = None if chosen is None else _tree(model, leaves(model, chosen))

    def write(self, records: Sequence[Record]) -> None:
        """Write records, a line each."""
        tree = self._tree
        write_lines(records if tree is None else [_picked(record, tree) for record in records])


class _Kept(NamedTuple):
    """A field, by the API's name, and what is kept of the object that it holds; of any other value, all."""

    wire: str
    inner: dict[str, _Kept]


def _tree(model: type[Record], chosen: Iterable[str]) -> dict[str, _Kept]:
    known, tree = paths(model), dict[str, _Kept]()
    for path in chosen:
        inner, prefix = tree, ""
        for name in path.split("."):
            prefix = f"{prefix}.{name}" if prefix else name
            inner = inner.setdefault(name, _Kept(known[prefix].wire, {})).inner
    return tree


def _picked(record: Record, tree: Mapping[str, _Kept]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, kept in tree.items():
        value = getattr(record, name)
        found[kept.wire] = _picked(value, kept.inner) if kept.inner and value is not None else value
    return found


class CsvRows:
    """CSV by RFC 4180 for programs: UTF-8, commas, a header, text in quotes and as it is, null as an empty cell.

    Columns and values are those of an exported file, without the apostrophes that guard a spreadsheet there.
    """

    def __init__(self, model: type[Record], chosen: Sequence[str] | None) -> None:
        """Keep the fields of these paths, in their order; all of them for None."""
        from ...export.formats.columns import Rows as Cells

        wanted = leaves(model, chosen)
        self._cells = Cells(model, tuple(dict.fromkeys(path.partition(".")[0] for path in wanted)))
        places = {column.name: place for place, column in enumerate(self._cells.columns)}
        self._places = [places[path.replace(".", "_")] for path in wanted]
        self._begun = False

    def write(self, records: Sequence[Record]) -> None:
        """Write records, after the header where it is the first time."""
        from ...export.formats.csv import cells

        text = io.StringIO(newline="")
        writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
        columns = [self._cells.columns[place] for place in self._places]
        if not self._begun:
            writer.writerow([column.name for column in columns])
            self._begun = True
        for batch in self._cells.batches(encode_lines(records)):
            kept = [batch[place] for place in self._places]
            writer.writerows(zip(*map(cells, columns, kept), strict=True))
        write_utf8(text.getvalue().replace("\r\n", "\n") if for_people() else text.getvalue())


ROWS: Mapping[str, type[NdjsonRows | CsvRows]] = {"ndjson": NdjsonRows, "csv": CsvRows}
"""What writes a format."""
