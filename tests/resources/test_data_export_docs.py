"""The page about the Data Export API keeps its word: its example runs."""

from __future__ import annotations

import re

from pages import examples, page, run

from meitner_aio.resources import DATA_EXPORT

(EXAMPLE,) = examples("data-export.md")


async def test_the_example_runs(capsys):
    """It reads several pages twice, counts, and shows no child."""
    await run(EXAMPLE, {"__name__": "docs"})
    missed, counted, grade = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d+\.\d% of 1,\d{3} lessons were missed \(stable\)", missed)
    assert re.fullmatch(r"\d+ results by criterion", counted)
    assert "first_name=***" in grade


def test_the_page_begins_with_code():
    """Before anything is explained."""
    assert page("data-export.md").index("```python") < 300


def test_every_resource_is_named():
    """None is forgotten."""
    assert all(f"`{name}`" in page("data-export.md") for name in DATA_EXPORT)
