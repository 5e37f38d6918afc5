"""`login`, `logout`, `profiles`: what is written, what is refused, what is told, and that no secret is."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable

import pytest
from canaries import CREDENTIALS, sung
from profile_files import settings

from meitner_aio import OAuth2
from meitner_aio._profiles.place import config_path
from meitner_aio.cli._profile import Profile, load_all
from meitner_aio.sandbox import Fault, Sandbox

CLIENT, SECRET = CREDENTIALS
SOLNA = ("--profile", "solna", "--client-id", CLIENT)
OTHERS = '# mine\n[lund]  # the old one\nclient_credentials = "lund-id"\nclient_secret = "lund-secret"\nto = "out"\n'
DOCTORED = "all 11 resources"


@pytest.fixture
def piped(cli, monkeypatch):
    """Return what runs a command with bytes on stdin; nothing that it writes shows the secret."""

    def call(data: bytes | None, *arguments: str) -> tuple[int, str, str]:
        stdin = None if data is None else io.TextIOWrapper(io.BytesIO(data))
        monkeypatch.setattr(sys, "stdin", stdin)
        code, out, err = cli(*arguments)
        assert sung(out + err, [SECRET]) == []
        return code, out, " ".join(err.split())

    return call


@pytest.fixture
async def sandbox():
    """Serve a directory that accepts the canaries."""
    async with Sandbox(students=3, credentials=CREDENTIALS) as served:
        yield served


Piped = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
async def test_a_secret_comes_through_a_pipe(piped: Piped, sandbox, end):
    """It is tried by one request, and written with nothing else touched; doctor follows."""
    path = settings(OTHERS)
    code, out, err = await asyncio.to_thread(piped, SECRET.encode() + end, "login", *SOLNA, "--base-url", sandbox.url)
    assert (code, DOCTORED in out) == (0, True)
    assert f"{sandbox.url} accepts the credentials. Saved: profile solna in {path}, which only you can read." in err
    assert path.read_text() == OTHERS + (
        f'\n[solna]\nbase_url = "{sandbox.url}"\nclient_credentials = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
    )
    assert len(sandbox.requests) == 1 + 12


async def test_the_profile_is_used_afterwards(piped: Piped, sandbox):
    """By a command that names it."""
    await asyncio.to_thread(piped, SECRET.encode(), "login", *SOLNA, "--base-url", sandbox.url)
    code, out, _ = await asyncio.to_thread(piped, b"", "count", "students", "--profile", "solna")
    assert (code, "3" in out) == (0, True)


async def test_a_login_replaces_credentials_and_nothing_else(piped: Piped, sandbox):
    """Other settings of the profile stay, its server too where none is named; without --yes nothing is done."""
    before = (
        f'[solna]\nto = "out"  # here\nbase_url = "{sandbox.url}"\nclient_id = "old"\ntoken_url = "/t"\n'
        'client_secret = "old"\n\n# of lund\n[lund]\n'
    )
    path = settings(before)
    code, _, err = await asyncio.to_thread(piped, SECRET.encode(), "login", *SOLNA)
    assert (code, "add --yes to replace" in err, path.read_text(), len(sandbox.requests)) == (2, True, before, 0)
    assert (await asyncio.to_thread(piped, SECRET.encode(), "login", *SOLNA, "--yes"))[0] == 0
    assert path.read_text() == (
        f'[solna]\nbase_url = "{sandbox.url}"\nclient_credentials = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
        'to = "out"  # here\n\n# of lund\n[lund]\n'
    )


async def test_credentials_of_oauth2(piped: Piped, monkeypatch):
    """With where their tokens are, unless that is the usual place."""
    tried: list[OAuth2] = []

    async def accepted(auth, url):
        tried.append(auth)

    monkeypatch.setattr("meitner_aio.cli.commands.login._tried", accepted)
    monkeypatch.setattr("meitner_aio.cli.commands.login.doctor_command", _nothing)
    login = ("login", *SOLNA, "--server", "staging")
    await asyncio.to_thread(piped, SECRET.encode(), *login, "--oauth2")
    plain = Profile(server="staging", client_id=CLIENT, client_secret=SECRET)
    assert load_all() == {"solna": plain}
    await asyncio.to_thread(piped, SECRET.encode(), *login, "--token-url", "/token", "--yes")
    assert load_all()["solna"].token_url == "/token"
    assert [type(auth) for auth in tried] == [OAuth2, OAuth2]


async def _nothing(**_: object) -> None:
    """Take the place of doctor."""


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        (Fault(401), 4, "does not accept this client id and secret. Nothing was saved."),
        (Fault(503), 5, "InternalServerError"),
        (Fault(404), 1, "NotFoundError"),
        ("reset", 5, "APIConnectionError"),
        (Fault(403), 0, "accepts the credentials."),
    ],
)
async def test_nothing_is_written_that_the_server_has_not_accepted(piped: Piped, sandbox, fault, code, reason):
    """A right that is missing is no wrong secret; everything else leaves the file as it was, after one request."""
    path = settings(OTHERS)
    sandbox.fail(fault)
    ended, _, err = await asyncio.to_thread(piped, SECRET.encode(), "login", *SOLNA, "--base-url", sandbox.url)
    assert (ended, reason in err) == (code, True)
    assert (path.read_text() == OTHERS) is bool(code)
    assert ("othing was saved." in err) is bool(code)
    assert ("Is the address whole? It looks like https://api." in err) is (reason == "NotFoundError")
    assert not code or len(sandbox.requests) <= 1


@pytest.mark.parametrize(
    ("data", "arguments", "code", "reason"),
    [
        (None, SOLNA, 2, "what came on stdin is empty"),
        (b"\n", SOLNA, 2, "what came on stdin is empty"),
        (b"\xff", SOLNA, 2, "is not UTF-8"),
        (SECRET.encode() * 1000, SOLNA, 2, "larger than 8192 bytes"),
        (f"{SECRET}\n{SECRET}".encode(), SOLNA, 2, "must be printable ASCII"),
        (SECRET.encode(), ("--profile", "solna"), 2, "no client id (--client-id) was given"),
        (SECRET.encode(), ("--profile", "kommun-*", "--client-id", CLIENT), 2, "cannot be the name of a tenant"),
        (SECRET.encode(), (*SOLNA, "--server", "staging", "--base-url", "https://x.example"), 2, "leave one out"),
        (SECRET.encode(), (*SOLNA, "--base-url", "http://x.example"), 2, "the server must be https"),
        (SECRET.encode(), (*SOLNA, f"--client-secret={SECRET}"), 2, "Unknown option: --client-secret."),
    ],
)
def test_a_login_that_cannot_be_meant(piped: Piped, data, arguments, code, reason):
    """Refused before a request, and nothing is written."""
    ended, out, err = piped(data, "login", *arguments)
    assert (ended, out, reason in err) == (code, "", True)
    assert not config_path().parent.exists()


async def test_what_others_could_read_is_mended_and_told(piped: Piped, sandbox):
    """The file and its folder."""
    path = settings(OTHERS)
    path.chmod(0o644)
    path.parent.chmod(0o755)
    code, _, err = await asyncio.to_thread(piped, SECRET.encode(), "login", *SOLNA, "--base-url", sandbox.url)
    assert (code, path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0, 0o600, 0o700)
    assert f"{path.parent} was open to others" in err
    assert f"{path} could be read by others" in err


def _written_by_others(path):
    path.chmod(0o666)


def _folder_of_others(path):
    path.parent.chmod(0o777)


def _link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _broken(path):
    path.write_text(f'[solna]\nclient_secret = "{SECRET}')


def _latin(path):
    path.write_bytes(b"# Malm\xf6\n" + path.read_bytes())


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        (_written_by_others, 4, "others may write"),
        (_folder_of_others, 4, "others may write"),
        (_link, 4, "is a link, which could lead"),
        (_broken, 2, "is not TOML"),
        (_latin, 2, "is not TOML: it must be UTF-8"),
    ],
)
@pytest.mark.parametrize("command", ["login", "logout"])
def test_a_file_that_is_not_changed(piped: Piped, change, code, reason, command):
    """Before anything is asked or sent: it may be somebody else's work, or lead elsewhere."""
    path = settings(OTHERS)
    change(path)
    before = path.read_bytes()
    words = (*SOLNA, "--base-url", "http://127.0.0.1:1") if command == "login" else ("--profile", "lund")
    ended, _, err = piped(SECRET.encode(), command, *words)
    assert (ended, reason in err, path.read_bytes()) == (code, True, before)


@pytest.mark.parametrize(
    "text", ['solna = {to = "out"}\n', '[solna]\nclient_secret = """\na\n"""\n', '[a]\nx = """\n[solna]\n"""\n']
)
async def test_a_table_of_an_unusual_form_is_left_to_people(piped: Piped, sandbox, text):
    """Rather than guessed at."""
    path = settings(text)
    words = ("login", *SOLNA, "--base-url", sandbox.url, "--yes")
    code, _, err = await asyncio.to_thread(piped, SECRET.encode(), *words)
    assert (code in (2, 4), path.read_text()) == (True, text), err


async def test_two_logins_at_once_are_both_kept(piped: Piped, sandbox, monkeypatch):
    """Each reads the file again before it writes, and waits for the other."""
    from meitner_aio.cli import _config_file

    await asyncio.gather(
        *(
            asyncio.to_thread(_config_file.put, f"p{n}", {"client_credentials": "a", "client_secret": "b"})
            for n in range(8)
        )
    )
    assert sorted(load_all()) == [f"p{n}" for n in range(8)]


async def test_variables_that_beat_the_profile_are_named(piped: Piped, sandbox, monkeypatch):
    """Doctor would find other credentials than those just kept."""
    monkeypatch.setenv("MEITNER_CLIENT_ID", "other")
    _, _, err = await asyncio.to_thread(piped, SECRET.encode(), "login", *SOLNA, "--base-url", sandbox.url)
    assert "MEITNER_CLIENT_ID is set in the environment, and is used instead of what the profile has." in err


async def test_the_environment_names_the_profile(piped: Piped, sandbox, monkeypatch):
    """As it does for other commands; else it is `default`."""
    monkeypatch.setenv("MEITNER_PROFILE", "solna")
    words = ("login", "--client-id", CLIENT, "--base-url", sandbox.url)
    await asyncio.to_thread(piped, SECRET.encode(), *words)
    monkeypatch.delenv("MEITNER_PROFILE")
    await asyncio.to_thread(piped, SECRET.encode(), *words)
    assert list(load_all()) == ["solna", "default"]


def test_a_logout_removes_a_profile(piped: Piped):
    """Its lines and no others, and says that the key lives on."""
    path = settings(f'# top\n[solna]\nclient_credentials = "{CLIENT}"\nclient_secret = "{SECRET}"\n\n{OTHERS}')
    path.chmod(0o640)
    code, out, err = piped(b"", "logout", "--profile", "solna")
    assert (code, out) == (0, "")
    assert path.read_text() == f"# top\n\n{OTHERS}"
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"Removed: profile solna from {path}. Its key is still valid: revoke it at Meitner" in err
    code, _, err = piped(b"", "logout", "--profile", "solna")
    assert (code, "there is no profile 'solna'" in err, "; there is lund" in err) == (2, True, True)
    piped(b"", "logout", "--profile", "lund")
    code, _, err = piped(b"", "logout", "--profile", "lund")
    assert (code, err) == (2, f"meitner-aio: there is no profile 'lund' in {path}, which has none")


def test_profiles_tell_no_secret(piped: Piped):
    """Names, servers, and where the secret is; for programs, too."""
    code, out, err = piped(b"", "profiles")
    assert (code, out, "has no profiles" in err) == (0, "", True)
    assert piped(b"", "profiles", "--json")[1] == "[]\n"
    settings(
        OTHERS,
        f'[solna]\nserver = "staging"\nclient_id = "{CLIENT}"\nkeyring = "solna"',
        f'[nacka]\nclient_credentials = "{CLIENT}"\nbase_url = "https://me:{SECRET}@x.example"',
        "[empty]",
    )
    code, out, err = piped(b"", "profiles")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["profile", "server", "credentials", "secret"],
        ["lund", "https://api.meitner.se/directory/v1", "API", "key", "config.toml"],
        ["solna", "https://api.staging.meitner.se/directory/v1", "OAuth2", "keyring"],
        ["nacka", "no", "usable", "address", "API", "key", "none"],
        ["empty", "https://api.meitner.se/directory/v1", "none", "none"],
    ]
    told = json.loads(piped(b"", "profiles", "--json")[1])
    assert told[1] == {
        "name": "solna",
        "server": "https://api.staging.meitner.se/directory/v1",
        "credentials": "oauth2",
        "secret": "keyring",
    }
    assert sung(json.dumps(told) + out, [CLIENT, "lund-id"]) == []


def test_profiles_refuse_an_open_file(piped: Piped):
    """As every command does that reads it."""
    settings(OTHERS).chmod(0o644)
    code, out, err = piped(b"", "profiles")
    assert (code, out, "chmod 600" in err) == (4, "", True)
