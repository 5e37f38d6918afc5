"""The page about changes keeps its word: its examples run."""

from __future__ import annotations

import pytest
from pages import examples, run

EXAMPLES = examples("changes.md")


@pytest.mark.parametrize("source", EXAMPLES, ids=range(len(EXAMPLES)))
async def test_every_example_about_changes_runs(source, meitner, tmp_path, monkeypatch):
    """Twice, as whoever follows runs it; `meitner` is an open client."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        names = {"meitner": meitner}
        await run(source, names)
        if "copy" in names:
            names["copy"].close()


def test_the_page_about_changes_has_examples() -> None:
    """An empty list of examples would pass the test above."""
    assert len(EXAMPLES) == 2
