"""A directory that can be changed, a mirror of it, and what both hold, for comparing the two.

The fixtures are taken by name: `path, ask = mirrors.path, mirrors.ask`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from meitner_aio import Meitner
from meitner_aio.mirror._names import KEPT
from meitner_aio.offline._records import Reader
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Sandbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the place of a mirror."""
    return tmp_path / "directory.sqlite"


@pytest.fixture
def sandbox() -> Sandbox:
    """Give a small directory."""
    return Sandbox(students=60, schools=2)


@pytest.fixture
async def meitner(sandbox: Sandbox) -> AsyncGenerator[Meitner, None]:
    """Give a client of it."""
    async with Meitner.sandbox(sandbox) as client:
        yield client


@pytest.fixture
def ask(path: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Give the rows of a query, as another program reads them."""

    def asked(query: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as database:
            return database.execute(query, values).fetchall()

    return asked


def held(path: Path) -> dict[str, dict[str, Any]]:
    """Return every record of a mirror by its id, by resource."""
    found: dict[str, dict[str, Any]] = {}
    with closing(sqlite3.connect(path)) as database:
        for name in KEPT:
            reader = Reader(RESOURCES[name].model)
            columns = ", ".join(f'"{column}"' for column in reader.columns)
            blank = f"(SELECT fields FROM meitner_aio_blank AS b WHERE b.resource = '{name}' AND b.id = t.id)"
            rows = database.execute(f'SELECT {blank}, {columns} FROM "{name}" AS t')
            found[name] = {row.id: row for row in (reader.record(rest, blank) for blank, *rest in rows)}
    return found


async def there(meitner: Meitner) -> dict[str, dict[str, Any]]:
    """Return every record of a directory by its id, by resource."""
    return {name: {row.id: row async for row in getattr(meitner, name).list()} for name in KEPT}
