"""The command line in this process, against a sandbox in this process."""

import json
import re

import pytest

from meitner_aio import (
    AmbiguousWriteError,
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    IncompleteListing,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExhausted,
    RateLimitError,
    ResponseValidationError,
    __version__,
)
from meitner_aio.cli import app
from meitner_aio.cli._exit import exit_code
from meitner_aio.resources import RESOURCES

COMMANDS = (
    *("export", "list", "search", "get", "count", "purge", "doctor", "sandbox", "completion"),
    *("reconcile", "retire-placements", "login", "logout", "profiles"),
)
WITHOUT_JSON = ("completion", "login", "logout")
SANDBOX = ("--sandbox", "--students", "30")


def _rows(text):
    """Return records without their `meta`: those of a sandbox end with the day before."""
    rows = [json.loads(line) for line in text.splitlines()]
    assert all(row.pop("meta") for row in rows)
    return rows


def test_version_is_that_of_the_package(cli):
    """What a bug report needs."""
    assert cli("--version") == (0, f"meitner-aio {__version__}\n", "")


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_names_every_option_of_a_command(cli, command):
    """Each command explains itself, in a terminal of eighty columns."""
    code, out, err = cli(*command, "--help")
    assert (code, err) == (0, "")
    assert ("Exit codes" in out, "Credentials" in out) == (not command, not command)  # said once
    assert all(option in out for option in ("--quiet -q", "--verbose -v"))
    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith(f"Usage: meitner-aio {' '.join(command)}")
    assert not command or command[0] in WITHOUT_JSON or "--json" in out


def test_help_lists_every_resource(cli):
    """A resource that is added to RESOURCES is in the help, too."""
    _, out, _ = cli("list", "--help")
    assert all(name in out for name in RESOURCES)


@pytest.mark.parametrize("command", COMMANDS)
def test_credentials_are_never_options(command):
    """Everybody on the machine can read the arguments of a process."""
    options = {name for argument in app[command].assemble_argument_collection() for name in argument.names}
    assert options
    names = " ".join(options - {"--client-id", "--token-url"} if command == "login" else options)  # neither is secret
    assert not [word for word in ("secret", "credential", "client-id", "token", "password") if word in names]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("lst",), 'Did you mean "list"'),
        (("list",), "RESOURCE is missing: schools, units, "),
        (("get", "students"), "ID is missing: The record's UUID."),
        (("purge", "--older-than", "30d"), "FOLDER is missing: The folder with the exports."),
        (("purge", "out"), "--older-than is missing. Delete what is older than this: 30d"),
        (("export", "--to"), "--to needs a value"),
        (("list", "students", "--where", "last_name=Ek"), "list takes no --where: search does"),
        (("--profile", "solna", "list"), "options stand behind the command: meitner-aio COMMAND --profile ..."),
        (("list", "students", "--format", "xlsx"), "For Excel there is --excel instead."),
        (("export", "--to", "x", "--format", "excel"), "For Excel there is --excel instead."),
        (("list", "students", "-n", "five"), "-n takes a whole number"),
        (("sandbox", "--latency", "slow"), "--latency takes a number"),
        (("doctor", "solna"), "a word too many: 'solna'"),
        (("search", "students", "--where", "last_name=von", "Ek"), "needs quotes, --where 'last_name=von Ek'"),
        (("list", "studnets"), "there is no resource 'studnets'; did you mean 'students'?"),
        (("list", "elever"), "there is no resource 'elever'; there are schools, units, groups, "),
        (("count", "--base-url", "127.0.0.1:8080"), "must be a whole URL, such as https://api."),
        (("list", "students", "--lmit", "3"), "Did you mean --limit"),
        (("list", "students", "--limit", "0"), "--limit"),
        (("list", "students", "--offset", "-1"), "--offset"),
        (("list", "students", "--page-size", "0", "--sandbox"), "--page-size"),
        (("list", "students", "--students", "3"), "add --sandbox"),
        (("count", "--sandbox", "--server", "staging"), "leave out --server"),
        (("count", "--server", "moon"), "--server"),
        (("login", "--server", "https://directory.test/v1"), "for a URL there is --base-url"),
        (("export", "--profile", "solna", "--profile", "lund"), "export and sync take --profile 'kommun-*'"),
        (("purge", "nowhere/", "--older-than", "30d"), "nowhere/ is not a folder"),
        (("get", "students", "7"), "must be a UUID"),
        (("count", "--sandbox", "--profile", "x"), "leave out --profile"),
        (("export", "students", "--sandbox"), "--to"),
        (("export", "students", "--sandbox", "--to", "--plan"), "--to"),
        (("export", "students", "--sandbox", "--to", "-", "--format", "csv"), "--to - writes ndjson"),
        (("export", "students", "--sandbox", "--to", "-", "--resume"), "--to - writes ndjson"),
        (("export", "--sandbox", "--to", "x", "--since", "soon"), "--since must be an instant"),
        (("export", "--sandbox", "--to", "x", "--fields", ","), "--fields takes names"),
        (("export", "--sandbox", "--to", "x", "--max-wait", "-1"), "--max-wait"),
        (("export", "--sandbox", "--to", "x", "--where", "gender=Female"), "schools has no field 'gender'"),
        (("list", "students", "--sandbox", "--json", "--format", "csv"), "--json is --format ndjson"),
        (("list", "students", "--sandbox", "--format", "xml"), "--format"),
        (("list", "students", "--sandbox", "--fields", ","), "--fields takes names"),
        (("list", "students", "--sandbox", "--fields", "last_nam"), "did you mean 'last_name'? It has id, meta, "),
        (("list", "students", "--sandbox", "--since", "soon"), "--since must be an instant"),
        (("list", "grade_elementaries", "--sandbox", "--since", "7d"), "grade_elementaries cannot be searched"),
        (("search", "students", "--sandbox", "--where", "last_nam=Ek"), "did you mean 'last_name'?"),
        (("completion", "tcsh"), "bash"),
        (("export", "students", "--sandbox", "--to", "x", "--format", "xml"), "--format"),
        (("sandbox", "--port", "99999"), "--port"),
        (("sandbox", "--schools", "0"), "--schools"),
        (("sandbox", "--limiter", "leaky"), "--limiter"),
        (("sandbox", "--resolution", "minute"), "--resolution"),
        (("sandbox", "--over-cap", "cut"), "--over-cap"),
    ],
)
def test_wrong_usage_is_one_line_on_stderr(cli, arguments, reason):
    """Exit code 2, nothing on stdout, and what to do about it."""
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("meitner-aio: ")
    assert err.count("\n") == 1
    assert reason in err


@pytest.mark.parametrize("condition", [("--where", "last_name=von"), ("--where=last_name=von",)])
def test_a_word_behind_a_condition_is_not_repeated(cli, condition):
    """It is the rest of a name that nobody quoted, and stderr may be a log."""
    _, _, err = cli("search", "students", *condition, "Canary")
    assert "a word too many" in err
    assert "Canary" not in err


def test_no_credentials_names_the_variables(cli):
    """Exit code 4, before any request."""
    code, out, err = cli("count")
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert "MEITNER_CLIENT_CREDENTIALS" in err
    assert "MEITNER_CLIENT_SECRET" in err
    assert err.startswith("meitner-aio: no credentials: meitner-aio login asks for them")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError(), 4),
        (AuthenticationError(), 4),
        (PermissionDeniedError(), 4),
        (APIConnectionError(), 5),
        (APITimeoutError(), 5),
        (RateLimitError(), 5),
        (InternalServerError(), 5),
        (QuotaExhausted(), 5),
        (IncompleteListing(), 3),
        (NotFoundError(), 1),
        (ResponseValidationError(), 1),
        (AmbiguousWriteError(), 1),
        (PermissionError(), 1),
    ],
)
def test_every_error_has_its_exit_code(error, code):
    """Scripts decide by it whether to try again."""
    assert exit_code(error) == code


def test_list_writes_one_record_a_line(cli):
    """All rows, named as the API names them, when stdout is not a terminal."""
    code, out, err = cli("list", "students", *SANDBOX)
    rows = _rows(out)
    assert (code, err, len(rows)) == (0, "students: 30 rows, complete (certified)\n", 30)
    assert {"id", "identityNumber", "firstName"} <= rows[0].keys()
    assert len({row["id"] for row in rows}) == 30


@pytest.mark.parametrize(("limit", "offset"), [(1, 0), (7, 20), (30, 0), (50, 25), (3, 30)])
@pytest.mark.parametrize("page_size", [3, 100])
def test_list_limit_and_offset_cut_the_listing(cli, limit, offset, page_size):
    """Exactly the rows asked for, whatever the size of a page."""
    everything = _rows(cli("list", "students", *SANDBOX)[1])
    part = ("--limit", str(limit), "--offset", str(offset), "--page-size", str(page_size))
    assert _rows(cli("list", "students", *SANDBOX, *part)[1]) == everything[offset : offset + limit]


def test_resources_are_understood_with_hyphens(cli):
    """As options are written, so are resources."""
    names = "student-placements", "student_placements"
    hyphens, underscores = ([row["id"] for row in _rows(cli("list", name, *SANDBOX)[1])] for name in names)
    assert hyphens == underscores != []


def test_get_shows_one_record(cli):
    """As JSON on one line for programs."""
    first = _rows(cli("list", "schools", *SANDBOX, "--limit", "1")[1])[0]
    code, out, err = cli("get", "schools", first["id"].upper(), *SANDBOX)
    assert (code, _rows(out), err) == (0, [first], "")


def test_get_of_nothing_is_an_error_on_one_line(cli):
    """Named as in Python, with the request's id for the vendor's support, and no traceback."""
    code, out, err = cli("get", "students", "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64", *SANDBOX)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("meitner-aio: NotFoundError: ")
    assert "request" in err


def test_count_counts_the_resources_named(cli):
    """For people a table, for programs one JSON object in the order asked for."""
    code, out, _ = cli("count", "students", "audit-events", *SANDBOX)
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]] == [["students", "30"], ["audit_events", "1"]]
    assert cli("count", "students", "audit-events", *SANDBOX, "--json")[1] == '{"students":30,"audit_events":1}\n'


def test_count_counts_all_when_none_is_named(cli):
    """The eleven, in the order of RESOURCES."""
    assert list(json.loads(cli("count", *SANDBOX, "--json")[1])) == list(RESOURCES)


def test_the_same_seed_makes_the_same_data(cli):
    """An example that somebody sends can be repeated."""
    one, same, other = (cli("list", "students", *SANDBOX, "--seed", seed)[1] for seed in ("7", "7", "8"))
    names = [[row["identityNumber"] for row in _rows(out)] for out in (one, same, other)]
    assert names[0] == names[1] != names[2]


def test_export_writes_files_and_says_what_is_in_them(cli, tmp_path):
    """The summary on stdout, one quiet line a resource on stderr."""
    code, out, err = cli("export", "students", "audit-events", "--to", str(tmp_path), *SANDBOX)
    assert code == 0
    assert len((tmp_path / "students.ndjson").read_bytes().splitlines()) == 30
    assert sorted(err.splitlines()) == ["audit_events: 1 row", "students: 30 rows"]
    *table, note = out.splitlines()
    assert [line.split()[:2] for line in table] == [
        ["resource", "rows"],
        ["students", "30"],
        ["audit_events", "1"],
        ["all", "31"],
    ]
    assert re.fullmatch(
        rf"in {tmp_path}, done at \d{{4}}(-\d\d){{2}} \d\d(:\d\d){{2}} \S+, described by manifest.json", note
    )
    assert all(line.endswith("  all rows proven") for line in table[1:-1])
    assert table[-1].endswith("  complete")


def test_export_is_what_list_shows(cli, tmp_path):
    """One spelling of a record, wherever it goes."""
    cli("export", "guardians", "--to", str(tmp_path), *SANDBOX)
    assert _rows((tmp_path / "guardians.ndjson").read_text()) == _rows(cli("list", "guardians", *SANDBOX)[1])


def test_export_reports_json_for_programs(cli, tmp_path):
    """The report of the library, as it is."""
    code, out, _ = cli("export", "--to", str(tmp_path), *SANDBOX, "--json")
    report = json.loads(out)
    assert code == 0
    assert [one["resource"] for one in report["resources"]] == list(RESOURCES)
    assert all(one["complete"] for one in report["resources"])


def test_a_folder_that_cannot_be_made_is_an_error_on_one_line(cli, tmp_path):
    """Which file is in its place, no traceback, no request."""
    (tmp_path / "file").write_text("")
    code, out, err = cli("export", "students", "--to", str(tmp_path / "file" / "out"), *SANDBOX)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("meitner-aio: NotADirectoryError: ")
    assert err.endswith(f"cannot be a folder, for {tmp_path / 'file'} is a file\n")
