"""Builds small sites of pages with pictures: a program that has loaded Sphinx, and builds each in a process of its own."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout

import myst_parser.sphinx_ext.main
import sphinx.builders.html
from forked import serve
from sphinx.cmd.build import build_main

__all__ = ["myst_parser", "sphinx"]


def build(docs: str, built: str, variables: dict[str, str]) -> tuple[int, str]:
    """Build anew, with warnings as failures and these variables of the environment; return the exit code and the words."""
    os.environ.clear()
    os.environ.update(variables)
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = build_main(["--fail-on-warning", "--fresh-env", "--no-color", "--builder", "html", docs, built])
    return code, said.getvalue()


if __name__ == "__main__":
    serve(build)
