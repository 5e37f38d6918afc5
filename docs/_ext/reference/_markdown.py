"""Pieces of Markdown, as MyST reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~$])")
_COLONS = re.compile(r"^(:{3,})", re.MULTILINE)
_DRAWN = re.compile(r"[├└│]|\S {3,}\S")


def escaped(text: str) -> str:
    """Return text that means itself."""
    return _SPECIAL.sub(r"\\\1", text)


def code(text: str) -> str:
    """Return text as code in a line."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def fence(text: str, language: str = "python") -> str:
    """Return a block of code."""
    return f"```{language}\n{text}\n```"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a column in which no row has anything is left out."""
    lines = [[" ".join(cell.replace("|", r"\|").split()) for cell in row] for row in rows]
    kept = [column for column in range(len(head)) if any(row[column] for row in lines)]
    whole = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row[column] for column in kept) + " |" for row in whole) if lines else ""


def directive(kind: str, signature: str, body: str = "", **options: str) -> str:
    """Return a directive, fenced by more colons than what it holds."""
    colons = ":" * (max((len(found) for found in _COLONS.findall(body)), default=2) + 1)
    said = [f":{name.replace('_', '-')}: {value}".rstrip() for name, value in options.items()]
    return "\n".join(
        [f"{colons}{{{kind}}} {signature}", *said, "", body, colons]
        if body
        else [f"{colons}{{{kind}}} {signature}", *said, colons]
    )


def joined(*parts: str) -> str:
    """Return the parts that there are, as paragraphs."""
    return "\n\n".join(part for part in parts if part)


def prose(docstring: str) -> str:
    """Return a docstring as Markdown, which it is but for drawings: those become blocks of text."""
    inside, paragraphs = False, []
    for paragraph in docstring.strip().split("\n\n"):
        drawn = not inside and "```" not in paragraph and _DRAWN.search(paragraph)
        paragraphs.append(fence(paragraph, "text") if drawn else paragraph)
        inside ^= paragraph.count("```") % 2 == 1
    return "\n\n".join(paragraphs)


def summary(docstring: str) -> str:
    """Return the first sentence of a docstring, on one line."""
    first = " ".join(docstring.strip().partition("\n\n")[0].split())
    return re.split(r"(?<=[.])\s+(?=[A-Z`])", first, maxsplit=1)[0]
