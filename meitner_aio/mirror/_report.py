"""What a run did, in numbers. Says nothing of any record."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from .._html import table


class Count(Struct):
    """Rows of one resource."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    """Rows that were read and are as they were in the file."""


class SyncReport(Struct, frozen=True):
    """What a run of `sync` did."""

    resources: Mapping[str, Count]
    requests: int
    complete: bool
    """Whether every resource was shown to be whole. What was not is read again by the next run, and deletes nothing."""
    read_anew: frozenset[str] = frozenset()
    """Resources that were read in full: the first time, on request, or because changes could not be followed."""

    @property
    def inserted(self) -> int:
        """Rows that are new in the file."""
        return sum(count.inserted for count in self.resources.values())

    @property
    def updated(self) -> int:
        """Rows that differ from what they were in the file."""
        return sum(count.updated for count in self.resources.values())

    @property
    def deleted(self) -> int:
        """Rows that are gone from the file."""
        return sum(count.deleted for count in self.resources.values())

    @property
    def unchanged(self) -> int:
        """Rows that were read and are as they were in the file."""
        return sum(count.unchanged for count in self.resources.values())

    def _repr_html_(self) -> str:
        """Show it as a table in a notebook."""
        columns = Count.__struct_fields__
        rows = ((name, *(getattr(count, column) for column in columns)) for name, count in self.resources.items())
        complete = "complete" if self.complete else "incomplete"
        return table(("resource", *columns), rows, f"{complete}, {self.requests:,} requests")


class VerifyReport(SyncReport, frozen=True):
    """What a run of `verify` found, and repaired."""

    mismatches: Mapping[str, int] = {}
    """By how many rows the directory has more (or, below 0, fewer) than the file had, where they differed."""
