"""What differs between the records of this version and the objects of a document, field by field. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from ..records import Field, Kind, Record, fields
from ._notes import Notes, listed, shown
from ._schema import Member, Reader, Value


class Expected(NamedTuple):
    """What this version knows of a field."""

    kind: Kind
    many: bool = False
    required: bool = True
    nullable: bool = False
    inner: type[object] | None = None
    """The enum of an enum, the record of an object."""
    owner: str = ""
    """The name under which differences in the object are reported; that of the record by default."""

    @property
    def named(self) -> str:
        """The type in words."""
        one = self.kind if self.inner is None else f"{self.kind} {self.inner.__name__}"
        return f"list of {one}" if self.many else one


def expected(field: Field) -> Expected:
    """Return what a declared field is expected to be."""
    inner = field.type if field.kind in (Kind.ENUM, Kind.OBJECT) else None
    return Expected(field.kind, field.many, field.required, field.nullable, inner)


class Fields:
    """Compares objects, and notes what differs."""

    def __init__(self, reader: Reader, notes: Notes) -> None:
        self._reader = reader
        self._notes = notes
        self._new: dict[tuple[str, str], dict[str, Member]] = {}
        self._retyped: dict[tuple[str, str, str], str] = {}
        self._compared: dict[tuple[str, str, tuple[int, ...]], Value] = {}
        """What was compared with what, by identity: failures, meta and addresses are everywhere the same."""

    def record(self, owner: str, record: type[Record], value: Value, part: str) -> None:
        """Compare a record with an object."""
        self.object(owner, {field.wire: expected(field) for field in fields(record)}, value, part)

    def object(self, owner: str, known: Mapping[str, Expected], value: Value, part: str) -> None:
        """Compare what is known of an object with what a document says of it, in a part: read, create or update."""
        same = (owner, part, tuple(map(id, value.schemas)))
        if same in self._compared:
            return
        self._compared[same] = value  # which keeps it alive, and so its identity its own
        members = self._reader.members(value)
        self._notes.looked_at(owner, "", part)
        if members is None:
            self._notes.add(owner, "", "its fields are not described any more", part)
            return
        for name in sorted(members.keys() - known.keys()):
            self.new(owner, name, members[name], part)
        for name, one in known.items():
            subject = f"field `{name}`"
            self._notes.looked_at(owner, subject, part)
            if name not in members:
                self._notes.add(owner, subject, "is gone", part)
            elif change := "; ".join(self._changes(one, members[name], part)):
                self._notes.add(owner, subject, change, part)
                self._retyped[owner, name, members[name].value.kind] = change

    def new(self, owner: str, name: str, member: Member, part: str) -> None:
        """Note a field that this version does not know; where it is required, and what it is, is reported once."""
        self._new.setdefault((owner, name), {}).setdefault(part, member)

    def _changes(self, known: Expected, member: Member, part: str) -> list[str]:
        changes = [change] if (change := self.type_change(known, member.value, part)) else []
        # Null in place of a list says as much as an empty one, and in place of an object of a body nothing at all.
        silent = known.many or (known.kind is Kind.OBJECT and part != "read")
        if member.value.nullable != known.nullable and not silent:
            changes.append("may be null now" if member.value.nullable else "is never null now")
        if member.required != known.required:
            changes.append("is required now" if member.required else "is optional now")
        if member.deprecated:
            changes.append("is deprecated now")
        return changes

    def type_change(self, known: Expected, value: Value, part: str) -> str | None:
        """Return how the type differs; compare what is inside of the same type."""
        if (known.kind, known.many) != (value.kind, value.many):
            return f"is {value.named} now, not {known.named}"
        if known.inner is not None and issubclass(known.inner, Enum):
            self._values(known.inner, value)
        elif known.inner is not None and issubclass(known.inner, Record):
            self.record(known.owner or known.inner.__name__, known.inner, value, part)
        return None

    def retyped(self, owner: str, name: str, value: Value) -> str | None:
        """Return what was noted of a field when it was found to have the type of this value."""
        return self._retyped.get((owner, name, value.kind))

    def _values(self, enum: type[Enum], value: Value) -> None:
        known = {str(member.value): None for member in enum}
        new = [word for word in value.values if word not in known]
        gone = [word for word in known if word not in value.values]
        said = [f"new value{'s' * (len(new) > 1)} {listed(new)}"] if new else []
        said += [f"{listed(gone)} {'are' if len(gone) > 1 else 'is'} gone"] if gone else []
        if said:
            self._notes.add(f"enum {enum.__name__}", "", "; ".join(said))

    def finish(self) -> None:
        """Note the new fields: each is one line, whatever parts have it."""
        for (owner, name), parts in self._new.items():
            subject, first = f"new field `{shown(name)}`", next(iter(parts.values()))
            required = [part for part in ("create", "update") if part in parts and parts[part].required]
            demand = f", required in {' and '.join(required)}" if required else ""
            # What is read is what matters; a field that is not read says where it is.
            self._notes.looked_at(owner, subject, "read")
            for part in parts:
                self._notes.add(owner, subject, f"({first.value.named}{demand})", part)
