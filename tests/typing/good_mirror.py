"""Uses of a mirror that type checkers must accept, and the types that they must see. Never run."""
# pyright: strict

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, assert_type

from meitner_aio import Meitner, Student, Students
from meitner_aio.mirror import Count, FeedEntry, Mirror, MirrorState, SyncReport, VerifyReport
from meitner_aio.records import DirectoryRecord


async def kept(meitner: Meitner, path: Path) -> None:
    """Every keyword, every number."""
    with Mirror(path) as mirror:
        report = assert_type(await mirror.sync(meitner), SyncReport)
        assert_type(report.inserted + report.updated + report.deleted + report.unchanged + report.requests, int)
        assert_type(report.complete, bool)
        assert_type(report.resources, Mapping[str, Count])
        await mirror.sync(meitner, ["students"], full=True, max_deletions=0.5, accept_deletions=214, lookback=60.0)
        await mirror.sync(meitner, grades_every=timedelta(days=1))
        assert_type(await mirror.verify(meitner, accept_deletions=3), VerifyReport)
        assert_type(mirror.age, timedelta | None)
        assert_type(await mirror.forget("5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"), int)
    async with Mirror("directory.sqlite", clock=lambda: 0.0) as other:
        assert_type(other.last_success, datetime | None)
        feed = assert_type(other.feed(after=7), Iterator[FeedEntry])
        assert_type(next(feed).kind, Literal["insert", "update", "delete"])
        with other.read() as state:
            assert_type(state, MirrorState)
            assert_type(state.records(Students), Iterator[Student])
            assert_type(state.records("student-placements"), Iterator[DirectoryRecord])
            assert_type(next(state.deleted(Students)).at, datetime | None)
    assert_type(Meitner(offline=path).offline_since, datetime | None)
