"""How the site is built: `.ci/docs`, or `sphinx-build docs OUT` with the extra `docs` installed."""

import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import meitner_aio  # noqa: E402 - of this tree

_project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "meitner-aio"
author = "the authors of meitner-aio"
copyright = f"{author}; {_project['license']}"  # noqa: A001 - Sphinx's name
version = release = meitner_aio.__version__
language = "en"

extensions = [
    "myst_parser",
    "written_reference",
    "repository_links",
    "linked_names",
    "markdown_beside",
    "self_contained",
]
if find_spec("pictures"):
    extensions.append("pictures")

exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
smartquotes = False  # `--option` is not a dash
repository = f"{_project['urls']['Source']}/blob/v{version}"
add_module_names = False
python_maximum_signature_line_length = 80
python_display_short_literal_types = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": False}
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"
site_description = _project["description"]
