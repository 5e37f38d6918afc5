"""The `.env` file of the first page and what reads it: python-dotenv takes the secret as it is, and what is set already wins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pages import block, examples, run

from meitner_aio.sandbox import Sandbox

FILE = block("start.md", ".env")
(EXAMPLE,) = (example for example in examples("start.md") if "dotenv" in example)
SECRET = "a-secret#with-${signs}"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take the variables away, and what the example sets again at the end."""
    for name in ("MEITNER_CLIENT_CREDENTIALS", "MEITNER_CLIENT_SECRET"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    return monkeypatch


async def test_the_example_reads_the_file(
    environment: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server gets the secret with its hash and its dollar, and answers."""
    environment.chdir(tmp_path)
    (tmp_path / ".env").write_text(FILE, encoding="utf-8")
    async with Sandbox(schools=3, credentials=("an-id", SECRET)) as sandbox:
        environment.setenv("MEITNER_BASE_URL", sandbox.url)
        await run(EXAMPLE, {})
    assert capsys.readouterr().out == "3\n"
    assert os.environ["MEITNER_CLIENT_SECRET"] == SECRET


async def test_what_is_set_already_wins(
    environment: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in production, where the variables come from the service's own settings."""
    environment.chdir(tmp_path)
    (tmp_path / ".env").write_text(FILE.replace(SECRET, "an-old-secret"), encoding="utf-8")
    environment.setenv("MEITNER_CLIENT_SECRET", SECRET)
    async with Sandbox(schools=3, credentials=("an-id", SECRET)) as sandbox:
        environment.setenv("MEITNER_BASE_URL", sandbox.url)
        await run(EXAMPLE, {})
    assert capsys.readouterr().out == "3\n"
