"""What a plan consists of: actions, and what is held back. Their `repr` shows no value of a record."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from ..registry._rows import Key


class ActionKind(StrEnum):
    """What is done to a record."""

    CREATE = "create"
    CLAIM = "claim"
    """A record that nobody owns gets the source id of the registry, and is brought up to date."""
    UPDATE = "update"
    END = "end"
    """A placement that the registry no longer has gets an end date."""
    ARCHIVE = "archive"
    """A placement that ended at least `grace` ago is archived."""
    RESTORE = "restore"
    """An archived placement that the registry has again is restored, and brought up to date."""
    DELETE = "delete"
    """A placement is deleted from the archive; a person or a group, where that was asked for."""

    @property
    def is_removal(self) -> bool:
        """Whether it takes something away; brakes on removals count these."""
        return self in _REMOVALS


_REMOVALS = frozenset({ActionKind.END, ActionKind.ARCHIVE, ActionKind.DELETE})


class HoldReason(StrEnum):
    """Why an action is held back."""

    UNOWNED = "unowned"
    """Nobody owns the record, and claiming was not asked for."""
    FOREIGN = "foreign"
    """Another source owns the record."""
    SHARE = "share"
    """Too large a share of the records of the resource, or of one school's, would be removed or updated."""
    EMPTY = "empty"
    """The registry has the resource without a single row."""
    UNREADABLE = "unreadable"
    """The registry's file of the resource could not be read."""
    UNKNOWN_ROWS = "unknown_rows"
    """Rows of the resource were left out of which no key could be read: they may be any record."""
    INCOMPLETE = "incomplete"
    """The listing of the directory is not known to be complete."""
    SHRUNK = "shrunk"
    """The registry has at most half of the rows that it had when it was applied last."""


class Change(Struct, frozen=True):
    """What a field is, and what it would be; both None in a proposal that was loaded from a file.

    An id that is not known before the record is created is a `Reference`.
    """

    before: object = None
    after: object = None

    def __repr__(self) -> str:
        return "Change(***)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("before", "***"), ("after", "***")]


class Action(Struct, frozen=True, kw_only=True):
    """What would be done to one record."""

    kind: ActionKind
    resource: str
    key: Key | None = None
    """What the record is known by; None in a proposal that was loaded from a file."""
    id: str | None = None
    """The id that the directory gave it; None for a create."""
    changes: Mapping[str, Change] = {}
    """By the name of the field, in the order of the declaration. For a create, the fields that the row gives."""
    reason: str = ""
    """Why, in a sentence without any value: "not in the registry, ended 8 days ago"."""
    school_id: str | None = None
    """The school whose records it is counted among, where the record has one."""
    line: int = 0
    """The row of the registry that it carries out, as `Row.line`; 0 for removals."""
    source_id: str | None = None
    """What a create or a claim writes into `external.source_id`: the row's, or one made for it."""
    name: str = ""
    """A keyed hash of resource and record (its id, or its row's first key): names the action in files."""
    seen: str = ""
    """A keyed hash of the record as it was read: every field but `meta`. Empty for a create."""
    wanted: str = ""
    """A keyed hash of the row. Empty for removals."""

    def __repr__(self) -> str:
        """Show everything but keys and values."""
        fields = f", fields={', '.join(self.changes)}" if self.changes else ""
        return f"Action({self.kind.value} {self.resource}, id={self.id}{fields})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("kind", self.kind.value), ("resource", self.resource), ("id", self.id), ("fields", [*self.changes])]


class Held(Struct, frozen=True):
    """An action that is not carried out, and why."""

    action: Action
    reason: HoldReason
    message: str
    """In a sentence, with the numbers and what to do: "12 of 40 student_placements (school ...) would be removed"."""

    @property
    def kind(self) -> ActionKind:
        return self.action.kind

    @property
    def resource(self) -> str:
        return self.action.resource

    @property
    def id(self) -> str | None:
        return self.action.id


class ReconcileSettings(Struct, frozen=True, kw_only=True):
    """How a plan was made, for whoever approves it."""

    claim: bool = False
    delete: bool = False
    grace_days: float = 7.0
    retention_days: float | None = None
    accept_removals: int | None = None
