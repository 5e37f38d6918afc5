"""The store: one table for each resource, and what a create, an update, an archiving or a deletion changes in them.

Knows no request, no credentials and no quota: the caller names the actor. Stamps never go back.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import cast

import msgspec
from msgspec import structs

from ...records import Field, Meta
from ...resources.audit_events import AuditEventResource
from ...resources.student_placements import StudentPlacement
from ..http.answers import Refusal, conflict, malformed
from ..http.dialect import Dialect
from .audit import deletion
from .filters import compile_filter
from .rules import Write, allowed, references_to
from .schemas import resource_schemas
from .shapes import is_object
from .tables import Order, Row, Table, meta_of
from .writes import born, changed, read_write

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEARCHES_KEPT = 8


class Directory:
    """The records of every resource. Refuses with `Refusal`, having changed nothing."""

    def __init__(
        self,
        records: Mapping[str, Iterable[Row]],
        *,
        order: Order,
        seed: int,
        clock: Callable[[], float],
        dialect: Dialect,
    ) -> None:
        """Hold `records`, by attribute of the client and as created; `clock` returns the seconds since 1970."""
        self._schemas = resource_schemas()
        self._tables = {attribute: Table(records.get(attribute, ()), order) for attribute in self._schemas}
        self._ids = Random(f"ids of directory {seed}")
        self._clock = clock
        self._dialect = dialect
        self._stamped = dialect.rounded(self.now())
        self._matching = lru_cache(_SEARCHES_KEPT)(self._filtered)

    def now(self) -> datetime:
        """Return the time that the clock shows."""
        return _EPOCH + timedelta(seconds=self._clock())

    def _stamp(self) -> datetime:
        """Return the time of a change."""
        self._stamped = self._dialect.stamped(self.now(), self._stamped)
        return self._stamped

    def _id(self) -> str:
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))

    def rows(self, attribute: str) -> list[Row]:
        """Return every record of a resource, in order; the list belongs to the directory."""
        return self._tables[attribute].rows()

    def get(self, attribute: str, record_id: str) -> Row:
        """Return the record with this id; 404 when there is none."""
        row = self._tables[attribute].get(record_id)
        if row is None:
            raise Refusal(404, f"{self._schemas[attribute].model.__name__} {record_id} does not exist")
        return row

    def search(self, attribute: str, body: bytes) -> list[Row]:
        """Return the records that a search's body asks for, in order; 400 when it makes no sense."""
        return self._matching(attribute, body, self._tables[attribute].version)

    def _filtered(self, attribute: str, body: bytes, version: int) -> list[Row]:
        del version  # part of what a result is remembered by
        data = decoded(body)
        if "filter" not in data or (self._dialect.unknown == "refuse" and len(data) > 1):
            malformed("the body of a search holds a filter and nothing else")
        try:
            test, ids = compile_filter(self._schemas[attribute].model, data["filter"], self._dialect)
        except ValueError as error:
            malformed(str(error))
        table = self._tables[attribute]
        return [row for row in (table.rows() if ids is None else table.pick(ids)) if test(row)]

    def create(self, attribute: str, body: bytes, actor: str) -> Row:
        """Return the new record; 422 when a rule is broken, 409 when a unique value is taken."""
        schema = self._schemas[attribute]
        given = read_write(schema, "create", decoded(body), self._dialect)
        row = born(schema.model, given, self._id(), Meta(created_at=self._stamp(), created_by=actor))
        # All fields of a new record are checked, those left to their default included.
        return self._keep(attribute, row, row.__struct_fields__)

    def update(self, attribute: str, record_id: str, body: bytes, actor: str) -> Row:
        """Return the record after what the body says; 404, 422 and 409 as for `get` and `create`."""
        row = self.get(attribute, record_id)
        schema = self._schemas[attribute]
        given = read_write(schema, "update", decoded(body), self._dialect)
        return self._keep(attribute, changed(schema.model, row, given, self._touched(row, actor)), given)

    def _keep(self, attribute: str, row: Row, given: Iterable[str]) -> Row:
        row = allowed(attribute, Write(self._tables, row, frozenset(given), self.now().date()))
        self._tables[attribute].put(row)
        return row

    def _touched(self, row: Row, actor: str) -> Meta:
        return structs.replace(meta_of(row), updated_at=self._stamp(), updated_by=actor)

    def archive(self, attribute: str, record_id: str, actor: str) -> Row:
        """Return the placement, archived in the school year that runs now; 409 before its end date has passed."""
        row = cast("StudentPlacement", self.get(attribute, record_id))
        today = self.now().date()
        if row.archived_at is not None:
            conflict("the placement is archived already")
        if row.end_date is None or row.end_date >= today:
            conflict("a placement can be archived once its endDate has passed")
        meta = self._touched(row, actor)
        return self._replace(attribute, row, meta=meta, archived_at=meta.updated_at, archive_year=_school_year(today))

    def restore(self, attribute: str, record_id: str, actor: str) -> Row:
        """Return the placement, no longer archived; 409 when it was not."""
        row = cast("StudentPlacement", self.get(attribute, record_id))
        if row.archived_at is None:
            conflict("the placement is not archived")
        return self._replace(attribute, row, meta=self._touched(row, actor), archived_at=None, archive_year=None)

    def _replace(self, attribute: str, row: Row, **values: object) -> Row:
        row = structs.replace(row, **values)
        self._tables[attribute].put(row)
        return row

    def delete(self, attribute: str, record_id: str, actor: str) -> None:
        """Delete a record, and leave no reference to it.

        Records that require it go too: the placements and grades of a student, the placements of an employee.
        Lists lose its id (members and moderators of groups, students of guardians) and other fields that name it are
        cleared (teachers of grades); a record changed in this way is updated like any other. Each deletion of a
        group, guardian, employee, student or placement leaves an audit event, that of a grade none.
        """
        self.get(attribute, record_id)
        for other, schema in self._schemas.items():
            for field in references_to(attribute, schema.model):
                for row in self._tables[other].find((field.name,), record_id):
                    self._release(other, row, field, record_id, actor)
        self._tables[attribute].remove(record_id)
        deleted = AuditEventResource(self._schemas[attribute].model.__name__)
        if deleted.known:
            self._tables["audit_events"].put(deletion(self._id(), self._stamp(), deleted, record_id, actor))

    def _release(self, attribute: str, row: Row, field: Field, gone: str, actor: str) -> None:
        """Remove the reference to a deleted record from a row; delete the row if it requires the reference."""
        if field.required and not field.many:
            self.delete(attribute, row.id, actor)
            return
        rest = [other for other in getattr(row, field.name) if other != gone] if field.many else None
        self._replace(attribute, row, meta=self._touched(row, actor), **{field.name: rest})


def _school_year(day: date) -> str:
    """Return the school year of a day, autumn_spring; it turns in August."""
    autumn = day.year if day.month >= 8 else day.year - 1  # August
    return f"{autumn}_{autumn + 1}"


def decoded(body: bytes) -> dict[str, object]:
    """Return the JSON object that a body holds; 400 for anything else."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        malformed("the body is not JSON")
    if not is_object(data):
        malformed("the body must be a JSON object")
    return data
