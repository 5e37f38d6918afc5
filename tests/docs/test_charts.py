"""Charts and pictures of the documents: fences of mermaid become images of the site, light and dark."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from charts import ChartError, checked
from forked import Ended, forks
from lacking import lacking

ROOT = Path(__file__).parents[2]

CONF = f"""
import sys
sys.path.insert(0, {str(ROOT / "docs" / "_ext")!r})
extensions = ["myst_parser", "pictures"]
html_theme = "basic"
project = "trial"
"""
CHART = """
```mermaid
flowchart TB
  accTitle: A way
  accDescr {{
    First one,
    then <{other}>.
  }}
  one --> {other}
```
"""
FAKE = f"""#!{sys.executable}
import re, sys
from pathlib import Path
charts = re.findall("```mermaid(.*?)```", Path("charts.md").read_text(), re.DOTALL)
with Path(__file__).with_name("starts").open("a") as starts:
    starts.write(f"{{len(charts)}} ")
for number, chart in enumerate(charts, 1):
    if "garbled" in chart:
        sys.exit("Parse error on line 2")
    Path(f"drawn-{{number}}.svg").write_text('<svg width="100%" viewBox="0 0 40.4 90.6"></svg>')
"""


class Built(NamedTuple):
    """What a build of the site said, and made."""

    code: int
    said: str
    pages: dict[str, str]
    folder: Path

    def images(self, page: str = "index") -> list[dict[str, str]]:
        """Return the attributes of the images of a page."""
        tags = re.findall(r"<img [^>]*>", self.pages[page])
        return [dict(re.findall(r'(\S+)="([^"]*)"', tag)) for tag in tags]


Site = Callable[..., Built]


@pytest.fixture(scope="module")
def builder() -> Iterator[Callable[..., Ended]]:
    """Give what builds a site."""
    for name in ("sphinx", "myst_parser"):
        if find_spec(name) is None:
            lacking(f"{name} is not installed")
    with forks(str(ROOT / "tests" / "support" / "site_builds.py")) as build:
        yield build


@pytest.fixture
def site(builder: Callable[..., Ended], tmp_path: Path) -> Site:
    """Give `site(tools, index=..., other=...)`: builds pages, with programs that draw from the folder `tools`, if any."""
    docs, built = tmp_path / "docs", tmp_path / "built"
    docs.mkdir()
    (docs / "conf.py").write_text(CONF)

    def build(tools: object = tmp_path, *, ci: bool = True, **pages: str) -> Built:
        for name, text in pages.items():
            (docs / f"{name}.md").write_text(f"---\norphan: true\n---\n# {name}\n{text}\n")
        variables = {"PATH": str(tools), "HOME": str(tmp_path)} | ({"CI": "true"} if ci else {})
        code, said = builder(docs, built, variables).told
        made = {file.stem: file.read_text() for file in built.glob("*.html")}
        return Built(code, said, made, built)

    return build


@pytest.fixture
def fakes(tmp_path: Path) -> Path:
    """Give a folder with an `mmdc` that draws empty pictures and notes how often it started, and a browser for it."""
    folder = tmp_path / "fakes"
    folder.mkdir()
    for name in ("mmdc", "chromium"):
        (folder / name).write_text(FAKE)
        (folder / name).chmod(stat.S_IRWXU)
    return folder


def test_a_chart_is_two_images_that_need_nothing_else(site: Site) -> None:
    """Drawn by the real programs: an SVG of its own size for each theme, whose text is text; no script, no request."""
    if not (shutil.which("mmdc") and shutil.which("chromium")):
        lacking("mmdc (npm: @mermaid-js/mermaid-cli) or chromium is not installed")
    built = site(os.environ["PATH"], index=CHART.format(other="two"))
    assert built.code == 0, built.said
    light, dark = built.images()
    assert (light["class"], dark["class"]) == ("only-light align-center", "only-dark align-center")
    assert light["alt"] == dark["alt"] == "A way: First one, then &lt;two&gt;."
    assert "mermaid" not in built.pages["index"]
    colours = set()
    for image in (light, dark):
        text = (built.folder / image["src"]).read_text()
        assert re.search(r"<title[^>]*>A way</title>", text)
        assert int(re.search(r'^<svg [^>]* width="(\d+)"', text)[1]) < 400
        assert {"one", "two"} <= {re.sub("<.*?>", "", label) for label in re.findall("<text.*?</text>", text)}
        assert not re.search(r"<script|@import|foreignObject|https?://(?!www\.w3\.org)", text)
        colours.add(re.search(r"\.node rect[^}]*fill:(#\w+)", text)[1])
    assert len(colours) == 2


def test_all_that_is_new_is_drawn_in_one_start(site: Site, fakes: Path) -> None:
    """Charts of all pages in both themes; what was drawn before is not drawn again, nor is the program needed for it."""
    first, second = CHART.format(other="two"), CHART.format(other="three")
    assert site(fakes, index=first + second, other=first).code == 0
    assert (fakes / "starts").read_text() == "4 "
    assert site(fakes, other=first + CHART.format(other="four")).code == 0
    assert (fakes / "starts").read_text() == "4 2 "
    built = site()
    assert built.code == 0, built.said
    assert [len(built.images(page)) for page in ("index", "other")] == [4, 4]
    assert all((built.folder / image["src"]).exists() for image in built.images())


@pytest.mark.parametrize("lacks", ["mmdc", "chromium"])
def test_ci_fails_where_a_program_is_missing(site: Site, fakes: Path, lacks: str) -> None:
    """The sentence says what to install."""
    (fakes / lacks).unlink()
    built = site(fakes, index=CHART.format(other="two"))
    assert built.code != 0
    wanted = {"mmdc": "npm install --global @mermaid-js/mermaid-cli", "chromium": "apt-get install chromium"}
    assert wanted[lacks] in built.said


def test_elsewhere_a_page_shows_the_source(site: Site) -> None:
    """Who writes prose needs no browser, and is told what is lacking; there is no warning."""
    built = site(index=CHART.format(other="two"), ci=False)
    assert built.code == 0, built.said
    assert "mmdc, which is not installed" in built.said
    assert built.images() == []
    assert "This chart was not drawn" in built.pages["index"]
    assert "one --&gt; two" in built.pages["index"]


def test_a_chart_that_mermaid_cannot_read_is_named(site: Site, fakes: Path) -> None:
    """The build fails with the page and what mermaid said."""
    built = site(fakes, index="", other=CHART.format(other="garbled"))
    assert built.code != 0
    assert "a chart in other cannot be drawn" in built.said
    assert "Parse error on line 2" in built.said


def test_a_chart_without_words_is_a_warning(site: Site, fakes: Path) -> None:
    """A screen reader would say nothing of it."""
    built = site(fakes, index="```mermaid\nflowchart TB\n  one --> two\n```\n")
    assert built.code == 1
    assert re.search(r"index\.md.*: WARNING: a mermaid chart without accTitle", built.said)


def test_a_picture_with_a_dark_source_is_two_images(site: Site, tmp_path: Path) -> None:
    """GitHub's way of saying it, with paths of the page or of the repository, is the site's."""
    for name in (
        "docs/figures/near-light.svg",
        "docs/figures/near-dark.svg",
        "drawn/far-light.svg",
        "drawn/far-dark.svg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    picture = """
<picture>
  <source media="(prefers-color-scheme: dark)" srcset="{0}-dark.svg">
  <img alt="What it &quot;is&quot;" src="{0}-light.svg">
</picture>
"""
    built = site(index=picture.format("figures/near") + picture.format("drawn/far"))
    assert built.code == 0, built.said
    assert [(image["class"].split()[0], Path(image["src"]).name) for image in built.images()] == [
        ("only-light", "near-light.svg"),
        ("only-dark", "near-dark.svg"),
        ("only-light", "far-light.svg"),
        ("only-dark", "far-dark.svg"),
    ]
    assert {image["alt"] for image in built.images()} == {"What it &quot;is&quot;"}
    assert all((built.folder / image["src"]).exists() for image in built.images())


@pytest.mark.parametrize(
    "part",
    [
        "<style>@import url('https://fonts.example/a.css')</style>",
        "<script>1</script>",
        '<image href="https://example.com/a.png"/>',
        '<a xlink:href="https://example.com"/>',
        '<path style="fill:url(https://example.com/a)"/>',
    ],
)
def test_no_picture_asks_for_anything(part: str) -> None:
    """Whatever a later mermaid writes: a page that is read leaves no trace elsewhere."""
    plain = '<svg width="100%" viewBox="0 -8 40.4 90.6"><path marker-end="url(#arrow)"/>{}</svg>'
    assert checked(plain.format("")).startswith('<svg width="40" height="91" ')
    with pytest.raises(ChartError, match="asks for something"):
        checked(plain.format(part))


def test_every_chart_says_what_it_shows() -> None:
    """Whoever cannot see it reads a title and a description, on GitHub too."""
    pages = "\n".join(file.read_text() for folder in (ROOT, ROOT / "docs") for file in folder.glob("*.md"))
    charts = re.findall(r"^```mermaid\n(.*?)^```", pages, re.MULTILINE | re.DOTALL)
    assert len(charts) >= 4
    assert [chart for chart in charts if "accTitle: " not in chart or "accDescr" not in chart] == []
