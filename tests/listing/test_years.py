"""Placeholder years: a server that writes year 1 or 9999 for unknown dates breaks no read and no export."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from meitner_aio import Meitner, MetaQuery, at_least
from meitner_aio.export import export

YEARS = ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-02:00")


@pytest.fixture(params=YEARS)
async def folder(request: Any, tmp_path: Path) -> Path:
    """Give a snapshot in which one row was created in such a year, and another one changed."""
    async with Meitner.sandbox(students=30) as meitner:
        await export(meitner, ["students"], to=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "students.ndjson").read_bytes().splitlines()]
    rows[3]["meta"]["createdAt"] = request.param
    rows[4]["meta"]["updatedAt"] = request.param
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (tmp_path / "students.ndjson").write_bytes(data)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    manifest["resources"]["students"]["sha256"] = hashlib.sha256(data).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return tmp_path


async def test_such_a_row_is_undated(folder: Path) -> None:
    """A single answer needs no dates, a plain read is no proof without, and an exact one is read again."""
    async with Meitner(offline=folder) as offline:
        for how, level in (({}, "certified"), ({"limit": 7}, "consistent"), ({"limit": 7, "exact": True}, "stable")):
            listing = offline.students.list().paged(**how)
            assert len(await listing.all()) == 30
            assert (listing.report.level, listing.report.complete) == (level, level != "consistent")


async def test_a_search_over_such_rows_ends(folder: Path) -> None:
    """Without dates nothing is proven about a search of many pages, and nothing breaks."""
    async with Meitner(offline=folder) as offline:
        since = offline.students.search(
            meta=MetaQuery(created_at=at_least((await offline.students.list().all())[0].meta.created_at))
        )  # type: ignore[union-attr]
        listing = since.paged(limit=7, exact=True)
        assert len(await listing.all()) == listing.report.total


@pytest.mark.parametrize("format", ["ndjson", "csv", "sqlite"])
async def test_an_export_of_such_rows_is_complete(folder: Path, tmp_path: Path, format: Any) -> None:
    """In many pages: no foreign error, and a proof that needs no dates."""
    async with Meitner(offline=folder) as offline:
        report = await export(offline, ["students"], to=tmp_path / "again", format=format, page_size=7)
    assert (report.complete, report.rows, report.resources[0].level) == (True, 30, "stable")


async def test_audit_events_make_a_whole_export_complete(tmp_path: Path) -> None:
    """They have no meta and are dated by their own timestamps, and schools and units are never deleted."""
    async with Meitner.sandbox(students=60) as meitner:
        events = meitner.audit_events.list(limit=1)
        assert len(await events.all()) > 1
        assert (events.report.level, events.report.requests) == ("certified", events.report.rows)
        report = await export(meitner, to=tmp_path, page_size=20)
    assert report.complete
    assert {one.level for one in report.resources} <= {"certified", "stable"}
