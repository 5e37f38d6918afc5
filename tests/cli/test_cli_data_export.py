"""The Data Export API at the shell: list, count and export by name, and clear words where it cannot be."""

from __future__ import annotations

import csv
import io
import json

import pytest

SANDBOX = ("--sandbox", "--students", "40")


def test_rows_are_listed_as_they_are(cli):
    """A JSON object a line; --exact reads twice."""
    code, out, err = cli("list", "attendances", *SANDBOX, "--exact", "--page-size", "50")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, f"attendances: {len(rows)} rows, complete (stable)\n")
    assert {*rows[0]} == {"school", "student", "subject", "course", "report"}


def test_one_pass_over_several_pages_is_not_called_complete(cli):
    """The exit code is that of a listing that may lack rows."""
    code, _, err = cli("list", "attendances", *SANDBOX, "--page-size", "50", "--format", "ndjson")
    assert code == 3
    assert "consistent; --exact reads again what moved" in err


def test_a_table_hides_who_was_away(cli):
    """Unless it is asked to show it."""
    _, out, _ = cli("list", "attendances", *SANDBOX, "-n", "20", "--format", "table")
    assert "***" in out
    assert "Absence" not in out
    _, shown, _ = cli("list", "attendances", *SANDBOX, "-n", "50", "--format", "table", "--show-values")
    assert "Attendance" in shown


def test_fields_are_chosen_in_either_spelling(cli):
    """Of objects, too; `class` is the API's word, which Python keeps for itself."""
    words = ("list", "upper-secondary-grades", *SANDBOX, "-n", "1", "--format", "csv")
    _, out, _ = cli(*words, "--fields", "student.class,gradeDate")
    (header, _row) = csv.reader(io.StringIO(out))
    assert header == ["student_class_", "grade_date"]


def test_it_is_counted_by_name_only(cli):
    """One request each; a plain count is of the directory."""
    code, out, _ = cli("count", "attendances", "upper-secondary-grades", "schools", "--json", *SANDBOX)
    assert code == 0
    assert [*json.loads(out)] == ["attendances", "upper_secondary_grades", "schools"]
    _, out, _ = cli("count", "--json", *SANDBOX)
    assert len(json.loads(out)) == 11


@pytest.mark.parametrize("format", ["ndjson", "csv", "parquet", "sqlite"])
def test_it_is_exported_by_name_only(cli, tmp_path, format):
    """Beside the directory, or alone; a plain export leaves it out."""
    words = ("--to", str(tmp_path / "out"), "--format", format, "--json", *SANDBOX)
    code, out, _ = cli("export", "attendances", "schools", *words)
    assert code == 0
    assert [one["resource"] for one in json.loads(out)["resources"]] == ["attendances", "schools"]
    assert json.loads(out)["complete"]


def test_a_plain_export_leaves_it_out(cli):
    """Its plan names the eleven."""
    _, out, _ = cli("export", "--plan", "--json", *SANDBOX)
    assert len(json.loads(out)["resources"]) == 11


@pytest.mark.parametrize(
    "words",
    [
        ("get", "attendances", "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"),
        ("search", "attendances", "--where", "week=6"),
        ("sync", "attendances", "--to", "x.sqlite"),
        ("sync", "criterion-results", "--to", "x.sqlite", "--print-systemd"),
    ],
)
def test_what_needs_ids_or_a_search_says_why_not(cli, words):
    """Nothing is asked, and no file is made."""
    code, out, err = cli(*words, "--sandbox")
    assert (code, out) == (2, "")
    assert "of the Data Export API, whose rows have no ids: it can be listed, counted and exported" in err


def test_an_export_cannot_be_narrowed_by_conditions(cli, tmp_path):
    """It cannot be searched, as grades cannot."""
    for words in (("--where", "week=6"), ("--since", "7d")):
        code, _, err = cli("export", "attendances", *words, "--to", str(tmp_path / "out"), *SANDBOX)
        assert code == 2
        assert "cannot be searched" in err


def test_a_name_that_is_nearly_right_is_suggested(cli):
    """The API's path has the singular."""
    code, _, err = cli("list", "attendance", "--sandbox")
    assert (code, err) == (2, "meitner-aio: there is no resource 'attendance'; did you mean 'attendances'?\n")


def test_a_shell_completes_it_where_it_makes_sense(cli):
    """By name with list, count and export, and not with what would refuse it."""
    _, script, _ = cli("completion", "fish")
    named = [line for line in script.splitlines() if "attendances criterion_results upper_secondary_grades" in line]
    commands = [command for command in ("list", "count", "export", "get", "search", "sync") for line in named
                if f"using_command {command};" in line]  # fmt: skip
    assert commands == ["list", "count", "export"]


def test_a_shell_completes_its_fields(cli):
    """In either spelling, into objects."""
    for typed, field in (("report.abs", "report.absence_duration_minutes"), ("student.firstN", "student.firstName")):
        _, out, _ = cli("__complete", "list", "attendances", "--fields", typed)
        assert out.partition("\x1fbegin\n")[2].splitlines()[0] == field
