"""A load that is killed at any moment, on this machine or with its folder lost: the next one makes it the directory."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import dlt
import killed_loads
import pytest
import warehouses
from dlt.pipeline.exceptions import PipelineStepFailed
from forked import forks
from postgres_server import PostgresServer
from warehouses import Warehouse

from meitner_aio import Meitner
from meitner_aio.dlt import directory
from meitner_aio.portal import Portal

alone, postgres = warehouses.alone, warehouses.postgres


def check_kills(folder: Path, number: int, server: PostgresServer | None = None, seed: int = 0) -> None:
    """Kill loads at moments of a seed, and load again."""
    killed_loads.load(folder / "0", server.url if server else "", change=False)

    def copied(turn: int) -> tuple[Path, str]:
        """Return a copy of what was loaded."""
        shutil.copytree(folder / "0", folder / str(turn))
        return folder / str(turn), server.copied(f"turn{turn}_{number}_{seed}") if server else ""

    with forks(killed_loads.__file__) as killed:
        code, total = killed(*copied(number + 1), 0)
        assert code == 0, total
        moments = [*sorted(random.Random(seed).sample(range(1, total - 20), number - 1)), total - 10]
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
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_many_loads_that_are_killed(tmp_path: Path, kind: str, seed: int, request: pytest.FixtureRequest) -> None:
    """The same, at many more moments."""
    check_kills(tmp_path, 40, request.getfixturevalue("postgres") if kind == "postgres" else None, seed)


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
@pytest.mark.parametrize("loaded", [False, True])
def test_rows_that_are_staged_twice(tmp_path: Path, kind: str, loaded: bool, request: pytest.FixtureRequest) -> None:
    """Rows were staged, and dlt did not come to note it: it stages them again, and they are in the table once."""
    url = request.getfixturevalue("postgres").copied(f"staged{loaded}", "template1") if kind == "postgres" else ""
    if loaded:
        killed_loads.load(tmp_path, url, change=False)
    with forks(killed_loads.__file__) as killed:
        assert killed(tmp_path, url, ".pending_transitions/students.") == (-signal.SIGKILL, None)
    warehouse = killed_loads.warehouse(tmp_path, url)
    warehouse.pipeline.run()
    staged = [id_ for (id_,) in warehouse.ask("SELECT id FROM directory_staging.students")]
    assert len(staged) == 2 * len({*staged}) > 0
    ids = [id_ for (id_,) in warehouse.ask("SELECT id FROM students")]
    assert len(ids) == len({*ids}) == len(killed_loads.sandbox().records("students")) + 1


def test_a_kill_of_a_load_into_postgres_with_indexes(tmp_path: Path, postgres: PostgresServer) -> None:
    """dlt cannot insert its state again, and stops; without its folder it begins anew, without the constraint it goes on."""
    url = postgres.copied("indexes", "template1")
    warehouse = Warehouse(tmp_path / "pipelines", dlt.destinations.postgres(url))
    sandbox, at = killed_loads.sandbox(), ".pending_transitions/_dlt_pipeline_state."
    with Portal(Meitner.sandbox(sandbox)) as portal, forks(killed_loads.__file__) as killed:
        warehouse.load(directory(portal, killed_loads.RESOURCES))
        indexed = "SELECT tablename FROM pg_indexes WHERE schemaname = 'directory'"
        assert warehouse.ask(indexed) == [("_dlt_pipeline_state",)]
        assert killed(tmp_path, url, at) == (-signal.SIGKILL, None)
        killed_loads.changed(portal)
        with pytest.raises(PipelineStepFailed, match="_dlt_pipeline_state__dlt_id_key"):
            warehouse.load(directory(portal, killed_loads.RESOURCES))
        shutil.rmtree(warehouse.folder)
        warehouse.load(directory(portal, killed_loads.RESOURCES))
        warehouse.check(sandbox, killed_loads.RESOURCES)
        with warehouse.pipeline.sql_client() as client:
            table = "directory._dlt_pipeline_state"
            client.execute_sql(f"ALTER TABLE {table} DROP CONSTRAINT _dlt_pipeline_state__dlt_id_key")
        assert killed(tmp_path, url, at) == (-signal.SIGKILL, None)
        warehouse.load(directory(portal, killed_loads.RESOURCES))
    warehouse.check(sandbox, killed_loads.RESOURCES)
