"""Runs commands in processes of their own, forked from one that has loaded everything: for tests that kill many.

Run as a program, it reads the words of a command from a line of its input, as JSON, and writes the number of the
process that runs them; for the next line it writes how that has ended. Until then the number is that process's, so that
whoever kills it kills no other. No thread and no event loop runs in the process that forks.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import meitner_aio


class ForkedCli:
    """The program, as a test has it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def start(self, *words: str) -> int:
        """Run a command, and return the number of its process."""
        return await self._told(json.dumps(words))

    async def ended(self) -> int:
        """Return the exit code of the command, below 0 when it was killed by a signal."""
        return await self._told("")

    async def _told(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n".encode())
        return int(await asyncio.wait_for(self._process.stdout.readline(), 20))


@asynccontextmanager
async def forked_cli(environment: Mapping[str, str]) -> AsyncGenerator[ForkedCli, None]:
    """Give the program, and end it."""
    place = {"PYTHONPATH": str(Path(meitner_aio.__file__).parents[1])}
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, stdin=PIPE, stdout=PIPE, env={**environment, **place}
    )
    try:
        yield ForkedCli(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 20)


def main() -> None:
    """Serve until the input ends."""
    import meitner_aio._pipeline.transport
    import meitner_aio.cli
    import meitner_aio.mirror

    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    while line := sys.stdin.buffer.raw.readline():  # type: ignore[attr-defined]
        child = os.fork()
        if not child:
            os._exit(meitner_aio.cli.run(json.loads(line)))
        os.write(out, f"{child}\n".encode())
        sys.stdin.buffer.raw.readline()  # type: ignore[attr-defined]
        os.write(out, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())


if __name__ == "__main__":
    main()
