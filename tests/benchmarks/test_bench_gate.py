"""The gate of instructions: what it calls slower, and what it says then."""

import io
import json
import subprocess
import tarfile

import instructions
import pytest
from _gate import LIMIT, compared, differences, judged

THEN = {"get": 1_000_000, "decode": 2_000_000}


@pytest.mark.parametrize(
    ("get", "faults", "hints"),
    [(1_000_000, 0, 0), (1_050_000, 0, 0), (1_050_001, 1, 0), (2_000_000, 1, 0), (950_000, 0, 0), (949_999, 0, 1)],
)
def test_more_than_five_percent_more_is_a_fault(get, faults, hints):
    """To the instruction; as much less is worth a new baseline, and no fault."""
    verdict = judged({**THEN, "get": get}, THEN, "the baseline")
    assert (len(verdict.faults), len(verdict.hints)) == (faults, hints)


def test_a_fault_says_which_by_how_much_and_what_to_do():
    """One reads it in the output of CI, without this code."""
    (said,) = judged({**THEN, "get": 1_100_000}, THEN, "the baseline").faults
    assert said == (
        "get: 1,100,000 instructions, 10.0% more than the baseline; 5% are allowed. "
        "If that is worth it, .ci/instructions --baseline takes a new baseline."
    )


def test_a_small_fault_is_not_hidden_by_a_large_gain():
    """Each load is judged by itself."""
    verdict = judged({"get": 1_060_000, "decode": 1_000_000}, THEN, "the baseline")
    assert [one.partition(":")[0] for one in verdict.faults] == ["get"]
    assert [one.partition(":")[0] for one in verdict.hints] == ["decode"]


def test_a_load_that_is_on_one_side_only_is_a_fault():
    """Else one that is renamed or left out would pass unjudged."""
    (new,) = judged({**THEN, "list": 1}, THEN, "the baseline").faults
    (gone,) = judged({"get": 1_000_000}, THEN, "the baseline").faults
    assert new.startswith("list is not in the baseline")
    assert gone.startswith("decode is not in what was counted")


def test_another_environment_is_told_from_the_same():
    """Also where a library is new or gone."""
    then = {"Python": "3.11.7", "aiohttp": "3.14.4", "rich": "15"}
    assert differences(then, then) == []
    assert differences({"Python": "3.11.8", "aiohttp": "3.14.4", "msgspec": "0.21"}, then) == [
        "Python (then 3.11.7, now 3.11.8)",
        "rich (then 15, now none)",
        "msgspec (then none, now 0.21)",
    ]


def test_both_counts_are_shown():
    """So that a fault can be seen coming."""
    assert compared({"get": 1_010_000, "new": 5}, THEN).splitlines() == [
        "get       1,010,000       1,000,000   +1.00%",
        "new               5",
    ]


def test_the_limit_is_that_of_the_documentation():
    """README and CONTRIBUTING say 5 %."""
    assert LIMIT == 0.05


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """Nothing is counted: each package has the counts that it is given, and the baseline those of `THEN`."""
    packages = {instructions.ROOT: THEN}
    baseline = {"environment": instructions.environment(), "counts": THEN}
    monkeypatch.setattr(instructions, "VALGRIND", "/usr/bin/valgrind")
    monkeypatch.setattr(
        instructions, "counts", lambda package: packages.get(package, {"get": 500_000, "decode": 2_000_000})
    )
    monkeypatch.setattr(instructions, "BASELINE", tmp_path / "instructions.json")
    monkeypatch.setattr(instructions.sys, "argv", ["instructions.py"])

    def write(**environment):
        baseline["environment"].update(environment)
        instructions.BASELINE.write_text(json.dumps(baseline))

    write()
    return write


def test_the_same_environment_is_compared_with_the_baseline(counted, capsys):
    """Nothing else is counted."""
    assert instructions.main() == 0
    assert capsys.readouterr().out.endswith("all well, 2 loads compared with the baseline\n")


def test_another_environment_is_compared_with_the_package_of_then(counted, capsys, monkeypatch):
    """Counted in the same run: `get` took half of what it takes now, whatever the baseline says."""
    counted(aiohttp="3.0")
    monkeypatch.setattr(instructions, "_git", _history(b"abc123", _archive()))
    assert instructions.main() == 1
    said = capsys.readouterr().out
    assert "other than in the baseline are aiohttp (then 3.0, now" in said
    assert "get: 1,000,000 instructions, 100.0% more than the package at abc123, counted beside it" in said


@pytest.mark.parametrize("commit", [b"", None])
def test_without_history_another_environment_is_not_judged(counted, capsys, monkeypatch, commit):
    """It is said, and nothing is called slower by counts that do not compare."""
    counted(aiohttp="3.0")
    monkeypatch.setattr(instructions, "_git", _history(commit, b""))
    assert instructions.main() == 0
    assert "NOT JUDGED" in capsys.readouterr().out


def _history(commit, archive):
    def git(*arguments):
        if commit is None:
            raise subprocess.CalledProcessError(128, "git")
        return commit if arguments[0] == "log" else archive

    return git


def _archive():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as files:
        files.addfile(tarfile.TarInfo("meitner_aio/__init__.py"))
    return packed.getvalue()


def test_a_machine_without_valgrind_fails(monkeypatch, capsys):
    """CI installs it: a gate that is left out is no gate."""
    monkeypatch.setattr(instructions, "VALGRIND", None)
    assert instructions.main() == 1
    assert "valgrind is not installed" in capsys.readouterr().out
