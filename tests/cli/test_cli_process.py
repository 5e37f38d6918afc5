"""The command line as a process: what it imports, how it ends, what it does on a terminal."""

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import forked_commands
import pytest

import meitner_aio
from meitner_aio import Meitner
from meitner_aio.reconcile import Desired
from meitner_aio.sandbox import Fault, Sandbox

COMMAND = (sys.executable, "-m", "meitner_aio")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")},
    "PYTHONPATH": str(Path(meitner_aio.__file__).parents[1]),
    "PYTHONWARNINGS": "error",
    "TERM": "xterm",
    "COLUMNS": "100",
    "LINES": "40",
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
}
ANY = {"MEITNER_CLIENT_CREDENTIALS": "any-id", "MEITNER_CLIENT_SECRET": "any-secret"}
DEADLINE = 20
"""Seconds that a test waits for a process before it fails."""


def _heed_interrupts():
    """Undo what a shell does to the processes that it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _start(*arguments, environment=None, **streams):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen(
        (*COMMAND, *arguments),
        env=ENVIRONMENT | (environment or {}),
        preexec_fn=_heed_interrupts,
        **streams,
    )


def _run(*arguments, environment=None):
    """Run a command to its end in a process that is forked, as starting an interpreter takes longer than most commands."""
    return forked_commands.run(arguments, ENVIRONMENT | (environment or {}), DEADLINE)


LIGHT = [
    *(("--help",), ("--version",), ("export", "--help"), ("search", "--help"), ("doctor", "--help")),
    *(("sandbox", "--help"), ("sync", "--help"), ("reconcile", "--help"), ("login", "--help")),
    ("completion", "bash"),
]


def test_help_and_version_load_nothing_heavy():
    """Neither HTTP nor a sandbox nor progress bars: they answer while one still looks at the key."""
    code = (
        "import json, sys; from meitner_aio.cli import run\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    assert run(words) == 0\n"
        "    print(json.dumps([words, [*sys.modules]]), file=sys.stderr)"
    )
    done = subprocess.run(
        (sys.executable, "-c", code, json.dumps(LIGHT)),
        env=ENVIRONMENT, capture_output=True, check=True, timeout=DEADLINE,
    )  # fmt: skip
    heavy = {"aiohttp", "tenacity", "aiolimiter", "pyarrow", "platformdirs", "rich.progress", "meitner_aio.sandbox"}
    loaded = [json.loads(line) for line in done.stderr.decode().splitlines()]
    assert [tuple(words) for words, _ in loaded] == LIGHT
    assert [(words, heavy & {*modules}) for words, modules in loaded if heavy & {*modules}] == []
    assert all("meitner_aio.cli" in modules for _, modules in loaded)


def test_a_sandbox_in_this_process_loads_no_http():
    """A trial on a fresh machine is as quick as the data allows."""
    code = (
        "import sys; from meitner_aio.cli import run; run(['count', '--sandbox']); assert 'aiohttp' not in sys.modules"
    )
    subprocess.run((sys.executable, "-c", code), env=ENVIRONMENT, capture_output=True, check=True, timeout=DEADLINE)


def test_without_the_extra_the_command_says_how_to_get_it():
    """One line and exit code 1, not an ImportError."""
    code = "import sys; sys.modules['cyclopts'] = None; from meitner_aio.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        (sys.executable, "-c", code), env=ENVIRONMENT, capture_output=True, check=False, timeout=DEADLINE
    )
    assert done.returncode == 1
    assert done.stderr.decode().count("\n") == 1
    assert 'pip install "meitner-aio[cli]"' in done.stderr.decode()


def test_no_credentials_is_exit_code_4():
    """The environment has none, and nothing asks for them elsewhere."""
    code, out, err = _run("count")
    assert (code, out, err.count("\n")) == (4, "", 1)


@pytest.mark.parametrize("url", ["http://example.com/directory/v1", "ftp://example.com", "nowhere"])
def test_an_address_to_which_no_credential_may_go_is_wrong_usage(url, cli, monkeypatch):
    """It has nothing to do with the credentials, and nothing was sent."""
    for name, value in ANY.items():
        monkeypatch.setenv(name, value)
    code, out, err = cli("count", "--base-url", url)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("meitner-aio: base_url must be ")


def test_a_server_that_is_not_there_is_exit_code_5():
    """Worth another try later."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    code, out, err = _run("count", "--base-url", f"http://127.0.0.1:{port}/directory/v1", environment=ANY)
    assert (code, out, err.count("\n")) == (5, "", 1)
    assert err.startswith("meitner-aio: APIConnectionError: ")


@pytest.mark.parametrize(
    ("options", "code", "name"),
    [
        ({"credentials": ("other-id", "other-secret")}, 4, "AuthenticationError"),
        ({"faults": [Fault(403)]}, 4, "PermissionDeniedError"),
        ({"faults": [Fault(422)]}, 1, "UnprocessableEntityError"),
        ({"faults": [Fault(503, headers={"Retry-After": "0"})]}, 5, "InternalServerError"),
        ({"faults": [Fault(503, times=1, headers={"Retry-After": "0"})]}, 0, ""),
    ],
)
async def test_what_a_server_answers_decides_the_exit_code(options, code, name):
    """Over real HTTP: one line on stderr that names the error, and no secret in it."""
    async with Sandbox(students=5, **options) as sandbox:
        ended, out, err = await asyncio.to_thread(_run, "count", "students", "--base-url", sandbox.url, environment=ANY)
    assert ended == code
    assert err.startswith(f"meitner-aio: {name}: ") if code else "students" in out
    assert err.count("\n") == (1 if code else 0)
    assert err.endswith("; meitner-aio doctor says what to do\n") == (code == 4)
    assert "any-secret" not in err


async def test_the_same_data_over_http_as_in_process():
    """MEITNER_BASE_URL is all that changes."""
    async with Sandbox(students=120) as sandbox:
        environment = ANY | {"MEITNER_BASE_URL": sandbox.url}
        code, out, err = await asyncio.to_thread(_run, "list", "students", "-q", environment=environment)
        ids = [json.loads(line)["id"] for line in out.splitlines()]
        assert (code, err, ids) == (0, "", [record.id for record in sandbox.records("students")])


def test_a_broken_pipe_ends_quietly():
    """`meitner-aio list students | head -1` has shown what it was asked for."""
    with _start("list", "students", "--sandbox", "--students", "1000") as process:
        assert json.loads(process.stdout.readline())["identityNumber"]
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(DEADLINE) == 0


def test_an_export_whose_log_nobody_reads_goes_on(tmp_path):
    """`meitner-aio export ... 2>&1 | head -1` still exports everything."""
    with _start("export", "--sandbox", "--to", str(tmp_path), stderr=subprocess.STDOUT) as process:
        process.stdout.close()
        assert process.wait(DEADLINE) == 0
    assert len(list(tmp_path.glob("*.ndjson"))) == 11


async def test_an_interrupted_export_keeps_what_is_safe_and_says_how_to_go_on(tmp_path):
    """Ctrl-C is exit code 130: whole files only have their names, and the line that is shown brings the rest."""
    async with Sandbox(students=500, latency=0.02) as sandbox:
        options = ("--to", str(tmp_path), "--page-size", "5", "--concurrency", "1", "--base-url", sandbox.url)
        with _start("export", "schools", "students", *options, environment=ANY) as process:
            assert await asyncio.to_thread(process.stderr.readline) == b"schools: 4 rows\n"
            process.send_signal(signal.SIGINT)
            out, err = await asyncio.to_thread(process.communicate, timeout=DEADLINE)
        assert (process.returncode, out) == (130, b"")
        interrupted, kept = err.decode().splitlines()
        assert interrupted == "meitner-aio: interrupted"
        assert {"schools.ndjson", "manifest.json"} <= {path.name for path in tmp_path.iterdir()}
        assert not (tmp_path / "students.ndjson").exists()

        again = kept.partition("meitner-aio ")[2].split()
        assert again[-1] == "--resume"
        code, _, _ = await asyncio.to_thread(_run, *again, environment=ANY)
    assert code == 0
    assert len((tmp_path / "students.ndjson").read_bytes().splitlines()) == 500


async def test_the_sandbox_command_serves_any_client():
    """It says where, answers there, and ends at Ctrl-C."""
    with _start("sandbox", "--port", "0", "--students", "7", "--json") as process:
        url = json.loads(await asyncio.to_thread(process.stdout.readline))["url"]
        async with Meitner("any", "pair", base_url=url) as meitner:
            assert await meitner.students.list().count() == 7
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.to_thread(process.communicate, timeout=DEADLINE)
    assert (process.returncode, err) == (130, b"meitner-aio: interrupted\n")


async def test_the_sandbox_command_writes_a_registry(tmp_path):
    """Of what it serves; one that is there already is left alone, for somebody may have changed it."""
    folder = tmp_path / "registry"
    with _start("sandbox", "--port", "0", "--students", "7", "--registry", str(folder), "--json") as process:
        told = json.loads(await asyncio.to_thread(process.stdout.readline))
        async with Meitner("any", "pair", base_url=told["url"]) as meitner:
            served = await meitner.students.list().all()
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.communicate, timeout=DEADLINE)
    rows = list(Desired.load(folder).rows("students"))
    assert told["registry"]["students"] == 7
    assert [row.fields["external"].source_id for row in rows] == [one.external.source_id for one in served]
    (folder / "students.csv").write_text("mine", encoding="utf-8")
    with _start("sandbox", "--port", "0", "--students", "7", "--registry", str(folder)) as process:
        said = [(await asyncio.to_thread(process.stdout.readline)).decode() for _ in range(13)]
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.communicate, timeout=DEADLINE)
    assert f"{folder} is not empty and was left as it is" in "".join(said)
    assert (folder / "students.csv").read_text(encoding="utf-8") == "mine"


async def test_the_sandbox_command_takes_the_ways_of_a_server():
    """Limiter and quota, the largest page and what becomes of a larger one, the resolution of stamps."""
    options = [
        "--limiter",
        "window",
        "--quota",
        "3",
        "--page-cap",
        "5",
        "--over-cap",
        "refuse",
        "--resolution",
        "microsecond",
    ]
    with _start("sandbox", "--port", "0", "--students", "7", "--json", *options) as process:
        url = json.loads(await asyncio.to_thread(process.stdout.readline))["url"]
        async with aiohttp.ClientSession(headers={"Client-ID": "any", "Client-Secret": "pair"}) as session:
            answers = []
            for limit in (5, 6, 5, 5):
                async with session.get(f"{url}/student?limit={limit}") as answer:
                    answers.append((answer.status, answer.headers["RateLimit-Limit"], await answer.json()))
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.communicate, timeout=DEADLINE)
    assert [status for status, _, _ in answers] == [200, 400, 200, 429]
    assert {limit for _, limit, _ in answers} == {"3"}
    stamps = [row["meta"]["createdAt"] for row in answers[0][2]["data"]]
    assert [stamp for stamp in stamps if "." in stamp]


def test_the_sandbox_command_says_how_to_use_it():
    """The lines to paste into another terminal."""
    with _start("sandbox", "--port", "0", "--students", "7") as process:
        said = [process.stdout.readline().decode() for _ in range(6)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE)
    url = said[0].split()[0]
    assert f"  export MEITNER_BASE_URL={url}\n" in said


def test_a_port_that_is_taken_is_an_error_on_one_line():
    """The system's own reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = _run("sandbox", "--port", str(taken.getsockname()[1]), "--students", "1")
    assert (code, err.count("\n")) == (1, 1)


def _on_a_terminal(*arguments, environment=None, encoding="utf-8"):
    """Return the exit code and all that a command draws on a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    with _start(*arguments, environment=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        drawn = bytearray()
        while True:
            try:
                drawn += os.read(ours, 65536)
            except OSError:  # Linux's end of a terminal
                break
        process.wait(DEADLINE)
    os.close(ours)
    return process.returncode, drawn.decode(encoding)


def test_list_draws_a_table_on_a_terminal():
    """Fifty rows unless more are asked for, the rest announced."""
    code, drawn = _on_a_terminal("list", "students", "--sandbox", "--students", "80")
    lines = drawn.splitlines()
    assert code == 0
    assert "identity_number" in lines[0]
    assert len(lines) == 52
    assert "50 of 80 students" in lines[-1]


def test_get_draws_indented_json_on_a_terminal():
    """For reading."""
    _, out, _ = _run("list", "units", "--sandbox")
    code, drawn = _on_a_terminal("get", "units", json.loads(out)["id"], "--sandbox")
    assert code == 0
    assert drawn.startswith('{\r\n  "id": ')


async def test_export_draws_bars_on_a_terminal(tmp_path):
    """One bar a resource with rows and rate; the table takes their place."""
    async with Sandbox(students=300, latency=0.05) as sandbox:
        environment = ANY | {"MEITNER_BASE_URL": sandbox.url}
        arguments = ("export", "students", "schools", "--to", str(tmp_path), "--page-size", "100")
        code, drawn = await asyncio.to_thread(_on_a_terminal, *arguments, environment=environment)
        strip_traceback = await asyncio.to_thread(
            _on_a_terminal, *arguments, environment=environment | {"TERM": "dumb"}
        )
    assert code == 0
    assert "━" in drawn
    assert "of 300" in drawn
    assert "rows/s" in drawn
    assert "requests left until" in drawn
    assert "described by manifest.json" in drawn
    assert "━" not in strip_traceback[1]
    assert "students: 300 rows" in strip_traceback[1]


def test_no_color_is_honoured():
    """Bold and dim may stay, colours may not."""
    _, coloured = _on_a_terminal("doctor", "--sandbox")
    _, drawn = _on_a_terminal("doctor", "--sandbox", environment={"NO_COLOR": "1"})
    assert "\x1b[32m" in coloured
    assert "\x1b[3" not in drawn


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_shell_completes_commands_resources_and_options(shell):
    """All of them in one script."""
    code, script, err = _run("completion", shell)
    assert (code, err) == (0, "")
    assert all(word in script for word in ("export", "doctor", "student_placements", "keep-runs", "parquet"))


ENDS = """
    compopt() { :; }
    meitner-aio() { command "$PYTHON" -m meitner_aio "$@"; }
    ends() {
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _meitner_aio_with_fields; echo "${COMPREPLY[@]}"
    }
"""
"""Asks what the function that bash calls would put in place of the last word."""


def _ends_in_bash(*lines):
    """Return what bash completes each line with; the function is the one that the script registers."""
    script = _run("completion", "bash")[1]
    assert script.endswith("complete -F _meitner_aio_with_fields meitner-aio\n")
    done = subprocess.run(
        ("bash", "--norc", "-c", script + ENDS + "\n".join(f"ends {line}" for line in lines)),
        capture_output=True,
        check=True,
        timeout=DEADLINE,
        env=ENVIRONMENT | {"PYTHON": sys.executable},
    )
    return done.stdout.decode().splitlines()


def test_completion_in_bash():
    """`meitner-aio export stud<TAB>` has two ends, `meitner-aio export --form<TAB>` one."""
    lines = ("exp", "export stud", "export --form", "log", "prof", "login --key")
    assert _ends_in_bash(*(f"meitner-aio {line}" for line in lines)) == [
        *("export", "students student_placements", "--format"),
        *("login logout", "profiles", "--keyring"),
    ]


def test_fields_are_completed_in_bash():
    """One by one in a list, behind the quote of a condition, behind an equals sign: `=` is a word of its own there."""
    lines = (
        "meitner-aio list students --fields id,last_n",
        "meitner-aio list students --fields = ge",
        """meitner-aio search students --where "'last_n" """,
        "meitner-aio search students --where meta.u",
    )
    found = [[*dict.fromkeys(line.split())] for line in _ends_in_bash(*lines)]
    assert found == [
        ["id,last_name", "id,last_name,"],
        ["gender", "gender,"],
        ["last_name"],
        ["meta.updated_at", "meta.updated_by"],
    ]


def test_completion_is_installed_in_bash(tmp_path):
    """The file is the script that the command writes."""
    code, _, err = _run("completion", "bash", "--install", environment={"HOME": str(tmp_path)})
    (script,) = (path for path in tmp_path.rglob("*meitner-aio*") if path.is_file())
    assert (code, str(script) in err) == (0, True)
    assert script.read_text() == _run("completion", "bash")[1]


def test_completion_is_installed_where_the_shell_looks(tmp_path):
    """Below the home folder, and said so."""
    code, out, err = _run("completion", "fish", "--install", environment={"HOME": str(tmp_path)})
    assert (code, out) == (0, "")
    assert str(tmp_path) in err
    assert len(list(tmp_path.rglob("meitner-aio.fish"))) == 1
