"""Commands on a terminal of their own, with somebody who answers."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import meitner_aio

DEADLINE = 30
"""Seconds until a test that waits for a question fails."""
Answer = bytes | Callable[[int], object]
"""What is typed, or what is done with the number of the process."""


class Session(NamedTuple):
    """What became of a command."""

    code: int
    drawn: str
    echoes: bool
    """Whether the terminal shows again what is typed."""
    arguments: str
    """What everybody on the machine could read of the process."""


def session(arguments: Sequence[str], variables: Mapping[str, str], answers: Sequence[tuple[str, Answer]]) -> Session:
    """Run a command on 80 columns; each answer is given when its question has been drawn."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    environment = {
        **{name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")},
        "PYTHONPATH": str(Path(meitner_aio.__file__).parents[1]),
        "PYTHONWARNINGS": "error",
        "TERM": "dumb",
        **variables,
    }
    with subprocess.Popen(
        (sys.executable, "-m", "meitner_aio", *arguments),
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_take_terminal,
    ) as process:
        try:
            drawn, seen = _answered(process, ours, list(answers))
            code = process.wait(DEADLINE)
            echoes = bool(termios.tcgetattr(theirs)[3] & termios.ECHO)
        finally:
            process.kill()
            os.close(theirs)
            os.close(ours)
    return Session(code, drawn.decode(), echoes, seen)


def _take_terminal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _answered(process: subprocess.Popen[bytes], ours: int, answers: list[tuple[str, Answer]]) -> tuple[bytes, str]:
    drawn, since, seen, end = b"", 0, "", time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.02)[0]:
            drawn += os.read(ours, 65536)
        elif process.poll() is not None:
            return drawn, seen
        while answers and answers[0][0].encode() in drawn[since:]:
            seen += Path(f"/proc/{process.pid}/cmdline").read_text() + Path(f"/proc/{process.pid}/environ").read_text()
            since = len(drawn)
            _, answer = answers.pop(0)
            if not isinstance(answer, bytes):
                answer(process.pid)
                continue
            _wait_for_echo(ours, hidden=b"(not shown)" in drawn.splitlines()[-1], end=end)
            os.write(ours, answer)
    raise AssertionError(f"no question came, after {drawn!r}")


def _wait_for_echo(ours: int, *, hidden: bool, end: float) -> None:
    """Wait until the terminal is in the mode of the question: a person types after it was asked."""
    while bool(termios.tcgetattr(ours)[3] & termios.ECHO) is hidden and time.monotonic() < end:
        select.select([], [], [], 0.01)
