"""What editors and type checkers say of calls: the good ones pass, and of the bad ones each line is refused.

The files of `tests/typing` come in pairs, a good one and a bad one of a subject: `bad.py`, `bad_changes.py`. A checker
reads all of them at once, which costs it as much as one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GOOD, BAD = (sorted((ROOT / "tests" / "typing").glob(f"{name}*.py")) for name in ("good", "bad"))
EXAMPLES = sorted(
    path for path in (ROOT / "tests" / "example_apis").glob("*.py") if not path.name.startswith(("test_", "__"))
)
"""Two other APIs, declared as a user would."""
SERVICE = ROOT / "tests" / "example_service" / "service.py"
CHECKED = [*GOOD, *BAD, *EXAMPLES, SERVICE]
MARK = "  # wrong"
Report = dict[Path, dict[int, str]]


def _run(*command: object) -> str:
    """Run a checker in the project and return its report: a status of 1 says that there is something in it."""
    words = [sys.executable, "-m", *map(str, command), *map(str, CHECKED)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def mypy() -> Report:
    """Return what mypy --strict reports, by file and line."""
    found: Report = defaultdict(dict)
    for line in _run("mypy", "--strict", "--output=json").splitlines():
        if line.startswith("{") and (item := json.loads(line))["severity"] == "error":
            found[ROOT / item["file"]][item["line"]] = item["message"]
    return found


def pyright() -> Report:
    """Return what pyright reports, by file and line; the first comment of a file says that it is strict."""
    told = json.loads(_run("pyright", "--pythonpath", sys.executable, "--outputjson"))
    assert told["summary"]["filesAnalyzed"] == len(CHECKED)
    found: Report = defaultdict(dict)
    for item in told["generalDiagnostics"]:
        if item["severity"] == "error":
            found[Path(item["file"])][item["range"]["start"]["line"] + 1] = item["message"]
    return found


@pytest.fixture(scope="module", params=[mypy, pyright], ids=["mypy", "pyright"])
def report(request: pytest.FixtureRequest) -> Report:
    """Give what a checker says of all files."""
    found: Report = request.param()
    return found


def test_there_are_pairs() -> None:
    """Of every subject there are good calls and bad ones."""
    assert [path.name.removeprefix("good") for path in GOOD] == [path.name.removeprefix("bad") for path in BAD]
    assert len(GOOD) >= 4
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("path", [*GOOD, *EXAMPLES, SERVICE], ids=lambda path: path.stem)
def test_good_calls_are_accepted(report: Report, path: Path) -> None:
    """Every call of the contract type-checks, with the result that the contract promises; the examples do, too."""
    assert report[path] == {}


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_calls_are_refused(report: Report, path: Path) -> None:
    """Each wrong call is an error on its own line, and nothing else is."""
    lines = path.read_text(encoding="utf-8").splitlines()
    marked = {number: line for number, line in enumerate(lines, 1) if MARK in line}
    assert [line for number, line in marked.items() if number not in report[path]] == []
    assert {number: message for number, message in report[path].items() if number not in marked} == {}
    assert marked
    assert path.name != "bad.py" or len(marked) > 100
