"""Actions on their way: what is to be written, what was found, and whether that is as it was when the plan was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, cast

from msgspec import UNSET

from ..._operations.comparison import differences, may_have_made
from ..._operations.keys import SOURCE, Key, key_of
from ..._operations.operations import operations
from ..._operations.writes import Create
from ..._wire.validation import built, checked
from ...records import DirectoryRecord, ExternalRequest, Record, fields
from ...resources import RESOURCES
from ..planning._actions import Action, ActionKind
from ..planning._keys import raw_source_id_of
from ..registry._rows import Reference, Row, resolved
from ._report import Result


class NotDoneError(Exception):
    """Raised for an action that is not carried out. Caught where it is, so it goes no further."""

    def __init__(self, result: Result, message: str) -> None:
        """Keep what becomes of it, and why, without any value."""
        super().__init__(message)
        self.result = result
        self.message = message


class Item:
    """One action, its row, and the record as it is now."""

    __slots__ = (
        "_given",
        "action",
        "body",
        "found",
        "index",
        "is_intended",
        "key",
        "name",
        "placed",
        "row",
        "seen_at",
        "source_id",
    )

    def __init__(self, index: int, action: Action, row: Row | None = None) -> None:
        """Begin with the place of the action in the plan."""
        self.index = index
        self.action = action
        self.name = ""
        """In the journal."""
        self.key: Key | None = None
        """By which the record of a create is looked up."""
        self.body: Record | None = None
        """What a create writes."""
        self.source_id: str | None = None
        """What is written into `external`, if anything is."""
        self.found: DirectoryRecord | None = None
        """The record, as it was `seen_at` by the loop's clock."""
        self.seen_at = 0.0
        self.placed = False
        """Whether a person who is to be deleted has placements, which would go, too."""
        self._given: dict[str, Any] = {}
        self.row = row
        self.is_intended = False
        """Whether the journal says that it is about to be sent."""

    def __repr__(self) -> str:
        return f"<Item {self.index}: {self.action!r}>"

    @property
    def kind(self) -> ActionKind:
        """What is to be done."""
        return self.action.kind

    def prepare(self, resolve: Callable[[Reference], str]) -> None:
        """Make what is to be written, with the ids that references lead to; raises what `resolve` raises."""
        if self.row is None:
            return
        action, given = self.action, self.row.fields
        wanted = given if self.kind is ActionKind.CREATE else action.changes
        self._given = {
            name: resolved(value, resolve) for name, value in given.items() if name in wanted and value is not UNSET
        }
        external = given.get("external")
        said = None if external is None else cast("str", external.source_id)
        if self.kind in (ActionKind.CREATE, ActionKind.CLAIM) or "external" in action.changes:
            self.source_id = said or action.source_id
        if self.kind is ActionKind.CREATE:
            self.write(self.source_id)

    def write(self, source_id: str | None) -> None:
        """Let a create write a source id."""
        resource = self.action.resource
        self.source_id = source_id
        given = {name: value for name, value in self._given.items() if name != "external"}
        if source_id is not None:
            given["external"] = ExternalRequest(source_id=source_id)
        create = create_of(resource)
        self.body = checked(built(create.body or Record, given))
        names, unique = create.key or (SOURCE,), bool(create.key) and create.unique
        self.key = key_of(self.body, names, unique=unique, several=not unique)

    @property
    def is_unique(self) -> bool:
        """Whether the server refuses a second record with the key of a create."""
        return self.key is not None and self.key.unique

    @property
    def is_ours(self) -> bool:
        """Whether the record that was found has the source id that a create writes."""
        return self.source_id is not None and raw_source_id_of(self.found) == self.source_id

    def changes(self, made_at: float) -> dict[str, Any]:
        """Return the fields that an update sends beside those that it requires; `made_at` is when the plan was made."""
        if self.kind is ActionKind.END:
            return {"end_date": self._end(made_at)}
        # What the row does not say is cleared: the end of a placement that came back.
        changes = {name: self._given.get(name) for name in self.action.changes if name != "external"}
        if self.source_id is not None:
            changes["external"] = ExternalRequest(source_id=self.source_id)
        return changes

    def _end(self, made_at: float) -> date:
        planned = self.action.changes.get("end_date")
        if planned is not None and isinstance(planned.after, date):
            return planned.after
        start: date = cast("Any", self.found).start_date
        return max(datetime.fromtimestamp(made_at, UTC).date(), start)

    def is_done(self, made_at: float) -> bool:
        """Whether the record is as the action would leave it."""
        record, kind = self.found, self.kind
        if kind is ActionKind.DELETE or record is None:
            return record is None and kind is ActionKind.DELETE
        archived = getattr(record, "archived_at", None) is not None
        if kind is ActionKind.ARCHIVE:
            return archived
        if kind is ActionKind.CREATE:
            return self.is_ours and may_have_made(cast("Record", self.body), record)
        if kind is ActionKind.RESTORE and archived:
            return False
        return not differences(_update_of(self.action.resource, record, self.changes(made_at)), record)


def create_of(resource: str) -> Create[...]:
    """Return the create of a resource that has one."""
    return cast("Create[...]", operations(RESOURCES[resource])["create"])


def _update_of(resource: str, record: DirectoryRecord, changes: Mapping[str, Any]) -> Record:
    """Return the write of an update, with what it requires as the record has it."""
    body = operations(RESOURCES[resource])["update"].body or Record
    required = {field.name: getattr(record, field.name) for field in fields(body) if field.required}
    return checked(built(body, {**required, **changes}))
