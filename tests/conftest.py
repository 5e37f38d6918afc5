"""What the tests share: clients against scripted servers, and a clean environment."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import aioresponses
import pytest
from canaries import CANARIES, Watch, listening
from raw_server import RawServer, Reply
from redis_server import RedisServer, require_redis

from meitner_aio import Meitner, QuotaPolicy, RetryPolicy
from meitner_aio._pipeline.transport import HttpTransport

pytest_plugins = ["pytester", "meitner_aio.testing", "store_fixtures"]

CREDENTIALS = ("an-id", "a-secret")
AT_ONCE = RetryPolicy(initial=0.0)
NO_QUOTA = QuotaPolicy(per_hour=math.inf)
"""What servers that say nothing of a quota are believed to have, so that no test waits for one."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled modules in pytest's cache where Python is told to write none beside the sources.

    Otherwise every process of the suite compiles again what it imports, and pytest rewrites every assertion.
    """
    cache = getattr(config, "cache", None)
    if sys.dont_write_bytecode and cache is not None:
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(cache.mkdir("bytecode"))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what lives until the end: the modules, and thousands of tests.

    A collection takes a millisecond instead of half a second, and many tests ask for some.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_bytecode_of_temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove from pytest's cache what was compiled in the folders of tests, which no other run has."""
    yield
    if sys.pycache_prefix is not None:
        shutil.rmtree(f"{sys.pycache_prefix}{tmp_path_factory.getbasetemp()}", ignore_errors=True)


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let blocking calls block: virtual time does not wait for threads."""

    async def called(call: Any, *given: Any, **named: Any) -> Any:
        return call(*given, **named)

    monkeypatch.setattr(asyncio, "to_thread", called)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the variables of whoever runs the tests out of them."""
    for name in (
        "CLIENT_CREDENTIALS",
        "CLIENT_SECRET",
        "CLIENT_SECRET_FILE",
        "CLIENT_ID",
        "TOKEN_URL",
        "BASE_URL",
        "LOG",
        "DEBUG",
        "PROFILE",
    ):
        monkeypatch.delenv(f"MEITNER_{name}", raising=False)


@pytest.fixture(autouse=True)
def _nothing_secret_is_logged(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the whole suite under debug logging: no record holds a credential or a person of the tests."""
    with listening(Watch((*CANARIES, "an-id", "a-secret", "-canary", "20150101-4242", "Bearer tok"))) as watch:
        yield
    assert watch.heard == [] or request.node.get_closest_marker("leaks")


@pytest.fixture
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


@pytest.fixture
def cli(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, own_settings: None
) -> Callable[..., tuple[int, str, str]]:
    """Return what runs a command, on 80 columns and without anybody's settings: its exit code, stdout and stderr."""
    from meitner_aio.cli import run

    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return call


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Give a Redis server of our own that everybody shares: tests keep to a prefix, or look at the difference."""
    require_redis()
    with RedisServer() as server:
        yield server


Scripted = Callable[..., Any]


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """Give `await scripted(reply, ..., **options)`: a client and the raw server that it talks to."""
    async with AsyncExitStack() as stack:

        async def start(*replies: Reply, **options: Any) -> tuple[Meitner, RawServer]:
            server = await stack.enter_async_context(RawServer(replies))
            options.setdefault("retry", AT_ONCE)
            options.setdefault("quota", NO_QUOTA)
            if "auth" not in options:
                options |= {"client_credentials": CREDENTIALS[0], "client_secret": CREDENTIALS[1]}
            client = await stack.enter_async_context(Meitner(base_url=server.url, **options))
            return client, server

        yield start


@pytest.fixture
async def carried() -> AsyncIterator[Callable[..., Any]]:
    """Give `await carried(reply, ..., **options)`: a transport and the raw server that it talks to."""
    async with AsyncExitStack() as stack:

        async def start(*replies: Reply, **options: Any) -> tuple[HttpTransport, RawServer]:
            server = await stack.enter_async_context(RawServer(replies))
            transport = HttpTransport(server.url, **options)
            stack.push_async_callback(transport.close)
            return transport, server

        yield start


class _Response(aiohttp.ClientResponse):
    """aioresponses 0.7.9 builds responses without the stream writer that aiohttp 3.14 asks for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


class MockedApi(aioresponses.aioresponses):
    """aioresponses, usable with this aiohttp."""

    def add(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("response_class", _Response)
        super().add(*args, **kwargs)


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every group another member: what it may write, others may."""
    import grp

    real = grp.getgrgid
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group((real(gid).gr_name, "x", gid, ["somebody"])))


def importing() -> dict[str, str]:
    """Return the environment of a process that imports what a test does, other tests too."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture
def mocked() -> Iterator[MockedApi]:
    """Answer single calls without a server."""
    with MockedApi() as mock:
        yield mock
