"""Syncs a mirror in processes that are killed at a statement of SQLite: a program for `forked.forks`.

`(PATH, CHANGED, AT)`: CHANGED is true for the directory after its changes; AT counts statements, 0 is never. Returns how
many statements a run took.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

from forked import serve

from meitner_aio import Meitner
from meitner_aio.mirror import Mirror, _database
from meitner_aio.sandbox import Sandbox

RESOURCES = ("schools", "groups", "students", "guardians")


def directory() -> Sandbox:
    """Return the directory, the same in every process."""
    return Sandbox(students=40, schools=2, seed=3)


async def change(meitner: Meitner) -> None:
    """Change the directory: a row more, two fewer, some others."""
    await meitner.students.create(identity_number="20150315-1234", first_name="Bo", last_name="Ek")
    for guardian in (await meitner.guardians.list().all())[:2]:
        await meitner.guardians.delete(guardian.id)
    for school in await meitner.schools.list().all():
        await meitner.schools.modify(school, title=f"{school.title} ny")


async def run(path: Path, *, changed: bool, at: int) -> int:
    """Sync once, and return how many statements that took."""
    count = 0

    def counted(_statement: str) -> None:
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    original = sqlite3.connect

    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        database = original(*args, **kwargs)
        database.set_trace_callback(counted)
        return database

    sqlite3.connect = connect  # type: ignore[assignment]
    async with Meitner.sandbox(directory()) as meitner:
        if changed:
            await change(meitner)
        with Mirror(path) as mirror:
            await mirror.sync(meitner, RESOURCES)
    return count


def synced(path: str, changed: bool, at: int) -> int:
    """Sync in this process."""
    _database.PATIENCE = 0.0  # whoever else writes does so until the end
    return asyncio.run(run(Path(path), changed=changed, at=at))


if __name__ == "__main__":
    serve(synced)
