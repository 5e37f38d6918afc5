"""What comes of one row and the record that it is about: an action, one that is held, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple, cast

from ..._operations.comparison import differing
from ...records import DirectoryRecord, ExternalRequest
from ...resources.groups import GroupType
from ..registry._declared import declared
from ..registry._problems import Flaw
from ..registry._rows import Key, Reference, Row
from ._actions import Action, ActionKind, Change, HoldReason
from ._hashes import Hashes
from ._keys import PLACEMENTS, can, fixed_fields, school_of, source_of
from ._placements import as_placement, is_back, is_current
from ._references import PENDING, referring_fields
from ._source_ids import made_source_id

_TO_COME = "ffffffff-0000-4000-8000-{:012x}"
"""Stands for the id of a record that is still to be created, where ids are compared."""

_PAIR = (GroupType.CLASS, GroupType.CHILDCARE)
"""Types of a group that a preschool has together: the server completes them."""

_UPDATED = ActionKind.UPDATE, "differs"
_CLAIMED = ActionKind.CLAIM, "nobody owns it"
_RESTORED = ActionKind.RESTORE, "archived, and in the registry again"

Found = Mapping[Reference, str]
"""Where the references of a row lead: an id, or `@` and the name of a creation."""


class Outcome(NamedTuple):
    """What comes of a row; nothing but a target where the directory has what the row says."""

    target: str = ""
    """The id of the record; `@` and the name of the action for one that is created."""
    action: Action | None = None
    hold: HoldReason | None = None
    message: str = ""
    flaw: Flaw | None = None


class Deciding:
    """Decides what comes of rows."""

    def __init__(self, hashes: Hashes, source: str | None, today: date, *, claim: bool) -> None:
        """Own what is of `source`; take over what nobody owns where `claim` says so."""
        self.preschools: set[str] = set()
        """Ids of schools of type FS."""
        self._hashes = hashes
        self._source = source
        self._today = today
        self._claim = claim
        self._to_come: dict[str, str] = {}

    def outcome(self, row: Row, key: Key, found: Found, record: DirectoryRecord | None) -> Outcome:
        """Return what comes of a row, known by a key, and the record that it is about, if there is one."""
        if record is None:
            return self._created(row, key, found)
        changes = differing(self._said(row, found).items(), record)
        if row.resource in PLACEMENTS:
            placement = as_placement(record)
            if is_back(row, placement, self._today):
                changes["end_date"] = None
            if placement.archived_at is not None:
                return self._restored(row, found, record, changes)
        return self._changed(row, found, record, changes, _UPDATED)

    def _created(self, row: Row, key: Key, found: Found) -> Outcome:
        name = self._hashes.of_key(row.resource, key)
        given = {"external": _made()} | row.fields
        said = {field: given[field] for field in declared(row.resource).fields if field in given}
        school = row.fields.get("school_id")
        school = found.get(school) if isinstance(school, Reference) else school
        action = Action(
            kind=ActionKind.CREATE,
            resource=row.resource,
            key=key,
            changes={field: Change(None, _shown(value, found)) for field, value in said.items()},
            reason="not in the directory",
            school_id=None if school is None or school.startswith(PENDING) else school.lower(),
            line=row.line,
            source_id=said["external"].source_id,
            name=name,
            wanted=self._hashes.of_row(row),
        )
        return Outcome(PENDING + name, action)

    def _restored(self, row: Row, found: Found, record: DirectoryRecord, changes: dict[str, Any]) -> Outcome:
        if not is_current(row, self._today):
            return Outcome(record.id.lower())
        if not can(row.resource, "restore"):
            message = f"the placement is archived, and the API restores no {row.resource}"
            return Outcome(flaw=Flaw("", message, "restore it in Meitner"))
        return self._changed(row, found, record, changes, _RESTORED)

    def _changed(
        self, row: Row, found: Found, record: DirectoryRecord, changes: dict[str, Any], why: tuple[ActionKind, str]
    ) -> Outcome:
        fixed = fixed_fields(row.resource) & changes.keys()
        if fixed:
            first = next(name for name in declared(row.resource).fields if name in fixed)
            return Outcome(flaw=Flaw(first, "differs from the directory's, and can never change"))
        source = source_of(record)
        hold, message, own = None, "", None
        if source is None:
            hold, message, own = self._claimed(row, changes)
            why = _CLAIMED if why is _UPDATED else why
        elif source != self._source:
            changes.pop("external", None)
            hold, message = HoldReason.FOREIGN, "another source owns the record: only that can change it"
        if not changes and why is _UPDATED:
            return Outcome(record.id.lower())
        kind, reason = why
        action = Action(
            kind=kind,
            resource=row.resource,
            key=row.keys[0],
            id=record.id,
            changes={
                name: _change(row, found, record, name, changes[name])
                for name in record.__struct_fields__
                if name in changes
            },
            reason=reason,
            school_id=school_of(record),
            line=row.line,
            source_id=own,
            name=self._hashes.of_id(row.resource, record.id),
            seen=self._hashes.of_record(record),
            wanted=self._hashes.of_row(row),
        )
        return Outcome(record.id.lower(), action, hold, message)

    def _claimed(self, row: Row, changes: dict[str, Any]) -> tuple[HoldReason | None, str, str]:
        """Say that a record is to get the row's source id, or a made one; return why not, if so, and the id."""
        external = row.fields.get("external") or _made()
        changes["external"] = external
        if self._claim:
            return None, "", external.source_id
        return HoldReason.UNOWNED, "nobody owns the record", external.source_id

    def _said(self, row: Row, found: Found) -> dict[str, Any]:
        """Return what a row says, and what the server adds to it by itself: so that that is no difference."""
        said = self._with_ids(row, found) if found else row.fields
        types = said.get("types") or ()
        if any(one in types for one in _PAIR) and said["school_id"].lower() in self.preschools:
            said = said | {"types": [*types, *(one for one in _PAIR if one not in types)]}
        return said

    def _with_ids(self, row: Row, found: Found) -> dict[str, Any]:
        names = referring_fields(row.resource)
        return {n: self._resolved(value, found) if n in names else value for n, value in row.fields.items()}

    def _resolved(self, value: object, found: Found) -> object:
        if isinstance(value, Reference):
            return self._id(found[value])
        if isinstance(value, list):
            return [self._resolved(item, found) for item in cast("list[object]", value)]
        return value

    def add_preschool(self, target: str) -> None:
        """Note a school of type FS."""
        self.preschools.add(self._id(target))

    def _id(self, target: str) -> str:
        if not target.startswith(PENDING):
            return target
        return self._to_come.setdefault(target, _TO_COME.format(len(self._to_come)))


def _change(row: Row, found: Found, record: DirectoryRecord, name: str, value: object) -> Change:
    said: object = row.fields.get(name)
    after = _shown(cast("object", said), found) if isinstance(said, Reference | list) else value
    return Change(getattr(record, name), after)


def _made() -> ExternalRequest:
    return ExternalRequest(source_id=made_source_id())


def _shown(value: object, found: Found) -> object:
    """Return what a row says with ids for references, but for those that are not known yet."""
    if isinstance(value, Reference):
        return value if found[value].startswith(PENDING) else found[value]
    if isinstance(value, list):
        return list(_each(cast("list[object]", value), found))
    return value


def _each(values: list[object], found: Found) -> Iterator[object]:
    return (_shown(value, found) for value in values)
