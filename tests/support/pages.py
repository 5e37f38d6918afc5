"""The pages of the documentation and the README: their blocks, which tests run as a reader would."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", *sorted(path.name for path in (ROOT / "docs").glob("*.md")))
"""Those that people write; what is generated lies in folders below."""


class Block(NamedTuple):
    """A block between fences."""

    language: str
    title: str
    """The name of the file that it is, if it is one."""
    text: str


def page(name: str) -> str:
    """Return the text of a page."""
    return (ROOT if name == "README.md" else ROOT / "docs").joinpath(name).read_text(encoding="utf-8")


def blocks(name: str, language: str = "") -> list[Block]:
    """Return the blocks of a page, or those in one language."""
    found = re.findall(r"^( *)```([\w{}-]*) ?([^\n]*)\n(.*?)^\1```$", page(name), re.MULTILINE | re.DOTALL)
    return [Block(kind, title, text) for _, kind, title, text in found if language in ("", kind)]


def examples(name: str) -> list[str]:
    """Return the blocks of Python of a page that are no files."""
    return [block.text for block in blocks(name, "python") if not block.title]


def compiled(example: str) -> Any:
    """Return the code of an example, which may await at its top."""
    return compile(example, "docs", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


async def run(example: str, names: dict[str, Any]) -> None:
    """Run an example, which may await, with some names; it leaves its own among them."""
    waiting = eval(compiled(example), names)
    if waiting is not None:
        await waiting


def block(name: str, title: str) -> str:
    """Return the block of a page that bears a title, such as the name of the file that it is."""
    (found,) = (one.text for one in blocks(name) if one.title == title)
    return found


def write_files(name: str, folder: Path) -> None:
    """Write the blocks of a page that are files into a folder; of several for one file, the first."""
    for one in reversed(blocks(name)):
        if one.title:
            (folder / one.title).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / one.title).write_text(one.text, encoding="utf-8")


class Command(NamedTuple):
    """A command of `meitner-aio` on a page: its words, and what a console shows below it."""

    words: tuple[str, ...]
    shown: tuple[str, ...]


def commands(name: str) -> Iterator[Command]:
    """Yield the commands of a page: lines of `sh`, what follows a `$` in `console`, either side of a pipe."""
    for one in blocks(name):
        if one.language == "sh":
            for line in one.text.replace("\\\n", "").splitlines():
                yield from _of_line(line, ())
        elif one.language == "console":
            for line, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", one.text, re.MULTILINE):
                yield from _of_line(line, tuple(shown.splitlines()))


def _of_line(line: str, shown: tuple[str, ...]) -> Iterator[Command]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in (*lexer, ";"):
        if set(word) <= set("|&;<>()"):
            places = [place for place, word in enumerate(words) if re.fullmatch(r"(.*/)?meitner-aio", word)]
            if places and not words[0].endswith("pip"):  # behind what brings it: an environment, another program
                yield Command(tuple(words[places[0] + 1 :]), shown)
            words = []
        else:
            words.append(word)
