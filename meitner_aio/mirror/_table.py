"""The table of one resource: rows as the SQLite export keeps them, and what cells cannot tell apart. Blocking."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from .._operations.resource import model_of
from ..export.formats.columns import Rows
from ..export.formats.sqlite import STRICT, cells, indexed, quoted, sql_type
from ..records import DirectoryRecord, Kind, Record, fields
from ..resources import RESOURCES

_CREATED = "meta_created_at"
IS_SPELLED = "id IN (?1, lower(?1), upper(?1))"
"""Whether a row has an id, however its letters are spelled."""


class Table:
    """Statements for one resource. Knows no run and no other table."""

    def __init__(self, database: sqlite3.Connection, name: str) -> None:
        model: type[DirectoryRecord] = model_of(RESOURCES[name])
        self.name = name
        self._database = database
        self._rows = Rows(model)
        self._nested = [field.name for field in fields(model) if field.kind is Kind.OBJECT]
        self.declared = {column.name: sql_type(column) for column in self._rows.columns}
        self._table = f"main.{quoted(name)}"
        listed = ", ".join(map(quoted, self.declared))
        set_ = ", ".join(f"{quoted(column)} = ?" for column in self.declared)
        self._select = f"SELECT {listed} FROM {self._table} WHERE id = ?"
        self._insert = f"INSERT INTO {self._table} ({listed}) VALUES ({', '.join('?' * len(self.declared))})"
        self._update = f"UPDATE {self._table} SET {set_} WHERE id = ?"

    # -- the table itself

    def create(self) -> None:
        """Make the table and its indexes, where they are missing."""
        columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in self.declared.items())
        self._database.execute(f"CREATE TABLE IF NOT EXISTS {self._table} ({columns}){STRICT}")
        for column in self._rows.columns:
            if indexed(column) or column.name == _CREATED:
                index = f"main.{quoted(f'{self.name}_{column.name}')}"
                on = f"{quoted(self.name)} ({quoted(column.name)})"
                self._database.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {on}")

    def add(self, column: str) -> None:
        """Add a column that is new in this version."""
        declared = f"{quoted(column)} {self.declared[column]}"
        self._database.execute(f"ALTER TABLE {self._table} ADD COLUMN {declared}")

    def drop(self, column: str) -> None:
        """Drop a column that this version does not know any more, with its index."""
        self._database.execute(f"DROP INDEX IF EXISTS main.{quoted(f'{self.name}_{column}')}")
        self._database.execute(f"ALTER TABLE {self._table} DROP COLUMN {quoted(column)}")

    def count(self, where: str = "true", values: Sequence[object] = ()) -> int:
        """Return how many rows there are."""
        ((rows,),) = self._database.execute(f"SELECT count(*) FROM {self._table} WHERE {where}", values)
        return int(rows)

    # -- rows

    def put(self, records: Sequence[DirectoryRecord]) -> Iterator[tuple[str, str | None]]:
        """Put records in the table, and yield of each its id and what happened to it: insert, update or None."""
        lines = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
        rows = (row for batch in self._rows.batches(lines) for row in zip(*self._kept(batch), strict=True))
        for record, row in zip(records, rows, strict=True):
            blank = self._blank(record)
            found = self._database.execute(self._select, [record.id]).fetchone()
            if found == row and self._blanks(record.id) == blank:
                yield record.id, None
                continue
            if found is None:
                self._database.execute(self._insert, row)
            else:
                self._database.execute(self._update, [*row, record.id])
            self._set_blanks(record.id, blank)
            yield record.id, "update" if found else "insert"

    def _kept(self, batch: list[list[Any]]) -> Iterator[list[Any]]:
        return map(cells, self._rows.columns, batch)

    def ids(self, id_: str) -> list[str]:
        """Return the id of a row as the table spells it: audit events may not have its capitals."""
        query = f"SELECT id FROM {self._table} WHERE {IS_SPELLED}"
        return [found for (found,) in self._database.execute(query, [id_])]

    def remove(self, id_: str) -> None:
        """Delete a row."""
        self._database.execute(f"DELETE FROM {self._table} WHERE id = ?", [id_])
        self._set_blanks(id_, None)

    def unseen(self, where: str = "true", values: Iterable[object] = ()) -> list[str]:
        """Return the ids of rows that this run did not see, of those that fit."""
        seen = "SELECT id FROM temp.seen WHERE resource = ?"
        query = f"SELECT id FROM {self._table} WHERE {where} AND id NOT IN ({seen})"
        return [id_ for (id_,) in self._database.execute(query, [*values, self.name])]

    def middle(self, where: str, values: Sequence[object], rows: int) -> str | None:
        """Return when the row in the middle of those that fit was created."""
        query = f"SELECT {_CREATED} FROM {self._table} WHERE {where} ORDER BY {_CREATED} LIMIT 1 OFFSET ?"
        found = self._database.execute(query, [*values, rows // 2]).fetchone()
        return None if found is None else str(found[0])

    # -- objects without a value

    def _blank(self, record: DirectoryRecord) -> str | None:
        """Return the fields that hold an object without a single value: in cells, that is no object."""
        given = [(name, getattr(record, name)) for name in self._nested]
        blank = [name for name, value in given if isinstance(value, Record) and _is_blank(value)]
        return " ".join(blank) or None

    def _blanks(self, id_: str) -> str | None:
        query = "SELECT fields FROM main.meitner_aio_blank WHERE resource = ? AND id = ?"
        found = self._database.execute(query, [self.name, id_]).fetchone()
        return None if found is None else str(found[0])

    def _set_blanks(self, id_: str, names: str | None) -> None:
        where = [self.name, id_]
        self._database.execute("DELETE FROM main.meitner_aio_blank WHERE resource = ? AND id = ?", where)
        if names is not None:
            self._database.execute("INSERT INTO main.meitner_aio_blank VALUES (?, ?, ?)", [*where, names])


def _is_blank(value: Record) -> bool:
    return all(getattr(value, name) in (None, msgspec.UNSET) for name in value.__struct_fields__)
