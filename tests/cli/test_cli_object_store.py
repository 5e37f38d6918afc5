"""The command `export` with an object store: where it goes, how it ends, and what it says of credentials."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from object_stores import BUCKET, KEY, SECRET

Cli = Callable[..., tuple[int, str, str]]
TO = f"s3://{BUCKET}/kommun"
EXPORT = ("export", "students", "schools", "--sandbox", "--students", "30")


def test_an_export_to_a_store(cli: Cli, s3: Any, tmp_path: Path) -> None:
    """The report names the files of the run; the spool is the one named; runs beyond those to keep go."""
    code, out, err = cli(*EXPORT, "--to", TO, "--spool", str(tmp_path / "spool"), "--keep-runs", "2", "--json")
    known = json.loads(s3.get("kommun/manifest.json"))
    assert (code, KEY in err) == (0, False)
    files = [one["file"] for one in json.loads(out)["resources"]]
    assert files == [f"run={known['run']}/students.ndjson", f"run={known['run']}/schools.ndjson"]
    assert [path.name for path in (tmp_path / "spool").rglob("*.*")] == ["exports.log"]


def test_a_run_of_less_says_how(cli: Cli, s3: Any) -> None:
    """Exit code 2, a sentence with the option that would do it, and the run before as it was."""
    assert cli(*EXPORT, "--to", TO)[0] == 0
    before = s3.get("kommun/manifest.json")
    code, _, err = cli("export", "students", "--sandbox", "--students", "30", "--to", TO)
    assert (code, "lacks schools" in err, "--replace" in err) == (2, True, True)
    assert s3.get("kommun/manifest.json") == before


@pytest.mark.parametrize(
    ("name", "value", "code", "words"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", 5, "try again later"),
        ("AWS_PROFILE", "missing", 0, ""),  # keys of the environment beat a profile
        ("AWS_ENDPOINT_URL", "http://store.example.com", 1, "must be https"),
    ],
)
def test_exit_codes(
    cli: Cli, s3: Any, monkeypatch: pytest.MonkeyPatch, *, name: str, value: str, code: int, words: str
) -> None:
    """A scheduler tries again what may succeed later; a person reads one sentence, in which no secret is."""
    monkeypatch.setenv(name, value)
    ended, _, err = cli(*EXPORT, "--to", TO)
    assert (ended, words in err, KEY in err, SECRET in err) == (code, True, False, False)


def test_exit_codes_of_what_a_person_has_to_mend(cli: Cli, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that is not there is an error, credentials that are not are one of rights, a bad option one of usage."""
    assert cli(*EXPORT, "--to", "s3://no-such-bucket/x")[0] == 1
    assert cli(*EXPORT, "--to", "out", "--keep-runs", "2")[0] == 2
    assert cli("purge", TO, "--older-than", "30d")[0] == 2
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "missing")
    assert cli(*EXPORT, "--to", TO)[0] == 4


def test_no_option_takes_a_credential(cli: Cli) -> None:
    """They would stand in the history of a shell, and in the list of processes."""
    _, out, _ = cli("export", "--help")
    assert "AWS" not in out
    assert "s3://BUCKET/PREFIX" in " ".join(out.split())
