"""The site: what its extensions do to a page, and that no page makes a browser ask another server."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import reference
from linked_names import Names
from markdown_beside import index, plain, wrapped
from repository_links import led_to
from self_contained import found_in
from sphinx.application import Sphinx
from written_reference import write

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXTENSIONS = ["myst_parser", "repository_links", "linked_names", "markdown_beside", "self_contained"]


@pytest.fixture
def build(tmp_path):
    """Give a function that builds a site of some pages; it returns the folder, and the warnings."""

    def built(**pages: str) -> tuple[Path, str]:
        source = tmp_path / "docs"
        source.mkdir()
        for name, text in pages.items():
            (source / f"{name}.md").write_text(text, encoding="utf-8")
        (tmp_path / "beside.md").write_text("# Beside\n", encoding="utf-8")
        settings = {
            "extensions": EXTENSIONS,
            "html_theme": "furo",
            "repository": "https://example.org/blob/v1",
            "site_description": "What it is.",
            "project": "a-site",
            "version": "1",
            "myst_enable_extensions": ["colon_fence"],
        }
        with (tmp_path / "warnings").open("w+", encoding="utf-8") as warnings:
            app = Sphinx(source, None, tmp_path / "out", tmp_path / "trees", "html", settings, None, warnings)
            app.build()
            warnings.seek(0)
            return tmp_path / "out", warnings.read()

    return built


def test_a_site_is_built_with_its_markdown_and_its_links(build):
    """Markdown beside each page, `llms.txt` with a line a page, links to names and to the repository."""
    out, warnings = build(
        index="# A site\n\nWhat it tells.\n\n```{toctree}\n:hidden:\n\nmore\n```\n",
        more="# More\n\nAll about `Listing`.\n\n[Beside](../beside.md#a)\n\n:::{py:class} Listing(a: int)\n:module: meitner_aio\n\nRows.\n:::\n",
    )
    assert warnings == ""
    html = (out / "more.html").read_text(encoding="utf-8")
    assert 'href="#meitner_aio.Listing"><code' in html
    assert 'href="https://example.org/blob/v1/beside.md#a"' in html
    assert '<link rel="alternate" type="text/markdown" href="more.md">' in html
    assert (out / "more.md").read_text(encoding="utf-8") == (
        "# More\n\nAll about `Listing`.\n\n[Beside](https://example.org/blob/v1/beside.md#a)\n\n```python\nListing(a: int)\n```\n\nRows.\n"
    )
    assert (out / "llms.txt").read_text(encoding="utf-8") == (
        "# a-site 1\n\n> What it is.\n\n- [A site](index.md): What it tells.\n- [More](more.md): All about `Listing`.\n"
    )
    assert list(found_in(out)) == []


def test_a_page_that_asks_another_server_is_a_warning(build):
    """So that the build fails."""
    _, warnings = build(index='# A site\n\n<img src="https://example.org/a.png">\n\n[A link](https://example.org)\n')
    assert warnings.count("asks another server") == 1
    assert "index.html asks another server: https://example.org/a.png" in warnings


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.html", '<script src="https://example.org/a.js"></script>', ["https://example.org/a.js"]),
        ("a.html", '<link rel="stylesheet" href="//example.org/a.css">', ["//example.org/a.css"]),
        ("a.html", '<link rel="preconnect" href="https://example.org">', ["https://example.org"]),
        ("a.html", '<source srcset="a.png, https://example.org/b.png 2x">', ["https://example.org/b.png 2x"]),
        ("a.html", '<p style="background: url(http://example.org/a)">', ["http://example.org/a"]),
        ("a.html", "<style>@import 'https://example.org/a.css';</style>", ["https://example.org/a.css"]),
        ("a.html", '<form action="https://example.org">', ["https://example.org"]),
        ("a.svg", '<svg><image href="https://example.org/a"/></svg>', ["https://example.org/a"]),
        ("a.css", '@font-face { src: url("https://example.org/a.woff2") }', ["https://example.org/a.woff2"]),
        ("a.html", '<a href="https://example.org">there</a>', []),
        ("a.html", '<link rel="canonical" href="https://example.org">', []),
        ("a.html", '<img src="data:image/png;base64,AA//"><script src="_static/a.js?v=1"></script>', []),
        ("a.html", "<pre>@import 'https://example.org/a.css'</pre>", []),
        ("a.css", "/* https://example.org */ a { background: url(a.png) }", []),
    ],
)
def test_what_asks_another_server(tmp_path, name, text, found):
    """What a browser fetches by itself; a link is followed by people."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert [address for _, address in found_in(tmp_path)] == found


def test_no_page_has_a_name_of_sphinx():
    """Sphinx makes pages of its own with these names, over ours."""
    assert [name for name in ("search", "genindex", "py-modindex") if (DOCS / f"{name}.md").exists()] == []


def test_every_page_is_in_the_contents():
    """And none that is not there: each page that people write, and the reference."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = [
        line
        for tree in re.findall(r"^```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)^```$", index, re.MULTILINE | re.DOTALL)
        for line in tree.split()
    ]
    assert len(listed) == len(set(listed))
    assert set(listed) == {"reference/index"} | {path.stem for path in DOCS.glob("*.md")} - {"index"}


def test_links_to_other_sites_are_addresses():
    """Https, with a host; whether somebody answers there, no test can know."""
    pages = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")} | reference.pages()
    for name, text in pages.items():
        for address in re.findall(
            r"\]\(([a-z]+:[^)\s]*)\)", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        ):
            parts = urlsplit(address)
            assert (parts.scheme, "." in (parts.hostname or "")) == ("https", True), f"{name}: {address}"


def test_the_reference_is_written_as_it_is_now(tmp_path, monkeypatch):
    """What did not change stays untouched, so that Sphinx does not read it again; what is no more goes."""
    monkeypatch.setattr("written_reference.pages", lambda: {"index.md": "# A\n", "api/b.md": "# B\n"})
    (tmp_path / "gone.md").write_text("# Gone\n", encoding="utf-8")
    write(tmp_path)
    before = (tmp_path / "index.md").stat().st_mtime_ns
    write(tmp_path)
    assert (tmp_path / "index.md").stat().st_mtime_ns == before
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.md")) == ["api/b.md", "index.md"]


def test_markdown_has_nothing_that_only_myst_reads():
    """Directives of signatures are code, other directives and labels go, and code is left as it is."""
    text = (
        "(a-label)=\n# T\n\n::::{py:class} C\n:module: m\n\nSays.\n\n:::{py:method} f(x: int) -> int\n:async:\n\nF.\n\n"
        "```text\n:::{py:class} left\n:::\n(as-it-is)=\n```\n:::\n::::\n\nThe end.\n"
    )
    assert plain(text) == (
        "# T\n\n```python\nC\n```\n\nSays.\n\n```python\nasync f(x: int) -> int\n```\n\nF.\n\n"
        "```text\n:::{py:class} left\n:::\n(as-it-is)=\n```\n\nThe end.\n"
    )


def test_the_reference_is_plain_markdown_too():
    """No page of it keeps a directive, and every block of code is closed."""
    for file, text in reference.pages().items():
        made = plain(text)
        assert re.findall(r"^:{3,}|^`{3,}\{|^:\w+:", made, re.MULTILINE) == [], file
        assert len(re.findall(r"^```", made, re.MULTILINE)) % 2 == 0, file


def test_a_long_signature_has_a_line_a_parameter():
    """Commas inside brackets part nothing."""
    long = f"call(a: dict[str, int], b: tuple[int, str] = (1, 'x'), {'c' * 80}: int) -> list[int]"
    assert wrapped(long).splitlines() == [
        "call(",
        "    a: dict[str, int],",
        "    b: tuple[int, str] = (1, 'x'),",
        f"    {'c' * 80}: int,",
        ") -> list[int]",
    ]
    assert wrapped("call(a: int) -> int") == "call(a: int) -> int"


def test_a_page_is_summed_up_by_what_it_alone_says():
    """The first sentence of its text; not code with its empty lines, a list, a table, or what every page begins with."""
    first = "# T\n\nSnippets run.\n\n```python\nx\n\nAnd y.\n```\n\n- a\n\n`Says`\n[this](a.md). That.\n\nMore."
    pages = {"a": first, "b": "# B\n\nSnippets run.\n\n| A |\n| - |\n\nOther.", "c": "# C"}
    assert dict(index(pages)) == {"a": "`Says` this.", "b": "Other.", "c": ""}


@pytest.mark.parametrize(
    ("text", "page", "found"),
    [
        ("Listing", "read", "meitner_aio.Listing"),
        ("await meitner.students.list()", "read", "meitner.students.list"),
        ("export.Report", "read", "meitner_aio.export.Report"),
        ("tuple[Report, ...]", "read", "meitner_aio.export.Report"),
        ("Listing | None", "read", "meitner_aio.Listing"),
        ("Upserted", "read", "meitner_aio.Upserted"),
        ("Upserted", "changes-page", "meitner_aio.changes.Upserted"),
        ("Count", "read", None),  # two modules have one
        ("plan", "read", None),  # a word
        ("plan", "reconcile-page", "meitner_aio.reconcile.plan"),
        ("kind", "reconcile-page", None),  # an attribute there, and a word
        ("x = Listing", "read", None),
        ("Unknown", "read", None),
    ],
)
def test_code_that_is_a_name_leads_to_it(text, page, found):
    """What the page tells of, what the package exports, or the only one of that name."""
    known = {
        "meitner_aio.Listing": ("api", "class"),
        "meitner_aio.Upserted": ("api", "class"),
        "meitner_aio.changes.Upserted": ("changes-page", "class"),
        "meitner_aio.changes.Count": ("changes-page", "class"),
        "meitner_aio.mirror.Count": ("mirror-page", "class"),
        "meitner_aio.export.Report": ("export-page", "class"),
        "meitner_aio.reconcile.plan": ("reconcile-page", "function"),
        "meitner_aio.reconcile.Held.kind": ("reconcile-page", "property"),
        "meitner.students.list": ("students", "method"),
    }
    objects = {
        name: SimpleNamespace(docname=where, node_id=name, objtype=kind, aliased=False)
        for name, (where, kind) in known.items()
    }
    target = Names(SimpleNamespace(objects=objects)).find(text, page, words=False)
    assert (target and target.anchor) == found


def test_links_out_of_the_documents_lead_to_the_repository():
    """From a page of any depth; links among the pages stay."""
    repository = "https://example.org/blob/v1"
    assert (
        led_to(repository, "[a](../SECURITY.md) [b](read.md)", "privacy")
        == f"[a]({repository}/SECURITY.md) [b](read.md)"
    )
    assert (
        led_to(repository, "[a](../index.md) [b](../../a.md)", "reference/cli")
        == f"[a](../index.md) [b]({repository}/a.md)"
    )
