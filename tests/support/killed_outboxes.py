"""Sends an outbox's journal in processes that are killed at a step: a program for `forked.forks`.

`(URL, FOLDER, PUT, AT)`: PUT says whether the writes are put, AT counts steps, 0 is never. A step is a line of the
journal, a sync of it, a request that leaves or its answer. Returns how many steps it took.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from forked import serve

from meitner_aio import Meitner
from meitner_aio._operations import create_recovery
from meitner_aio._pipeline import identity, journals

CREDENTIALS = ("an-id", "a-secret")
NUMBERS = [f"20150101-98{index}6" for index in range(6)]


async def run(url: str, folder: Path, *, put: bool, at: int) -> int:
    """Put the writes, if asked to, and send all that is in the journal; `put` in the folder names what was taken."""
    steps = 0

    def step(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            step()
            done = call(*args)
            step()
            return done

        return wrapped

    journals.JournalFile.add = counted(journals.JournalFile.add)  # type: ignore[method-assign]
    journals.JournalFile.sync = counted(journals.JournalFile.sync)  # type: ignore[method-assign]
    async with Meitner(*CREDENTIALS, base_url=url, on_event=step) as meitner:
        async with meitner.outbox(journal=folder / "outbox", concurrency=3) as outbox:
            for number in NUMBERS if put else ():
                outbox.put(meitner.students.create(identity_number=number, first_name="Bo", last_name="Ek"))
                with (folder / "put").open("a") as taken:
                    taken.write(f"{number}\n")
        assert outbox.failures == []
        assert not outbox.refused.exists()
    return steps


def work(url: str, folder: str, put: bool, at: int) -> int:
    """Do it."""
    # This directory is never late, and a test does not wait for a minute.
    create_recovery._LOOKS, create_recovery._LATEST, identity._ROUNDS = (0.01,), 0.02, 1  # type: ignore[assignment]
    return asyncio.run(run(url, Path(folder), put=put, at=at))


if __name__ == "__main__":
    serve(work)
