"""Makes a row of cells, or says everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple, cast

from ..._wire.validation import strip_traceback
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
    changes: tuple[tuple[str, NoteKind], ...]


class _Cells:
    """Gathers what the cells of one row say."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        self.flaws: list[Flaw] = []
        self.changes: list[tuple[str, NoteKind]] = []
        self.bad: set[str] = set()

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
        self._normalisers: dict[str, Normaliser] = {
            column.name: normaliser(column.leaf, today) for column in self._declared.columns.values()
        }

    def read(self, raw: RawRow) -> Read:
        """Return the row, or the keys of it that can be read and all that is wrong."""
        if raw.flaws and not raw.cells:
            return Read(HeldRow(self._resource, self._file, raw.line, ()), raw.flaws, ())
        cells = _Cells()
        cells.flaws += raw.flaws
        for column, value in raw.cells:
            if column.many:
                self._read_list(cells, column, value)
            else:
                self._read_one(cells, column, value)
        self._refer(cells)
        self._build(cells)
        if not cells.flaws:
            cells.flaws += self._refusal(cells.given)
        keys = keys_of(self._resource, {name: v for name, v in cells.given.items() if name not in cells.bad})
        if not cells.flaws and not keys:
            known_by = " or ".join(str(name) for name in self._declared.key_names)
            cells.flaws.append(Flaw(known_by, "is needed: nothing else tells such records apart"))
        if cells.flaws:
            row: Row | HeldRow = HeldRow(self._resource, self._file, raw.line, keys)
        else:
            row = Row(self._resource, self._file, raw.line, cells.given)
        return Read(row, tuple(cells.flaws), tuple(cells.changes))

    def _value(self, cells: _Cells, column: Column, value: object) -> Any:  # noqa: ANN401 - the value of any field
        changes: Changes = []
        try:
            found = self._normalisers[column.name](value, changes)
        except UnfitError as unfit:
            cells.refuse(column.field, Flaw(column.name, unfit.message, unfit.proposal))
            return None
        if changes:
            cells.changes += [(column.name, change) for change in changes]
        return found

    def _read_one(self, cells: _Cells, column: Column, value: object) -> None:
        found = self._value(cells, column, value)
        if column.inside:
            self._put_inside(cells, column, found)
        elif found is not None and cells.given.get(column.field) is not None:
            names = ", ".join(self._declared.names_of(column.field))
            cells.refuse(column.field, Flaw(column.name, "is said twice", f"give a value to one of {names}"))
        elif found is not None:
            cells.given[column.field] = Reference((), column.by, found) if column.by else found
        elif self._declared.fields[column.field].nullable:
            cells.given.setdefault(column.field, None)

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
            entry = Reference((), column.by, found) if column.by else found
            if entry in items:
                cells.changes.append((column.name, NoteKind.REPEATED_ITEM))
            else:
                items.append(entry)

    def _refer(self, cells: _Cells) -> None:
        """Say where the references lead: in a group, that depends on its category."""
        category = cells.given.get("category")
        for name, value in cells.given.items():
            if isinstance(value, Reference):
                cells.given[name] = Reference(self._declared.homes(name, category), value.by, value.value)
            elif isinstance(value, list) and any(isinstance(item, Reference) for item in cast("list[object]", value)):
                homes = self._declared.homes(name, category)
                cells.given[name] = [_at(homes, item) for item in cast("list[object]", value)]

    def _build(self, cells: _Cells) -> None:
        for name, values in cells.objects.items():
            if name not in cells.bad:
                cells.given[name] = self._declared.fields[name].type(**values)
        for field in self._declared.fields.values():
            if field.required and field.name not in cells.bad and cells.given.get(field.name) is None:
                name = self._declared.names_of(field.name)[0]
                cells.refuse(field.name, Flaw(name, "must have a value"))
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


def _at(homes: tuple[str, ...], item: object) -> object:
    return Reference(homes, item.by, item.value) if isinstance(item, Reference) else item


def _items(value: object) -> Sequence[object]:
    """Return the items of a list: in one text they are separated by semicolons."""
    if isinstance(value, str):
        return [part for part in value.split(";") if part.strip()]
    return cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else (value,)
