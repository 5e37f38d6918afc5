"""`login` on a terminal: what is shown of it, and that it leaves the terminal as it was."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from canaries import CREDENTIALS, sung
from terminals import session

from meitner_aio.sandbox import Sandbox

CLIENT, SECRET = CREDENTIALS
HIDDEN = (SECRET, "wrong-canary")
ID, HIDE = "Client id: ", "(not shown): "


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Return the variables of somebody without settings."""
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def kept(home: dict[str, str]) -> Path:
    """Return where the file of settings would be."""
    return Path(home["XDG_CONFIG_HOME"], "meitner-aio", "config.toml")


async def test_a_login_on_a_terminal(home):
    """Server, id and secret are asked for; the secret is on no screen and in no list of processes; doctor follows."""
    async with Sandbox(students=3, credentials=CREDENTIALS) as sandbox:
        url = sandbox.url.encode()
        answers = [("[production]: ", url + b"\n"), (ID, CLIENT.encode() + b"\n"), (HIDE, b"wrong-canary\n")]
        wrong = await asyncio.to_thread(session, ["login", "--profile", "solna"], home, answers)
        asked = len(sandbox.requests)
        assert (wrong.code, asked, kept(home).parent.parent.exists()) == (4, 1, False)
        answers[2] = (HIDE, SECRET.encode() + b"\n")
        done = await asyncio.to_thread(session, ["login", "--profile", "solna"], home, answers)
    assert "does not accept this client id and secret. Nothing was saved." in wrong.drawn
    assert (done.code, done.echoes, wrong.echoes) == (0, True, True)
    assert "Saved: profile solna in" in done.drawn
    assert "all 11 resources" in done.drawn
    assert CLIENT in done.drawn
    for one in (wrong, done):
        assert sung(one.drawn + one.arguments, HIDDEN) == []
    path = kept(home)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert SECRET in path.read_text()


async def test_a_server_that_can_be_none_is_asked_for_again(home):
    """What is wrong is said, and nothing is lost: the id and the secret are still to come."""
    async with Sandbox(students=3, credentials=CREDENTIALS) as sandbox:
        answers = [("[production]: ", b"htp:/mistyped\n"), ("[production]: ", b"prodution\n")]
        answers += [("[production]: ", sandbox.url.encode() + b"\n")]
        answers += [(ID, CLIENT.encode() + b"\n"), (HIDE, SECRET.encode() + b"\n")]
        done = await asyncio.to_thread(session, ["login"], home, answers)
    assert (done.code, kept(home).exists()) == (0, True)
    assert done.drawn.count("the server must be a whole URL") == 2


async def test_an_address_without_its_path_is_asked_for_again(home):
    """After it was tried: neither id nor secret is asked for twice, and an empty answer sends them nowhere."""
    async with Sandbox(students=3, credentials=CREDENTIALS) as sandbox:
        host = sandbox.url.removesuffix("/directory/v1").encode()
        answers = [("[production]: ", host + b"\n"), (ID, CLIENT.encode() + b"\n"), (HIDE, SECRET.encode() + b"\n")]
        again = "or a URL): "
        left = await asyncio.to_thread(session, ["login"], home, [*answers, (again, b"\n")])
        assert (left.code, kept(home).exists(), len(sandbox.requests)) == (2, False, 1)
        answers += [(again, sandbox.url.encode() + b"\n")]
        done = await asyncio.to_thread(session, ["login"], home, answers)
    assert (done.code, kept(home).exists()) == (0, True)
    assert "Is the address whole?" in done.drawn
    assert sung(done.drawn + done.arguments, HIDDEN) == []


@pytest.mark.parametrize(
    "interrupt", [b"\x03", lambda process: os.kill(process, signal.SIGTERM)], ids=["Ctrl-C", "SIGTERM"]
)
@pytest.mark.parametrize("question", [ID, HIDE])
def test_an_interrupt_leaves_the_terminal_as_it_was(home, interrupt, question):
    """At each question: nothing is written, and what is typed is shown again."""
    answers = [(ID, CLIENT.encode() + b"\n"), (HIDE, b"")]
    answers = [*answers[: 0 if question == ID else 1], (question, interrupt)]
    ended = session(["login", "--server", "staging"], home, answers)
    assert (ended.code, ended.echoes, kept(home).exists()) == (130, True, False)
    assert ended.drawn.splitlines()[-1] == "meitner-aio: interrupted"


def test_who_replaces_is_asked_before_anything_else(home):
    """And whoever does not say yes keeps what there is."""
    path = kept(home)
    path.parent.mkdir(parents=True)
    path.write_text(text := f'[default]\nclient_credentials = "{CLIENT}"\nclient_secret = "{SECRET}"\n')
    path.chmod(0o600)
    ended = session(["login"], home, [("Replace its credentials? [y/N] ", b"\n")])
    assert (ended.code, path.read_text(), "Nothing was saved." in ended.drawn) == (0, text, True)
    ended = session(["login"], home, [("[y/N] ", b"y\n"), ("[production]: ", b"\n"), (ID, b"\n")])
    assert (ended.code, path.read_text(), sung(ended.drawn)) == (2, text, [])
    assert "no client id (--client-id) was given: nothing was saved" in ended.drawn
