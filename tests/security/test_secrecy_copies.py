"""What outlives a call: copies of clients and credentials, and files. Secret in the first, for the owner in the second."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import json
import os
import pickle
import pprint
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from canaries import CREDENTIALS, PERSON, TOKEN, WIRE, sung
from raw_server import STUDENT, STUDENT_ID, RawServer, answer
from rich.console import Console

from meitner_aio import ApiKey, Meitner, OAuth2
from meitner_aio._wire.messages import Request
from meitner_aio.export import export

# Copies.


def _members(thing: object) -> str:
    return repr({name: getattr(thing, name, None) for name in dir(thing) if not name.startswith("_")})


def _printed(thing: object) -> str:
    console = Console(file=io.StringIO(), width=300)
    console.print(thing, [thing], getattr(thing, "__dict__", None))
    return console.file.getvalue()  # type: ignore[attr-defined]


WAYS: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {protocol}": partial(pickle.dumps, protocol=protocol) for protocol in range(6)},
    "copy": lambda thing: _members(copy.copy(thing)),
    "deepcopy": lambda thing: _members(copy.deepcopy(thing)),
    "str": str,
    "repr": repr,
    "format": lambda thing: f"{thing} {thing!s} {thing!r} {[thing]}",
    "vars": lambda thing: repr(vars(thing)),
    "vars of vars": lambda thing: repr([getattr(one, "__dict__", one) for one in vars(thing).values()]),
    "members": _members,
    "asdict": dataclasses.asdict,
    "json": json.dumps,
    "json with repr": lambda thing: json.dumps(thing, default=repr),
    "json with vars": lambda thing: json.dumps(thing, default=vars),
    "msgspec": msgspec.json.encode,
    "msgspec with str": lambda thing: msgspec.json.encode(thing, enc_hook=str),
    "builtins": lambda thing: repr(msgspec.to_builtins(thing, enc_hook=repr)),
    "msgpack": lambda thing: msgspec.msgpack.encode(thing, enc_hook=repr),
    "pprint": lambda thing: pprint.pformat([thing, getattr(thing, "__dict__", None)]),
    "rich": _printed,
}


@pytest.fixture(scope="module")
def things() -> dict[str, object]:
    """Return what holds a secret: clients after their first call, and what they are made of."""
    import asyncio

    async def used() -> dict[str, object]:
        token = answer(data={"access_token": TOKEN, "expires_in": 3600})
        async with (
            RawServer([answer(data={**STUDENT, **WIRE})]) as server,
            RawServer([token, answer()]) as issuer,
            Meitner(*CREDENTIALS, base_url=server.url) as by_key,
            Meitner(auth=OAuth2(*CREDENTIALS), base_url=issuer.url) as by_token,
        ):
            person = await by_key.students.get(STUDENT_ID)
            await by_token.students.get(STUDENT_ID)
            return {
                "client": by_key,
                "client with a token": by_token,
                "key": ApiKey(*CREDENTIALS),
                "oauth": OAuth2(*CREDENTIALS),
                "secret": ApiKey(*CREDENTIALS)._secret,
                "bearer": by_token._core.auth,
                "transport": by_key._core.transport,
                "resource": by_key.students,
                "request": Request("get", "GET", "/x", "/x", headers={"Client-Secret": CREDENTIALS[1]}),
                "listing": by_key.students.search(last_name=PERSON["last_name"]),
                "person": person,
            }

    return asyncio.run(used())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name", ["client", "client with a token", "key", "oauth", "secret", "bearer", "transport", "resource", "listing"]
)
def test_a_secret_is_refused_or_absent(things: dict[str, object], name: str, way: str) -> None:
    """However a program writes down what holds a credential, the credential is not in it."""
    try:
        out = WAYS[way](things[name])
    except Exception as refused:
        out = f"{refused!r}"
    assert sung(out.decode("latin-1") if isinstance(out, bytes) else str(out)) == []


@pytest.mark.parametrize("name", ["request", "person"])
@pytest.mark.parametrize("way", ["str", "repr", "format", "pprint", "rich", "json with repr"])
def test_a_record_and_a_request_are_masked_where_they_are_shown(things: dict[str, object], name: str, way: str) -> None:
    """Writing a record down on purpose is what records are for; showing one is masked."""
    out = WAYS[way](things[name])
    assert sung(str(out)) == []


def test_the_ways_reveal_what_is_open() -> None:
    """The control: each way that works at all shows a canary that nobody hides."""

    @dataclasses.dataclass
    class Open:
        secret: str

    leaked = {}
    for way, write in WAYS.items():
        for thing in (Open(CREDENTIALS[1]), {"secret": CREDENTIALS[1]}):
            with contextlib.suppress(Exception):
                leaked[way] = leaked.get(way, False) or bool(sung(str(write(thing))))
    assert [way for way, loud in leaked.items() if not loud] == []
    assert len(leaked) > 15


# Files.


@pytest.fixture
def _no_umask() -> Iterator[None]:
    """Take away what usually keeps files from others."""
    before = os.umask(0)
    yield
    os.umask(before)


def _modes(folder: Path) -> dict[str, str]:
    modes: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):  # another resource's file got its name just now
            modes[str(path.relative_to(folder))] = oct(stat.S_IMODE(path.stat().st_mode))
    return modes


@pytest.mark.usefixtures("_no_umask")
async def test_files_are_for_their_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    """Folders 0700, files 0600, at every moment: also while they are written."""
    during: list[dict[str, str]] = []
    async with Meitner.sandbox(students=30, schools=1) as meitner:
        to = tmp_path / "deep" / "out"
        await export(meitner, ["students", "units"], to=to, page_size=5, progress=lambda _: during.append(_modes(to)))
    assert oct(stat.S_IMODE(to.stat().st_mode)) == "0o700"
    assert any(name.endswith(".part") for modes in during for name in modes)
    for modes in (*during, _modes(to)):
        assert {mode for name, mode in modes.items() if (to / name).suffix or "." in name} <= {"0o600"}, modes
