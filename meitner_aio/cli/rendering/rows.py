"""Records on stdout for programs: JSON, one object a line, or CSV. Whole values; a terminal is not steered by them."""

from __future__ import annotations

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
    """The columns and cells of an exported CSV, in either of its dialects."""

    def __init__(self, model: type[Record], chosen: Sequence[str] | None, *, excel: bool = False) -> None:
        """Keep the fields of these paths, in their order; all of them for None."""
        from ...export.formats.columns import Rows as Cells

        wanted = leaves(model, chosen)
        self._cells = Cells(model, tuple(dict.fromkeys(path.partition(".")[0] for path in wanted)))
        places = {column.name: place for place, column in enumerate(self._cells.columns)}
        self._places = [places[path.replace(".", "_")] for path in wanted]
        self._excel = excel
        self._begun = False

    def write(self, records: Sequence[Record]) -> None:
        """Write records, after the header where it is the first time."""
        from ...export.formats.csv import MARK, CsvText

        text = io.StringIO(newline="")
        table = CsvText(text, [self._cells.columns[place] for place in self._places], excel=self._excel)
        if not self._begun:
            table.begin()
            self._begun = True
        for batch in self._cells.batches(encode_lines(records)):
            table.write([batch[place] for place in self._places])
        said = text.getvalue()
        write_utf8(said.replace("\r\n", "\n").removeprefix(MARK) if for_people() else said)
