"""Loads a directory in processes that are killed on the way. Run as a script.

It reads `[FOLDER, URL, AT]` from each line of its input, as JSON: URL is that of PostgreSQL, or empty for a file of DuckDB
in FOLDER. AT counts statements, and what is done to files in FOLDER; 0 is never. For each it writes `[CODE, COUNT]`: how a
process with the load has ended, forked from this one, which has loaded everything and runs no thread; and the count.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dlt
from conftest import importing
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient
from killed_mirrors import change
from killed_mirrors import directory as sandbox
from warehouses import Warehouse

from meitner_aio import Meitner
from meitner_aio.dlt import directory
from meitner_aio.portal import Portal

RESOURCES = ("schools", "guardians", "students")
__all__ = ["RESOURCES", "changed", "load", "loads", "sandbox", "warehouse"]


def warehouse(folder: Path, url: str) -> Warehouse:
    """Return the warehouse that is loaded."""
    place = dlt.destinations.postgres(url) if url else dlt.destinations.duckdb(str(folder / "warehouse.duckdb"))
    return Warehouse(folder / "pipelines", place)


def changed(portal: Portal) -> None:
    """Change the directory that a portal leads to."""
    portal.run(change(portal.meitner))


class Killer:
    """Counts what is done, and kills this process at a number."""

    def __init__(self, folder: Path, at: int) -> None:
        self.count = 0
        self._folder, self._at = str(folder), at
        sys.addaudithook(self._heard)
        for client in (DuckDbSqlClient, Psycopg2SqlClient):
            self._watch(client)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(arguments[0]).startswith(self._folder):
            self._counted()

    def _watch(self, client: Any) -> None:
        execute = client.execute_query

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._counted()
            return execute(*args, **kwargs)

        client.execute_query = counted

    def _counted(self) -> None:
        self.count += 1
        if self.count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def load(folder: Path, url: str, *, change: bool) -> None:
    """Load the directory before or after its changes."""
    with Portal(Meitner.sandbox(sandbox())) as portal:
        if change:
            changed(portal)
        warehouse(folder, url).load(directory(portal, RESOURCES))


@contextmanager
def loads() -> Iterator[Callable[[Path, str, int], tuple[int, int]]]:
    """Give what loads in a process that is killed at something: its exit code, and how much it did when it was not."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=importing()) as process:

        def killed(folder: Path, url: str, at: int) -> tuple[int, int]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps([str(folder), url, at]).encode() + b"\n")
            process.stdin.flush()
            code, count = json.loads(process.stdout.readline())
            return code, count

        yield killed


def _forked(folder: Path, url: str, at: int) -> tuple[int, int]:
    """Load in a process of its own; its exit code, and the count."""
    counted, told = os.pipe()
    child = os.fork()
    if not child:
        try:
            killer = Killer(folder, at)
            load(folder, url, change=True)
            os.write(told, str(killer.count).encode())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(told)
    with os.fdopen(counted) as count:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), int(count.read() or 0)


def main() -> None:
    """Serve until the input ends."""
    with suppress(ImportError):
        import pandas  # noqa: F401, ICN001 - what dlt imports with its first load where it is there
    for line in sys.stdin:
        folder, url, at = json.loads(line)
        sys.stdout.write(f"{json.dumps(_forked(Path(folder), url, at))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
