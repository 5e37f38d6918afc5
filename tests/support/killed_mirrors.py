"""Syncs a mirror in a process of its own that is killed at a statement of SQLite. Run as a script.

`killed_mirrors.py PATH CHANGED AT`: CHANGED is 1 for the directory after its changes; AT counts statements, 0 is never.
Prints how many statements a run took.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from meitner_aio import Meitner
from meitner_aio.mirror import Mirror
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


if __name__ == "__main__":
    statements = asyncio.run(run(Path(sys.argv[1]), changed=sys.argv[2] == "1", at=int(sys.argv[3])))
    sys.stdout.write(f"{statements}\n")
