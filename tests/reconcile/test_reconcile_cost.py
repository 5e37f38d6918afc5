"""What is as it should be costs the requests that reading it takes, and what is not costs its own."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from reconcile_runs import sent
from reconcile_tables import DEFAULTS, ORDER, Directory
from reconcile_worlds import OURS, Registry, sandbox_of

from meitner_aio import Meitner
from meitner_aio.reconcile import Desired, plan

STUDENTS = 1470
ROWS = {"schools": 20, "students": STUDENTS, "student_placements": STUDENTS, "groups": 40}
"""3,000 rows."""


def large() -> tuple[Directory, Registry]:
    """Return a directory and the registry that it was made from."""
    directory: Directory = {resource: [] for resource in ORDER}
    registry: Registry = {resource: [] for resource in ROWS}

    def add(resource: str, number: int, fields: dict[str, Any], columns: dict[str, Any]) -> None:
        owner = {"source": OURS, "source_id": f"{resource}-{number}"}
        record = {"id": f"{number:08x}-{ORDER.index(resource):04x}-4000-8000-000000000000", **owner}
        directory[resource].append({**DEFAULTS[resource], **record, **fields})
        registry[resource].append({"source_id": owner["source_id"], **columns})

    for n in range(ROWS["schools"]):
        school = {"title": f"Skola {n}", "unit_code": f"U{n}", "school_type": "GR"}
        add("schools", n, school, school)
    for n in range(STUDENTS):
        person = {
            "identity_number": f"2015{1 + n // 20 % 12:02d}{10 + n % 18}-{n:04d}",
            "first_name": "Bo",
            "last_name": f"Ek {n}",
        }
        add("students", n, person, person)
    for n in range(STUDENTS):
        place = {"school_type": "GR", "school_year": "4", "start_date": date(2020, 8, 17)}
        ids = {"student_id": directory["students"][n]["id"], "school_id": directory["schools"][n % 20]["id"]}
        keys = {"student.source_id": f"students-{n}", "school.unit_code": f"U{n % 20}"}
        add("student_placements", n, place | ids, place | keys)
    for n in range(ROWS["groups"]):
        group = {"title": f"G{n}", "category": "Other"}
        members = {"members.source_id": [f"students-{m}" for m in range(n, n + 20)]}
        ids = {"member_ids": [directory["students"][m]["id"] for m in range(n, n + 20)]}
        place = {"school_id": directory["schools"][n % 20]["id"]}
        add("groups", n, group | ids | place, group | members | {"school.source_id": f"schools-{n % 20}"})
    return directory, registry


@pytest.mark.parametrize("changed", [0, 60])
async def test_rows_that_are_as_they_should_be_cost_reads_only(changed: int, tmp_path: Path) -> None:
    """3,000 of them take a request a page, and nothing else; each change takes one more, and its part of a guard."""
    directory, registry = large()
    assert sum(map(len, registry.values())) == 3000
    for row in registry["students"][:changed]:
        row["first_name"] = "Bosse"
    sandbox = sandbox_of(directory)
    async with Meitner.sandbox(sandbox) as meitner:
        proposal = await plan(meitner, Desired(**registry), source=OURS)
        reads = Counter(request.operation for request in sandbox.requests)
        pages = {name: -(-len(directory[name]) // 1000) for name in ORDER}
        assert all(name.endswith((".list", ".search")) for name in reads)
        assert sum(reads.values()) <= sum(max(1, count) for count in pages.values()) + len(ORDER)
        assert len(proposal.actions) == changed
        sandbox.requests.clear()
        report = await proposal.apply(tmp_path / "journal")
    assert report.ok
    assert len(sent(sandbox)) == changed
    guards = len(sandbox.requests) - changed
    assert guards <= -(-changed // 25)
    assert report.requests == len(sandbox.requests)
