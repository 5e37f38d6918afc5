"""Tables of the pages name what there is, all of it and nothing else."""

from __future__ import annotations

import inspect
import re
import tomllib

from pages import PAGES, ROOT, page

from meitner_aio import errors
from meitner_aio.cli import Exit, app
from meitner_aio.export._run import FORMATS
from meitner_aio.sandbox import Sandbox

COMMANDS = [name for name in app if not name.startswith("-")]


def _section(name: str, heading: str) -> str:
    return re.split(r"^#+ ", page(name).partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def _first_cells(text: str) -> list[str]:
    """Return what stands in backticks in the first column of the tables of a text."""
    return [
        name for cell in re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", cell)
    ]


def test_every_error_is_in_the_tree() -> None:
    """Whoever meets one finds what it is."""
    named = set(re.findall(r"\w+", _section("errors.md", "The tree")))
    kinds = {
        name for name, one in vars(errors).items() if inspect.isclass(one) and issubclass(one, errors.MeitnerError)
    }
    assert kinds - named == set()


def test_every_exit_code_is_listed() -> None:
    """And no other."""
    listed = re.findall(r"^\| (\d+) \|", _section("shell.md", "Exit codes"), re.MULTILINE)
    assert sorted(map(int, listed)) == sorted(code.value for code in Exit)


def test_every_command_is_listed() -> None:
    """And no other."""
    listed = _first_cells(page("shell.md").partition("| command | does |")[2].partition("\n\n")[0])
    assert sorted(listed) == sorted(COMMANDS)


def test_every_extra_is_listed() -> None:
    """But those of developers."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    theirs = {"test", "test-engine", "lint", "audit", "release", "bench", "docs"}
    assert set(_first_cells(_section("start.md", "Install"))) == set(known) - theirs


def test_every_choice_of_a_sandbox_is_listed() -> None:
    """Those in which servers may differ; the table of its size is short."""
    listed = set(_first_cells(_section("testing.md", "As the server is, or otherwise"))) - {"Sandbox(...)"}
    assert listed <= set(inspect.signature(Sandbox).parameters)


def test_every_format_is_listed() -> None:
    """With its file."""
    listed = _first_cells(page("export.md").partition("| format | file |")[2].partition("\n\n")[0])
    assert {name for name in listed if "." not in name} == set(FORMATS)


def test_every_benchmark_is_there() -> None:
    """That a figure is said to come from, and each is told of."""
    named = set(re.findall(r"`(bench_\w+\.py)`", page("benchmarks.md")))
    assert named <= {path.name for path in (ROOT / "benchmarks").glob("bench_*.py")}


LOUDNESS = {"--help", "--quiet", "--verbose"}
"""Options of all commands."""


def test_every_option_that_a_sentence_names_exists() -> None:
    """Commands within a text are not run, but what is typed for them is there."""
    known = {
        name: {word for one in app[name].assemble_argument_collection() for word in one.names} for name in COMMANDS
    }
    seen = 0
    for name in PAGES:
        for command, rest in re.findall(r"`meitner-aio ([a-z-]+)([^`\n]*)`", page(name)):
            seen += 1
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest)) <= known[command] | LOUDNESS, (name, rest)
    assert seen > 20
