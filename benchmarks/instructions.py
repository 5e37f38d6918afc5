"""Holds how many instructions this client takes: more than 5 % above the baseline is a failure. Needs valgrind.

    .ci/instructions             # counts, and compares with benchmarks/instructions.json
    .ci/instructions --baseline  # counts, and writes that file: commit it with the change that it is about

Counts depend on the interpreter, the libraries and the processor. Where these are other than those of the baseline, the
package as it was when the baseline was committed is counted in the same run, and compared with. That holds where a
ratio to a loop written by hand does not: between two builds of CPython 3.11 such ratios moved by up to 11 %, the counts
by up to 9 %.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import msgspec
from _counting import VALGRIND, count_of, mark, under_valgrind
from _gate import Baseline, compared, differences, judged
from _harness import compile_first, facts

ROOT = Path(__file__).resolve().parents[1]
BASELINE = Path(__file__).with_name("instructions.json")
LIBRARIES = ("aiohttp", "aiolimiter", "cyclopts", "msgspec", "multidict", "rich", "tenacity", "yarl")

STARTS = {
    "import": ["-P", "-c", "import meitner_aio"],
    "import of the client": ["-P", "-c", "from meitner_aio import Meitner"],
    "--version": ["-P", "-m", "meitner_aio", "--version"],
    "--help": ["-P", "-m", "meitner_aio", "--help"],
}
"""Processes that are counted from start to end, less an interpreter that does nothing; `-P` leaves the folder that one
is in out of what can be imported."""


def environment() -> dict[str, str]:
    """Return what counts depend on besides the package."""
    return {
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}",
        "machine": facts("").machine.replace(f", {os.cpu_count()} processors", ""),
        "libc": " ".join(platform.libc_ver()),
        "SQLite": sqlite3.sqlite_version,
        **{name: version(name) for name in LIBRARIES},
    }


def counts(package: Path) -> dict[str, int]:
    """Return the instructions of every load with the package in a folder."""
    os.environ["PYTHONPATH"] = str(package)
    commands = {"nothing": ["-c", "pass"], **STARTS}
    compile_first(commands.values())
    with ThreadPoolExecutor(2) as pool:
        loads = pool.submit(under_valgrind, [sys.executable, __file__, "--loads"])
        starts = {name: pool.submit(_started, arguments) for name, arguments in commands.items()}
        nothing = starts.pop("nothing").result()
        found: dict[str, int] = msgspec.json.decode(loads.result()[1])
        return found | {name: start.result() - nothing for name, start in starts.items()}


def _started(arguments: list[str]) -> int:
    return under_valgrind([sys.executable, *arguments])[0]


def count_loads() -> None:
    """Count every load in this process, which runs under valgrind; each was done once, so that all is imported."""
    from _workloads import LOADS

    for load in LOADS.values():
        load()
    marks = {name: (mark(), mark(load)) for name, load in LOADS.items()}
    found = {name: count_of(after) - count_of(before) for name, (before, after) in marks.items()}
    print(msgspec.json.encode(found).decode())


def before() -> tuple[str, dict[str, int]] | None:
    """Count the package as it was when the baseline was committed; None where that is not known."""
    try:
        commit = _git("log", "-1", "--format=%h", "--", str(BASELINE)).decode().strip()
        package = _git("archive", commit, "meitner_aio") if commit else b""
    except (OSError, subprocess.CalledProcessError):
        return None
    if not package:
        return None
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(package)) as files:
            files.extractall(folder, filter="data")
        return commit, counts(Path(folder))


def _git(*arguments: str) -> bytes:
    return subprocess.run([shutil.which("git") or "git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def main() -> int:
    """Count and judge; return the exit code."""
    if VALGRIND is None:
        print("instructions: NOT JUDGED, valgrind is not installed")
        return 1
    here, now = environment(), counts(ROOT)
    if sys.argv[1:] == ["--baseline"]:
        BASELINE.write_bytes(msgspec.json.format(msgspec.json.encode(Baseline(here, now)), indent=2) + b"\n")
        print(f"instructions: {len(now)} loads counted into {BASELINE.relative_to(ROOT)}")
        return 0
    baseline = msgspec.json.decode(BASELINE.read_bytes(), type=Baseline)
    then, told = baseline.counts, "the baseline"
    other = differences(here, baseline.environment)
    if other:
        print(f"instructions: other than in the baseline are {'; '.join(other)}")
        found = before()
        if found is None:
            print("instructions: NOT JUDGED, and there is no history from which to count the package of the baseline")
            return 0
        told, then = f"the package at {found[0]}, counted beside it", found[1]
    verdict = judged(now, then, told)
    print(compared(now, then), *verdict.hints, *verdict.faults, sep="\n")
    print(f"instructions: {'FAILED' if verdict.faults else 'all well'}, {len(now)} loads compared with {told}")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--loads"]:
        count_loads()
    else:
        sys.exit(main())
