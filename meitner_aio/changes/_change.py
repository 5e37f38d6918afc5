"""What happened to a record, as `meitner.changes` tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

from msgspec import Struct

from ..records import DirectoryRecord

T = TypeVar("T", bound=DirectoryRecord)


class Upserted(Struct, Generic[T], frozen=True):
    """A record that was created or changed, as it is now. May be told more than once."""

    resource: str
    """The attribute of the client that has it: `student_placements`."""
    record: T

    def __repr__(self) -> str:
        """Show whose record it is, and nothing of what it says."""
        return f"Upserted({self.resource} {self.record.id})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("resource", self.resource), ("id", self.record.id)]


class Deleted(Struct, frozen=True):
    """A record that is no longer there."""

    resource: str
    """The attribute of the client that had it."""
    id: str
    at: datetime | None = None
    """When it was deleted, by the server's clock; None where only its absence was seen."""


Change = Upserted[DirectoryRecord] | Deleted
