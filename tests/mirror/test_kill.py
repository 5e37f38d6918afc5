"""A run that is killed at any moment leaves the last state whole, and the next one goes on from it."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import killed_mirrors
import pytest
from forked import Ended, forks

from meitner_aio import Meitner
from meitner_aio.mirror import Mirror

CHECKED = ("schools", "groups", "students", "guardians")


Sync = Callable[..., Ended]


@pytest.fixture(scope="module")
def synced() -> Iterator[Sync]:
    """Give `synced(path, changed, at)`, which syncs in another process, and kills it at a statement."""
    with forks(killed_mirrors.__file__) as sync:
        yield sync


def state(path: Path) -> dict[str, Any] | None:
    """Return what a mirror holds, apart from times; None where there is none."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            return None
        found: dict[str, Any] = {
            "schools": database.execute("SELECT id, title FROM schools ORDER BY id").fetchall(),
            "students": database.execute("SELECT id, last_name FROM students ORDER BY id").fetchall(),
            "guardians": database.execute("SELECT id FROM guardians ORDER BY id").fetchall(),
            "tombstones": database.execute("SELECT resource, id FROM tombstones ORDER BY id").fetchall(),
            "feed": database.execute("SELECT seq, resource, id, kind FROM changes ORDER BY seq").fetchall(),
        }
        found["runs"] = database.execute("SELECT count(*) FROM meitner_aio_checkpoints").fetchone()
    return found


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, synced: Sync) -> Path:
    """Give a mirror of the directory before its changes."""
    path = tmp_path_factory.mktemp("before") / "directory.sqlite"
    assert synced(path, False, 0).code == 0
    return path


def moments(path: Path, synced: Sync, number: int) -> list[int]:
    """Return statements at which to kill: chance, and the last ones, where a run is committed."""
    statements = synced(path, True, 0).told
    chance = random.Random(number)
    return [*chance.choices(range(1, statements), k=number), *range(statements - 6, statements, 2)]


def check_kills(path: Path, before: Path, synced: Sync, number: int) -> None:
    """Kill runs, and look at what they leave."""
    shutil.copy(before, path)
    old, places = state(path), moments(path, synced, number)
    new = state(path)
    assert new is not None
    assert old != new
    seen = []
    for at in places:
        shutil.copy(before, path)
        assert synced(path, True, at).code == -signal.SIGKILL
        found = state(path)
        assert found in (old, new)
        seen.append(found == old)
        assert synced(path, True, 0).code == 0
        assert not list(path.parent.glob("*-anew"))
        after = state(path)
        assert after is not None
        assert after["students"] == new["students"]
        assert new in (after, found)  # which saw the same changes once more, at another time
    assert {True, False} == set(seen)


def test_a_run_that_is_killed_leaves_the_last_state(tmp_path: Path, before: Path, synced: Sync) -> None:
    """The one before, or its own: rows, tombstones, feed and checkpoint together."""
    check_kills(tmp_path / "directory.sqlite", before, synced, 5)


@pytest.mark.slow
def test_two_hundred_runs_that_are_killed(tmp_path: Path, before: Path, synced: Sync) -> None:
    """The same, at many more moments."""
    check_kills(tmp_path / "directory.sqlite", before, synced, 200)


def test_a_first_run_that_is_killed_leaves_nothing(tmp_path: Path, before: Path, synced: Sync) -> None:
    """No row is in the file; the next run makes all of it."""
    for number, at in enumerate((1, 8, 300)):
        path = tmp_path / f"{number}.sqlite"
        assert synced(path, False, at).code == -signal.SIGKILL
        assert state(path) is None
        assert synced(path, False, 0).code == 0
        assert state(path) == state(before)


async def test_other_processes_during_a_run(tmp_path: Path, synced: Sync) -> None:
    """They read the last state at once, and nothing of the run; one that would write is refused."""
    path, script = tmp_path / "directory.sqlite", "import sqlite3, sys; print(sqlite3.connect(sys.argv[1], timeout=0)"
    script += ".execute('SELECT count(*) FROM schools WHERE title LIKE ?', ['% ny']).fetchone()[0])"

    def read() -> int:
        command = [sys.executable, "-c", script, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return int(done.stdout)

    async with Meitner.sandbox(killed_mirrors.directory()) as meitner:
        with Mirror(path) as mirror:
            await mirror.sync(meitner, CHECKED)
            await killed_mirrors.change(meitner)
            seen = []
            follow = meitner.changes

            class Watched:
                def __init__(self, **how: Any) -> None:
                    self._changes = follow(**how)

                def __getattr__(self, name: str) -> Any:
                    return getattr(self._changes, name)

                @property
                def complete(self) -> bool:
                    assert "being written by another run" in synced(path, False, 0).told
                    seen.append(read())  # all rows were handed over, and none is committed
                    return self._changes.complete

                async def __aiter__(self) -> Any:
                    async for change in self._changes:
                        yield change

            meitner.changes = Watched  # type: ignore[method-assign,assignment]
            await mirror.sync(meitner, CHECKED)
            assert (seen, read()) == ([0], 2)
