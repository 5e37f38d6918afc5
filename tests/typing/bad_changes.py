"""Calls of changes that type checkers must refuse: one on each marked line, and nothing on any other. Never run."""
# pyright: strict

from __future__ import annotations

from datetime import date, timedelta

from meitner_aio import Meitner
from meitner_aio.changes import Change, Deleted


async def followed(meitner: Meitner, day: date) -> None:
    meitner.changes(day)  # wrong: an instant is expected
    meitner.changes(5)  # wrong: an instant is expected
    meitner.changes(None, 5)  # wrong: names are expected
    meitner.changes(None, None, 60.0)  # wrong: keywords from here on
    meitner.changes(lookback="60")  # wrong: seconds are expected
    meitner.changes(grade_every=timedelta(1))  # wrong: no such keyword
    changes = meitner.changes()
    for _ in changes:  # wrong: read asynchronously
        pass
    await changes  # wrong: a run is not awaited
    changes.checkpoint = "x"  # wrong: it is read
    changes.full.add("students")  # wrong: it is frozen


def handled(change: Change) -> str:
    if isinstance(change, Deleted):
        change.record  # wrong: nothing is left of it
        return change.id
    change.at  # wrong: it is there
    change.record.first_name  # wrong: of whatever resource
    change.id = "x"  # wrong: records have ids, and keep them
    return change.record.id
