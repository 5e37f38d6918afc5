"""Clients without a server and without a file: what answers, what is dropped, and what becomes of every argument."""

from __future__ import annotations

import inspect
import logging
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from meitner_aio import (
    APIConnectionError,
    ApiKey,
    ConfigurationError,
    ConnectionReason,
    Meitner,
    NotFoundError,
    OAuth2,
    QuotaPolicy,
    Rate,
    RetryPolicy,
)
from meitner_aio.export import export
from meitner_aio.outbox import DroppingOutbox
from meitner_aio.portal import Portal
from meitner_aio.tenants import export_many

NOBODY = "00000000-0000-4000-8000-000000000000"
BO = {"identity_number": "20150101-9876", "first_name": "Bo", "last_name": "Ek"}
VARIABLES = ("CLIENT_CREDENTIALS", "CLIENT_SECRET", "CLIENT_ID", "CLIENT_SECRET_FILE", "BASE_URL", "TOKEN_URL")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"MEITNER_{name}", raising=False)


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no socket be connected, nor a name be looked up."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_socket")
async def test_reads_answer_what_the_defaults_say_or_say_what_to_do() -> None:
    """By id, else that of the view, else that of the call; without any, the error names the ways out."""
    async with Meitner(offline=True) as meitner:
        view = meitner.cached(default=None, defaults={NOBODY: "known"})
        assert await view.students.get(NOBODY) == "known"
        assert await view.schools.get(NOBODY.replace("4", "5")) is None
        assert await view.students.find(last_name="Ek") is None
        assert await meitner.cached().students.get(NOBODY, default=7) == 7
        for asking in (
            meitner.students.get(NOBODY),
            meitner.students.list().all(),
            meitner.students.search(last_name="Ek").count(),
            view.students.list().all(),
            meitner.request("GET", "/student"),
        ):
            with pytest.raises(APIConnectionError, match=r"there is nobody to ask for .*cached\(default=") as caught:
                await asking
            assert (caught.value.reason, caught.value.sent) == (ConnectionReason.OFFLINE, False)
        assert meitner.offline_since is None
        assert repr(meitner) == "<Meitner offline:True>"
        with pytest.raises(ConfigurationError, match="does not change"):
            meitner.changes()


@pytest.mark.usefixtures("no_socket")
async def test_writes_raise_and_those_of_outboxes_are_dropped_with_one_warning(caplog: Any) -> None:
    """Of the client, whatever the number of its outboxes and copies; other errors are failures as online."""

    async def own() -> None:
        raise ValueError("mine")

    async with Meitner(offline=True) as meitner:
        for client in (meitner, meitner, meitner.with_options(timeout=5)):
            async with client.outbox() as outbox:
                outbox.put(client.students.create(**BO))
                outbox.put(client.students.delete(NOBODY))
                outbox.put(client.students.upsert("identity_number", **BO))
                outbox.put(own())
            assert isinstance(outbox, DroppingOutbox)
            assert (outbox.dropped, outbox.sent, len(outbox)) == (3, 0, 0)
            assert [type(failure.error) for failure in outbox.failures] == [ValueError]
        told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert told == ["offline: writes of outboxes are dropped, this one and those that follow; journal= keeps them"]
        for write in (meitner.students.create(**BO), meitner.students.delete(NOBODY)):
            with pytest.raises(APIConnectionError, match=r"would write; .*outbox\(journal=path\)"):
                await write
        outcomes = [outcome async for outcome in meitner.students.create_many([BO])]
        assert isinstance(outcomes[0].error, APIConnectionError)


async def test_a_default_covers_what_a_copy_lacks(tmp_path: Path) -> None:
    """A record may have come since; without a default it is a `NotFoundError`, and the server's stays one."""
    async with Meitner.sandbox(students=3, schools=1) as online:
        await export(online, to=tmp_path / "snapshot", resources=["students"])
        with pytest.raises(NotFoundError):
            await online.cached(default=None).students.get(NOBODY)
    async with Meitner(offline=tmp_path / "snapshot") as offline:
        assert await offline.cached(default=None).students.get(NOBODY) is None
        assert await offline.cached(defaults={NOBODY: 7}).students.get(NOBODY) == 7
        with pytest.raises(NotFoundError):
            await offline.cached().students.get(NOBODY)


# Every argument

ID = ("an-id", "a-secret")
GIVEN: dict[str, Any] = {
    "client_credentials": "an-id",
    "client_secret": "a-secret",
    "auth": ApiKey(*ID),
    "server": "staging",
    "base_url": "https://example.test",
    "timeout": 5.0,
    "max_retries": 0,
    "retry": RetryPolicy(max_retries=0),
    "rate": Rate(5.0),
    "quota": QuotaPolicy(),
    "max_concurrency": 2,
    "headers": {"X-Team": "a"},
    "logger": logging.getLogger("mine"),
    "on_event": print,
    "user_agent": "mine",
    "insecure": True,
    "profile": "solna",
}
"""What is taken beside `offline`, because it is checked, heeded, or says for which directory a journal is."""
REFUSED: dict[str, Any] = {
    "session": object(),
    "proxy": "http://localhost:1",
    "ssl": ssl.create_default_context(),
    "trust_env": True,
    "trace_configs": [aiohttp.TraceConfig()],
    "quota_store": object(),
}
BAD: dict[str, Any] = {
    "client_credentials": "",
    "client_secret": "",
    "auth": object(),
    "server": "nowhere",
    "base_url": "ftp://example.test",
    "timeout": -1,
    "max_retries": "2",
    "retry": 2,
    "rate": 5,
    "quota": 5,
    "max_concurrency": 0,
    "headers": {"X": "a\nb"},
    "logger": "mine",
    "on_event": 3,
    "user_agent": 3,
    "insecure": 1,
    "profile": 3,
}
OFFLINE = ["nowhere", "a snapshot"]


def test_the_tables_have_every_argument() -> None:
    """One that is added must be thought about."""
    names = set(inspect.signature(Meitner.__init__).parameters) - {"self", "offline"}
    assert GIVEN.keys() | REFUSED.keys() == names
    assert BAD.keys() == GIVEN.keys()


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an export."""
    import asyncio

    folder = tmp_path_factory.mktemp("exported") / "snapshot"

    async def make() -> None:
        async with Meitner.sandbox(students=2, schools=1) as meitner:
            await export(meitner, to=folder, resources=["students"])

    asyncio.run(make())
    return folder


@pytest.fixture(params=OFFLINE)
def offline(request: pytest.FixtureRequest, snapshot: Path) -> Any:
    """Give either kind of offline."""
    return True if request.param == "nowhere" else snapshot


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_connections_is_refused(name: str, offline: Any) -> None:
    """It would be dropped silently."""
    with pytest.raises(TypeError, match=f"{name} cannot be given beside offline: no connection is made"):
        Meitner(offline=offline, **{name: REFUSED[name]})


@pytest.mark.parametrize("name", sorted(set(GIVEN) - {"profile"}))
def test_what_else_there_is_is_taken(name: str, offline: Any) -> None:
    """So that a program need not change to be offline."""
    Meitner(offline=offline, **{name: GIVEN[name]})


@pytest.mark.parametrize("name", BAD)
def test_what_means_nothing_online_means_nothing_offline(name: str, offline: Any) -> None:
    """It is refused as it is there."""
    others = {"client_secret": {"client_credentials": "an-id"}}.get(name, {})
    with pytest.raises((TypeError, ValueError, ConfigurationError)):
        Meitner(offline=offline, **others, **{name: BAD[name]})


@pytest.mark.parametrize("value", [False, None])
def test_false_is_online(value: Any) -> None:
    """As is None: both need credentials."""
    with pytest.raises(ConfigurationError, match="no credentials"):
        Meitner(offline=value)
    assert repr(Meitner(*ID, offline=value)) == "<Meitner https://api.meitner.se/directory/v1>"


@pytest.mark.parametrize(("value", "error"), [("", ConfigurationError), (1, TypeError), (b"x", TypeError)])
def test_another_value_is_refused(value: Any, error: type[Exception]) -> None:
    """An empty variable of the environment, too."""
    with pytest.raises(error, match="offline"):
        Meitner(offline=value)


async def test_events_log_retries_and_options_are_heeded(offline: Any, caplog: Any) -> None:
    """As they are of an online client, and of its copies."""
    events: list[str] = []
    mine = logging.getLogger("mine")
    client = Meitner(
        offline=offline, on_event=lambda event: events.append(type(event).__name__), logger=mine, max_concurrency=3
    )
    caplog.set_level(logging.INFO, "mine")
    async with client:
        for one in (client, client.with_options(max_retries=5)):
            with pytest.raises((APIConnectionError, NotFoundError)):
                await one.students.get(NOBODY)
    assert events.count("RequestSent") == 2  # no retry would help
    assert {record.name for record in caplog.records} == {"mine"}
    with pytest.raises(ConfigurationError, match="max_concurrency=8"):
        client.with_options(max_concurrency=8)


@pytest.mark.parametrize(
    "given",
    [
        {"client_credentials": "an-id"},
        {"client_credentials": "an-id", "client_secret": "a-secret"},
        {"auth": ApiKey(*ID)},
        {"auth": OAuth2(*ID)},
    ],
)
async def test_a_journal_is_of_the_directory_that_would_be_asked(given: Any, tmp_path: Path, offline: Any) -> None:
    """However the credentials are given, with or without the secret, which an offline client does not keep."""
    path, where = tmp_path / "journal", {"base_url": "https://example.test"}
    async with Meitner(offline=offline, **given, **where) as client:
        async with client.outbox(journal=path) as outbox:
            outbox.put(client.students.create(**BO))
        assert "a-secret" not in repr([vars(one) for one in (client, client._core)])
    async with Meitner(*ID, **where) as online:
        outbox = online.outbox(journal=path, concurrency=1)
        assert (await outbox._reader()).wrote(outbox_stamp(path))


def outbox_stamp(path: Path) -> Any:
    """Return whose a journal is."""
    import json

    from meitner_aio._pipeline.identity import Stamp

    return Stamp(**json.loads(path.read_text().splitlines()[0])["directory"])


async def test_an_auth_object_that_only_has_headers_is_not_asked(tmp_path: Path) -> None:
    """It may ask a server; so nothing says for which directory a journal would be."""

    class Own:
        async def headers(self) -> dict[str, str]:
            raise AssertionError("asked")

    async with Meitner(offline=True, auth=Own(), base_url="https://example.test") as client:
        with pytest.raises(ConfigurationError, match="a journal is for one directory"):
            client.outbox(journal=tmp_path / "journal")
        with pytest.raises(APIConnectionError):
            await client.students.get(NOBODY)


def test_an_environment_that_is_wrong_matters_only_where_it_is_used(monkeypatch: Any, tmp_path: Path) -> None:
    """Offline needs nothing of it."""
    monkeypatch.setenv("MEITNER_BASE_URL", "ftp://example.test")
    client = Meitner(offline=True)
    with pytest.raises(ConfigurationError, match="nothing says which"):
        client.outbox(journal=tmp_path / "journal")
    with pytest.raises(ConfigurationError):
        Meitner(offline=True, client_credentials="an-id")


def test_a_portal_takes_an_offline_client() -> None:
    """And gives what its defaults say."""
    with Portal(Meitner(offline=True)) as portal:
        assert portal.run(portal.meitner.cached(default=None).students.get(NOBODY)) is None
        with pytest.raises(APIConnectionError, match="there is nobody to ask"):
            portal.run(portal.meitner.students.get(NOBODY))


async def test_an_offline_tenant_fails_alone_or_is_read_from_its_copy(tmp_path: Path, snapshot: Path) -> None:
    """Nobody is asked for the one; the others go on."""
    async with (
        Meitner(offline=True) as nowhere,
        Meitner(offline=snapshot) as copy,
        Meitner.sandbox(students=3, schools=1) as online,
    ):
        tenants = {"nowhere": nowhere, "copy": copy, "online": online}
        report = await export_many(tenants, to=tmp_path / "out", resources=["students"])
    assert {name: one.error is None for name, one in report.tenants.items()} == {
        "nowhere": False,
        "copy": True,
        "online": True,
    }
