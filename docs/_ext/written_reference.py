"""Write the reference before Sphinx looks for pages: into `reference/`, which is not under version control."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reference import pages

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata


def write(folder: Path) -> None:
    """Write the pages that changed into a folder, and remove those that are no more."""
    made = pages()
    for file, text in made.items():
        path = folder / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in folder.rglob("*.md"):
        if path.relative_to(folder).as_posix() not in made:
            path.unlink()


def _write(app: Sphinx) -> None:
    write(Path(app.srcdir) / "reference")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to Sphinx."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
