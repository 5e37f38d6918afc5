"""What is told of a resource, as rows to merge: records as they are, and ids of those that are gone. Pure; blocking."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from .._operations.resource import model_of
from .._pseudonyms import Pseudonyms, kept
from ..changes import Change, Deleted
from ..export._spool import encode_lines
from ..export.formats.arrow import ArrowRows, ArrowTable
from ..records import DirectoryRecord
from ..resources import RESOURCES

AT_ONCE = 5_000
"""Rows in a table."""
EVERYTHING = "*"
"""What stands for an id, which it is none of, in the row that says that the rows with it are everything."""


class ResourceRows:
    """Makes the rows of one resource, under pseudonyms where there are any."""

    def __init__(self, resource: str, names: Pseudonyms | None) -> None:
        model: type[DirectoryRecord] = model_of(RESOURCES[resource])
        self._names = names
        self._arrow = ArrowRows(model, None if names is None else kept(model))

    @property
    def form(self) -> str:
        """What the rows are like: those of another form have other columns, or other pseudonyms."""
        columns = ", ".join(f"{field.name} {field.type}" for field in self._arrow.schema)
        key = "" if self._names is None else self._names.fingerprint
        return hashlib.sha256(f"{columns}; {key}".encode()).hexdigest()[:16]

    def of_records(self, records: Sequence[DirectoryRecord]) -> ArrowTable:
        """Return records as a table."""
        return self._arrow.of_records(self.lines(records))

    def of_lines(self, lines: Sequence[bytes]) -> ArrowTable:
        """Return lines, each of which holds a record, as a table."""
        return self._arrow.of_records(b"".join(lines))

    def of_deleted(self, ids: Sequence[str]) -> ArrowTable:
        """Return what deletes rows: ids, each as a table may spell it, since audit events may lack its capitals."""
        if self._names is None:
            spelled = [form for id_ in ids for form in (id_, id_.lower(), id_.upper())]
        else:
            spelled = [self._names.id(id_) for id_ in ids]
        return self._deletions([*dict.fromkeys(spelled)])

    def everything(self) -> ArrowTable:
        """Return what says that all rows were told: a row that is never inserted, as those that delete."""
        return self._deletions([EVERYTHING])

    def _deletions(self, ids: Sequence[str]) -> ArrowTable:
        return self._arrow.of_deletions(ids, datetime.now(UTC))

    def lines(self, records: Sequence[DirectoryRecord]) -> bytes:
        """Return records as lines of JSON."""
        names = self._names
        return encode_lines(records if names is None else [names.record(record) for record in records])


class Latest:
    """Changes of one resource, each row as it was told last: a table that is merged may have a key once."""

    def __init__(self, rows: ResourceRows) -> None:
        self._rows = rows
        self._told: dict[str, bytes | None] = {}

    def add(self, change: Change) -> None:
        """Take a change in the place of one that was told before of the same row."""
        if isinstance(change, Deleted):
            self._told[change.id.lower()] = None
        else:
            self._told[change.record.id.lower()] = self._rows.lines([change.record])

    def tables(self) -> Iterator[ArrowTable]:
        """Yield what is to be merged."""
        lines = [line for line in self._told.values() if line is not None]
        for start in range(0, len(lines), AT_ONCE):
            yield self._rows.of_lines(lines[start : start + AT_ONCE])
        gone = [id_ for id_, line in self._told.items() if line is None]
        for start in range(0, len(gone), AT_ONCE):
            yield self._rows.of_deleted(gone[start : start + AT_ONCE])
