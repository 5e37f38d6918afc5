"""The script of a class list keeps its word: the members of the class, for Excel, for the owner alone."""

from __future__ import annotations

import asyncio
import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import block
from test_cli_process import ANY

import meitner_aio
from meitner_aio import Meitner
from meitner_aio.sandbox import Sandbox

needed = ("bash", "jq")
pytestmark = pytest.mark.skipif(not all(map(shutil.which, needed)), reason="there is no bash, or no jq")


async def test_a_class_list_has_the_members_of_the_class(tmp_path: Path) -> None:
    """All of them and nobody else; a title that no class has ends without a file."""
    (tmp_path / "class-list").write_text(block("shell.md", "class-list"))
    (tmp_path / "meitner-aio").write_text(f'#!/bin/sh\nexec {sys.executable} -m meitner_aio "$@"\n')
    (tmp_path / "meitner-aio").chmod(0o700)
    path = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(meitner_aio.__file__).parents[1]),
    }

    def run(*words: str) -> int:
        script = ["bash", str(tmp_path / "class-list"), *words]
        return subprocess.run(
            script, cwd=tmp_path, env=ANY | variables | path, capture_output=True, check=False
        ).returncode

    async with Sandbox(students=100) as sandbox:
        variables = {"MEITNER_BASE_URL": sandbox.url, "HOME": str(tmp_path)}
        async with Meitner.sandbox(sandbox) as meitner:
            groups = [one async for one in meitner.groups.search(title="3A") if one.member_ids]
        group = groups[0]
        code = await asyncio.to_thread(run, group.school_id or "", "3A", "3a")
        missing = await asyncio.to_thread(run, group.school_id or "", "no class", "none")
    text = (tmp_path / "3a" / "students.csv").read_text(encoding="utf-8-sig")
    listed = {row["id"] for row in csv.DictReader(text.splitlines(), delimiter=";")}
    assert (code, listed) == (0, set(group.member_ids or ()))
    assert (tmp_path / "3a" / "students.csv").stat().st_mode & 0o777 == 0o600
    assert (missing, (tmp_path / "none").exists()) == (2, False)
