"""A process that is killed with `kill -9` while it writes, over HTTP, and another one that goes on."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from collections import Counter

import killed_applies
import pytest
from conftest import importing
from plans import Planner, pupils

from meitner_aio import Meitner
from meitner_aio.reconcile import Desired
from meitner_aio.sandbox import Sandbox

PUPILS = 40


def _registry(folder):
    """Write a registry of pupils at one school, whose placements have no key that the server keeps unique."""
    folder.mkdir(mode=0o700)
    rows = pupils(PUPILS)
    school = {"school.source_id": "s1", "school_type": "GR", "start_date": "2024-08-01"}
    tables = {
        "schools": [{"title": "Nya skolan", "school_type": "GR", "source_id": "s1"}],
        "students": rows,
        "student_placements": [{"student.identity_number": row["identity_number"]} | school for row in rows],
    }
    for name, table in tables.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    return Desired.load(folder)


async def _process(url, folder):
    program = (sys.executable, killed_applies.__file__, url, str(folder))
    return await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE, env=importing())


@pytest.mark.parametrize("at", [1, 20, 42, 70])
async def test_what_a_killed_process_left_is_finished_by_another(tmp_path, at):
    """Killed at a create, with others under way: all of it is there once, and the lock is gone with the process."""
    async with Sandbox(students=3, schools=1, seed=4, limiter="none") as sandbox:
        url = sandbox.url
        usual = len(sandbox.records("student_placements"))
        desired = _registry(tmp_path / "registry")
        async with Meitner(*killed_applies.CREDENTIALS, base_url=url) as meitner:
            planner = await Planner.of(meitner, desired)
            planner.create_all("schools", "students", "student_placements")
            planner.proposal().save(tmp_path / "plan.json")
        first = await _process(url, tmp_path)
        creates, take = 0, sandbox.app._take["create"]

        def create(*args):
            nonlocal creates
            creates += 1
            if creates == at:
                first.kill()
            return take(*args)

        sandbox.app._take["create"] = create
        assert (await first.communicate())[0] == b""
        assert first.returncode == -9
        second = await _process(url, tmp_path)
        said = json.loads((await second.communicate())[0])
        assert said["ok"], said
        assert said["done"] + said["already_done"] == 1 + 2 * PUPILS
        assert said["already_done"] >= at - 1
        numbers = {row["identity_number"] for row in pupils(PUPILS)}
        placed = Counter(one.student_id for one in sandbox.records("student_placements"))
        assert len(sandbox.records("student_placements")) == usual + PUPILS
        assert max(placed[one.id] for one in sandbox.records("students") if one.identity_number in numbers) == 1
        assert len([one for one in sandbox.records("schools") if one.title == "Nya skolan"]) == 1
    left = await asyncio.to_thread((tmp_path / "registry.journal").read_bytes)
    assert left.count(b"\n") == 2
