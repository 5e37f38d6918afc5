"""The command `export`: what it hands to the library, what it writes to stdout and what to stderr."""

import errno
import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
import pytest

from meitner_aio import APIConnectionError, ConfigurationError, equals
from meitner_aio._listing.completeness import Level
from meitner_aio.cli import Exit
from meitner_aio.cli.commands import export as _export
from meitner_aio.cli.rendering.exported import proof
from meitner_aio.export import InvalidRow, Progress, Report, ResourceReport
from meitner_aio.export._files import Folder
from meitner_aio.export._journal import Choices, Journal, PageCheckpoint

SANDBOX = ("--sandbox", "--students", "30")


@pytest.fixture
def handed(monkeypatch):
    """Return what the command hands to `export`, and what that does then."""

    class Handed:
        keywords: dict
        times = 0
        news = ()
        error = None
        report = Report((), 0.1)

    async def exported(_, resources, **keywords):
        Handed.keywords = {"resources": resources, **keywords}
        Handed.times += 1
        for one in Handed.news:
            keywords["progress"](one)
        if Handed.error is not None:
            raise Handed.error
        return Handed.report

    monkeypatch.setattr(_export, "export", exported)
    return Handed


def test_every_option_reaches_the_library(cli, handed, tmp_path):
    """Under the names that it has there, as the values that it takes."""
    code, _, err = cli(
        *("export", "students", "--to", str(tmp_path), "--format", "csv", "--excel", "--resume", "--force"),
        *("--max-wait", "60", "--since", "2026-01-31", "--where", "last_name=Ek", "--fields", "id, last_name"),
        *("--limit", "5", "--page-size", "7", "--concurrency", "2", *SANDBOX),
    )
    assert (code, err) == (0, "")
    handed.keywords.pop("progress")
    assert handed.keywords == {
        "resources": ("students",),
        "to": tmp_path,
        "format": "csv",
        "excel": True,
        "resume": True,
        "force": True,
        "max_wait": 60.0,
        "since": datetime(2026, 1, 31, tzinfo=UTC),
        "where": {"last_name": equals("Ek")},
        "fields": ["id", "last_name"],
        "limit": 5,
        "page_size": 7,
        "concurrency": 2,
    }


def test_what_is_not_typed_is_for_the_library_to_decide(cli, handed, tmp_path):
    """No default is said twice."""
    cli("export", "--to", str(tmp_path), *SANDBOX)
    assert handed.keywords.keys() == {"resources", "to", "progress", "resume", "force", "excel"}
    assert handed.keywords["resources"] == ()


FULL = (
    "grade_elementaries and grade_upper_secondaries cannot be searched, so --since does not narrow them: they are read "
    "in full."
)


@pytest.mark.parametrize("how", [(), ("--plan",)])
def test_since_without_names_says_what_is_read_in_full(cli, tmp_path, how):
    """In one sentence on stderr, for the export and its plan; named, such a resource is refused as before."""
    code, _, err = cli("export", "--since", "7d", "--to", str(tmp_path), *how, *SANDBOX)
    assert (code, err.splitlines()[0], err.count("in full")) == (0, FULL, 1)
    code, _, err = cli("export", "students", "--since", "7d", "--to", str(tmp_path), *how, *SANDBOX)
    assert (code, "in full" in err) == (0, False)
    code, _, err = cli("export", "grade_elementaries", "--since", "7d", "--to", str(tmp_path), *SANDBOX)
    assert (code, "grade_elementaries cannot be searched" in err) == (2, True)


def test_lines_of_several_resources_on_stdout_say_whose_they_are(cli):
    """One jq expression takes out a resource again; one alone is as it was."""
    _, one, _ = cli("export", "schools", "--to", "-", *SANDBOX)
    _, both, _ = cli("export", "students", "schools", "--to", "-", *SANDBOX)
    rows = [json.loads(line) for line in both.splitlines()]
    assert [row["record"] for row in rows if row["resource"] == "schools"] == list(map(json.loads, one.splitlines()))
    assert sum(row["resource"] == "students" for row in rows) == 30


def test_the_page_size_is_for_experts(cli, handed, tmp_path):
    """Help does not mention it; it works."""
    assert "page-size" not in cli("export", "--help")[1]
    assert cli("export", "--to", str(tmp_path), "--page-size", "7", *SANDBOX)[0] == 0
    assert handed.keywords["page_size"] == 7


def test_excel_alone_is_csv(cli, tmp_path):
    """Whatever the profile's format is; stdout, which takes ndjson, refuses it before any request."""
    assert cli("export", "schools", "--excel", "--to", str(tmp_path), *SANDBOX)[0] == 0
    assert (tmp_path / "schools.csv").read_bytes().startswith(b'\xef\xbb\xbf"id";')
    code, out, err = cli("export", "schools", "--excel", "--to", "-", *SANDBOX)
    assert (code, out, "--to - writes ndjson" in err) == (2, "", True)


def test_a_value_that_the_library_refuses_is_wrong_usage(cli, handed, tmp_path):
    """Such as a field that no record has: exit code 2, one line."""
    handed.error = ValueError("students has no field 'nmae'; did you mean 'name'?")
    code, out, err = cli("export", "students", "--to", str(tmp_path), *SANDBOX)
    assert (code, out, err) == (2, "", "meitner-aio: students has no field 'nmae'; did you mean 'name'?\n")


def test_a_format_whose_library_is_missing_is_wrong_usage(cli, handed, tmp_path):
    """What to install is in the message; credentials are not the matter."""
    handed.error = ConfigurationError("Parquet needs pyarrow")
    assert cli("export", "students", "--to", str(tmp_path), *SANDBOX) == (2, "", "meitner-aio: Parquet needs pyarrow\n")


@pytest.mark.parametrize(
    ("typed", "kept"), [("7d --resume", True), ("7d", False), ("9d --resume", False), ("2026-01-31 --resume", False)]
)
def test_the_same_words_resume_an_export_since_seven_days_ago(cli, handed, tmp_path, typed, kept):
    """After a kill nobody says which instant they meant, and by now they mean another one."""
    then = datetime.now(UTC) - timedelta(days=7, hours=3)
    with Folder(tmp_path) as folder:
        journal = Journal(folder, "groups", Choices("ndjson", None, "", then.isoformat(), None, 50))
        journal.begin_again([], None)
        journal.close()
    code, _, err = cli("export", "groups", "--to", str(tmp_path), "--since", *typed.split(), *SANDBOX)
    assert (code, err) == (0, "")
    assert (handed.keywords["since"] == then) == kept


def _keep(folder, resource):
    """Leave what an interrupted export leaves: notes of a page, and its rows."""
    with Folder(folder) as held:
        journal = Journal(held, resource, Choices("ndjson", None, "", None, None, None))
        journal.begin_again([PageCheckpoint(0, 7, 30, 7, 7, 0, 0, None)], None)
        journal.close()


def test_nothing_is_said_to_be_kept_that_is_not(cli, handed, tmp_path):
    """A disk that was full before the first checkpoint keeps nothing: there is nothing to go on with."""
    handed.news = [Progress("students", 7, 30)]
    handed.error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "students.part"))
    code, _, err = cli("export", "students", "--to", str(tmp_path), *SANDBOX)
    assert (code, err.count("\n"), "kept" in err) == (1, 1, False)
    assert f"no room for {tmp_path / 'students.part'}" in err


def test_a_failure_says_how_to_go_on(cli, handed, tmp_path):
    """When anything was read, and after the reason."""
    handed.error = APIConnectionError("no connection")
    arguments = ("export", "students", "--to", str(tmp_path), *SANDBOX)
    assert cli(*arguments) == (5, "", "meitner-aio: APIConnectionError: no connection\n")
    handed.news = [Progress("students", 7, 30)]
    _keep(tmp_path, "students")
    code, _, err = cli(*arguments)
    assert (code, err.splitlines()) == (
        5,
        [
            "meitner-aio: APIConnectionError: no connection",
            f"What was read is kept. To go on: meitner-aio {' '.join(arguments)} --resume",
        ],
    )


def test_rows_go_to_stdout_and_everything_else_to_stderr(cli):
    """`--to -` is for pipes: nothing but rows, and the report of --json beside the log."""
    code, out, err = cli("export", "students", "units", "--to", "-", *SANDBOX)
    assert code == 0
    assert len([json.loads(line)["record"]["id"] for line in out.splitlines()]) == 31
    assert sorted(err.splitlines()) == ["students: 30 rows", "units: 1 row"]
    _, out, err = cli("export", "units", "--to", "-", "--json", *SANDBOX)
    assert len(out.splitlines()) == 1
    assert "resources" in json.loads(err.splitlines()[-1])


def test_a_plan_needs_no_folder_and_writes_nothing(cli, handed, tmp_path, monkeypatch):
    """It asks what there is, and exports nothing."""
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("export", "students", "units", "--plan", "--page-size", "10", *SANDBOX)
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()[1:4]] == [["students", "30"], ["units", "1"], ["all", "31"]]
    assert handed.times == 0
    assert list(tmp_path.glob("*.ndjson")) == []


def test_a_plan_as_json_has_everything(cli):
    """What its table says, and what is worked out from it."""
    code, out, _ = cli("export", "students", "--plan", "--json", *SANDBOX)
    plan = json.loads(out)
    assert code == 0
    assert plan.keys() == {"resources", "rows", "requests", "share", "quota", "wait", "seconds"}
    assert (plan["rows"], plan["resources"][0]["resource"]) == (30, "students")
    assert plan["quota"]["limit"] == 1500


def test_a_plan_is_selected_as_an_export_is(cli):
    """By the same options."""
    whole, part = (
        json.loads(cli("export", "students", "--plan", "--json", *SANDBOX, *options)[1])["rows"]
        for options in ((), ("--where", "gender=Female"))
    )
    assert 0 < part < whole


def _reported(name, file, *, complete=True, level="certified"):
    return ResourceReport(
        resource=name,
        file=file,
        format="ndjson",
        rows=29,
        total=30,
        requests=1,
        complete=complete,
        level=level,
        bytes=5000,
        sha256="",
        seconds=0.1,
        exported_at=datetime.now(UTC),
    )


def test_an_incomplete_export_says_so(cli, handed, tmp_path):
    """Exit code 3: the files are there, but not shown to be whole. The reason is on stderr, for --json too."""
    whole, part = (
        _reported("units", "units.ndjson"),
        _reported("students", "students.ndjson", complete=False, level="unverified"),
    )
    handed.report = Report((whole, part), 0.1)
    for options in ((), ("--json",)):
        code, out, err = cli("export", "--to", str(tmp_path), *SANDBOX, *options)
        assert code == Exit.PARTIAL == 3
        assert err.startswith("meitner-aio: students may lack rows: 29 of 30 rows read, unverified")
        assert err.count("\n") == 1
        assert options or out.splitlines()[2].endswith("rows may be missing: the server has 30")
        assert options or out.splitlines()[1].endswith("under 1 s  all rows proven")


def test_as_many_rows_as_were_asked_for_are_complete(cli, handed, tmp_path):
    """`--limit` leaves rows out because somebody said so: exit code 0."""
    handed.report = Report((_reported("students", "students.ndjson", complete=False, level="limited"),), 0.1)
    code, out, err = cli("export", "--to", str(tmp_path), "--limit", "29", *SANDBOX)
    assert (code, err, "incomplete" in out) == (0, "", False)


def test_a_database_is_one_file(cli, handed, tmp_path):
    """Its size is counted once."""
    handed.report = Report(tuple(_reported(name, "directory.sqlite") for name in ("students", "units")), 0.1)
    lines = cli("export", "--to", str(tmp_path), "--format", "sqlite", *SANDBOX)[1].splitlines()
    assert [re.split("  +", line) for line in lines[1:4]] == [
        ["students", "29", "under 1 s", "all rows proven"],
        ["units", "29", "under 1 s", "all rows proven"],
        ["all", "58", "5.0 kB", "under 1 s", "complete"],
    ]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "all rows proven"),
        ({"where": ("gender",)}, "all that match, proven"),
        ({"level": "repaired"}, "proven at second reading"),
        ({"level": "stable"}, "counted twice, the same"),
        ({"level": "consistent", "complete": False}, "nothing moved, no proof: the server has 30"),
        ({"level": "consistent", "complete": False, "total": 29}, "nothing moved, no proof"),
        ({"level": "unverified", "complete": False, "total": 29}, "rows may be missing"),
        ({"level": "unfinished", "complete": False, "total": 29}, "not read to its end"),
        ({"level": "limited", "complete": False}, "first 29 of 30"),
        ({"updated": 4, "complete": False}, "4 rows updated"),
        ({"invalid": (InvalidRow("5", "meta"),), "complete": False}, "1 row left out"),
    ],
)
def test_how_a_resource_was_proven_needs_no_manual(facts, words):
    """Each level has words of its own, which fit beside the longest name on 80 columns."""
    assert proof(msgspec.structs.replace(_reported("students", "students.ndjson"), **facts)) == words


def test_every_level_has_words():
    """A new one would end an export with a KeyError after all was written."""
    for level in get_args(Level):
        assert proof(msgspec.structs.replace(_reported("students", "f"), level=level, complete=level == "stable"))


def test_durations_and_times_are_those_of_people(cli, handed, tmp_path, monkeypatch):
    """Hours and minutes in the table, the time of day with its zone below; seconds and UTC in JSON."""
    monkeypatch.setenv("TZ", "Europe/Stockholm")
    time.tzset()
    one = msgspec.structs.replace(
        _reported("students", "students.ndjson"),
        seconds=10_802.0,
        exported_at=datetime(2026, 7, 1, 10, 30, tzinfo=UTC),
        since=datetime(2026, 6, 24, 22, tzinfo=UTC),
    )
    handed.report = Report((one,), 10_830.5)
    try:
        _, out, _ = cli("export", "students", "--to", str(tmp_path), *SANDBOX)
        told = json.loads(cli("export", "students", "--to", str(tmp_path), "--json", *SANDBOX)[1])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [re.split("  +", line)[3] for line in out.splitlines()[1:3]] == ["3 h", "3 h"]
    assert "done at 2026-07-01 12:30:00 CEST" in out
    assert out.splitlines()[-1] == "only what was created or changed since 2026-06-25 00:00:00 CEST"
    assert (told["seconds"], told["resources"][0]["seconds"]) == (10_830.5, 10_802.0)
    assert told["resources"][0]["exported_at"] == "2026-07-01T10:30:00Z"
    assert {"rows", "complete", "level"} <= told.keys()
