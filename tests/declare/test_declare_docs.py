"""The page about endpoints of one's own keeps its word: its example runs."""

from __future__ import annotations

import pytest
from pages import examples, run

EXAMPLES = examples("declare.md")


@pytest.mark.parametrize("source", EXAMPLES, ids=range(len(EXAMPLES)))
async def test_every_example_of_declarations_runs(source, capsys):
    """It prints every member, and no name."""
    await run(source, {"__name__": "docs"})
    said = capsys.readouterr().out
    assert said.count("first_name=***") == 120
    assert "Kim" not in said


def test_the_page_begins_with_code():
    """An empty list of examples would pass the test above."""
    assert len(EXAMPLES) == 1
