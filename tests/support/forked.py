"""Processes for tests that kill many: forked from one that has loaded everything, so that each takes as long as its work.

A program of `tests/support` ends with `serve(work)`. It reads the arguments of `work` from each line of its input, as
JSON, runs it in a process of its own, and writes how that has ended. No thread runs in the process that forks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from conftest import importing


class Ended(NamedTuple):
    """How a process has ended: its exit code, below 0 for a signal, and what its work returned or its traceback."""

    code: int
    told: Any


@contextmanager
def forks(program: str) -> Iterator[Callable[..., Ended]]:
    """Give what calls the work of a program in another process, and waits for its end."""
    with subprocess.Popen(
        [sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=importing()
    ) as server:

        def called(*arguments: Any) -> Ended:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(json.dumps(arguments, default=str).encode() + b"\n")
            server.stdin.flush()
            return Ended(*json.loads(server.stdout.readline()))

        yield called


def serve(work: Callable[..., Any]) -> None:
    """Serve until the input ends."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_forked(work, json.loads(line))) + "\n")
        sys.stdout.flush()


def _forked(work: Callable[..., Any], arguments: list[Any]) -> Ended:
    heard, saying = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            told = work(*arguments)
            code = 0
        except BaseException:
            told = traceback.format_exc()
        os.write(saying, json.dumps(told).encode())
        os._exit(code)
    os.close(saying)
    with os.fdopen(heard) as answer:
        told = answer.read()
    return Ended(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), json.loads(told) if told else None)
