"""`sync` as a process: signals and kills, after any of which the copy is whole, and one run makes it true."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import pytest
from forked_cli import ForkedCli, forked_cli
from log_lines import TIMED
from test_cli_process import ANY, DEADLINE, ENVIRONMENT, _start

from meitner_aio import Meitner, to_dict
from meitner_aio.sandbox import Sandbox

RESOURCES = ("students", "groups", "student_placements", "grade_elementaries")
State = dict[str, dict[str, str]]


class Watched(NamedTuple):
    """A directory that is served, a client of it, and where its copy goes."""

    sandbox: Sandbox
    meitner: Meitner
    file: Path

    @property
    def words(self) -> tuple[str, ...]:
        """The command for one run."""
        return ("sync", *RESOURCES, "--to", str(self.file), "--base-url", self.sandbox.url)


@asynccontextmanager
async def _watched(tmp_path: Path, latency: float = 0.0) -> AsyncGenerator[Watched, None]:
    async with (
        Sandbox(students=40, schools=2, latency=latency, limiter="none") as sandbox,
        Meitner.sandbox(sandbox) as meitner,
    ):
        yield Watched(sandbox, meitner, tmp_path / "directory.sqlite")


def _copy(file: Path) -> State:
    """Return what a copy says of each row: every cell, as text. Nothing where there is none yet."""
    if not file.exists():
        return {}
    with closing(sqlite3.connect(file)) as database:  # one that may write: SQLite undoes what was killed
        database.row_factory = sqlite3.Row
        assert [row[0] for row in database.execute("PRAGMA integrity_check")] == ["ok"]
        tables = {row["name"] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {
            name: {row["id"]: repr(dict(row)) for row in database.execute(f"SELECT * FROM {name}")}
            for name in RESOURCES
            if name in tables
        }


async def _listed(meitner: Meitner) -> State:
    """Return what a client tells of each record."""
    found: State = {}
    for name in RESOURCES:
        rows = await getattr(meitner, name).list().all()
        found[name] = {row.id: repr(to_dict(row)) for row in rows}
    return found


async def _is_true(watched: Watched) -> bool:
    """Whether a client of the copy reads what a client of the directory reads."""
    async with Meitner(offline=str(watched.file)) as copy:
        return await _listed(copy) == await _listed(watched.meitner)


async def _change(meitner: Meitner, chance: random.Random) -> None:
    """Let records be created, changed and deleted."""
    groups = await meitner.groups.list().all()
    for group in chance.sample(groups, 3):
        await meitner.groups.delete(group.id)
    for group in chance.sample(await meitner.groups.list().all(), 3):
        await meitner.groups.modify(group, title=f"{chance.random()}")
    for _ in range(3):
        await meitner.groups.create(school_id=groups[0].school_id, title=f"{chance.random()}")
    for student in chance.sample(await meitner.students.list().all(), 3):
        await meitner.students.modify(student, first_name=f"{chance.random()}")


async def _until_asked(sandbox: Sandbox, requests: int = 1) -> None:
    wanted = len(sandbox.requests) + requests
    async with asyncio.timeout(DEADLINE):
        while len(sandbox.requests) < wanted:
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_service_ends_behind_the_run_under_way(tmp_path: Path, number: signal.Signals) -> None:
    """Its line is written, its exit code is 0, and the copy is true."""
    async with _watched(tmp_path, latency=0.05) as watched:
        with _start(*watched.words, "--every", "1h", environment=ANY) as process:
            await _until_asked(watched.sandbox)
            process.send_signal(number)
            out, err = await asyncio.to_thread(process.communicate, timeout=DEADLINE)
        assert process.returncode == 0
        assert " inserted in " in out.decode()
        assert out.count(b"\n") == err.count(b"\n") == 1
        assert await _is_true(watched)


async def test_a_service_ends_between_two_runs(tmp_path: Path) -> None:
    """At once, and without a word."""
    async with _watched(tmp_path) as watched:
        with _start(*watched.words, "--every", "1h", environment=ANY) as process:
            line = await asyncio.to_thread(process.stdout.readline)
            process.send_signal(signal.SIGTERM)
            out, err = await asyncio.to_thread(process.communicate, timeout=DEADLINE)
        assert (process.returncode, out, err) == (0, b"", b"")
        assert b" inserted in " in line


async def test_who_asks_twice_ends_the_run_under_way(tmp_path: Path) -> None:
    """Nothing of it is in the copy, nothing is lost, and the next run makes it true."""
    async with _watched(tmp_path, latency=0.1) as watched:
        with _start(*watched.words, "--every", "1h", environment=ANY) as process:
            await _until_asked(watched.sandbox, 2)
            process.send_signal(signal.SIGTERM)
            line = await asyncio.to_thread(process.stderr.readline)
            assert TIMED.match(line.decode())
            assert b"stopping after this run" in line
            process.send_signal(signal.SIGTERM)
            out, err = await asyncio.to_thread(process.communicate, timeout=DEADLINE)
        assert (process.returncode, out, err) == (130, b"", b"meitner-aio: interrupted\n")
        assert not any(_copy(watched.file).values())
        async with forked_cli(ENVIRONMENT | ANY) as cli:
            await cli.start(*watched.words)
            assert await cli.ended() == 0
        assert await _is_true(watched)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_single_run_is_interrupted_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 130, and it is said that nothing is half done; nothing of it is in the copy."""
    async with _watched(tmp_path, latency=0.1) as watched:
        with _start(*watched.words, environment=ANY) as process:
            await _until_asked(watched.sandbox, 2)
            process.send_signal(number)
            out, err = await asyncio.to_thread(process.communicate, timeout=DEADLINE)
        said = ["meitner-aio: interrupted", f"{watched.file} is unchanged since the last complete run."]
        assert (process.returncode, out, err.decode().splitlines()) == (130, b"", said)
        assert not any(_copy(watched.file).values())


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


async def _whole(cli: ForkedCli, watched: Watched) -> float:
    """Make the copy true, and return how many seconds that took."""
    began = perf_counter()
    await cli.start(*watched.words)
    assert await cli.ended() == 0
    took = perf_counter() - began
    assert await _is_true(watched)
    return took


async def _killed(cli: ForkedCli, watched: Watched, delay: float) -> bool:
    """Kill a run after a delay in seconds; whether it was still running."""
    process = await cli.start(*watched.words)
    await asyncio.sleep(delay)
    os.kill(process, signal.SIGKILL)
    return await cli.ended() == -signal.SIGKILL


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.slow)])
async def test_a_run_that_is_killed_leaves_the_copy_whole(tmp_path: Path, kills: int) -> None:
    """The copy is as it was before, or as the run made it, and one run makes it true: the first one, and later ones."""
    chance = random.Random(kills)
    async with _watched(tmp_path, latency=0.005) as watched, forked_cli(ENVIRONMENT | ANY) as cli:
        took = await _whole(cli, watched)
        while kills:
            if chance.random() < 0.3:
                _clear(tmp_path)
            await _change(watched.meitner, chance)
            before = _copy(watched.file)
            kills -= await _killed(cli, watched, chance.uniform(0, took))
            after = _copy(watched.file)
            took = await _whole(cli, watched)
            assert after in (before, _copy(watched.file))
