"""Warn of a page that makes a browser ask another server for anything: who reads here is nobody else's business."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_FETCHED = {"src", "srcset", "poster", "data", "background", "action", "formaction"}
"""Attributes whose addresses a browser fetches, or sends to, whatever has them."""
_LINKS = {"link", "use", "image"}
"""Elements whose `href` is fetched. That of an `a` is not, until someone follows it."""
_ABROAD = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_IN_STYLES = re.compile(r"""(?:url\(\s*|@import\s+)["']?(?P<address>[^"')\s]+)""", re.IGNORECASE)
_ABOUT = {"canonical", "license", "author", "help"}
"""What a `link` says of a page, and no browser fetches."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what an element fetches."""
        given = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        about = set(given.get("rel", "").split()) <= _ABOUT and "rel" in given
        for name, value in given.items():
            fetched = name in _FETCHED or (name in ("href", "xlink:href") and tag in _LINKS and not about)
            places = value.split(",") if name == "srcset" else [value]
            self.found += [place.strip() for place in places if fetched and _ABROAD.match(place)]
            if name == "style":
                self.found += in_styles(value)

    def handle_data(self, data: str) -> None:
        """Collect what a style fetches."""
        if self._in_style:
            self.found += in_styles(data)


def in_styles(text: str) -> list[str]:
    """Return the addresses of other servers that a style sheet fetches."""
    return [found["address"] for found in _IN_STYLES.finditer(text) if _ABROAD.match(found["address"])]


def foreign(path: Path) -> list[str]:
    """Return the addresses of other servers that a browser asks when it shows a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".css":
        return in_styles(text)
    page = _Page()
    page.feed(text)
    page.close()
    return page.found


def found_in(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every such address below a folder, with the file that has it."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".css", ".svg"):
            for address in foreign(path):
                yield path.relative_to(folder).as_posix(), address


def _check(app: Sphinx, failure: Exception | None) -> None:
    if failure is None and app.builder.format == "html":
        for file, address in found_in(Path(app.outdir)):
            logging.getLogger(__name__).warning("%s asks another server: %s", file, address)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to Sphinx."""
    app.connect("build-finished", _check, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
