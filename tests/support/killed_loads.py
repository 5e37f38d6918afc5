"""Loads a directory in processes that are killed on the way: a program for `forked.forks`.

`(FOLDER, URL, AT)`: URL is that of PostgreSQL, or empty for a file of DuckDB in FOLDER. AT counts statements, and what is
done to files in FOLDER; 0 is never. As a text it is a part of a path: what is about to be put there never arrives.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import dlt
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient
from forked import serve
from killed_mirrors import change
from killed_mirrors import directory as sandbox
from warehouses import Warehouse

from meitner_aio import Meitner
from meitner_aio.dlt import directory
from meitner_aio.portal import Portal

RESOURCES = ("schools", "guardians", "students")
__all__ = ["RESOURCES", "changed", "load", "sandbox", "warehouse"]


def warehouse(folder: Path, url: str) -> Warehouse:
    """Return the warehouse that is loaded; PostgreSQL as docs/warehouse.md says."""
    if url:
        return Warehouse(folder / "pipelines", dlt.destinations.postgres(url, create_indexes=False))
    return Warehouse(folder / "pipelines", dlt.destinations.duckdb(str(folder / "warehouse.duckdb")))


def changed(portal: Portal) -> None:
    """Change the directory that a portal leads to."""
    portal.run(change(portal.meitner))


class Killer:
    """Counts what is done, and kills this process at a number, or before a file gets its name."""

    def __init__(self, folder: Path, at: int | str) -> None:
        self.count = 0
        self._folder, self._at = str(folder), at
        sys.addaudithook(self._heard)
        for client in (DuckDbSqlClient, Psycopg2SqlClient):
            self._watch(client)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(arguments[0]).startswith(self._folder):
            self._counted()
        if event == "os.rename" and isinstance(self._at, str) and self._at in str(arguments[1]):
            _kill()

    def _watch(self, client: Any) -> None:
        execute = client.execute_query

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._counted()
            return execute(*args, **kwargs)

        client.execute_query = counted

    def _counted(self) -> None:
        self.count += 1
        if self.count == self._at:
            _kill()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def load(folder: Path, url: str, *, change: bool) -> None:
    """Load the directory before or after its changes."""
    with Portal(Meitner.sandbox(sandbox())) as portal:
        if change:
            changed(portal)
        warehouse(folder, url).load(directory(portal, RESOURCES))


def killed(folder: str, url: str, at: int | str) -> int:
    """Load the directory after its changes, and return how much that was."""
    killer = Killer(Path(folder), at)
    load(Path(folder), url, change=True)
    return killer.count


if __name__ == "__main__":
    with suppress(ImportError):
        import pandas  # noqa: F401, ICN001 - what dlt imports with its first load where it is there
    serve(killed)
