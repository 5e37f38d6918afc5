"""The page about warehouses keeps its word: its example runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import warehouses
from pages import examples

from meitner_aio.sandbox import Sandbox

alone = warehouses.alone


async def test_the_example_about_warehouses_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice, as whoever has a warehouse runs it, with credentials of the environment."""
    (example,) = examples("warehouse.md")
    async with Sandbox(students=30, schools=2) as sandbox:
        for name, value in zip(("CLIENT_CREDENTIALS", "CLIENT_SECRET"), sandbox.credentials, strict=True):
            monkeypatch.setenv(f"MEITNER_{name}", value)
        monkeypatch.setenv("MEITNER_BASE_URL", str(sandbox.url))
        for name in ("LOAD__DELETE_COMPLETED_JOBS", "LOAD__TRUNCATE_STAGING_DATASET"):
            monkeypatch.setenv(name, "")  # the example sets them, and what it sets is taken back
        for _ in range(2):
            names: dict[str, Any] = {}
            await asyncio.to_thread(exec, example, names)
            assert sum(count for _, count in names["counts"]) == len(sandbox.records("student_placements"))
