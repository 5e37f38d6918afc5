"""The life of a student placement, as docs/how-it-works.md draws it, is the sandbox's."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meitner_aio import ConflictError, Meitner, NotFoundError, StudentPlacement, StudentPlacementSchoolType

PAGE = Path(__file__).parents[2] / "docs" / "how-it-works.md"
TODAY = datetime.now(UTC).date()
GRUNDSKOLA = StudentPlacementSchoolType.GR


def state(placement: StudentPlacement) -> str:
    """Return where in the chart a placement is."""
    if placement.archived_at is not None:
        return "archived"
    return "active" if placement.end_date is None or placement.end_date >= TODAY else "ended"


async def test_a_placement_goes_the_ways_of_the_chart() -> None:
    """Each arrow is gone, and there are no others; an active placement cannot be archived."""
    went, at = set(), "[*]"

    def go(by: str, placement: StudentPlacement | None) -> None:
        nonlocal at
        now = "[*]" if placement is None else state(placement)
        went.add((at, now, by))
        at = now

    async with Meitner.sandbox(students=5) as meitner:
        placements, times = meitner.student_placements, {"school_type": GRUNDSKOLA, "start_date": TODAY - timedelta(90)}
        student, school = await meitner.students.list().first(), await meitner.schools.list().first()
        assert student is not None
        assert school is not None
        made = await placements.create(student_id=student.id, school_id=school.id, **times)
        go("create", made)
        with pytest.raises(ConflictError):
            await placements.archive(made.id)
        ended = {"end_date": TODAY - timedelta(10), **times}
        go("end_date passes", await placements.update(made.id, **ended))
        go("update end_date", await placements.update(made.id, end_date=None, **times))
        go("end_date passes", await placements.update(made.id, **ended))
        go("archive", await placements.archive(made.id))
        restored = await placements.restore(made.id)
        go("restore", restored)
        assert restored.end_date == ended["end_date"]
        archived = await placements.archive(made.id)
        go("archive", archived)
        assert archived.archive_year is not None
        await placements.delete(made.id)
        go("delete", None)
        with pytest.raises(NotFoundError):
            await placements.get(made.id)
        assert made.id in [event.resource_id async for event in meitner.audit_events.list()]
    _, _, chart = PAGE.read_text(encoding="utf-8").partition("\nstateDiagram-v2\n")
    drawn = re.findall(r"^  (\S+) --> (\S+): (.*)$", chart, re.MULTILINE)
    assert went == set(drawn)
