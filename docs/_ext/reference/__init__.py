"""The reference: pages in Markdown, made of the package itself. Knows no Sphinx, but writes what MyST reads."""

from __future__ import annotations

from functools import cache

from . import _api, _cli, _resources
from ._markdown import directive, joined

__all__ = ["pages"]

_INDEX = joined(
    "# Reference",
    "Made of the package when these pages are built: the declarations of its resources, its docstrings, its commands.",
    "- [Resources](resources/index.md): operations, fields, conditions of searches, enums\n"
    "- [The API](api/index.md): every module and name, with signature and docstring\n"
    "- [The command line](cli.md): every command with its options",
    directive("toctree", "", "resources/index\napi/index\ncli", hidden=""),
)


@cache
def pages() -> dict[str, str]:
    """Return every page by its file below `reference/`."""
    return {
        "index.md": _INDEX + "\n",
        "cli.md": _cli.page(),
        **{f"resources/{file}": text for file, text in _resources.pages().items()},
        **{f"api/{file}": text for file, text in _api.pages().items()},
    }
