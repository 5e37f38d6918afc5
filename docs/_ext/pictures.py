"""Sphinx extension: pictures in a light and a dark version, from what GitHub shows as well.

A fence of `mermaid` is drawn when the site is built, and a `<picture>` with a dark source becomes two images. Furo
shows one of the two (classes `only-light` and `only-dark`). Pages get images only: no script, nothing from elsewhere.

Charts are drawn by `mmdc` in Chromium, all that are new in one start of it, and kept in the build folder by the hash of
their source; after an update of `mmdc`, build anew. Where either is missing the build fails if `CI` is set, and the
page shows the source of the chart otherwise.
"""

from __future__ import annotations

import os
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

from charts import LOOK, THEMES, ChartError, MissingToolError, draw
from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment
    from sphinx.util.typing import ExtensionMetadata

_LOG = logging.getLogger(__name__)

_TITLE = re.compile(r"^\s*accTitle\s*:\s*(.+)$", re.MULTILINE)
_DESCRIPTION = re.compile(r"^\s*accDescr\s*(?::\s*(.+)$|\{([^}]*)\})", re.MULTILINE)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    app.add_transform(_Pictures)
    app.add_post_transform(_Charts)
    app.connect("doctree-read", _note_charts)
    app.connect("env-updated", _draw_charts)
    return {"version": LOOK, "parallel_read_safe": True, "parallel_write_safe": True}


def _charts(document: nodes.document) -> list[nodes.literal_block]:
    return [block for block in document.findall(nodes.literal_block) if block.get("language") == "mermaid"]


def _note_charts(app: Sphinx, document: nodes.document) -> None:
    """Keep the sources of a page, and warn of a chart that a screen reader could say nothing of."""
    if charts := _charts(document):
        app.env.metadata[app.env.current_document.docname]["charts"] = [chart.astext() for chart in charts]
    for chart in charts:
        if not _TITLE.search(chart.astext()):
            _LOG.warning("a mermaid chart without accTitle says nothing to a screen reader", location=chart)


def _draw_charts(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """Draw what is new, and return its pages. Raises `ExtensionError` for what cannot be drawn."""
    if app.builder.format != "html":
        return []
    folder = _folder(app)
    folder.mkdir(parents=True, exist_ok=True)
    pages = {source: page for page, known in env.metadata.items() for source in known.get("charts", ())}
    new = [source for source in pages if not _is_drawn(folder, source)]
    places = sorted({pages[source] for source in new})
    try:
        pictures = draw(new, folder) if new else {}
    except MissingToolError as error:
        if os.environ.get("CI"):
            raise ExtensionError(f"{error} (CI is set, so charts have to be drawn)") from error
        _LOG.info("%s; until then pages show the source of charts", error)
        return []
    except ChartError as error:
        raise ExtensionError(f"a chart in {', '.join(places)} cannot be drawn: {error}") from error
    for (source, theme), picture in pictures.items():
        _file(folder, source, theme).write_text(picture, encoding="utf-8")
    return places


def _folder(app: Sphinx) -> Path:
    return Path(app.doctreedir) / "charts"


def _file(folder: Path, source: str, theme: str) -> Path:
    return folder / f"chart-{sha256(f'{LOOK} {source}'.encode()).hexdigest()[:16]}-{theme}.svg"


def _is_drawn(folder: Path, source: str) -> bool:
    return all(_file(folder, source, theme).exists() for theme in THEMES)


class _Charts(SphinxPostTransform):
    """Puts two images where a chart was; where none was drawn, its source stays."""

    default_priority = 5

    def run(self, **_: object) -> None:
        """Replace the charts of a page."""
        folder = _folder(self.app)
        for chart in _charts(self.document):
            if self.app.builder.format == "html" and _is_drawn(folder, chart.astext()):
                chart.replace_self([self._image(folder, chart.astext(), theme) for theme in THEMES])
            else:
                chart["language"] = "text"
                note = "This chart was not drawn. Its source, as mermaid reads it:"
                chart.parent.insert(chart.parent.index(chart), nodes.paragraph("", note))

    def _image(self, folder: Path, source: str, theme: str) -> nodes.image:
        file = str(_file(folder, source, theme))
        self.env.images.add_file(self.env.current_document.docname, file)
        return _image(file, theme, alt=_alternative(source), candidates={"*": file})


def _image(uri: str, theme: str, **attributes: object) -> nodes.image:
    return nodes.image("", uri=uri, classes=[f"only-{theme}", "align-center"], **attributes)


def _alternative(source: str) -> str:
    """Return what a screen reader says of a chart."""
    title, described = _TITLE.search(source), _DESCRIPTION.search(source)
    said = [title[1] if title else "Chart", (described[1] or described[2]) if described else ""]
    return ": ".join(" ".join(part.split()) for part in said if part)


class _Pictures(SphinxTransform):
    """Makes two images of `<picture><source media="(prefers-color-scheme: dark)" srcset="..."><img ...></picture>`.

    Paths are those of the page, or those of the repository in a README that a page includes.
    """

    default_priority = 200

    def apply(self, **_: object) -> None:
        """Replace the pictures of a page, before Sphinx collects images."""
        for raw in list(self.document.findall(nodes.raw)):
            if "<picture" not in raw.astext():
                continue
            picture = _Picture(raw.astext())
            paths = {"light": picture.light, "dark": picture.dark}
            raw.replace_self(
                [_image(self._found(path), theme, alt=picture.alternative) for theme, path in paths.items()]
            )

    def _found(self, path: str) -> str:
        page = Path(self.env.doc2path(self.env.current_document.docname)).parent
        if (page / path).exists():
            return path
        return Path(os.path.relpath(Path(self.env.srcdir).parent / path, page)).as_posix()


class _Picture(HTMLParser):
    """What a `<picture>` says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.light = self.dark = self.alternative = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Read a tag."""
        said = {name: value or "" for name, value in attrs}
        if tag == "source" and "dark" in said.get("media", ""):
            self.dark = said["srcset"]
        elif tag == "img":
            self.light, self.alternative = said["src"], said["alt"]
