"""A load that is killed at any moment, on this machine or with its folder lost: the next one makes it the directory."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import killed_loads
import pytest
import warehouses
from conftest import importing
from postgres_server import PostgresServer

from meitner_aio import Meitner
from meitner_aio.dlt import directory
from meitner_aio.portal import Portal

alone, postgres = warehouses.alone, warehouses.postgres


def killed(folder: Path, url: str, dataset: str, at: int) -> subprocess.CompletedProcess[str]:
    """Load in another process, which is killed at something."""
    command = [sys.executable, killed_loads.__file__, str(folder), url, dataset, str(at)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=importing())


def check_kills(folder: Path, url: str, number: int) -> None:
    """Kill loads, and load again."""
    chance = random.Random(number)
    killed_loads.load(folder / "0", url, "d0", change=False)
    whole = killed(folder / "0", url, "d0", 0)
    assert whole.returncode == 0, whole.stderr
    total = int(whole.stdout)
    moments = [*sorted(chance.sample(range(1, total - 4), number - 1)), total - 3]
    unfinished = 0
    for turn, at in enumerate(moments, 1):
        place, dataset = folder / str(turn), f"d{turn}"
        killed_loads.load(place, url, dataset, change=False)
        assert killed(place, url, dataset, at).returncode == -signal.SIGKILL
        unfinished += killed_loads.warehouse(place, url, dataset).pipeline.has_pending_data
        if turn % 2 == 0:
            shutil.rmtree(place / "pipelines")  # another machine takes over
        sandbox = killed_loads.sandbox()
        with Portal(Meitner.sandbox(sandbox)) as portal:
            killed_loads.changed(portal)
            warehouse = killed_loads.warehouse(place, url, dataset)
            warehouse.load(directory(portal, killed_loads.RESOURCES))
        warehouse.check(sandbox, killed_loads.RESOURCES)
    assert unfinished


def test_loads_that_are_killed_into_duckdb(tmp_path: Path) -> None:
    """Whatever was half done is finished or done again."""
    check_kills(tmp_path, "", 4)


def test_loads_that_are_killed_into_postgres(tmp_path: Path, postgres: PostgresServer) -> None:
    """The same, where others may be reading."""
    check_kills(tmp_path, postgres.url, 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_many_loads_that_are_killed(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    """The same, at many more moments."""
    check_kills(tmp_path, request.getfixturevalue("postgres").url if kind == "postgres" else "", 40)
