"""When the rows of a page were created, and in what order they came. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import gt, lt
from typing import Any, NamedTuple

from .._wire.validation import plausible


class CreationTimes(NamedTuple):
    """Stamps of the rows of a page, at least one, in the order of the rows."""

    stamps: list[datetime]
    earliest: datetime
    latest: datetime
    follows: Callable[[datetime, datetime], bool] | None
    """What holds between every stamp and the next: `lt` or `gt`. None where neither does; `lt` for a single one."""

    def at(self, places: Sequence[int]) -> CreationTimes | None:
        """Return the stamps of some of the rows; None for none."""
        return in_order([self.stamps[place] for place in places]) if places else None


def creation_times(rows: Sequence[Any]) -> CreationTimes | None:
    """Return when rows were created; None when there are none, or one does not say: meta may be absent.

    An event has no meta, and happened when its own timestamp says.
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
    """Return stamps with their order; where it is strict, the earliest and the latest are the two ends."""
    first, last = stamps[0], stamps[-1]
    follows = gt if last < first else lt
    if all(map(follows, stamps, stamps[1:])):
        return CreationTimes(stamps, min(first, last), max(first, last), follows)
    return CreationTimes(stamps, min(stamps), max(stamps), None)
