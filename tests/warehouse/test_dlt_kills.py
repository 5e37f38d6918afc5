"""A load that is killed at any moment, on this machine or with its folder lost: the next one makes it the directory."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import killed_loads
import pytest
import warehouses
from dlt.pipeline.exceptions import PipelineStepFailed
from forked import forks
from postgres_server import PostgresServer

from meitner_aio import Meitner
from meitner_aio.dlt import directory
from meitner_aio.portal import Portal

alone, postgres = warehouses.alone, warehouses.postgres


def check_kills(folder: Path, number: int, server: PostgresServer | None = None) -> None:
    """Kill loads, and load again."""
    killed_loads.load(folder / "0", server.url if server else "", change=False)

    def copied(turn: int) -> tuple[Path, str]:
        """Return a copy of what was loaded."""
        shutil.copytree(folder / "0", folder / str(turn))
        return folder / str(turn), server.copied(f"turn{turn}") if server else ""

    with forks(killed_loads.__file__) as killed:
        code, total = killed(*copied(number + 1), 0)
        assert code == 0, total
        moments = [*sorted(random.Random(number).sample(range(1, total - 20), number - 1)), total - 10]
        unfinished = 0
        for turn, at in enumerate(moments, 1):
            place, url = copied(turn)
            assert killed(place, url, at) == (-signal.SIGKILL, None)
            unfinished += killed_loads.warehouse(place, url).pipeline.has_pending_data
            if turn % 2 == 0:
                shutil.rmtree(place / "pipelines")  # another machine takes over
            sandbox = killed_loads.sandbox()
            with Portal(Meitner.sandbox(sandbox)) as portal:
                killed_loads.changed(portal)
                warehouse = killed_loads.warehouse(place, url)
                try:
                    warehouse.load(directory(portal, killed_loads.RESOURCES))
                except PipelineStepFailed:  # dlt cannot go on with what it left: as docs/warehouse.md says
                    shutil.rmtree(place / "pipelines")
                    warehouse = killed_loads.warehouse(place, url)
                    warehouse.load(directory(portal, killed_loads.RESOURCES))
            warehouse.check(sandbox, killed_loads.RESOURCES)
    assert unfinished


def test_loads_that_are_killed_into_duckdb(tmp_path: Path) -> None:
    """Whatever was half done is finished or done again."""
    check_kills(tmp_path, 4)


def test_loads_that_are_killed_into_postgres(tmp_path: Path, postgres: PostgresServer) -> None:
    """The same, where others may be reading."""
    check_kills(tmp_path, 3, postgres)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_many_loads_that_are_killed(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    """The same, at many more moments."""
    check_kills(tmp_path, 40, request.getfixturevalue("postgres") if kind == "postgres" else None)
