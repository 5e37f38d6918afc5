"""What an export reports: while it runs, when it is done, and in the folder for later. Nothing personal."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

from msgspec import Struct

from .._html import table
from .._listing.completeness import Level

_LEVELS = ("limited", *get_args(Level))
"""Weakest first."""


class Progress(Struct, frozen=True):
    """How far a resource has come: reported after every page, and once more when its file is in place."""

    resource: str
    rows: int
    total: int
    """Rows that the export will have if nothing changes: as many as the server has, or as the limit allows."""
    finished: bool = False
    requests: int = 0
    """Answers that the rows took, those of an interrupted export before included."""


class InvalidRow(Struct, frozen=True):
    """A row that broke the contract of the API and was left out, because somebody said so. Never a value."""

    id: str
    """Of the record, or its place in the listing where it has none."""
    field: str
    """The path of what is wrong with it, such as `meta.createdAt`; empty when it is no record at all."""


class ResourceReport(Struct, frozen=True):
    """What was read of one resource, and the file that holds it."""

    resource: str
    file: str
    """Its name in the folder of the export; `-` for a stream."""
    format: str
    rows: int
    """Rows that the file holds of this resource, whoever put them there."""
    total: int
    """Rows that the server had, as its last page said."""
    requests: int
    """Answers that it took, those that proved or repaired the listing included."""
    complete: bool
    """Whether the file holds every row that was to be read and existed throughout the read, and no other."""
    level: str
    """How that was shown: see `ListingReport.level`. `limited` when the server had more rows than the limit allowed."""
    bytes: int
    sha256: str
    """Of the file; those of several resources may be in one."""
    seconds: float
    exported_at: datetime
    gone: int = 0
    """Rows read and found deleted afterwards: left out of a file, and counted in `rows` for a stream."""
    where: tuple[str, ...] = ()
    """Names of the fields on which there were conditions."""
    since: datetime | None = None
    fields: tuple[str, ...] | None = None
    """Names of the fields that were kept; None when all were."""
    partial: bool = False
    """Whether the export was narrowed, by conditions, `since`, fields or a limit: the directory holds more."""
    updated: int | None = None
    """Rows that a part brought into a table which keeps others, deleted ones among them; None when it keeps none."""
    deletions_applied: bool = True
    """Whether rows that were deleted are out of the file: not those of a table that a part was put into."""
    invalid: tuple[InvalidRow, ...] = ()
    """Rows that broke the contract of the API and were left out."""
    dialect: str | None = None
    """Of a csv: `plain`, or `excel` with semicolons and apostrophes before what could be a formula."""

    @property
    def limited(self) -> bool:
        """Whether the server had more rows than the limit allowed."""
        return self.level == "limited"

    @property
    def as_asked(self) -> bool:
        """Whether nothing lacks that was asked for: complete, or as many rows as the limit allows."""
        return self.complete or (self.limited and self.updated is None and not self.invalid)


class Report(Struct, frozen=True):
    """What an export did, resource by resource in the order of the export."""

    resources: tuple[ResourceReport, ...]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every resource is complete, or has as many rows as the limit allows."""
        return all(resource.as_asked for resource in self.resources)

    @property
    def level(self) -> str:
        """The weakest of the levels of its resources."""
        return min((resource.level for resource in self.resources), key=_LEVELS.index, default="certified")

    @property
    def rows(self) -> int:
        """Rows written in all."""
        return sum(resource.rows for resource in self.resources)

    def _repr_html_(self) -> str:
        """Show it as a table in a notebook."""
        columns = ("resource", "rows", "complete", "level", "requests", "file")
        rows = ([getattr(resource, column) for column in columns] for resource in self.resources)
        return table(columns, rows, f"{self.rows:,} rows exported in {self.seconds:,.1f} s")
