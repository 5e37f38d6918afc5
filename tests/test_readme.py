"""The README keeps its word: its examples run, and its first two commands are those of a fresh machine."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from meitner_aio import Meitner
from meitner_aio.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


EXAMPLES = _blocks("python")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve a sandbox from a loop of its own, and let the environment point to it."""
    loop, sandbox = asyncio.new_event_loop(), Sandbox(students=150)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    url = asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result()
    monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", "an-id")
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", "a-secret")
    monkeypatch.setenv("MEITNER_BASE_URL", url)
    try:
        yield url
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


_REDIS = "redis://localhost:6379"


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("source", EXAMPLES, ids=lambda source: source.strip().splitlines()[-1][:40])
def test_every_python_example_runs(
    source: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Scripts run as they are, in a folder of their own; snippets run where `meitner` is an open client."""
    monkeypatch.chdir(tmp_path)
    if _REDIS in source:
        source = source.replace(_REDIS, request.getfixturevalue("redis_server").url)
    code = compile(source, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:

        async def inside() -> None:
            async with Meitner() as meitner:
                await eval(code, {"meitner": meitner, "__name__": "readme"})

        asyncio.run(inside())
    else:
        exec(code, {"__name__": "readme"})
    assert "20150315-1234" not in capsys.readouterr().out


def test_the_readme_has_examples_to_run() -> None:
    """An empty list of examples would pass the test above."""
    assert len(EXAMPLES) >= 6


def test_the_first_two_commands_are_those_of_a_fresh_machine() -> None:
    """The first sets up and exports the sandbox, the second sets up and runs every test; neither needs more than venv."""
    first, second, *_ = _blocks("sh")
    assert "export --sandbox" in first
    assert "-m pytest" in second
    for block in (first, second):
        commands = block.strip().splitlines()
        assert commands[0] == "python3 -m venv .venv"
        assert all(command.startswith((".venv/bin/", "python3 -m venv")) for command in commands)


def test_the_changelog_names_the_version_in_work() -> None:
    """A reader finds what changed."""
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
