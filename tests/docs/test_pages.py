"""The README and the pages of the documentation keep their word: every block is run, or read by what it is for."""

from __future__ import annotations

import ast
import asyncio
import configparser
import csv
import inspect
import json
import os
import re
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import PAGES, ROOT, blocks, commands, compiled, examples, page, write_files

from meitner_aio import Meitner
from meitner_aio.cli import app
from meitner_aio.sandbox import Sandbox

ELSEWHERE = {
    "changes.md": "changes/test_changes_docs.py",
    "credentials.md": "profiles/test_credentials_docs.py",
    "data-export.md": "resources/test_data_export_docs.py",
    "distributed.md": "distributed/test_distributed_docs.py",
    "mirror.md": "mirror/test_mirror_docs.py",
    "notebooks.md": "test_notebook.py",
    "object-stores.md": "export/test_object_store_docs.py",
    "offline.md": "outbox/test_offline_docs.py",
    "plans.md": "reconcile/planning/test_plan_docs.py",
    "recipes.md": "export/test_tables_docs.py",
    "reconcile.md": "reconcile/test_reconcile_docs.py",
    "shared-quota.md": "quota/test_quota_docs.py",
    "tenants.md": "tenants/test_tenants_docs.py",
    "warehouse.md": "warehouse/test_dlt_docs.py",
}
"""Pages whose Python needs a world of its own, or whose outcome is looked at, and the test that runs all of it."""

HERE = [name for name in PAGES if name not in ELSEWHERE and examples(name)]

FILES = {
    "schools.py": "release/test_distribution.py",
    "service.py": "test_recipes.py",
    "test_service.py": "test_recipes.py",
    "tracing.py": "test_recipes.py",
}
"""Blocks of Python that are files, and the test that runs them."""

_REDIS = "redis://localhost:6379"
_SOMEBODY = "20150315-1234"


@pytest.fixture(scope="module")
def directory() -> Iterator[str]:
    """Serve one sandbox for all pages, from a loop of its own."""
    loop, sandbox = asyncio.new_event_loop(), Sandbox(students=60)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def reader(directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a reader a folder, and credentials in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", "an-id")
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", "a-secret")
    monkeypatch.setenv("MEITNER_BASE_URL", directory)


# Python


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("name", HERE)
def test_the_examples_of_a_page_run(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """One after the other, beside the files of the page; `meitner` is an open client.

    What stands behind a `print` and does not begin as a sentence here does (in lower case) is printed, `...` being
    anything. Nobody is shown by accident.
    """
    write_files(name, tmp_path)
    names: dict[str, Any] = {"__name__": "docs"}
    with asyncio.Runner() as runner:
        meitner = Meitner()
        for example in examples(name):
            redis = request.getfixturevalue("redis_server").url if _REDIS in example else ""
            names["meitner"] = meitner
            code = compiled(example.replace(_REDIS, redis))
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(eval(code, names))
            else:
                exec(code, names)
        runner.run(meitner.close())
    out = capsys.readouterr().out
    assert _SOMEBODY not in out
    for example in examples(name):
        for said in re.findall(r"^ *print\(.*\)  # ([A-Z<\d].*)$", example, re.MULTILINE):
            assert re.search(".*".join(map(re.escape, said.split("..."))), out), said


def test_no_example_is_left_out() -> None:
    """A page's Python runs above or in a test that takes the examples of that page; a file is run where it is named."""
    wanted = [(FILES[one.title], one.title) for name in PAGES for one in blocks(name, "python") if one.title]
    wanted += [(ELSEWHERE[name], f'examples("{name}")') for name in PAGES if examples(name) and name not in HERE]
    for test, said in wanted:
        assert said in (ROOT / "tests" / test).read_text(encoding="utf-8")


def _takes_a_client(example: str) -> bool:
    tree = ast.parse(example)  # what awaits at its top is a tree all the same
    uses = {type(one.ctx) for one in ast.walk(tree) if isinstance(one, ast.Name) and one.id == "meitner"}
    return uses == {ast.Load}


def test_a_page_says_where_its_examples_run() -> None:
    """That `meitner` is an open client, wherever an example makes none; in a notebook an earlier cell has made it."""
    said = "inside `async with Meitner() as meitner:`"
    pages = set(PAGES) - {"notebooks.md"}
    taking = {name for name in pages if any(map(_takes_a_client, examples(name)))}
    assert [name for name in sorted(taking) if said not in " ".join(page(name).split())] == []
    assert len(taking) > 12


def test_a_test_elsewhere_is_of_a_page() -> None:
    """Whose examples are there: one that was renamed would be run by nobody."""
    assert [name for name in ELSEWHERE if not examples(name)] == []
    assert len(HERE) >= 12


# Commands

ENDLESS = {"--every": "runs until it is told to end", "--port": "likewise"}
ASKING = {"login": "asks, see profiles/test_login.py", "logout": "needs a profile"}
PLACES = {
    "--profile": "needs profiles, see tests/cli",
    "--all-profiles": "likewise",
    "/": "is outside of the reader's folder",
    "s3://": "needs a store, see export/test_object_store_docs.py",
    "--probe": "takes its time, see cli/test_cli_doctor.py",
    "--install": "writes into the settings of a shell",
    "--pseudonymise": "needs a key, see export/test_export_pseudonyms.py",
    "reconcile": "needs its files, see reconcile/test_reconcile_docs.py",
    "retire-placements": "needs records with a source of their own, see cli/test_cli_reconcile.py",
}
UNFINISHED = ENDLESS | ASKING | PLACES
"""What is only parsed, and why."""
TERMINAL = {"list": "see cli/test_cli_listing.py"}
"""What shows something else on a terminal."""


def _finishes(words: tuple[str, ...]) -> bool:
    return not any(word.startswith(mark) for word in words for mark in UNFINISHED)


def _small(words: tuple[str, ...]) -> list[str]:
    """Return the words with a smaller sandbox."""
    large = [place + 1 for place, word in enumerate(words) if word == "--students"]
    return ["20" if place in large else word for place, word in enumerate(words)]


def _plain(line: str) -> str:
    """Return a line without what differs from run to run: numbers, ids, times, zones and the blanks between."""
    line = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", line)
    line = re.sub(r"\b(under )?\d+ m?s\b", "TIME", line)
    return " ".join(re.sub(r"\d[\d,.:-]*( [0-9:]{5,8})?( [A-Z]{3,5}\b| [+-]\d+)?", "N", line).split())


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("name", [name for name in PAGES if any(commands(name))])
def test_the_commands_of_a_page_run(name: str, cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """Each is one, with options that there are; those that end are run in their order, and show what the page shows."""
    write_files(name, tmp_path)
    for words, shown in dict.fromkeys(commands(name)):
        if not _finishes(words):
            app.parse_args(words, exit_on_error=False, print_error=False)
            continue
        code, out, err = cli(*_small(words))
        assert code == 0, (words, code, err)
        if shown and "--sandbox" in words and words[0] not in TERMINAL:
            printed = {_plain(line) for line in (out + err).splitlines()}
            assert [line for line in map(_plain, shown) if line not in printed] == [], (out, err)


def test_what_is_not_run_is_on_a_page() -> None:
    """A reason for nothing is one that was forgotten."""
    said = {word for name in PAGES for words, _ in commands(name) for word in words}
    assert [mark for mark in UNFINISHED if not any(word.startswith(mark) for word in said)] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_what_a_shell_is_given_is_shell() -> None:
    """Also what is none of our commands; the scripts in `bash` have tests of their own."""
    script = "\n".join(one.text for name in PAGES for language in ("sh", "bash") for one in blocks(name, language))
    done = subprocess.run(
        ["bash", "-n"], input=script, text=True, capture_output=True, check=False, env=dict(os.environ)
    )
    assert (done.returncode, done.stderr) == (0, "")


# Everything else


def _ini(text: str) -> None:
    configparser.ConfigParser(strict=False).read_string(text)


def _csv(text: str) -> None:
    rows = list(csv.reader(text.splitlines(), delimiter=";"))
    assert len({len(row) for row in rows}) == 1


READ: dict[str, Callable[[str], object]] = {
    "toml": tomllib.loads,
    "json": json.loads,
    "yaml": yaml.safe_load,
    "ini": _ini,
    "csv": _csv,
}
"""Languages of data, and what reads them."""
RUN = {"python", "sh", "console", "bash"}
SAID = {"text", "mermaid"}
"""What no program runs, beside directives of the site, which stand in braces."""


def test_every_block_says_what_it_is() -> None:
    """Python, a shell, data that can be read, or `text`, which is neither; nothing is without a name."""
    for name in PAGES:
        for one in blocks(name):
            assert one.language in RUN | SAID | set(READ) or one.language.startswith("{"), (name, one)
            if one.language in READ:
                READ[one.language](one.text)
        assert len(re.findall(r"^ *```", page(name), re.MULTILINE)) == 2 * len(blocks(name)), name


def test_every_extra_that_is_named_exists() -> None:
    """`pip install "meitner-aio[...]"` brings what it says."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {
        extra
        for name in PAGES
        for some in re.findall(r"meitner-aio\[([\w,-]+)\]", page(name))
        for extra in some.split(",")
    }
    assert len(named) > 5
    assert named <= set(known)


BEGINS_WITHOUT = {"decisions.md", "index.md", "platforms.md", "recipes.md", "threat_model.md"}
"""Pages about the world, and lists of what follows: no code is their beginning."""


def test_a_page_begins_with_code() -> None:
    """Before much is explained: there is a title, a sentence or two, and then a block."""
    for name in set(PAGES) - BEGINS_WITHOUT:
        before, fence, _ = page(name).partition("\n```")
        assert (len(before) < 600, fence) == (True, "\n```"), name
