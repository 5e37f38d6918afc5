"""The Markdown of each page beside its HTML (`read.md` beside `read.html`), and `llms.txt`, which lists them."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repository_links import led_to

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_OPEN = re.compile(r"(?P<fence>:{3,}|`{3,})\{(?P<name>[\w:-]+)\}(?: (?P<rest>.*))?")
_OPTION = re.compile(r":[\w-]+:.*")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_LABEL = re.compile(r"\([\w-]+\)=")
_LONG = 100


def plain(text: str) -> str:
    """Return the text of a page without what only MyST reads: directives of signatures become blocks of code."""
    lines, ends, code, made = deque(text.splitlines()), [""], "", list[str]()
    while lines:
        line = lines.popleft()
        opened = None if code else _OPEN.fullmatch(line)
        if opened:
            made += _signature(opened, lines)
            ends.append(opened["fence"])
        elif not code and line and line == ends[-1]:
            ends.pop()
        elif code or not _LABEL.fullmatch(line):
            made.append(line)
            code = _within(code, line)
    return "\n".join(made).strip() + "\n"


def _within(code: str, line: str) -> str:
    """Return the fence of the block of code that goes on after a line, if one does."""
    if code:
        return "" if line.strip() == code else code
    fence = re.match(r"`{3,}", line)
    return fence[0] if fence else ""


def _signature(opened: re.Match[str], lines: deque[str]) -> list[str]:
    """Take the options of a directive from the lines that follow; return its signature as code, if it has one."""
    options = []
    while lines and _OPTION.fullmatch(lines[0]):
        options.append(lines.popleft())
    if not opened["name"].startswith("py:"):
        return []
    awaited = "async " if ":async:" in options else ""
    return ["```python", wrapped(awaited + opened["rest"]), "```"]


def wrapped(signature: str) -> str:
    """Return a long signature with a line for each parameter."""
    start, end = signature.find("("), signature.rfind(")" if ") -> " not in signature else ") -> ")
    if len(signature) <= _LONG or start < 0:
        return signature
    parts, depth = [""], 0
    for letter in signature[start + 1 : end]:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return "\n".join([signature[: start + 1], *(f"    {part.strip()}," for part in parts), signature[end:]])


def _pages(app: Sphinx) -> Iterator[tuple[str, str]]:
    """Yield each page with its Markdown, in the order of the table of contents."""
    ordered: dict[str, None] = {}

    def visit(page: str) -> None:
        ordered[page] = None
        for below in app.env.toctree_includes.get(page, ()):
            if below not in ordered:
                visit(below)

    visit(app.config.root_doc)
    for page in [*ordered, *sorted(app.env.found_docs - ordered.keys())]:
        text = Path(app.env.doc2path(page)).read_text(encoding="utf-8")
        yield page, plain(led_to(app.config.repository, text, page))


def sentences(text: str) -> list[str]:
    """Return the first sentence of each paragraph of a page, on one line: of text, not of code, lists and tables."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = (
        " ".join(_LINK.sub(r"\1", paragraph).split())
        for paragraph in re.split(r"\n\s*\n", prose)
        if not re.match(r"\s*(?:[#|<:>-]|$)", paragraph)
    )
    return [re.split(r"(?<=\.)\s+(?=[A-Z`])", line, maxsplit=1)[0] for line in lines]


def index(pages: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each page with the first sentence that no other page says too."""
    said = {page: sentences(text) for page, text in pages.items()}
    common = Counter(sentence for several in said.values() for sentence in set(several))
    for page, several in said.items():
        yield page, next((one for one in several if common[one] == 1), "")


def _write(app: Sphinx, failure: Exception | None) -> None:
    if failure is not None or app.builder.name != "html":
        return
    pages = dict(_pages(app))
    for page, text in pages.items():
        path = Path(app.outdir) / f"{page}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    listed = (
        f"- [{app.env.titles[page].astext()}]({page}.md)" + f": {said}" * bool(said) for page, said in index(pages)
    )
    parts = [f"# {app.config.project} {app.config.version}", f"> {app.config.site_description}", "\n".join(listed)]
    (Path(app.outdir) / "llms.txt").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _alternate(_app: Sphinx, page: str, _template: str, context: dict[str, Any], tree: object) -> None:
    """Tell of the Markdown in the head of the page."""
    if tree is not None:
        link = f'<link rel="alternate" type="text/markdown" href="{page.rpartition("/")[2]}.md">'
        context["metatags"] = context.get("metatags", "") + link


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to Sphinx."""
    app.add_config_value("site_description", "", "env", str)
    app.connect("build-finished", _write)
    app.connect("html-page-context", _alternate)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
