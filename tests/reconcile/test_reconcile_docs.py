"""The page about reconcile keeps its word: its example shows what a terminal shows, and its Python runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import examples, page, run

from meitner_aio import Meitner
from meitner_aio.cli._options import DirectoryOptions
from meitner_aio.sandbox import Sandbox

BLOCKS = re.findall(r"^```(csv|console) ?(\S*)\n(.*?)^```$", page("reconcile.md"), re.MULTILINE | re.DOTALL)


def _steady(text: str) -> str:
    """Return text without what differs from run to run: ids, how long it took, and what has flowed back meanwhile."""
    text = re.sub(r"[0-9,]+ of 1,500 left", "QUOTA", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "ID", text)
    return re.sub(r"(under )?\d+ s\b", "SECONDS", text)


def _session(block: str) -> list[tuple[str, str]]:
    """Return the commands of a block, each with what it shows."""
    found = re.findall(r"^\$ meitner-aio (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    assert len(found) == block.count("$ ")
    return found


def _write(folder: Path, blocks: list[tuple[str, str, str]]) -> None:
    for kind, name, text in blocks:
        if kind == "csv":
            (folder / name).write_text(text, encoding="utf-8")


def test_the_example_shows_what_a_terminal_shows(
    cli: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command for command, on the files as they stand in between."""
    folder, sandbox = tmp_path / "registry", Sandbox()
    folder.mkdir(mode=0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(DirectoryOptions, "client", lambda *_, **__: Meitner.sandbox(sandbox))
    for block in BLOCKS:
        _write(folder, [block])
        for command, shown in _session(block[2]) if block[0] == "console" else ():
            _, out, _ = cli(*shlex.split(command))
            assert _steady(out) == _steady(shown), command


async def test_the_example_in_python_runs(meitner: Meitner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice: the second time there is nothing to do. `meitner` is an open client."""
    (example,) = examples("reconcile.md")
    (tmp_path / "registry").mkdir(mode=0o700)
    _write(tmp_path / "registry", BLOCKS[:6])
    monkeypatch.chdir(tmp_path)
    for actions in (12, 0):
        names: dict[str, Any] = {"meitner": meitner}
        await run(example, names)
        assert len(names["proposal"].actions) == actions


def test_the_page_about_reconcile_has_an_example() -> None:
    """Empty lists would pass the test above."""
    assert sum(text.count("\n") - 1 for kind, _, text in BLOCKS[:6] if kind == "csv") == 12
    assert sum(len(_session(text)) for kind, _, text in BLOCKS if kind == "console") >= 5
