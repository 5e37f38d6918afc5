"""`Meitner(profile=...)`: the file of the command line in Python, and what beats it."""

from __future__ import annotations

import sys
from pathlib import Path

import platformdirs
import pytest
from canaries import CREDENTIALS, shown, sung
from profile_files import settings

from meitner_aio import ApiKey, ConfigurationError, Meitner, Portal
from meitner_aio._pipeline.settings import SERVERS
from meitner_aio._profiles.place import config_path
from meitner_aio.sandbox import Sandbox

CLIENT, SECRET = CREDENTIALS
KEY = f'client_credentials = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
THERE, HERE = "https://directory.example/v1", "http://127.0.0.1:1/v1"
VARIABLES = {"MEITNER_CLIENT_CREDENTIALS": "env-id", "MEITNER_CLIENT_SECRET": "env-secret"}

pytestmark = pytest.mark.usefixtures("own_settings")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_CONFIG_HOME": "/somewhere//else/"},
        {"XDG_CONFIG_HOME": "relative"},
        {"XDG_CONFIG_HOME": ""},
        {"HOME": ""},
    ],
)
def test_the_file_is_where_platformdirs_says(monkeypatch, variables) -> None:
    """By the same rules, without the library."""
    monkeypatch.delenv("XDG_CONFIG_HOME")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert config_path() == platformdirs.user_config_path("meitner-aio", appauthor=False) / "config.toml"


@pytest.mark.parametrize(
    ("platform", "folder"), [("darwin", "Library/Application Support"), ("linux", ".config"), ("freebsd14", ".config")]
)
def test_other_systems_have_other_folders(monkeypatch, platform, folder) -> None:
    """As platformdirs has them."""
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(sys, "platform", platform)
    assert config_path() == Path.home() / folder / "meitner-aio" / "config.toml"


def test_windows_keeps_settings_on_the_machine(monkeypatch) -> None:
    """Where it says, in a variable."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert config_path() == Path("/local/meitner-aio/config.toml")
    monkeypatch.delenv("LOCALAPPDATA")
    assert config_path() == Path.home() / "AppData" / "Local" / "meitner-aio" / "config.toml"


async def test_a_client_of_a_profile() -> None:
    """Its server and its credentials; the rest of it is of the command line."""
    async with Sandbox(students=4, credentials=CREDENTIALS) as sandbox:
        settings(f'[solna]\n{KEY}base_url = "{sandbox.url}"\nformat = "csv"\nto = "out"\npage_size = 7\n')
        async with Meitner(profile="solna") as meitner:
            assert await meitner.students.list().count() == 4
            assert sung(repr(meitner)) == []


async def test_a_client_of_a_profile_without_asyncio() -> None:
    """Through the portal, as any other."""
    async with Sandbox(students=4, credentials=CREDENTIALS) as sandbox:
        settings(f'[solna]\n{KEY}base_url = "{sandbox.url}"\n')
        from asyncio import to_thread

        def counted() -> int:
            with Portal(Meitner(profile="solna")) as portal:
                return portal.run(portal.meitner.students.list().count())

        assert await to_thread(counted) == 4


@pytest.mark.parametrize(
    ("table", "variables", "arguments", "url"),
    [
        (KEY, {}, {}, SERVERS["production"]),
        (f'{KEY}server = "staging"', {}, {}, SERVERS["staging"]),
        (f'{KEY}server = "staging"', {}, {"server": "staging"}, SERVERS["staging"]),
        (f'{KEY}base_url = "{THERE}/"', {}, {}, THERE),
        (KEY, {}, {"base_url": HERE}, HERE),
        (KEY, VARIABLES, {}, SERVERS["production"]),
        (KEY, VARIABLES | {"MEITNER_BASE_URL": HERE}, {}, HERE),
        (f'base_url = "{THERE}"', VARIABLES, {}, THERE),
        (f'base_url = "{THERE}"\nclient_credentials = "{CLIENT}"', {"MEITNER_CLIENT_SECRET": "s"}, {}, THERE),
        (f'base_url = "{THERE}"\nclient_credentials = "{CLIENT}"', {}, {"client_secret": "s"}, THERE),
        (KEY, VARIABLES, {"client_secret": "s"}, SERVERS["production"]),
        (f'server = "staging"\nclient_id = "{CLIENT}"\nclient_secret = "{SECRET}"', {}, {}, SERVERS["staging"]),
    ],
)
def test_where_a_client_of_a_profile_goes(monkeypatch, table, variables, arguments, url) -> None:
    """What the call says, else the environment, else the profile."""
    settings(f"[solna]\n{table}\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert repr(Meitner(profile="solna", **arguments)) == f"<Meitner {url}>"


@pytest.mark.parametrize(
    ("table", "variables", "arguments", "reason"),
    [
        (KEY, {"MEITNER_BASE_URL": HERE}, {}, "MEITNER_BASE_URL gets no secret of a profile"),
        (KEY, {"MEITNER_BASE_URL": HERE}, {"client_secret": "s"}, "MEITNER_BASE_URL gets no secret of a profile"),
        (KEY, {}, {"server": "staging"}, "belong to production"),
        (f'{KEY}server = "staging"', {}, {"base_url": HERE}, "belong to staging"),
        (f'{KEY}base_url = "{THERE}"', VARIABLES, {}, "the environment has credentials"),
        (KEY, {}, {"server": "moon"}, "server must be one of"),
        (KEY, {}, {"auth": ApiKey("a", "b")}, "either a profile or auth"),
        (KEY, {}, {"client_credentials": "a", "client_secret": "b"}, "either a profile or auth"),
        ("", {}, {}, "has no complete credentials: meitner-aio login --profile 'solna'"),
        ("", VARIABLES, {"client_secret": "s"}, "has no complete credentials"),
        (f'client_secret = "{SECRET}"', {}, {}, "has no complete credentials"),
        (f'{KEY}keyring = "solna"', {}, {}, "remove one"),
        (f'{KEY}pages = "{SECRET}"', {}, {}, "unknown setting 'pages'"),
    ],
)
def test_a_client_of_a_profile_that_is_not_built(monkeypatch, table, variables, arguments, reason) -> None:
    """Refused before any request, with what to do and without a secret."""
    settings(f"[solna]\n{table}\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=reason) as refused:
        Meitner(profile="solna", **arguments)
    assert [line for line in shown(refused.value) if sung(line)] == []


async def test_credentials_of_the_environment_beat_those_of_the_profile(monkeypatch) -> None:
    """As a pair: the server hears nothing of the profile's."""
    async with Sandbox(students=4, credentials=("env-id", "env-secret")) as sandbox:
        settings(f"[solna]\n{KEY}")
        for name, value in (VARIABLES | {"MEITNER_BASE_URL": sandbox.url}).items():
            monkeypatch.setenv(name, value)
        async with Meitner(profile="solna") as meitner:
            assert await meitner.students.list().count() == 4


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sollna", "there is no profile 'sollna' in .*; did you mean 'solna'?"),
        ("x", "there is no profile 'x' in .*; there is solna, lund"),
    ],
)
def test_a_profile_that_is_not_there(name, reason) -> None:
    """The names that there are, or the one that was meant."""
    settings(f"[solna]\n{KEY}[lund]\n")
    with pytest.raises(ConfigurationError, match=reason):
        Meitner(profile=name)


def test_no_file_and_no_name() -> None:
    """A client without a profile reads no file, and a name is a text."""
    with pytest.raises(ConfigurationError, match=r"config.toml does not exist"):
        Meitner(profile="solna")
    settings(f"[default]\n{KEY}")
    with pytest.raises(ConfigurationError, match="no credentials"):
        Meitner()
    with pytest.raises(TypeError, match="not int"):
        Meitner(profile=5)


@pytest.mark.parametrize(("mode", "reason"), [(0o640, "chmod 600"), (0o644, "chmod 600"), (0o666, "others may write")])
def test_a_file_that_others_may_see_is_refused(mode, reason) -> None:
    """As the command line refuses it."""
    settings(f"[solna]\n{KEY}").chmod(mode)
    with pytest.raises(ConfigurationError, match=reason):
        Meitner(profile="solna")
