"""Records the README's first command as SVG: `python docs/_ext/record.py`, on Linux or macOS.

Runs it on a terminal of its own and draws what that showed, light and dark, into `docs/figures`. The progress plays
once, slower than it was, and the last screen stays; it alone is shown where motion is not wanted, or styles are not
read. Text is in a font of the reader's machine: a picture asks for nothing from elsewhere.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from screens import Screen, drawn, shown

ROOT = Path(__file__).parents[2]
COLUMNS, LINES = 80, 30
THEMES = ("light", "dark")


def main() -> None:
    """Write the figures."""
    command = first_command()
    screens = record(command)
    for theme in THEMES:
        figure(theme).write_text(drawn(command, screens, theme), encoding="utf-8")


def figure(theme: str) -> Path:
    """Return where the figure of a theme is."""
    return ROOT / "docs" / "figures" / f"first-command-{theme}.svg"


def first_command() -> str:
    """Return the README's first line that runs an export, as a shell has it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return next(line for line in readme.splitlines() if re.match(r"\S*meitner-aio export ", line))


def record(command: str) -> list[Screen]:
    """Run the command with this package; return what its terminal showed, one screen after another."""
    arguments = command.rpartition("meitner-aio ")[2].split()
    with TemporaryDirectory() as folder:
        return shown(_output([sys.executable, "-m", "meitner_aio", *arguments], folder))


def _output(command: Sequence[str], folder: str) -> str:
    """Return what a process writes to its terminal. Raises `CalledProcessError` if it fails."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": folder}
    environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        output = b"".join(iter(lambda: _read(ours), b""))
        os.close(ours)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return output.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that nobody writes any more
        return b""


if __name__ == "__main__":
    main()
