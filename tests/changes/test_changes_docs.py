"""The page about changes keeps its word: its examples run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "changes.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("source", EXAMPLES, ids=range(len(EXAMPLES)))
async def test_every_example_about_changes_runs(source, meitner, tmp_path, monkeypatch):
    """Twice, as whoever follows runs it; `meitner` is an open client."""
    monkeypatch.chdir(tmp_path)
    code = compile(source, "changes.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for _ in range(2):
        names = {"meitner": meitner}
        await eval(code, names)  # noqa: S307 - our own page
        if "copy" in names:
            names["copy"].close()


def test_the_page_about_changes_has_examples() -> None:
    """An empty list of examples would pass the test above."""
    assert len(EXAMPLES) == 2
