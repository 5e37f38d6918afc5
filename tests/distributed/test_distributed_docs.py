"""The page about clusters keeps its word: its examples run, and its numbers are those of the code."""

from __future__ import annotations

import inspect
from typing import Any

from pages import examples, page, run

from meitner_aio.distributed import _export, export_many


async def test_the_examples_run(tmp_path, monkeypatch):
    """One after the other, as a reader would run them."""
    monkeypatch.chdir(tmp_path)
    for name in ("BASE_URL", "CLIENT_CREDENTIALS", "CLIENT_SECRET"):
        monkeypatch.setenv(f"SOLNA_{name}", "")  # the example sets them; they are taken back afterwards
    names: dict[str, Any] = {}
    for example in examples("distributed.md"):
        await run(example, names)
    assert (tmp_path / "out" / "solna" / "manifest.json").exists()


def test_numbers_are_those_of_the_code():
    """Of pauses and retries."""
    assert f"The pauses before are {_export.PAUSE:.0f} s" in page("distributed.md")
    assert inspect.signature(export_many).parameters["retries"].default == 3
