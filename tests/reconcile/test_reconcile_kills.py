"""A process that is killed at any moment, and started again, does what one does that was left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import killed_reconciles
import pytest
from conftest import importing


def check(root: Path, *, name: str, kills: int, saved: bool = False) -> None:
    """Kill runs, and look at what the directory comes to be."""
    given = [str(root), name, str(kills), *(["saved"] if saved else [])]
    command = [sys.executable, killed_reconciles.__file__, *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False, env=importing())
    assert done.returncode == 0, done.stderr
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) == kills + 1
    assert all(trial["kills"] for trial in trials[1:])
    kinds = {kind.split()[0] for kind in trials[0]["kinds"]}
    assert kinds >= {"create", "update", "end", "archive", "restore", "delete"}
    assert "create student_placements" in trials[0]["kinds"]  # of which the server would take two
    wrong = [one for one in trials if one["twice"] or one["unplanned"] or not (one["equal"] and one["ended"])]
    assert wrong == [], done.stderr[-4000:]


@pytest.mark.parametrize(("name", "kills"), [("clean", 4), ("mixed", 3)])
def test_a_run_that_is_killed_is_gone_on_with(tmp_path: Path, name: str, kills: int) -> None:
    """The next one plans anew: nothing is there twice, nothing was sent that the first had not planned."""
    check(tmp_path, name=name, kills=kills)


def test_a_saved_plan_that_is_killed_is_gone_on_with(tmp_path: Path) -> None:
    """The same plan is carried out again, and does only what is left of it."""
    check(tmp_path, name="clean", kills=2, saved=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*killed_reconciles.WORLDS])
@pytest.mark.parametrize("saved", [False, True])
def test_two_hundred_runs_that_are_killed(tmp_path: Path, name: str, saved: bool) -> None:
    """The same at many more moments, with a new plan and with one from a file."""
    check(tmp_path, name=name, kills=200, saved=saved)
