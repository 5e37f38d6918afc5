"""The page about tenants keeps its word: its examples run, and its exit codes and bounds are those of the code."""

from __future__ import annotations

import inspect
from typing import Any

from pages import examples, page, run

from meitner_aio.tenants import _turns as turns
from meitner_aio.tenants import export_many


async def test_the_examples_run(tmp_path, monkeypatch):
    """One after the other, as a reader would run them."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for example in examples("tenants.md"):
        await run(example, names)
    folders = {path.parent.name for path in tmp_path.glob("out/*/manifest.json")}
    assert folders == {"solna", "sundbyberg", "nacka", "täby"}
    assert names["report"]["solna"].report.inserted == 60


def test_bounds_are_those_of_the_code():
    """Of `concurrency`, `connections` and those that wait."""
    usual = {name: one.default for name, one in inspect.signature(export_many).parameters.items()}
    assert f"`concurrency`, {usual['concurrency']} |" in page("tenants.md")
    assert f"`connections`, {usual['connections']} |" in page("tenants.md")
    assert turns._WAITING == 4
