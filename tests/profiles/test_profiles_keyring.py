"""Secrets in a keyring: one in memory, one that keeps nothing, one that fails, and none at all."""

from __future__ import annotations

import asyncio
import io
import sys

import keyring
import pytest
from canaries import CREDENTIALS, shown, sung
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from profile_files import settings

from meitner_aio import ConfigurationError, Meitner
from meitner_aio._profiles.place import config_path
from meitner_aio.sandbox import Sandbox

CLIENT, SECRET = CREDENTIALS
LOGIN = ("login", "--profile", "solna", "--client-id", CLIENT)
MARKED = f'[solna]\nclient_credentials = "{CLIENT}"\nkeyring = "solna"\n'


class Memory(KeyringBackend):
    """A keyring that is lost with the process."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


class Broken(Memory):
    """A keyring whose maker knows no errors but its own."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyError(f"{SECRET} of {username}")


@pytest.fixture
def memory():
    """Let the system have a keyring in memory."""
    before, held = keyring.get_keyring(), Memory()
    keyring.set_keyring(held)
    yield held
    keyring.set_keyring(before)


@pytest.fixture
def piped(cli, monkeypatch):
    """Return what runs a command with the secret on stdin; nothing that it writes shows it."""

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SECRET.encode())))
        code, out, err = cli(*arguments)
        assert sung(out + err, [SECRET]) == []
        return code, " ".join(err.split())

    return call


async def test_the_file_has_only_a_mark(piped, memory):
    """The secret is in the keyring, from where Python and the command line take it; a logout removes both."""
    async with Sandbox(students=3, credentials=CREDENTIALS) as sandbox:
        code, err = await asyncio.to_thread(piped, *LOGIN, "--base-url", sandbox.url, "--keyring")
        assert (code, "; the secret is in the keyring." in err) == (0, True)
        assert memory.held == {("meitner-aio", "solna"): SECRET}
        assert SECRET not in config_path().read_text()
        assert (await asyncio.to_thread(piped, "count", "students", "--profile", "solna"))[0] == 0
        async with Meitner(profile="solna") as meitner:
            assert await meitner.students.list().count() == 3
    code, err = piped("logout", "--profile", "solna")
    assert (code, memory.held, config_path().read_text()) == (0, {}, "")
    assert "Removed: the secret solna from the keyring. Removed: profile solna" in err


async def test_a_secret_that_moves_to_the_file_leaves_the_keyring(piped, memory):
    """No copy is forgotten."""
    async with Sandbox(students=3, credentials=CREDENTIALS) as sandbox:
        for words in (("--keyring",), ("--yes",)):
            assert (await asyncio.to_thread(piped, *LOGIN, "--base-url", sandbox.url, *words))[0] == 0
    assert (memory.held, SECRET in config_path().read_text()) == ({}, True)


@pytest.mark.parametrize("before", [{}, {("meitner-aio", "solna"): "old"}])
async def test_a_file_that_cannot_be_changed_leaves_the_keyring_as_it_was(piped, memory, before):
    """Id and secret stay a pair."""
    memory.held.update(before)
    path = settings(unusual := f'solna = {{client_credentials = "{CLIENT}", keyring = "solna"}}\n')
    async with Sandbox(students=3, credentials=CREDENTIALS) as sandbox:
        code, err = await asyncio.to_thread(piped, *LOGIN, "--base-url", sandbox.url, "--keyring", "--yes")
    assert (code, "edit the file yourself" in err, path.read_text(), memory.held) == (4, True, unusual, before)


def test_a_logout_that_cannot_change_the_file_leaves_the_secret(piped, memory):
    """The profile that stays would be of no use without it."""
    entry = ("meitner-aio", "solna")
    memory.held[entry] = "old"
    settings(f'solna = {{client_credentials = "{CLIENT}", keyring = "solna"}}\n')
    code, err = piped("logout", "--profile", "solna")
    assert (code, "edit the file yourself" in err, memory.held) == (4, True, {entry: "old"})


@pytest.mark.parametrize("words", [("logout", "--profile", "solna"), (*LOGIN, "--yes"), (*LOGIN, "--yes", "--keyring")])
async def test_a_secret_that_another_profile_has_too_stays(piped, memory, words):
    """Who wrote the file may have given two profiles the same entry; the last of them takes it along."""
    memory.held["meitner-aio", "both"] = SECRET
    async with Sandbox(students=3, credentials=CREDENTIALS) as sandbox:
        shared = f'base_url = "{sandbox.url}"\nclient_credentials = "{CLIENT}"\nkeyring = "both"\n'
        settings(f"[solna]\n{shared}[lund]\n{shared}")
        code, err = await asyncio.to_thread(piped, *words)
        assert (code, memory.held["meitner-aio", "both"]) == (0, SECRET)
        assert "The secret both stays in the keyring: profile lund uses it." in err
        assert (await asyncio.to_thread(piped, "count", "students", "--profile", "lund"))[0] == 0
    assert piped("logout", "--profile", "lund")[0] == 0
    assert ("meitner-aio", "both") not in memory.held


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (null.Keyring, "did not keep the secret"),
        (fail.Keyring, r"cannot be used \(NoKeyringError\)"),
        (Broken, r"cannot be used \(KeyError\)"),
    ],
)
async def test_a_keyring_that_keeps_nothing(piped, memory, backend, reason):
    """Nothing is written; a profile that is marked already is refused, without what the keyring said."""
    keyring.set_keyring(backend())
    async with Sandbox(students=3, credentials=CREDENTIALS) as sandbox:
        code, err = await asyncio.to_thread(piped, *LOGIN, "--base-url", sandbox.url, "--keyring")
    assert (code, config_path().exists()) == (4, False)
    assert reason.replace("\\", "") in err
    settings(MARKED)
    with pytest.raises(ConfigurationError, match="keyring") as refused:
        Meitner(profile="solna")
    assert [line for line in shown(refused.value) if sung(line)] == []


def test_a_secret_that_is_not_there(piped, memory):
    """It says how to put it there; to log out is no error, and a secret of the environment needs no keyring."""
    settings(MARKED)
    with pytest.raises(ConfigurationError, match="run meitner-aio login --profile solna --keyring") as refused:
        Meitner(profile="solna")
    assert refused.value.missing_credentials
    code, err = piped("logout", "--profile", "solna")
    assert (code, "The keyring had no secret solna. Removed: profile solna" in err) == (0, True)


def test_without_the_extra(piped, monkeypatch):
    """One line says how to get it, and nothing is removed."""
    path = settings(MARKED)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r'pip install "meitner-aio\[keyring\]"'):
        Meitner(profile="solna")
    code, err = piped("logout", "--profile", "solna")
    assert (code, "the keyring is an extra" in err, path.read_text()) == (4, True, MARKED)
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", SECRET)
    assert Meitner(profile="solna")
