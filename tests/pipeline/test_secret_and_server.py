"""A secret belongs to a server: which address gets which credentials, by whom each of the two was named."""

from __future__ import annotations

import asyncio

import pytest

from meitner_aio import ApiKey, ConfigurationError, Meitner, OAuth2
from meitner_aio._pipeline.settings import SERVERS
from meitner_aio._profiles.place import config_path
from meitner_aio.cli._exit import UsageError
from meitner_aio.cli._options import DirectoryOptions
from meitner_aio.cli._profile import Profile
from meitner_aio.sandbox import Sandbox

HERE = "http://127.0.0.1:8080/directory/v1"
THERE = "https://directory.example/v1"
PAIR = {"client_credentials": "an-id", "client_secret": "canary-secret"}
OAUTH = {"client_id": "an-id", "client_secret": "canary-secret"}
KEY = {"CLIENT_CREDENTIALS": "env-id", "CLIENT_SECRET": "env-secret"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch):
    """Return what sets variables."""

    def put(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"MEITNER_{name}", value)

    return put


@pytest.mark.parametrize("url", [HERE, THERE, SERVERS["staging"]])
@pytest.mark.parametrize(
    "given",
    [PAIR, {"auth": ApiKey("an-id", "canary-secret")}, {"auth": OAuth2("an-id", "canary-secret")}],
)
def test_an_address_of_the_environment_gets_no_secret_of_the_call(environment, given, url) -> None:
    """Unless the call says it as well: whoever set the variable may have meant other credentials."""
    environment({"BASE_URL": url})
    with pytest.raises(ConfigurationError, match="MEITNER_BASE_URL") as refused:
        Meitner(**given)
    assert "canary" not in str(refused.value)
    assert url in repr(Meitner(**given, base_url=url))
    assert THERE in repr(Meitner(**given, base_url=THERE))


def test_an_address_of_the_environment_gets_the_secret_of_the_environment(environment) -> None:
    """Also where the call completes it with an id, and one that says nothing new refuses nothing."""
    environment({"BASE_URL": HERE, **KEY})
    assert HERE in repr(Meitner())
    assert HERE in repr(Meitner("an-id"))
    with pytest.raises(ConfigurationError, match="MEITNER_BASE_URL"):
        Meitner(client_secret="canary-secret")
    environment({"BASE_URL": f"{SERVERS['staging']}/"})
    assert SERVERS["staging"] in repr(Meitner(**PAIR, server="staging"))


STAGING, PRODUCTION = SERVERS["staging"], SERVERS["production"]

GOES = [
    # profile, its name typed, environment, options, URL
    (PAIR, None, {}, {}, PRODUCTION),
    (PAIR | {"server": "staging"}, None, {}, {}, STAGING),
    (PAIR | {"base_url": HERE}, None, {}, {}, HERE),
    (PAIR | {"base_url": HERE}, None, {"BASE_URL": HERE}, {}, HERE),
    (PAIR, None, {}, {"base_url": HERE}, HERE),
    (PAIR, None, {"BASE_URL": THERE}, {"base_url": HERE}, HERE),
    (PAIR | {"base_url": THERE}, None, {}, {"base_url": HERE}, HERE),
    (PAIR | {"server": "staging"}, None, {}, {"server": "staging"}, STAGING),
    ({}, None, KEY, {}, PRODUCTION),
    ({}, None, KEY | {"BASE_URL": HERE}, {}, HERE),
    ({}, None, KEY, {"base_url": HERE}, HERE),
    ({"base_url": THERE}, "p", KEY, {}, THERE),
    ({"base_url": THERE}, None, KEY | {"PROFILE": "p"}, {}, THERE),
    ({"base_url": THERE}, None, KEY | {"BASE_URL": HERE}, {}, HERE),
    ({"server": "production"}, None, KEY, {}, PRODUCTION),
    ({"client_credentials": "an-id", "base_url": THERE}, None, {"CLIENT_SECRET": "s"}, {}, THERE),
    ({"client_credentials": "an-id", "base_url": THERE}, None, {"CLIENT_SECRET": "s", "BASE_URL": HERE}, {}, HERE),
    (OAUTH | {"token_url": "/t"}, None, {"TOKEN_URL": "/t"}, {}, PRODUCTION),
]

STAYS = [
    (PAIR, None, {"BASE_URL": HERE}, {}, "MEITNER_BASE_URL"),
    (PAIR | {"server": "production"}, "p", {"BASE_URL": HERE}, {}, "MEITNER_BASE_URL"),
    (PAIR | {"base_url": THERE}, None, {"BASE_URL": HERE}, {}, "MEITNER_BASE_URL"),
    (PAIR | {"server": "staging"}, None, {}, {"server": "production"}, "staging"),
    (PAIR | {"server": "production"}, None, {}, {"server": "staging"}, "production"),
    (PAIR | {"server": "production"}, None, {}, {"base_url": HERE}, "production"),
    (PAIR, None, {}, {"server": "staging"}, "production"),
    (PAIR, None, {}, {"base_url": STAGING}, "production"),
    ({"client_credentials": "an-id"}, None, {"CLIENT_SECRET": "s"}, {"server": "staging"}, "production"),
    ({"base_url": THERE}, None, KEY, {}, "--profile"),
    ({"server": "staging"}, None, KEY, {}, "--profile"),
    (PAIR | {"base_url": THERE}, "p", KEY, {}, "MEITNER_CLIENT_CREDENTIALS"),
    (OAUTH | {"base_url": THERE}, None, {"CLIENT_ID": "e", "CLIENT_SECRET": "s"}, {}, "MEITNER_CLIENT"),
    (OAUTH, None, {"TOKEN_URL": "http://127.0.0.1:9/token"}, {}, "MEITNER_TOKEN_URL"),
    (OAUTH | {"token_url": "/t"}, None, {"TOKEN_URL": "/other"}, {}, "MEITNER_TOKEN_URL"),
]


def _client(profile, name, options) -> Meitner:
    return DirectoryOptions(**options, profile=name).client(Profile(**profile))


@pytest.mark.parametrize("case", GOES)
def test_a_secret_goes_where_its_source_says(environment, case) -> None:
    """The same profile, the same environment, or what a person types."""
    profile, name, variables, options, url = case
    environment(variables)
    assert url in repr(_client(profile, name, options))


@pytest.mark.parametrize("case", STAYS)
def test_a_secret_goes_nowhere_else(environment, case) -> None:
    """Refused before a request, in words that say what to do and show no secret."""
    profile, name, variables, options, reason = case
    environment(variables)
    with pytest.raises((ConfigurationError, UsageError), match=reason) as refused:
        _client(profile, name, options)
    assert not {"canary-secret", "env-secret"} & set(str(refused.value).split())


async def test_a_production_profile_sends_nothing_to_what_the_sandbox_printed(cli, monkeypatch, tmp_path) -> None:
    """The address of the terminal beside the secret of the file: the listener hears nothing, exit code 4."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    path = config_path()
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text('[default]\nclient_credentials = "an-id"\nclient_secret = "canary-secret"\n')
    path.chmod(0o600)
    async with Sandbox(students=5) as sandbox:
        monkeypatch.setenv("MEITNER_BASE_URL", sandbox.url)
        code, _, err = await asyncio.to_thread(cli, "count", "students")
        assert (code, list(sandbox.requests), err.count("\n")) == (4, [], 1)
        monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", "sandbox")
        monkeypatch.setenv("MEITNER_CLIENT_SECRET", "sandbox")
        code, out, _ = await asyncio.to_thread(cli, "count", "students", "--json")
        assert (code, len(sandbox.requests) > 0) == (0, True)
        assert "5" in out
