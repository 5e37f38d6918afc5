"""Makes a row of cells, or says everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple, cast

from ..._wire.validation import is_text, strip_traceback
from ._declared import Column, declared
from ._normalise import Changes, Normaliser, normaliser
from ._problems import Flaw, NoteKind, UnfitError
from ._rows import HeldRow, RawRow, Reference, Row, body_of, keys_of

_SOME_ID = "00000000-0000-4000-8000-000000000000"
"""Stands for an id that is still to be found, when everything else is checked."""


class Read(NamedTuple):
    """What a row came to."""

    row: Row | HeldRow
    flaws: tuple[Flaw, ...]
    changes: Sequence[tuple[str, NoteKind]]


class _Cells:
    """Gathers what the cells of one row say."""

    __slots__ = ("bad", "changes", "flaws", "given", "is_doubtful", "objects")

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        self.given: dict[str, Any] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        self.flaws = list(flaws)
        self.changes: list[tuple[str, NoteKind]] = []
        self.bad: set[str] = set()
        self.is_doubtful = False
        """Whether there is a value that `create` may refuse."""

    def refuse(self, field: str, flaw: Flaw) -> None:
        """Add a flaw, and use nothing that the row says of the field."""
        self.flaws.append(flaw)
        self.bad.add(field)


class RowReader:
    """Reads the rows of one resource. The day decides the century of identity numbers written without one."""

    def __init__(self, resource: str, file: str, today: date) -> None:
        """Prepare what reads each column."""
        self._declared = declared(resource)
        self._resource = resource
        self._file = file
        columns = self._declared.columns.values()
        self._normalisers: dict[str, Normaliser] = {column.name: normaliser(column.leaf, today) for column in columns}
        self._required = [field.name for field in self._declared.fields.values() if field.required]
        self._homes = {column.field: self._declared.homes(column.field, None) for column in columns if column.by}
        self._by_category = self._declared.by_category

    def read(self, raw: RawRow) -> Read:
        """Return the row, or the keys of it that can be read and all that is wrong."""
        if raw.flaws and not raw.cells:
            return Read(HeldRow(self._resource, self._file, raw.line, ()), raw.flaws, ())
        cells = _Cells(raw.flaws)
        for column, value in raw.cells:
            if column.many:
                self._read_list(cells, column, value)
            else:
                self._read_one(cells, column, value)
        if self._by_category:
            self._refer(cells)
        self._build(cells)
        if cells.is_doubtful and not cells.flaws:
            cells.flaws += self._refusal(cells.given)
        given = {name: v for name, v in cells.given.items() if name not in cells.bad} if cells.bad else cells.given
        keys = keys_of(self._resource, given)
        if not cells.flaws and not keys:
            known_by = " or ".join(str(name) for name in self._declared.key_names)
            cells.flaws.append(Flaw(known_by, "is needed: nothing else tells such records apart"))
        if cells.flaws:
            row: Row | HeldRow = HeldRow(self._resource, self._file, raw.line, keys)
        else:
            row = Row(self._resource, self._file, raw.line, cells.given, keys)
        return Read(row, tuple(cells.flaws), cells.changes)

    def _value(self, cells: _Cells, column: Column, value: object) -> Any:
        changes: Changes = []
        try:
            found = self._normalisers[column.name](value, changes)
        except UnfitError as unfit:
            cells.refuse(column.field, Flaw(column.name, unfit.message, unfit.proposal))
            return None
        if changes:
            cells.changes += [(column.name, change) for change in changes]
        if _may_be_refused(found):
            if column.by:  # no create takes it: the id that it leads to stands in its place
                cells.refuse(column.field, Flaw(column.name, "holds a lone surrogate, which is not text"))
                return None
            cells.is_doubtful = True
        return found

    def _read_one(self, cells: _Cells, column: Column, value: object) -> None:
        found, field = self._value(cells, column, value), column.field
        if column.inside:
            self._put_inside(cells, column, found)
        elif found is None:
            if self._declared.fields[field].nullable:
                cells.given.setdefault(field, None)
        elif cells.given.get(field) is not None:
            names = ", ".join(self._declared.names_of(field))
            cells.refuse(field, Flaw(column.name, "is said twice", f"give a value to one of {names}"))
        else:
            cells.given[field] = Reference(self._homes[field], column.by, found) if column.by else found

    def _put_inside(self, cells: _Cells, column: Column, found: object) -> None:
        if found is not None or column.leaf.nullable:
            if column.name == "source_id" and found is None:
                return
            cells.objects.setdefault(column.field, {})[column.inside] = found

    def _read_list(self, cells: _Cells, column: Column, value: object) -> None:
        if value is None:
            return
        items: list[Any] = cells.given.setdefault(column.field, [])
        for item in _items(value):
            found = self._value(cells, column, item)
            if found is None:
                continue
            entry = Reference(self._homes[column.field], column.by, found) if column.by else found
            if entry in items:
                cells.changes.append((column.name, NoteKind.REPEATED_ITEM))
            else:
                items.append(entry)

    def _refer(self, cells: _Cells) -> None:
        """Say where the references lead that depend on the category."""
        category = cells.given.get("category")
        for name in self._by_category:
            if name in cells.given:
                homes = self._declared.homes(name, category)
                cells.given[name] = [_at(homes, item) for item in cells.given[name]]

    def _build(self, cells: _Cells) -> None:
        for name, values in cells.objects.items():
            if name not in cells.bad:
                cells.given[name] = self._declared.fields[name].type(**values)
        for field in self._required:
            if cells.given.get(field) is None and field not in cells.bad:
                cells.refuse(field, Flaw(self._declared.names_of(field)[0], "must have a value"))
        start, end = cells.given.get("start_date"), cells.given.get("end_date")
        if start is not None and end is not None and end < start:
            cells.flaws.append(Flaw("end_date", "lies before start_date"))

    def _refusal(self, given: dict[str, Any]) -> Iterator[Flaw]:
        """Yield what `create` would refuse."""
        try:
            _body_of(self._resource, given, lambda _: _SOME_ID)
        except (TypeError, ValueError) as error:
            yield Flaw("", str(error))


_body_of = strip_traceback(body_of)


def _may_be_refused(value: object) -> bool:
    """Whether `create` may refuse what a normaliser returned: a number of more than 64 bits, a lone surrogate.

    Everything else that it returns fits its field.
    """
    if isinstance(value, str):
        return not value.isascii() and not is_text(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _at(homes: tuple[str, ...], item: object) -> object:
    return Reference(homes, item.by, item.value) if isinstance(item, Reference) else item


def _items(value: object) -> Sequence[object]:
    """Return the items of a list: in one text they are separated by semicolons."""
    if isinstance(value, str):
        return [part for part in value.split(";") if part.strip()]
    return cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else (value,)
