"""The page about mirrors keeps its word: its examples run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "mirror.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


async def test_the_examples_run(meitner, tmp_path, monkeypatch):
    """Twice, as whoever keeps a mirror runs it; `meitner` is an open client."""
    monkeypatch.chdir(tmp_path)
    code = compile("".join(EXAMPLES), "mirror.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for _ in range(2):
        names = {"meitner": meitner}
        await eval(code, names)  # noqa: S307 - our own page
        assert names["report"].complete
