"""What the help shows: one example for each command, which works, and summaries that are those of the commands."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from meitner_aio.cli import _COMMANDS as COMMANDS
from meitner_aio.cli import app

NAMES = [name for name, *_ in COMMANDS]
ONLY_PARSED = {
    "login": "asks",
    "logout": "needs a profile",
    "completion": "writes where a shell looks",
    "sandbox": "serves",
}
"""Examples that no test runs, and why."""
WITHOUT_SANDBOX = {"purge", "profiles"}


def _commands(cli, name):
    """Return the command lines that the help of a command shows, and which of them is its example."""
    _, out, _ = cli(name, "--help")
    lines = [line.strip() for line in out.splitlines()[1:]]  # the first is the usage
    (example,) = [line.removeprefix("Example: ") for line in lines if line.startswith("Example: ")]
    shown = [found[0] for line in lines if (found := re.search(r"meitner-aio [a-z-]+[^|<>]*$", line))]
    return shown, example


@pytest.mark.parametrize("name", NAMES)
def test_every_command_line_in_the_help_is_understood(cli, name):
    """Each help has one example of its own command; that and what else it shows can be typed."""
    shown, example = _commands(cli, name)
    assert example in shown
    assert example.split()[:2] == ["meitner-aio", name]
    for line in shown:
        _, *words = shlex.split(line.rstrip(")"))
        command, bound, ignored = app.parse_args(words, print_error=False, exit_on_error=False)
        assert (command.__name__, ignored) == (f"{words[0].replace('-', '_')}_command", {})
        assert bound is not None


@pytest.fixture
def folder(cli, tmp_path, monkeypatch):
    """Return the folder that examples are typed in: it has a registry."""
    from meitner_aio.reconcile.registry._written import write_registry
    from meitner_aio.sandbox import Sandbox

    monkeypatch.chdir(tmp_path)
    write_registry(tmp_path / "registry", Sandbox(students=5, owned=True).records)
    return tmp_path


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ONLY_PARSED])
def test_every_example_works(cli, folder, name):
    """On synthetic data, once; only the record that `get` shows has another id there."""
    _, example = _commands(cli, name)
    _, *words = shlex.split(example.partition(" --every")[0])
    if name not in WITHOUT_SANDBOX:
        words += ["--sandbox", "--students", "5"]
    if name == "purge":
        assert cli("export", "schools", "--to", "out", "--sandbox")[0] == 0
    if name == "get":
        _, out, _ = cli("list", words[1], "--json", "--sandbox", "--students", "5")
        words[2] = json.loads(out.splitlines()[0])["id"]
    code, out, err = cli(*words)
    assert (code, bool(out or err)) == (0, True)


def test_the_list_of_commands_has_their_first_lines(cli):
    """It is printed without importing them, so that it has its own copy."""
    _, listed, _ = cli("--help")
    for name, _, _, summary in COMMANDS:
        _, out, _ = cli(name, "--help")
        assert out.splitlines()[2] == summary
        assert summary.split()[0] in listed
