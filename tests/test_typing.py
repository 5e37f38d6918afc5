"""What editors and type checkers say of calls: the good ones pass, and of the bad ones each line is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {name: ROOT / "tests" / "typing" / f"{name}.py" for name in ("good", "bad")}
MARK = "  # wrong"


def _run(*command: object) -> str:
    """Run a checker in the project and return its report: a status of 1 says that there is something in it."""
    words = [sys.executable, "-m", *map(str, command)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def mypy(path: Path) -> dict[int, str]:
    """Return what mypy --strict reports of a file, by line."""
    found = [
        json.loads(line)
        for line in _run("mypy", "--strict", "--output=json", path).splitlines()
        if line.startswith("{")
    ]
    return {
        item["line"]: item["message"]
        for item in found
        if Path(ROOT, item["file"]) == path and item["severity"] == "error"
    }


def pyright(path: Path) -> dict[int, str]:
    """Return what pyright reports of a file, by line; its first comment says that it is strict."""
    found = json.loads(_run("pyright", "--pythonpath", sys.executable, "--outputjson", path))
    assert found["summary"]["filesAnalyzed"] == 1
    return {
        item["range"]["start"]["line"] + 1: item["message"]
        for item in found["generalDiagnostics"]
        if item["severity"] == "error" and Path(item["file"]) == path
    }


CHECKERS = {"mypy": mypy, "pyright": pyright}


@pytest.mark.parametrize("checker", CHECKERS.values(), ids=CHECKERS)
def test_good_calls_are_accepted(checker):
    """Every call of the contract type-checks, with the result that the contract promises."""
    assert checker(FILES["good"]) == {}


@pytest.mark.parametrize("checker", CHECKERS.values(), ids=CHECKERS)
def test_bad_calls_are_refused(checker):
    """Each wrong call is an error on its own line, and nothing else is."""
    lines = FILES["bad"].read_text(encoding="utf-8").splitlines()
    marked = {number: line for number, line in enumerate(lines, 1) if MARK in line}
    found = checker(FILES["bad"])
    assert [line for number, line in marked.items() if number not in found] == []
    assert {number: message for number, message in found.items() if number not in marked} == {}
    assert len(marked) > 100
