"""Counts instructions by valgrind's cachegrind: the same on a busy machine as on a quiet one.

Valgrind counts a fork with all that its parent did before it, and writes the count down when it ends. So a child that
ends at once is a reading of the counter, and one that does a load first is a reading after it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

VALGRIND = shutil.which("valgrind")
FOLDER = "BENCH_COUNTS"
"""The variable that tells a process under valgrind where its counts are written."""


def under_valgrind(command: Sequence[str], *, seconds: float | None = None) -> tuple[int, bytes]:
    """Run a process under cachegrind; return its instructions, and what it printed.

    Raises `TimeoutExpired` after so many seconds, and `CalledProcessError` for one that fails.
    """
    if VALGRIND is None:
        raise FileNotFoundError("valgrind is not installed")
    with tempfile.TemporaryDirectory() as folder:
        quiet, out = "--log-file=/dev/null", f"--cachegrind-out-file={folder}/%p"
        tool = [VALGRIND, "--tool=cachegrind", "--cache-sim=no", quiet, out]
        process, said = _ended([*tool, *command], folder, seconds)
        return _count(Path(folder, str(process))), said


def _ended(command: Sequence[str], folder: str, seconds: float | None) -> tuple[int, bytes]:
    """Run a process in which hashes are no matter of chance; end its children with it when it takes too long."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", FOLDER: folder}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return process.pid, said


def _count(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 200))
        return int(file.read().rpartition(b"summary: ")[2].split()[0])


def is_counting() -> bool:
    """Return whether this process runs under valgrind and may call `mark`."""
    return FOLDER in os.environ


def mark(load: Callable[[], object] | None = None) -> int:
    """Read the counter, or do the load in a child and read it then; return the process whose count `count_of` knows.

    Two marks are made before the first is looked up: else looking up would be counted.
    """
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            if load is not None:
                load()
            code = 0
        except BaseException:  # noqa: BLE001 - a child returns to nobody
            traceback.print_exc()
        finally:
            os._exit(code)
    if os.waitpid(process, 0)[1]:
        raise RuntimeError("a load failed in its process")
    return process


def count_of(process: int) -> int:
    """Return the instructions up to a mark."""
    return _count(Path(os.environ[FOLDER], str(process)))
