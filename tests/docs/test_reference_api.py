"""The reference tells of every public name, once, and of every command with its options."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path

import pytest
import reference
from reference import _cli, _markdown, _names, _signatures, _source

import meitner_aio
from meitner_aio.cli import app

_NAMED = re.compile(r"^:{3,}\{py:\w+\} (?P<name>[\w.]+).*\n(?P<options>(?::.*\n)*)", re.MULTILINE)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Give every page of the reference."""
    return reference.pages()


def told(text: str) -> list[str]:
    """Return what a page tells of, by the names to import from; not what another page is the home of."""
    found = []
    for one in _NAMED.finditer(text):
        module = re.search(r"^:module: (\S+)$", one["options"], re.MULTILINE)
        if module is not None and ":no-index:" not in one["options"]:
            found.append(f"{module[1]}.{one['name']}")
    return found


def test_every_public_name_is_told_once(pages):
    """Of each `__all__`: where the package exports it, as a name of the package, else of its module."""
    everything = Counter(name for text in pages.values() for name in told(text))
    for module in _names.modules():
        loaded = importlib.import_module(module)
        for name in getattr(loaded, "__all__", ()):
            value = getattr(loaded, name)
            ours = getattr(meitner_aio, name, None) is value
            assert name == "__version__" or any(
                everything[f"{place}.{name}"] for place in (["meitner_aio"] if ours else _names.modules())
            ), f"{module}.{name}"
    assert {name: count for name, count in everything.items() if count > 1} == {}


def test_every_public_module_has_a_page(pages):
    """What has no underscore, on the first floor of the package; what lies deeper is exported there or nobody's."""
    names = [path.stem for path in _source.Path(meitner_aio.__file__).parent.iterdir()]
    public = [name for name in names if not name.startswith("_") and name != "py"]
    assert set(_names.modules()) == {"meitner_aio", *(f"meitner_aio.{name}" for name in public)}
    assert [name for name in _names.modules() if f"api/{name}.md" not in pages] == []


def test_a_module_without_a_list_exports_what_it_defines():
    """Neither what it imports, nor what is private, nor type variables."""
    assert _names.exported("meitner_aio.plain") == ("to_dict", "to_json", "Mode")
    assert "T" not in _names.exported("meitner_aio.records")
    assert "OnEvent" in _names.exported("meitner_aio.events")


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("api/meitner_aio.client.md", "with_options(*, timeout: float | aiohttp.ClientTimeout | UnsetType = UNSET"),
        ("api/meitner_aio.client.md", "| `students` | `Students` | Personal data about students;"),
        ("api/meitner_aio.errors.md", "| `retry_budget_exhausted` |  | Whether the call was not tried again"),
        ("api/meitner_aio.errors.md", "| `request_id` | `str \\| None` |"),
        ("api/meitner_aio.errors.md", "| `status_code` | `int` |"),
        ("api/meitner_aio.errors.md", "```text\nMeitnerError                      message;"),
        (
            "api/meitner_aio.errors.md",
            ":::{py:exception} NotFoundError\n:module: meitner_aio\n\nBases: `APIStatusError`",
        ),
        ("api/meitner_aio.query.md", "{py:function} like.escape(text: str) -> str\n:module: meitner_aio\n"),
        ("api/meitner_aio.testing.md", "{py:function} meitner_clock\n:module: meitner_aio.testing\n"),
        ("api/meitner_aio.md", "{py:class} Listing\n"),  # users make none: its constructor is nobody's business
        ("api/meitner_aio.md", "{py:class} RetryPolicy("),
        ("api/meitner_aio.md", "| `level` | `Literal['unfinished', 'unverified',"),
        ("api/meitner_aio.sandbox.md", "order: Literal['created',"),
        ("api/meitner_aio.export.md", "format: Format | None = None"),
        ("api/meitner_aio.query.md", "| `created_by` | `createdBy` | uuid | `equals`, `one_of`, `null` |"),
        ("resources/students.md", "`GET /student/{id}`"),
        ("resources/student_placements.md", 'Keys: `"source_id"`, `("student_id", "school_id")`.'),
        (
            "resources/students.md",
            "{py:method} meitner.students.upsert(key, /, **fields) -> Upserted[Student]\n:async:",
        ),
    ],
)
def test_what_a_page_says(pages, file, wanted):
    """Signatures and docstrings as users write and read them."""
    assert wanted in pages[file]


def test_no_page_shows_how_things_are_made(pages):
    """No address in memory, no names of modules in types, no parameter of a type variable of an operation."""
    for file, text in pages.items():
        assert re.findall(r" at 0x[0-9a-f]+|<class '|typing\.|collections\.abc\.|~T\b", text) == [], file


@pytest.mark.parametrize("command", _cli.commands())
def test_every_option_of_a_command_is_told(pages, command, capsys):
    """Each that its `--help` shows, and the docstring."""
    app([command, "--help"], result_action="return_value", exit_on_error=False)
    shown = capsys.readouterr().out
    section = pages["cli.md"].partition(f"\n## meitner-aio {command}\n")[2].partition("\n## ")[0]
    options = set(re.findall(r"^│ (?:\*? *)(--[\w-]+)", shown, re.MULTILINE))
    assert options - set(re.findall(r"^\| `(--[\w-]+)", section, re.MULTILINE)) == {"--quiet", "--verbose"}
    assert {"--quiet", "--verbose"} <= set(
        re.findall(r"^\| `(--[\w-]+)", pages["cli.md"].partition("\n## meitner")[0], re.MULTILINE)
    )


def test_a_name_that_is_followed_to_its_source():
    """Through imports by name and by star, to the module that assigns it."""
    assert _source.origin("meitner_aio._exports", "RESOURCES") == "meitner_aio.resources"
    assert _source.origin("meitner_aio._exports", "like") == "meitner_aio.query"
    assert _source.origin("meitner_aio.declare", "UNSET") == "msgspec"


def test_signatures_name_what_is_required_first():
    """Positional parameters stay in their places; what each may be is written as in code."""

    def call(a: int, /, b: str = "x", *, c: bool = False, d: meitner_aio.Gender, **rest: object) -> list[T]: ...  # noqa: F821 - of a generic

    assert _signatures.of_call(call, "Student").text == (
        "(a: int, /, b: str = 'x', *, d: meitner_aio.Gender, c: bool = False, **rest: object) -> list[Student]"
    )


def test_markdown_means_what_it_says():
    """Text is escaped, a column that is empty is left out, a directive has more colons than what it holds."""
    assert _markdown.escaped("a_b *c* <d>") == r"a\_b \*c\* \<d\>"
    assert _markdown.table(("A", "B", "C"), [("1|2", "", "x\ny")]) == "| A | C |\n| --- | --- |\n| 1\\|2 | x y |"
    inner = _markdown.directive("py:method", "m()", "text", async_="")
    assert _markdown.directive("py:class", "C", inner).splitlines()[0] == "::::{py:class} C"
    assert _markdown.summary("One `x.y`: this.  That.\n\nMore.") == "One `x.y`: this."


def test_every_member_of_the_public_api_is_told(pages):
    """Each method, property and field that is written down as public, whatever has it."""
    whole = "\n".join(pages.values())
    calls = set(re.findall(r"\{py:(?:method|property)\} (?:[\w.]+\.)?(\w+)", whole))
    names = {part for name in re.findall(r"`([\w.]+)`", whole) for part in name.split(".")}
    written = (Path(__file__).parents[1] / "release" / "public_api.txt").read_text(encoding="utf-8")
    members = set(
        re.findall(
            r"^    (?:async |classmethod |staticmethod )?(?:def )?(?!_|async |def )([a-z]\w*)[(:]",
            written,
            re.MULTILINE,
        )
    )
    assert len(members) > 300
    assert sorted(members - calls - names) == []
