"""Links of pages to files outside of `docs/` lead to the repository, as they do where the pages are read there."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_LINK = re.compile(r"(?<=\]\()(?P<path>(?:\.\./)[^)\s#]+)(?P<anchor>#[^)\s]+)?(?=\))")


def led_to(repository: str, text: str, page: str) -> str:
    """Return the text of a page with links out of `docs/` replaced."""

    def replaced(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), found["path"]))
        return found[0] if path.startswith("docs/") else f"{repository}/{path}{found['anchor'] or ''}"

    return _LINK.sub(replaced, text)


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = led_to(app.config.repository, source[0], page)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to Sphinx."""
    app.add_config_value("repository", "", "env", str)
    app.connect("source-read", _read)
    for language in ("csv", "crontab"):  # of which Pygments knows nothing
        app.add_lexer(language, TextLexer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
