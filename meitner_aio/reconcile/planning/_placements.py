"""The life of placements: ended, archived after a while, restored when they come back, deleted from the archive. Pure.

They are never deleted first, and never created again where an archived one can be restored.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, Protocol, cast

from ...records import DirectoryRecord
from ..registry._problems import Flaw
from ..registry._rows import Row
from ._actions import ActionKind
from ._keys import NaturalKey, can
from ._matching import Match, Records
from ._references import Named


class Placement(Protocol):
    """What placements of all kinds have."""

    start_date: date
    end_date: date | None
    archived_at: datetime | None


class Day(NamedTuple):
    """When a plan is made, and how long placements wait."""

    now: datetime
    grace: timedelta
    retention: timedelta | None

    @property
    def today(self) -> date:
        """The day (UTC)."""
        return self.now.astimezone(UTC).date()


def as_placement(record: DirectoryRecord) -> Placement:
    """Return a record that is known to be a placement as one."""
    return cast("Placement", record)


def match_placement(row: Row, named: Named, key: NaturalKey | None, records: Records) -> Match:
    """Return the placement that a row is about: the one with its source id, else one of the person at the school."""
    own, keyed = records.with_source_id(named.source_id), records.with_keys(() if key is None else (key,))
    found = own or keyed
    live = [one for one in found if as_placement(one).archived_at is None]
    start = row.fields["start_date"]
    chosen = [one for one in live if as_placement(one).start_date == start] if len(live) > 1 else live
    if len(chosen) > 1 or (live and not chosen):
        message = f"there are {len(live)} such placements, and none, or more than one, has this start_date"
        return Match(flaw=Flaw("start_date", message, "end the wrong ones in Meitner"))
    return Match(chosen[0] if chosen else _archived(found, start), about=(*own, *keyed))


def _archived(found: Iterable[DirectoryRecord], start: date) -> DirectoryRecord | None:
    def preference(record: DirectoryRecord) -> tuple[bool, datetime]:
        placement = as_placement(record)
        return placement.start_date == start, placement.archived_at or datetime.min.replace(tzinfo=UTC)

    return max(found, key=preference, default=None)


def is_current(row: Row, today: date) -> bool:
    """Whether a row says that somebody is placed, or will be."""
    end: date | None = row.fields.get("end_date")
    return end is None or end >= today


def is_back(row: Row, placement: Placement, today: date) -> bool:
    """Whether a row that says of no end is about a placement that has ended."""
    return "end_date" not in row.fields and placement.end_date is not None and placement.end_date < today


class Step(NamedTuple):
    """What is next for a placement that is not wanted any more."""

    kind: ActionKind | None
    """None where nothing is, or not yet."""
    reason: str = ""
    end_date: date | None = None
    is_waiting: bool = False


def next_step(placement: Placement, resource: str, day: Day) -> Step:
    """Return what is next for a placement that is not wanted any more."""
    if placement.archived_at is not None:
        return _in_archive(placement.archived_at, day)
    last = max(day.today, placement.start_date)
    if placement.end_date is None or placement.end_date > last:
        return Step(ActionKind.END, "not in the registry", last)
    if not can(resource, "archive"):
        return Step(None)
    if placement.end_date < day.today and placement.end_date + day.grace <= day.today:
        return Step(ActionKind.ARCHIVE, f"ended {_days((day.today - placement.end_date).days)} ago")
    return Step(None, is_waiting=True)


def _in_archive(archived_at: datetime, day: Day) -> Step:
    if day.retention is None:
        return Step(None)
    since = day.now - archived_at
    if since < day.retention:
        return Step(None, is_waiting=True)
    return Step(ActionKind.DELETE, f"archived {_days(since.days)} ago")


def _days(number: int) -> str:
    return f"{number:,} day" if number == 1 else f"{number:,} days"
