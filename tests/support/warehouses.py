"""A directory, a warehouse that dlt loads it into, and what both hold, for comparing the two.

The fixtures are taken by name: `alone, portal = warehouses.alone, warehouses.portal`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest
from postgres_server import PostgresServer, require_postgres
from read_back import flat, rebuilt

from meitner_aio import Meitner
from meitner_aio.changes._asked import names
from meitner_aio.portal import Portal
from meitner_aio.records import Field
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Sandbox

ALL = names(None)


class Warehouse:
    """What dlt keeps, in a folder and in a database."""

    def __init__(self, folder: Path, destination: Any, dataset: str = "directory") -> None:
        self.folder = folder
        self._destination = destination
        self._dataset = dataset
        self.pipeline = self._attached()

    def _attached(self) -> dlt.Pipeline:
        return dlt.pipeline(
            "meitner",
            destination=self._destination,
            dataset_name=self._dataset,
            pipelines_dir=str(self.folder),
        )

    def load(self, source: Any) -> None:
        """Load a source, behind what an earlier load left half done."""
        self.pipeline = self._attached()
        self.pipeline.sync_destination()
        if self.pipeline.has_pending_data:
            self.pipeline.normalize()
            self.pipeline.load()
        self.pipeline.run(source)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.pipeline.sql_client() as client:
            return [tuple(row) for row in client.execute_sql(query)]

    def rows(self, resource: str) -> list[dict[str, Any]]:
        """Return the rows of a table."""
        with self.pipeline.sql_client() as client:
            return _rows(client, resource)

    def records(self, resource: str) -> dict[str, Any]:
        """Return what the rows of a table stand for, by id."""
        return _records(resource, self.rows(resource))

    def check(self, sandbox: Sandbox, resources: Iterable[str] = ALL) -> None:
        """Hold that tables are what a directory is."""
        with self.pipeline.sql_client() as client:  # one for all tables: opening it takes longer than reading
            tables = {name: _rows(client, name) for name in resources}
        for name, rows in tables.items():
            assert _records(name, rows) == {record.id: flat(record) for record in sandbox.records(name)}, name


def _rows(client: Any, resource: str) -> list[dict[str, Any]]:
    with client.execute_query(f"SELECT * FROM {resource}") as cursor:
        names = [column[0] for column in cursor.native_cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _records(resource: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = [rebuilt(RESOURCES[resource].model, row, _of_cell) for row in rows]
    assert len({record.id for record in found}) == len(found)
    return {record.id: record for record in found}


def _of_cell(field: Field, cell: Any) -> Any:
    return json.loads(cell) if field.many else cell


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep dlt from the network, and from settings and folders of whoever runs the tests."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server."""
    require_postgres()
    with PostgresServer() as server:
        yield server


def in_duckdb(folder: Path) -> Warehouse:
    """Return a warehouse in a file."""
    return Warehouse(folder / "pipelines", dlt.destinations.duckdb(str(folder / "warehouse.duckdb")))


@pytest.fixture
def duckdb(tmp_path: Path) -> Warehouse:
    """Give a warehouse in a file."""
    return in_duckdb(tmp_path)


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    """Give a warehouse of each kind."""
    if request.param == "duckdb":
        return in_duckdb(tmp_path)
    server = request.getfixturevalue("postgres")
    return Warehouse(tmp_path / "pipelines", dlt.destinations.postgres(server.url), f"d{abs(hash(tmp_path))}")


@pytest.fixture
def sandbox() -> Sandbox:
    """Give a small directory."""
    return Sandbox(students=30, schools=2)


@pytest.fixture
def portal(sandbox: Sandbox) -> Iterator[Portal]:
    """Give a client of it."""
    with Portal(Meitner.sandbox(sandbox)) as portal:
        yield portal


def altered(sandbox: Sandbox, change: Callable[[str, dict[str, Any]], None]) -> Sandbox:
    """Let a directory's answers be changed on their way: `change` gets the path and what the body holds."""
    send = sandbox.app.send

    async def sent(request: Any) -> Any:
        answer = await send(request)
        body = json.loads(answer.body)
        change(request.path, body)
        return type(answer)(answer.status, answer.headers, json.dumps(body).encode())

    sandbox.app.send = sent  # type: ignore[method-assign]
    return sandbox
