"""An export into another program, by the very words of docs/privacy.md: nothing in the clear on a disk, and no half."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks

import meitner_aio

(RECIPE,) = (block.text for block in blocks("privacy.md", "bash"))
BASH = shutil.which("bash") or "bash"
FAKE = """#!/bin/sh
[ "$1" = -R ] && [ -s "$2" ] || exit 1
exec base64
"""
COMMAND = """#!/bin/sh
exec {python} -m meitner_aio "$@" {more}
"""
SANDBOX = "--sandbox --students 400"


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """Give a folder to run the recipe in, with the commands that it calls."""
    (tmp_path / "bin").mkdir()
    _script(tmp_path / "bin" / "age", FAKE)
    _script(tmp_path / "bin" / "meitner-aio", COMMAND.format(python=sys.executable, more=SANDBOX))
    (tmp_path / "recipients.txt").write_text("age1fake\n")
    return tmp_path


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o700)


def _run(folder: Path, script: str) -> subprocess.CompletedProcess[bytes]:
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(meitner_aio.__file__).parents[1]),
        "HOME": str(folder),
    }
    return subprocess.run(
        [BASH, "-c", script], cwd=folder, env=environment, capture_output=True, timeout=60, check=False
    )


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != "bin"}


def test_what_comes_out_of_the_pipe_is_what_went_in(shell: Path) -> None:
    """Byte for byte, and no other file was made."""
    plain = _run(shell, "meitner-aio export students --to - | cat").stdout
    assert plain.count(b"\n") == 400
    assert _run(shell, RECIPE).returncode == 0
    assert _files(shell) == {"recipients.txt", "students.ndjson.age"}
    assert _run(shell, "base64 -d students.ndjson.age").stdout == plain


def test_an_export_that_ends_early_makes_no_file(shell: Path) -> None:
    """age would call a half a whole."""
    _script(shell / "bin" / "meitner-aio", '#!/bin/sh\necho "{}"\nexit 5\n')
    assert _run(shell, RECIPE).returncode == 5
    assert "students.ndjson.age" not in _files(shell)


def test_an_encryption_that_fails_makes_no_file(shell: Path) -> None:
    """Such as for want of a recipient."""
    (shell / "recipients.txt").write_text("")
    assert _run(shell, RECIPE).returncode != 0
    assert "students.ndjson.age" not in _files(shell)


@pytest.mark.skipif(shutil.which("age-keygen") is None, reason="age is not installed")
def test_age_itself_gives_it_back(shell: Path) -> None:
    """The real one, where there is one."""
    (shell / "bin" / "age").unlink()
    made = _run(shell, "age-keygen -o key.txt && age-keygen -y key.txt > recipients.txt")
    assert made.returncode == 0
    assert _run(shell, RECIPE).returncode == 0
    plain = _run(shell, "meitner-aio export students --to - | cat").stdout
    assert _run(shell, "age -d -i key.txt students.ndjson.age").stdout == plain
    assert b"identityNumber" not in (shell / "students.ndjson.age").read_bytes()
