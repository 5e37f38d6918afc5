"""Processes with an outbox's journal that are killed: what was put is there once, when the next one has ended."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import killed_outboxes
import pytest
from forked import forks

from meitner_aio.sandbox import Sandbox

KILLED = -9
LEAST = 50
"""Steps of a process: how many syncs there are depends on which writes wait together."""


async def _trial(called: Callable[..., Any], folder: Path, kills: list[int]) -> int:
    """Kill a process at each of these steps, the first of them while it puts; return the steps of the last one."""
    async with Sandbox(students=0, schools=1, credentials=killed_outboxes.CREDENTIALS) as sandbox:
        for run, at in enumerate([*kills, 0]):
            ended = await asyncio.to_thread(called, sandbox.url, folder, run == 0, at)
            assert ended.code == KILLED if 0 < at < LEAST and not run else ended.code in (KILLED, 0), ended.told
        put = (folder / "put").read_text().split() if (folder / "put").exists() else []
        held = Counter(one.identity_number for one in sandbox.records("students"))
        assert not any(count > 1 for count in held.values())
        assert set(put) <= set(held)  # one may have been taken before it could be noted
        assert len(held) <= len(put) + 1
        assert not (folder / "outbox").exists()
        # Of every process at most three creates were under way, which are looked up and not sent again.
        creates = sum(request.status == 201 for request in sandbox.requested("students.create"))
        assert creates == len(held)
        return int(ended.told)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 15])
async def test_what_was_put_is_there_once(tmp_path: Path, every: int) -> None:
    """At whatever step the first process is killed."""
    with forks(killed_outboxes.__file__) as called:
        steps = await _trial(called, _made(tmp_path / "whole"), [])
        assert steps >= LEAST
        for at in range(1, steps, every):
            await _trial(called, _made(tmp_path / str(at)), [at])


@pytest.mark.parametrize("every", [pytest.param(3, marks=pytest.mark.slow), 24])
async def test_those_that_go_on_may_be_killed_too(tmp_path: Path, every: int) -> None:
    """And the third goes on with what both left."""
    with forks(killed_outboxes.__file__) as called:
        for at in range(5, 50, every):
            await _trial(called, _made(tmp_path / str(at)), [at, 7])
