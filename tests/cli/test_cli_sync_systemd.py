"""The unit that `sync --print-systemd` prints: what systemd makes of it, and what it must not hold."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meitner_aio.cli import _systemd
from meitner_aio.cli._systemd import unit

Cli = Callable[..., tuple[int, str, str]]

TMP = "/tmp"  # noqa: S108 - nothing is put there
HARDENED = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "MemoryDenyWriteExecute": "yes",
    "UMask": "0077",
    "Restart": "on-failure",
    "RestartPreventExitStatus": "2 4",
    "KillSignal": "SIGTERM",
    "Type": "exec",
}


def _service(text: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return dict(parser["Service"])


def _read_back(line: str) -> list[str]:
    """Return the words of a line as systemd's manual says that they are read (systemd.service, "Command lines")."""
    assert not re.search(r"(?<!%)(?:%%)*%(?!%)|(?<!\$)(?:\$\$)*\$(?!\$)", line), "a specifier, or a variable"
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    unescaped = (
        re.sub(r"\\(.)", lambda one: {"n": "\n"}.get(one[1], one[1]), quoted or plain) for quoted, plain in found
    )
    return [word.replace("%%", "%").replace("$$", "$") for word in unescaped]


def test_a_unit_does_what_the_options_say(cli: Cli) -> None:
    """The same words, absolute paths, and an interval where none was given."""
    code, out, err = cli(
        *("sync", "students", "groups", "--to", "directory.sqlite", "--verify", "--grades-every", "1d"),
        *("--max-deletions", "0.1", "--metrics", "/var/lib/metrics/meitner.prom", "--server", "staging"),
        "--print-systemd",
    )
    assert (code, err) == (0, "")
    _, *words = shlex.split(_service(out)["ExecStart"])
    words = words[words.index("sync") :]
    assert words[:5] == ["sync", "students", "groups", "--to", "/var/lib/meitner-aio/directory.sqlite"]
    assert (
        dict(pairwise(words)).items()
        >= {
            "--every": "15m",
            "--grades-every": "1d",
            "--max-deletions": "0.1",
            "--metrics": "/var/lib/metrics/meitner.prom",
            "--server": "staging",
        }.items()
    )
    assert "--verify" in words
    assert "--print-systemd" not in words


def test_a_unit_is_hardened() -> None:
    """What systemd can keep from a service that needs a network and one folder."""
    service = _service(unit(["/usr/bin/true"], file=Path("/var/lib/meitner-aio/d.sqlite"), metrics=None, secrets=True))
    assert service.items() >= HARDENED.items()
    assert service["StateDirectory"] == "meitner-aio"
    assert service["StateDirectoryMode"] == "0700"
    assert service["EnvironmentFile"].startswith("/etc/")
    assert service["User"] != "root"


def test_no_secret_is_printed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may read a unit: it names the file that has them."""
    monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", "an-id-canary")
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", "a-secret-canary")
    _, out, _ = cli("sync", "--to", "directory.sqlite", "--print-systemd")
    assert "canary" not in out
    assert "EnvironmentFile=" in out


@pytest.mark.parametrize("options", [("--sandbox",), ("--profile", "solna")])
def test_who_needs_no_file_of_secrets_gets_none(cli: Cli, options: tuple[str, ...]) -> None:
    """A service whose file is missing would not start."""
    _, out, _ = cli("sync", "--to", "directory.sqlite", "--print-systemd", *options)
    assert "EnvironmentFile" not in out
    assert "sync.env" not in out
    assert " ".join(options) in out


@pytest.mark.parametrize(
    ("file", "metrics", "expected"),
    [
        ("/srv/meitner/d.sqlite", None, {"ReadWritePaths": "/srv/meitner", "ProtectHome": "yes"}),
        ("/home/ek/d.sqlite", None, {"ReadWritePaths": "/home/ek", "ProtectHome": "read-only"}),
        ("/var/lib/a/b/d.sqlite", "/srv/x y/m.prom", {"StateDirectory": "a/b", "ReadWritePaths": '"/srv/x y"'}),
        ("/var/lib/d.sqlite", None, {"ReadWritePaths": "/var/lib"}),
    ],
)
def test_a_service_may_write_where_its_files_are(file: str, metrics: str | None, expected: dict[str, str]) -> None:
    """And nowhere else; below /var/lib systemd makes the folder."""
    path = None if metrics is None else Path(metrics)
    text = unit(["/usr/bin/true"], file=Path(file), metrics=path, secrets=True)
    assert _service(text).items() >= expected.items()


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r", exclude_categories=["Cc", "Cs"]) | st.just("\n"))
    )
)
def test_every_word_is_read_back_as_it_was(words: list[str]) -> None:
    """Percent signs, dollars, quotes, blanks and ends of lines mean something to systemd."""
    (line,) = [" ".join(map(_systemd._argument, words))]
    assert "\n" not in line
    assert _read_back(line) == words


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--to", f"{TMP}/d.sqlite"), "a service has its own tmp folder"),
        (("--to", "d.sqlite", "--metrics", f"{TMP}/m.prom"), "a service has its own tmp folder"),
        (("--to", "d.sqlite", "--accept-deletions", "5"), "--accept-deletions is for a single run"),
        ((), "--to FILE is missing"),
    ],
)
def test_what_no_service_can_do_is_wrong_usage(cli: Cli, arguments: tuple[str, ...], reason: str) -> None:
    """Nothing is printed, so that nobody installs it."""
    code, out, err = cli("sync", "--print-systemd", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"meitner-aio: {reason}")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_systemd_accepts_the_unit_and_calls_it_safe(tmp_path: Path) -> None:
    """No word is unknown to it, and its own judgement of exposure is good: below 2 of 10."""
    path = tmp_path / "meitner-sync.service"
    words = [shutil.which("true") or "/bin/true", "sync", "--to", '/var/lib/meitner-aio/100 % "å".sqlite', "$HOME"]
    path.write_text(unit(words, file=Path(words[3]), metrics=Path("/var/lib/m e/m.prom"), secrets=True))
    done = subprocess.run(("systemd-analyze", "verify", path), capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if path.name in line]) == (0, [])
    judged = subprocess.run(
        ("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout[-200:]
