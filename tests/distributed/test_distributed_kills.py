"""Workers that are killed with SIGKILL: every row of every tenant, once, and hardly a request twice."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from killed_workers import Came, Given

PROGRAM = Path(__file__).parents[1] / "support" / "killed_workers.py"


async def ran(given: Given, home: Path, seconds: float) -> Came:
    """Run tenants on a cluster of processes, in processes of their own."""
    command = [sys.executable, str(PROGRAM), msgspec.json.encode(given).decode()]
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "TMPDIR": str(home)}
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Came)


async def test_a_killed_worker_s_tenant_goes_on_elsewhere(tmp_path):
    """Every row of it, once. Without retries it is lost with its worker: it failed, and not half of it is published."""
    given = Given(count=2, students=150, latency=0.01, workers=2, after=30, allowed=0, retries=0, again=True)
    came = await ran(given, tmp_path, 120)
    assert came.kills == 1
    assert len(came.failed) == 1
    assert "died" in "".join(came.failed.values())
    assert came.wrong.keys() == came.failed.keys()
    assert set(came.wrong.values()) <= {"no manifest", "students: not published", "groups: not published"}
    assert came.then is not None
    assert (came.then.kills, came.then.failed, came.then.wrong, came.then.in_order) == (1, {}, {}, True)


@pytest.mark.slow
async def test_twenty_four_tenants_survive_a_kill_every_few_seconds(tmp_path):
    """Four workers, one of which is always about to be killed: nothing is lost, and 2 % is asked for again at most."""
    came = await ran(
        Given(count=24, students=1500, latency=0.1, workers=4, every=6, after=50, most=1000), tmp_path, 900
    )
    print(came)  # noqa: T201 - the figures of docs/distributed.md
    assert came.kills >= 4
    assert (came.failed, came.wrong, came.in_order) == ({}, {}, True)
    assert came.needed <= came.requests <= came.needed * 1.02
