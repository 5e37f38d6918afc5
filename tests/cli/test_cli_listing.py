"""What list and search ask a server for, and what they write: fields, formats, limits, and what is said of the read."""

import asyncio
import csv
import io
import json
import re
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pages import commands
from raw_server import RawServer, answer
from test_cli_process import ANY, COMMAND, DEADLINE, ENVIRONMENT, _on_a_terminal, _start

TEXTS = ["Ek", "=1+1", 'Åsa "Bo"; Ek', "a,b\r\nc", "", "+46", "\N{ROCKET}"]
EXTERNAL = [None, {"sourceID": "E-7", "source": None}]


def _student(number):
    return {
        "id": f"{number:08d}-0000-4000-8000-000000000000",
        "identityNumber": f"20150101-{number:04d}",
        "identityTemporary": number % 2 == 0,
        "firstName": TEXTS[number % len(TEXTS)],
        "lastName": "Canary",
        "emailAddress1": ["", None][number % 2],
        "external": EXTERNAL[number % 2],
        "meta": {"createdAt": f"2025-01-01T08:00:{number % 60:02d}Z"},
    }


class Directory:
    """Serves students and grades, and keeps what it was asked."""

    def __init__(self, size=12):
        self.students = [_student(number) for number in range(size)]
        self.asked = []

    def __call__(self, seen):
        target = urlsplit(seen.target)
        options = {name: int(values[0]) for name, values in parse_qs(target.query).items()}
        self.asked.append((target.path, options, json.loads(seen.body) if seen.body else None))
        limit, offset = options.get("limit", 50), options.get("offset", 0)
        rows = self.students if "student" in target.path else []
        body = {
            "data": rows[offset : offset + limit],
            "pagination": {"offset": offset, "limit": limit, "total": len(rows)},
        }
        return answer(200, body, headers={"Date": "Sat, 21 Nov 2026 10:00:00 GMT"})


@pytest.fixture
def shell(cli, monkeypatch):
    """Give `await shell(directory, *arguments)`: exit code, stdout and stderr of a command that reads it."""

    async def call(directory, *arguments):
        async with RawServer(directory) as server:
            for name, value in (ANY | {"MEITNER_BASE_URL": server.url}).items():
                monkeypatch.setenv(name, value)
            return await asyncio.to_thread(cli, *arguments)

    return call


# Requests.


@pytest.mark.parametrize("format", ["ndjson", "csv", "table"])
@pytest.mark.parametrize(
    ("command", "path"),
    [(("list", "students"), "/student"), (("search", "students", "--where", "lastName=Canary"), "/student/_search")],
)
async def test_five_rows_cost_one_request(shell, command, path, format):
    """`-n 5` is `--limit 5`: one page of five rows, and nothing about the rest, however it is written."""
    directory = Directory()
    code, out, err = await shell(directory, *command, "-n", "5", "--format", format)
    assert [(one[0].removeprefix("/directory/v1"), one[1]["limit"]) for one in directory.asked] == [(path, 5)]
    assert (code, err.count("\n")) == (0, 0 if format == "table" else 1)
    assert "12" in (out if format == "table" else err)
    rows = len([*csv.reader(io.StringIO(out, newline=""))]) if format == "csv" else out.count("\n")
    assert rows == {"ndjson": 5, "csv": 6, "table": 7}[format]


async def test_a_table_reads_no_more_than_it_shows(shell):
    """Fifty rows when nothing is said: one request of a large resource."""
    directory = Directory(2_000)
    code, out, _ = await shell(directory, "list", "students", "--format", "table")
    assert (code, [one[1]["limit"] for one in directory.asked]) == (0, [50])
    assert "50 of 2,000 students" in out


async def test_a_limit_and_a_page_size(shell):
    """Pages until there are enough, and no page more."""
    directory = Directory()
    code, out, _ = await shell(directory, "list", "students", "-n", "5", "--page-size", "2")
    assert (code, out.count("\n"), len(directory.asked)) == (0, 5, 3)


async def test_a_search_without_a_condition_is_a_list(shell):
    """The same requests and the same rows; a resource that cannot be searched is listed, too."""
    listed, searched = Directory(), Directory()
    said = await shell(listed, "list", "students")
    assert said == await shell(searched, "search", "students")
    assert listed.asked == searched.asked
    assert said[1].count("\n") == 12
    assert (await shell(Directory(), "search", "grade-elementaries"))[0] == 0


@pytest.mark.parametrize(
    ("command", "conditions"), [("list", ()), ("search", ()), ("search", ("--where", "last-name=Canary"))]
)
async def test_since_is_what_was_created_or_changed_as_in_an_export(shell, tmp_path, command, conditions):
    """The same filter that an export sends; `list` takes it, too. Conditions hold besides."""
    shown, exported = Directory(), Directory()
    since = ("--since", "2026-11-01", *conditions)
    code, _, _ = await shell(shown, command, "students", *since)
    await shell(exported, "export", "students", "--to", str(tmp_path), *since)
    (path, _, body), *_ = shown.asked
    assert code == 0
    assert path.endswith("/student/_search")
    assert body == exported.asked[0][2]
    assert "2026-11-01T00:00:00" in json.dumps(body)
    assert ("Canary" in json.dumps(body)) == bool(conditions)


async def test_since_counts_back_from_now(shell):
    """Seven days ago is seven days ago."""
    directory = Directory()
    await shell(directory, "list", "students", "--since", "7d")
    (stamp,) = set(re.findall(r"20\d\d-\d\d-\d\dT\d\d:\d\d", json.dumps(directory.asked[0][2])))
    ago = datetime.now(UTC) - datetime.fromisoformat(f"{stamp}Z")
    assert timedelta(days=7) <= ago < timedelta(days=7, hours=1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "students", "--fields", "last_nam"),
        ("list", "grade_elementaries", "--since", "7d"),
        ("search", "students", "--where", "lastNam=Ek"),
        ("list", "students", "--json", "--format", "table"),
    ],
)
async def test_wrong_usage_sends_nothing(shell, arguments):
    """Exit code 2, before any request."""
    directory = Directory()
    code, out, err = await shell(directory, *arguments)
    assert (code, out, err.count("\n"), directory.asked) == (2, "", 1, [])


# Fields and formats.


async def test_fields_keep_the_shape_of_the_api(shell):
    """Only those named, in their order; a dot reaches into an object, and an object that is null stays null."""
    _, out, _ = await shell(Directory(2), "list", "students", "--fields", "last_name,external.source_id,meta,id")
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            "lastName": "Canary",
            "external": external and {"sourceID": "E-7"},
            "meta": {"createdAt": f"2025-01-01T08:00:0{n}Z", "createdBy": None, "updatedAt": None, "updatedBy": None},
            "id": _student(n)["id"],
        }
        for n, external in enumerate(EXTERNAL)
    ]
    assert [*json.loads(out.splitlines()[0])] == ["lastName", "external", "meta", "id"]


@pytest.mark.parametrize("format", ["ndjson", "csv", "table"])
async def test_fields_are_spelled_as_in_python_or_in_the_api(shell, format):
    """Whatever the format, and with blanks around the commas."""
    python, api = [
        await shell(Directory(3), "list", "students", "--format", format, "--fields", names)
        for names in ("last_name,external.source_id,email_address1", "lastName, external.sourceId ,emailAddress1")
    ]
    assert python == api
    assert "E-7" in python[1]


async def test_csv_is_for_programs(shell):
    """RFC 4180 in UTF-8: text as it is and in quotes, no apostrophe before a formula, null apart from empty text."""
    names = "id,firstName,identityTemporary,emailAddress1,external"
    _, out, _ = await shell(Directory(7), "list", "students", "--format", "csv", "--fields", names)
    head, *rows = csv.reader(io.StringIO(out, newline=""))
    assert head == [
        "id",
        "first_name",
        "identity_temporary",
        "email_address1",
        "external_source_id",
        "external_source",
    ]
    assert [row[1] for row in rows] == TEXTS
    assert [row[2] for row in rows[:2]] == ["true", "false"]
    assert [row[4] for row in rows[:2]] == ["", "E-7"]
    lines = out.replace("a,b\r\nc", "").split("\r\n")
    assert (len(lines), lines[-1]) == (9, "")
    assert lines[1] == f'"{_student(0)["id"]}","Ek",true,"",,'
    assert lines[2] == f'"{_student(1)["id"]}","=1+1",false,,"E-7",'


@pytest.mark.parametrize("how", [("--format", "csv"), ("--excel",)])
@pytest.mark.parametrize("command", ["list", "search"])
async def test_csv_is_that_of_an_export(shell, tmp_path, how, command):
    """In either dialect the same bytes: one flat form of a record, on several pages."""
    _, out, _ = await shell(Directory(7), command, "students", "--page-size", "3", *how)
    await shell(Directory(7), "export", "students", "--to", str(tmp_path), *how)
    assert out.startswith("\ufeff") == (how == ("--excel",))
    assert out.encode() == (tmp_path / "students.csv").read_bytes()


@pytest.mark.parametrize(("format", "lines"), [("ndjson", 0), ("csv", 1), ("table", 1)])
async def test_nothing_found_is_no_rows(shell, format, lines):
    """A CSV of nothing has its header, so that a program finds the columns."""
    code, out, _ = await shell(Directory(0), "list", "students", "--format", format, "--fields", "id")
    assert (code, out.count("\n")) == (0, lines)
    assert format != "csv" or out == '"id"\r\n'


@pytest.mark.parametrize("other", [("--format", "ndjson"), ("--format", "table"), ("--json",)])
async def test_excel_is_csv_and_nothing_else(shell, other):
    """Refused before a request."""
    directory = Directory(1)
    code, out, err = await shell(directory, "list", "students", "--excel", *other)
    assert (code, out, err) == (2, "", f"meitner-aio: --excel is --format csv: leave out {' '.join(other)}\n")
    assert (await shell(directory, "list", "students", "--excel", "--format", "csv"))[0] == 0


async def test_a_header_is_written_once(shell):
    """Whatever the number of pages."""
    _, out, _ = await shell(Directory(5), "list", "students", "--format", "csv", "--fields", "id", "--page-size", "2")
    assert out.splitlines() == ['"id"', *(f'"{_student(number)["id"]}"' for number in range(5))]


async def test_what_a_program_reads_is_whole(shell):
    """Personal values are hidden in tables only: there, too, they are shown when asked for."""
    shown = {
        (format, *more): "Canary" in (await shell(Directory(1), "list", "students", "--format", format, *more))[1]
        for format in ("table", "ndjson", "csv")
        for more in ((), ("--show-values",))
    }
    assert [one for one, names in shown.items() if not names] == [("table",)]


# What the read proved.


@pytest.mark.parametrize(
    ("options", "words", "facts"),
    [
        ((), "students: 12 rows, complete (certified)", {"rows": 12, "complete": True, "level": "certified"}),
        (
            ("-n", "5"),
            "students: 5 rows of 12: --limit ended the read",
            {"rows": 5, "complete": False, "level": "limited"},
        ),
    ],
)
async def test_what_the_read_proved_is_on_stderr(shell, options, words, facts):
    """A line for people, JSON with --json, nothing with --quiet; stdout is the data, and the exit code 0."""
    read = ("list", "students", *options)
    plain, json_too, quiet, both = [
        await shell(Directory(), *read, *more) for more in ((), ("--json",), ("-q",), ("--quiet", "--json"))
    ]
    assert plain[2] == f"{words}\n"
    assert json.loads(json_too[2]) == facts
    assert (quiet[2], both[2]) == ("", "")
    assert {(code, out) for code, out, _ in (plain, json_too, quiet, both)} == {(0, plain[1])}
    assert plain[1].count("\n") == facts["rows"]


async def test_rows_that_may_be_lacking_are_told_to_who_is_quiet_too(shell):
    """Exit code 3: with --json the facts stand before the line."""

    class Dated(Directory):
        """Every row was created after the read began, so that counting proves nothing; and the total moves."""

        def __call__(self, seen):
            found = super().__call__(seen)
            if len(self.asked) == 1:
                del self.students[0]
            return found

    said = [
        await shell(Dated(), "list", "students", "--page-size", "5", "--concurrency", "1", *more)
        for more in ((), ("-q",), ("--json",))
    ]
    assert [code for code, _, _ in said] == [3, 3, 3]
    assert all("students may lack rows" in err.splitlines()[-1] for _, _, err in said)
    assert [err.count("\n") for _, _, err in said] == [1, 1, 2]
    facts = json.loads(said[2][2].splitlines()[0])
    assert facts == {"rows": 11, "complete": False, "level": "unverified"}


@pytest.mark.parametrize("format", ["ndjson", "csv"])
async def test_a_reader_that_has_enough_ends_the_read(format):
    """`| head -1` is silent, exit code 0, and the pages that nobody reads are not asked for."""
    directory = Directory(40_000)
    async with RawServer(directory) as server:
        arguments = ("list", "students", "--format", format, "--page-size", "200", "--concurrency", "1")
        with _start(*arguments, environment=ANY | {"MEITNER_BASE_URL": server.url}) as process:
            assert await asyncio.to_thread(process.stdout.readline)
            process.stdout.close()
            assert await asyncio.to_thread(process.stderr.read) == b""
            assert await asyncio.to_thread(process.wait, DEADLINE) == 0
    assert len(directory.asked) < 100


@pytest.mark.parametrize("more", [(), ("--json",)])
@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_a_stderr_that_takes_nothing_is_no_failure(where, more):
    """Nobody can be told what the read proved; the data is whole, has nothing else in it, and the exit code is 0."""
    command = shlex.join((*COMMAND, "list", "units", "--sandbox", *more))
    done = subprocess.run(
        ("sh", "-c", f"{command} {where}"),
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        timeout=DEADLINE,
        check=True,
    )
    assert "title" in json.loads(done.stdout)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("format", ["ndjson", "csv", "table"])
def test_a_full_disk_is_an_error_on_one_line(format):
    """What could not be written is not called written."""
    with (
        Path("/dev/full").open("wb") as full,
        _start("list", "units", "--sandbox", "--format", format, stdout=full) as process,
    ):
        _, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, err.count(b"\n")) == (1, 1)
    assert b"No space left" in err


# On a terminal.


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb", "LINES": ""}])
async def test_a_table_fits_and_names_nobody(width, environment):
    """On a terminal without being told: no line is wrapped, no name is shown, and the note says how to see more."""
    async with RawServer(Directory()) as server:
        environment = ANY | {"MEITNER_BASE_URL": server.url, "COLUMNS": str(width), **environment}
        code, drawn = await asyncio.to_thread(_on_a_terminal, "list", "students", environment=environment)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", drawn)
    assert code == 0
    assert plain.splitlines()[0].startswith("id ")
    assert width - 30 < max(map(len, plain.splitlines()[:13]))
    assert max(map(len, plain.splitlines())) <= width
    assert plain.splitlines()[13].startswith("12 of 12 students, complete (certified)")
    assert "--show-values" in " ".join(plain.split())
    assert "Canary" not in drawn
    assert "20150101" not in drawn
    assert "TERM" not in environment or environment["TERM"] != "dumb" or "\x1b" not in drawn
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", drawn)


def test_the_page_about_the_shell_shows_what_is_drawn():
    """Its table, but for the ids."""
    (words, shown), *_ = (command for command in commands("shell.md") if command.shown)
    code, drawn = _on_a_terminal(*words, environment={"TERM": "dumb", "COLUMNS": "80"})
    head, *rows, note = drawn.splitlines()
    assert (code, [head, note]) == (0, [shown[0], shown[-1]])
    assert [row[36:44] for row in rows] == [row[36:44] for row in shown[1:-1]] == ["  ***"] * 2


async def test_csv_does_not_steer_a_terminal():
    """Controls are escaped there, and the lines end as a terminal's do."""
    directory = Directory(1)
    directory.students[0]["firstName"] = "\x9b2J\x1b]0;x\x07"
    async with RawServer(directory) as server:
        environment = ANY | {"MEITNER_BASE_URL": server.url}
        arguments = ("list", "students", "-q", "--format", "csv", "--fields", "firstName")
        code, drawn = await asyncio.to_thread(_on_a_terminal, *arguments, environment=environment)
    assert (code, drawn.split("\r\n")) == (0, ['"first_name"', r'"\x9b2J\x1b]0;x\x07"', ""])


@pytest.mark.parametrize("command", ["list", "search"])
def test_the_help_says_what_is_written_where(cli, command):
    """The rule of the formats, and one example."""
    _, out, _ = cli(command, "--help")
    text = " ".join(out.replace("│", " ").split())
    assert "Default: table on a terminal, ndjson in a pipe or a file." in text
    assert text.count("meitner-aio " + command) == 2
    assert "--limit -n" in text or "--limit, -n" in text
