"""Runs commands to their end, each in a process forked from one that has loaded everything: a program for `forked.forks`.

`(WORDS, ENVIRONMENT, FOLDER, OUT, ERR, SECONDS)`: what a command writes goes to the files OUT and ERR; after SECONDS it
is killed. Returns its exit code.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from forked import Ended, forks, serve

_ONE_AT_A_TIME = Lock()
_OF_INTERPRETERS = ("PYTHON", "COVERAGE_", "LC_", "LANG")
_USUAL = {"PYTHONPATH", "PYTHONWARNINGS"}
"""What the forking process has, or a process makes up for when it is forked."""


def run(words: tuple[str, ...], environment: Mapping[str, str], seconds: int) -> tuple[int, str, str]:
    """Run a command, and return its exit code, stdout and stderr."""
    if any(name.startswith(_OF_INTERPRETERS) and name not in _USUAL for name in environment):
        command = [sys.executable, "-m", "meitner_aio", *words]
        done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=seconds)
        return done.returncode, done.stdout.decode(), done.stderr.decode()
    with tempfile.TemporaryDirectory() as folder, _ONE_AT_A_TIME:
        out, err = Path(folder, "out"), Path(folder, "err")
        ended = _program()(words, dict(environment), Path.cwd(), out, err, seconds)
        code = ended.told if ended.code == 0 else ended.code
        return code, out.read_bytes().decode(), err.read_bytes().decode()


@cache
def _program() -> Callable[..., Ended]:
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(forks(__file__))


def _command(words: list[str], environment: dict[str, str], folder: str, out: str, err: str, seconds: int) -> Any:
    signal.alarm(seconds)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    warnings.simplefilter(environment.get("PYTHONWARNINGS", "default"))  # type: ignore[arg-type]
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), number)
    code = meitner_aio.cli.run(words)
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code)


if __name__ == "__main__":
    import meitner_aio._pipeline.transport
    import meitner_aio.cli
    import meitner_aio.export
    import meitner_aio.sandbox

    serve(_command)
