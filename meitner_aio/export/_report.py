"""What an export tells: while it runs, when it is done, and to whoever opens the folder later. Nothing of a person."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Progress(Struct, frozen=True):
    """How far a resource has come: told after every page, and once more when its file is in place."""

    resource: str
    rows: int
    total: int
    """Rows that the server has, as its latest page says."""
    finished: bool = False


class ResourceReport(Struct, frozen=True):
    """What was read of one resource, and the file that holds it."""

    resource: str
    file: str
    """Its name in the folder of the export."""
    format: str
    rows: int
    total: int
    """Rows that the server had, as its last page said."""
    requests: int
    """Answers that it took, those that proved or repaired the listing included."""
    complete: bool
    """Whether the file holds every row that existed throughout the read."""
    level: str
    """How that was shown; see `ListingReport.level`."""
    bytes: int
    sha256: str
    seconds: float
    exported_at: datetime


class Report(Struct, frozen=True):
    """What an export did, resource by resource in the order of the export."""

    resources: tuple[ResourceReport, ...]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every resource is complete."""
        return all(resource.complete for resource in self.resources)

    @property
    def rows(self) -> int:
        """Rows written in all."""
        return sum(resource.rows for resource in self.resources)
