"""The page about credentials keeps its word: its examples run, its login logs in, its numbers are the code's."""

from __future__ import annotations

import asyncio
import io
import re
import shlex
import sys

import pytest
from canaries import CREDENTIALS, sung
from pages import blocks, examples, page, run
from profile_files import settings

from meitner_aio._pipeline.environment import LARGEST_SECRET
from meitner_aio._profiles.file import load_all
from meitner_aio._profiles.profile import Profile
from meitner_aio.sandbox import Sandbox

CLIENT, SECRET = CREDENTIALS
PAGE = page("credentials.md")


@pytest.mark.usefixtures("own_settings")
async def test_the_examples_run(tmp_path, monkeypatch):
    """One after the other, with the profiles that they name."""
    monkeypatch.chdir(tmp_path)
    async with Sandbox(students=3, credentials=CREDENTIALS) as sandbox:
        key = f'client_credentials = "{CLIENT}"\nclient_secret = "{SECRET}"\nbase_url = "{sandbox.url}"'
        settings(f"[solna]\n{key}", f"[lund]\n{key}")
        names: dict[str, object] = {}
        for example in examples("credentials.md"):
            await run(example, names)
    assert len(list(tmp_path.glob("out/*/manifest.json"))) == 2


async def test_the_first_command_of_the_shell_logs_in(cli, monkeypatch):
    """As it is written, for a sandbox; what it says is what the page shows."""
    (block,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    _, _, command = block.splitlines()[0].partition(" | meitner-aio ")
    words = shlex.split(command)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SECRET.encode())))
    async with Sandbox(students=3, credentials=(words[-1], SECRET)) as sandbox:
        code, out, err = await asyncio.to_thread(cli, *words, "--base-url", sandbox.url)
    assert (code, sung(out + err), list(load_all(Profile))) == (0, [], ["solna"])
    shown = [re.sub(r"(https?://|/)\S+", "X", line) for line in err.splitlines()]
    assert shown == [
        re.sub(r"(https?://|/)\S+", "X", line) for line in blocks("credentials.md", "text")[0].text.splitlines()[-2:]
    ]


def test_numbers_are_those_of_the_code():
    """Of the largest secret."""
    assert f"larger than {LARGEST_SECRET:,} bytes" in PAGE
