"""Every link of the documents that leads to a file or a heading of the repository leads somewhere."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from pages import PAGES, ROOT, blocks, page

DOCUMENTS = (
    *(Path(name) if name == "README.md" else Path("docs", name) for name in PAGES),
    *map(Path, ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
)
GENERATED = "reference/"
"""Pages that are there only where the site is built, which follows links to them itself."""
_FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """Return the anchor of a heading: lower case, blanks as dashes, marks left out, as GitHub and MyST make it."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the anchors of a document; a second heading of the same words has a number."""
    seen: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.*)$", _FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE):
        name = anchor(heading)
        seen[name] = seen.get(name, -1) + 1
    return frozenset(
        name if number == 0 else f"{name}-{number}" for name, last in seen.items() for number in range(last + 1)
    )


def lost(source: Path, text: str) -> list[str]:
    """Return the links of a text in a document that lead nowhere."""
    found = []
    for target in re.findall(r"\]\(((?!https?://)[^)\s]+)\)", re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))):
        name, _, heading = target.partition("#")
        if name.startswith(GENERATED):
            continue
        path = (ROOT / source).parent / name if name else ROOT / source
        if not path.exists() or (heading and heading not in anchors(path)):
            found.append(target)
    return found


def test_every_link_leads_somewhere() -> None:
    """To a file that is there, and where it names a heading, to that one."""
    assert [
        (str(source), one) for source in DOCUMENTS for one in lost(source, (ROOT / source).read_text("utf-8"))
    ] == []


def test_a_link_that_leads_nowhere_is_seen() -> None:
    """A page that is not there, a heading that was renamed, beside ones that are there and a block of code."""
    text = (
        "[a](gone.md) [b](read.md#gone) [c](#gone) [d](read.md) [e](shell.md#exit-codes)\n```python\nx[0](gone)\n```\n"
    )
    assert lost(Path("docs", "start.md"), text) == ["gone.md", "read.md#gone", "#gone"]
    assert anchor("Who took what: `exports.log`") == "who-took-what-exportslog"


def _named(name: str) -> list[str]:
    """Return the pages that a page links to, or that its directives list."""
    listed = [f"{line}.md" for one in blocks(name) if one.language == "{toctree}" for line in one.text.splitlines()]
    linked = [target.rpartition("/")[2] for target in re.findall(r"\]\(((?:docs/)?[\w-]+\.md)", page(name))]
    return [target for target in listed + linked if target in PAGES]


def test_every_page_is_reached() -> None:
    """From the README or the first page of the site: one that nothing leads to is read by nobody."""
    wanted, seen = [name for name in ("README.md", "index.md") if name in PAGES], set()
    while wanted:
        name = wanted.pop()
        if name not in seen:
            seen.add(name)
            wanted += _named(name)
    assert set(PAGES) - seen == set()


def test_decisions_name_modules_that_exist() -> None:
    """Where a decision acts is where the code is now."""
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", page("decisions.md"))) - {"meitner_aio/"}
    assert len(named) > 20
    assert [name for name in named if not (ROOT / "meitner_aio" / name).exists()] == []
