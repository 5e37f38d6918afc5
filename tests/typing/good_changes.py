"""Calls of changes that type checkers must accept, and the types that they must see. Never run."""
# pyright: strict

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_type

from meitner_aio import ListingReport, Meitner, Student
from meitner_aio.changes import Change, Changes, Count, Deleted, Upserted
from meitner_aio.records import DirectoryRecord


async def followed(meitner: Meitner, checkpoint: str | None, moment: datetime) -> str:
    """Every keyword, and a `match` that narrows."""
    meitner.changes(moment, "students", lookback=60.0)
    meitner.changes(since=None, resources=("students", "groups"), grades_every=timedelta(days=1), retention=86_400.0)
    changes = assert_type(meitner.changes(checkpoint), Changes)
    async with changes as entered:
        assert_type(entered, Changes)
    async for change in changes:
        assert_type(change, Change)
        match change:
            case Upserted(resource=resource, record=record):
                assert_type(resource, str)
                assert_type(record, DirectoryRecord)
            case Deleted(resource=resource, id=id_, at=at):
                assert_type(id_, str)
                assert_type(at, datetime | None)
        if isinstance(change, Upserted):
            if isinstance(change.record, Student):
                assert_type(change.record.first_name, str)
        else:
            assert_type(change, Deleted)
    await changes.aclose()
    assert_type(await anext(changes), Change)
    assert_type(changes.requests, int)
    assert_type(changes.complete, bool)
    assert_type(changes.full, frozenset[str])
    assert_type(changes.since, datetime | None)
    assert_type(changes.reports, Mapping[str, ListingReport])
    assert_type(changes.counts, Mapping[str, Count])
    return changes.checkpoint


def handled(change: Change) -> str:
    """Leave nothing out: there are two kinds of changes."""
    match change:
        case Upserted():
            return change.record.id
        case Deleted():
            return change.id
