"""Whatever happens to a directory, a mirror comes to be what it is, and its feed tells how."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mirrors import held, there

from meitner_aio import Meitner
from meitner_aio.mirror import Mirror
from meitner_aio.mirror._names import KEPT
from meitner_aio.sandbox import Sandbox


class History:
    """Things that happen to a directory, and to its mirror."""

    def __init__(self, meitner: Meitner, mirror: Mirror, chance: Random) -> None:
        self.meitner, self.mirror, self.chance, self.born = meitner, mirror, chance, 0

    async def create(self) -> None:
        """Make a guardian."""
        self.born += 1
        number = f"20150315-{self.born:04d}"
        await self.meitner.guardians.create(identity_number=number, first_name="Bo", last_name="Ek")

    async def change(self) -> None:
        """Change some rows of a resource."""
        name = self.chance.choice(["guardians", "students", "employees"])
        for row in await self.some(name):
            await getattr(self.meitner, name).modify(row, last_name=f"Ny{self.chance.randrange(100)}")

    async def delete(self) -> None:
        """Delete some rows of a resource, with what goes along."""
        name = self.chance.choice(["guardians", "students", "groups", "student_placements", "grade_elementaries"])
        for row in await self.some(name):
            await getattr(self.meitner, name).delete(row.id)

    async def some(self, name: str) -> list[Any]:
        """Return up to three rows."""
        rows = await getattr(self.meitner, name).list().all()
        return self.chance.sample(rows, min(len(rows), 3))

    async def sync(self) -> None:
        """Sync everything."""
        await self.mirror.sync(self.meitner, accept_deletions=10_000)

    async def sync_some(self) -> None:
        """Sync a part."""
        names = self.chance.sample(KEPT, 3)
        await self.mirror.sync(self.meitner, names, accept_deletions=10_000)

    async def sync_full(self) -> None:
        """Read everything."""
        await self.mirror.sync(self.meitner, full=True, accept_deletions=10_000)

    async def verify(self) -> None:
        """Compare totals."""
        await self.mirror.verify(self.meitner, accept_deletions=10_000)


STEPS = ["create", "change", "delete", "sync", "sync_some", "sync_full", "verify"]


def replayed(mirror: Mirror) -> dict[str, set[str]]:
    """Return the ids that there are when the feed has told all."""
    ids: dict[str, set[str]] = {name: set() for name in KEPT}
    for entry in mirror.feed():
        known = entry.id in ids[entry.resource]
        assert known is (entry.kind != "insert"), entry.kind
        if entry.kind == "insert":
            ids[entry.resource].add(entry.id)
        elif entry.kind == "delete":
            ids[entry.resource].remove(entry.id)
    return ids


async def lived(steps: list[str], seed: int, path: Path) -> None:
    """Let things happen, and compare after the last of them."""
    async with Meitner.sandbox(Sandbox(students=12, schools=2, seed=seed)) as meitner:
        with Mirror(path) as mirror:
            history = History(meitner, mirror, Random(seed))
            for step in [*steps, "sync"]:
                await getattr(history, step)()
            rows = held(path)
            assert rows == await there(meitner)
            assert replayed(mirror) == {name: set(ids) for name, ids in rows.items()}


@settings(max_examples=12, deadline=None)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=12), seed=st.integers(1, 1000))
def test_a_mirror_is_what_the_directory_is(steps: list[str], seed: int) -> None:
    """After any history, however it was followed; and who replays the feed has the ids of the tables."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(lived(steps, seed, Path(folder) / "directory.sqlite"))


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=25), seed=st.integers(1, 1000))
def test_a_mirror_is_what_the_directory_is_after_long_histories(steps: list[str], seed: int) -> None:
    """The same, for longer."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(lived(steps, seed, Path(folder) / "directory.sqlite"))
