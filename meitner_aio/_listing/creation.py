"""When the rows of a page were created, and in what order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import gt, lt
from typing import Any, NamedTuple

from .._wire.validation import plausible


class CreationTimes(NamedTuple):
    """Creation times of the rows of a page, at least one, in the order of the rows."""

    stamps: list[datetime]
    earliest: datetime
    latest: datetime
    follows: Callable[[datetime, datetime], bool] | None
    """The comparison, `lt` or `gt`, that holds between all neighbours; None if neither does, `lt` for a single row."""

    def at(self, places: Sequence[int]) -> CreationTimes | None:
        """Return the stamps of some of the rows; None for none."""
        return in_order([self.stamps[place] for place in places]) if places else None


def creation_times(rows: Sequence[Any]) -> CreationTimes | None:
    """Return when rows were created; None if there are none, or if one has no date: `meta` may be absent.

    An audit event has no `meta`: its timestamp is used.
    """
    try:
        stamps: list[datetime] = [row.meta.created_at for row in rows]
    except AttributeError:
        try:
            stamps = [row.timestamp if row.meta is None else row.meta.created_at for row in rows]
        except AttributeError:
            return None
    times = in_order(stamps) if stamps else None
    return times if times is not None and plausible(times.earliest) and plausible(times.latest) else None


def in_order(stamps: list[datetime]) -> CreationTimes:
    """Return timestamps with their order. In strict order, the earliest and the latest are the two ends."""
    first, last = stamps[0], stamps[-1]
    follows = gt if last < first else lt
    if all(map(follows, stamps, stamps[1:])):
        return CreationTimes(stamps, min(first, last), max(first, last), follows)
    return CreationTimes(stamps, min(stamps), max(stamps), None)
