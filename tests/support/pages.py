"""The examples of a page of the documentation, run as a reader would run them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

_DOCS = Path(__file__).resolve().parents[2] / "docs"


def page(name: str) -> str:
    """Return the text of a page."""
    return (_DOCS / name).read_text(encoding="utf-8")


def examples(name: str) -> list[str]:
    """Return the blocks of Python of a page."""
    return re.findall(r"^```python\n(.*?)^```$", page(name), re.MULTILINE | re.DOTALL)


async def run(example: str, names: dict[str, Any]) -> None:
    """Run an example, which may await, with some names; it leaves its own among them."""
    code = compile(example, "docs", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    waiting = eval(code, names)
    if waiting is not None:
        await waiting


def block(name: str, title: str) -> str:
    """Return the block of a page that bears a title, such as the name of the file that it is."""
    (found,) = re.findall(rf"^```\w+ {re.escape(title)}\n(.*?)^```$", page(name), re.MULTILINE | re.DOTALL)
    return found
