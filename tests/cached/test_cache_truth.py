"""What a cache must never return: answers from before `clear()`, of other tenants, or that it never stored."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import pickle
from collections.abc import Callable
from typing import Any, Self

import aiohttp
import msgspec
import pytest
import virtual_time
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ID, answer
from test_cached import refused

from meitner_aio import ApiKey, Meitner
from meitner_aio._operations.operations import Binding
from meitner_aio._wire.messages import RawResponse, Request
from meitner_aio._wire.page_size import PageSizes
from meitner_aio.cached import Cached, Caches, MemoryCache
from meitner_aio.errors import APIConnectionError


class Mast:
    """A server of one unit, whose answers take a second to arrive: each says how things were when it was asked."""

    def __init__(self) -> None:
        self.title = "old"
        self.asked = 0
        self.seconds = 1.0
        self.down = False

    async def __call__(self, request: Request) -> RawResponse:
        self.asked += 1
        if self.down:
            raise refused(request)
        unit = {"id": ID, "title": self.title}
        page = {"data": [unit], "pagination": {"offset": 0, "limit": 100, "total": 1}}
        said = answer(unit if request.operation == "get" else page)
        await asyncio.sleep(self.seconds)
        return said

    def cached(self, scope: bytes = b"me", **how: Any) -> Any:
        """Return a cached view."""
        return Caches(Binding(self, 4, PageSizes()), lambda send: send, scope)(**how)


on_virtual_time = virtual_time.testing(Mast)


async def _title(cached: Any) -> str:
    title: str = (await cached.units.get(ID)).title
    return title


async def _listed(cached: Any) -> str:
    [unit] = await cached.units.list().all()
    title: str = unit.title
    return title


reads = pytest.mark.parametrize("read", [_title, _listed])


# Answers under way when everything is forgotten.


@reads
@on_virtual_time
async def test_an_answer_under_way_is_not_kept_beyond_clear(mast: Mast, read: Callable[..., Any]) -> None:
    """Who asked before gets it; who asks after `clear()` asks the server."""
    cached = mast.cached(ttl=60.0)
    early = asyncio.create_task(read(cached))
    await asyncio.sleep(0.5)
    mast.title = "new"
    await cached.clear()
    assert await early == "old"
    assert await read(cached) == "new"
    assert await read(cached) == "new"
    assert mast.asked == 2


@reads
@on_virtual_time
async def test_an_answer_under_way_is_not_joined_after_clear(mast: Mast, read: Callable[..., Any]) -> None:
    """The next read is a request of its own, and its answer is the one that is kept, whichever arrives first."""
    cached = mast.cached(ttl=60.0)
    early = asyncio.create_task(read(cached))
    await asyncio.sleep(0.5)
    mast.title = "new"
    await cached.clear()
    late, later = asyncio.create_task(read(cached)), asyncio.create_task(read(cached))
    await asyncio.sleep(0)
    mast.seconds = 5.0
    assert (await late, await later, await early) == ("new", "new", "old")
    await asyncio.sleep(2.0)
    assert await read(cached) == "new"
    assert mast.asked == 2


@on_virtual_time
async def test_who_leaves_an_answer_of_before_takes_nothing_from_those_after(mast: Mast) -> None:
    """A read from before `clear()` that is given up cancels its own request alone."""
    cached = mast.cached(ttl=60.0)
    early = asyncio.create_task(_title(cached))
    await asyncio.sleep(0.5)
    mast.title = "new"
    await cached.clear()
    late = asyncio.create_task(_title(cached))
    await asyncio.sleep(0.1)
    early.cancel()
    again = asyncio.create_task(_title(cached))
    assert (await late, await again) == ("new", "new")
    assert mast.asked == 2


class Slow(MemoryCache):
    """A provider as far away as a network is: what it is told takes effect after a while."""

    async def get(self, key: str) -> Cached | None:
        found = await super().get(key)
        await asyncio.sleep(0.1)
        return found

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        await asyncio.sleep(0.2)
        await super().set(key, value, ttl)

    async def clear(self) -> None:
        await super().clear()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("when", [0.05, 0.5, 1.05, 1.15, 1.25])
@on_virtual_time
async def test_whenever_clear_comes_nothing_of_before_is_kept(mast: Mast, when: float) -> None:
    """A clear during the provider's get, the request or the provider's set drops the answer."""
    cached = mast.cached(ttl=60.0, provider=Slow())
    early = asyncio.create_task(_title(cached))
    await asyncio.sleep(when)
    mast.title = "new"
    await cached.clear()
    assert await _title(cached) == "new"
    await early
    assert await _title(cached) == "new"


@on_virtual_time
async def test_what_expired_before_clear_stands_in_for_nothing_after(mast: Mast) -> None:
    """After `clear()`, an expired answer is not used when the service goes down."""
    mast.seconds = 0.0
    cached = mast.cached(ttl=1.0, provider=Slow())
    assert await _title(cached) == "old"
    await asyncio.sleep(2.0)
    mast.down = True
    asking = asyncio.create_task(_title(cached))
    await asyncio.sleep(0.05)  # the provider has said that it has an old one, and the word is on its way
    await cached.clear()
    with pytest.raises(APIConnectionError):
        await asking
    with pytest.raises(APIConnectionError):
        await _title(cached)


@on_virtual_time
async def test_views_that_share_a_provider_forget_together(mast: Mast) -> None:
    """Each request of a service may make a view of its own: `clear()` of one speaks for all."""
    store = MemoryCache()
    reader, writer = mast.cached(ttl=60.0, provider=store), mast.cached(ttl=60.0, provider=store)
    early = asyncio.create_task(_title(reader))
    await asyncio.sleep(0.5)
    mast.title = "new"
    await writer.clear()
    late = asyncio.create_task(_title(reader))
    assert (await early, await late, await _title(reader), await _title(writer)) == ("old", "new", "new", "new")
    assert mast.asked == 2


class Bare:
    """A provider that can be neither hashed nor weakly referenced."""

    __slots__ = ("kept",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, float]] = {}

    async def get(self, key: str) -> Cached | None:
        return Cached(*self.kept[key]) if key in self.kept else None

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        self.kept[key] = (value, ttl)

    async def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    async def clear(self) -> None:
        self.kept.clear()


@on_virtual_time
async def test_a_provider_of_any_make_will_do(mast: Mast) -> None:
    """A provider that cannot be hashed or weakly referenced works."""
    cached = mast.cached(ttl=60.0, provider=Bare())
    assert (await _title(cached), await _title(cached), mast.asked) == ("old", "old", 1)
    await cached.clear()
    assert (await _title(cached), mast.asked) == ("old", 2)


class Deaf(MemoryCache):
    """A provider that cannot be cleared, for a while."""

    broken = True

    async def clear(self) -> None:
        if self.broken:
            raise ConnectionResetError
        await super().clear()


@on_virtual_time
async def test_a_clear_that_the_provider_did_not_hear_is_one_all_the_same(mast: Mast) -> None:
    """If the provider cannot be cleared, the view still never returns what it kept before."""
    store = Deaf()
    cached = mast.cached(ttl=60.0, provider=store)
    assert (await _title(cached), await _listed(cached)) == ("old", "old")
    mast.title = "new"
    await cached.clear()
    assert (await _title(cached), await _listed(cached)) == ("new", "new")
    assert (await _title(cached), await _listed(cached)) == ("new", "new")
    assert mast.asked == 4


@on_virtual_time
async def test_a_large_provider_has_time_to_be_cleared(mast: Mast) -> None:
    """A clear may take longer than the second that a read waits."""

    class Large(MemoryCache):
        async def clear(self) -> None:
            await asyncio.sleep(20.0)
            await super().clear()

    store = Large()
    cached = mast.cached(ttl=60.0, provider=store)
    await _title(cached)
    await cached.clear()
    assert len(store) == 0


# Whose answer it is.


class Echo:
    """A raw server that answers with what the request's headers say, and shares nothing with the client."""

    def __init__(self) -> None:
        self.asked = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/directory/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:]
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                self.asked += 1
                tenant = " ".join(headers.get(name, "") for name in ("x-tenant", "authorization", "cookie"))
                body = json.dumps({"id": ID, "title": tenant.strip()}).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
        writer.close()


async def test_tenants_told_apart_by_a_header_never_get_each_others_answers() -> None:
    """One provider, one pair of credentials, and a header for each tenant: by the client, or by `with_options`."""
    async with (
        Echo() as echo,
        Meitner("an-id", "a-secret", base_url=echo.url, headers={"X-Tenant": "nobody"}) as meitner,
    ):
        store = MemoryCache()
        for _ in range(2):
            assert await _title(meitner.cached(ttl=60.0, provider=store)) == "nobody"
            for tenant in ("solna", "lund"):
                own = meitner.with_options(headers={"X-Tenant": tenant})
                assert await _title(own.cached(ttl=60.0, provider=store)) == tenant
        assert echo.asked == 3
        assert len(store) == 3
        async with Meitner("an-id", "a-secret", base_url=echo.url, headers={"x-tenant": "lund"}) as other:
            assert await _title(other.cached(ttl=60.0, provider=store)) == "lund"  # names of headers ignore case
        assert echo.asked == 3


async def test_headers_that_change_no_answer_share_what_is_kept() -> None:
    """User agent and trace headers do not separate answers."""
    async with Echo() as echo, Meitner("an-id", "a-secret", base_url=echo.url) as meitner:
        store = MemoryCache()
        for headers in (
            {"User-Agent": "a/1"},
            {"user-agent": "b/2"},
            {"Traceparent": "00-1-2-01", "tracestate": "x=1"},
        ):
            await _title(meitner.with_options(headers=headers).cached(ttl=60.0, provider=store))
        async with Meitner("an-id", "a-secret", base_url=echo.url, user_agent="c/3") as other:
            await _title(other.cached(ttl=60.0, provider=store))
        assert (echo.asked, len(store)) == (1, 1)


async def test_a_header_is_no_part_of_another() -> None:
    """Neither names and values, nor two headers, run into each other; nor server and headers."""

    def scope(**headers: str) -> bytes:
        return Meitner(
            "a", "b", headers={name.replace("_", "-"): value for name, value in headers.items()}
        ).cached._scope

    scopes = [
        scope(), scope(A="b"), scope(A="b", C="d"), scope(A="b C: d"), scope(AB=""), scope(A="B"), scope(A="", B=""),
    ]  # fmt: skip
    assert len(set(scopes)) == len(scopes)
    assert scope(A="b", C="d") == scope(C="d", A="b")
    assert all(b"an-id" not in one and len(one) < 200 for one in scopes)


async def test_sessions_of_callers_are_told_apart() -> None:
    """By their headers; by themselves where they have cookies, logins or middlewares, of which nobody knows what they do."""

    async def signing(request: Any, handler: Any) -> Any:
        request.headers["X-Tenant"] = "signed"
        return await handler(request)

    store = MemoryCache()
    async with Echo() as echo:

        async def title(**session: Any) -> str:
            async with (
                aiohttp.ClientSession(**session) as own,
                Meitner("an-id", "a-secret", base_url=echo.url, session=own) as meitner,
            ):
                views = [one.cached(ttl=60.0, provider=store) for one in (meitner, meitner.with_options(timeout=5.0))]
                titles = {await _title(view) for view in views}
            assert len(titles) == 1
            return titles.pop()

        for _ in range(2):
            assert await title() == ""
            assert await title(headers={"X-Tenant": "solna"}) == "solna"
            assert await title(headers={"X-Tenant": "lund"}) == "lund"
        assert echo.asked == 3
        for number in (4, 5):
            assert await title(middlewares=(signing,)) == "signed"
            assert echo.asked == number
        assert await title(cookies={"tenant": "lund"}, cookie_jar=aiohttp.CookieJar(unsafe=True)) == "tenant=lund"


async def test_keys_and_values_tell_nobody_which_tenant_it_was() -> None:
    """Headers are hashed with the credentials: neither keys nor values contain them."""
    async with Echo() as echo, Meitner("canary-id", "canary-secret", base_url=echo.url) as meitner:
        store = MemoryCache()
        secret = meitner.with_options(headers={"X-Api-Key": "canary-header"})
        await _title(secret.cached(ttl=60.0, provider=store))
        [(key, (value, _))] = store._kept.items()
        assert b"canary" not in key.encode() + value


# What providers give back.


class Elsewhere(MemoryCache):
    """A provider that is not the memory of this process."""


class Giving(MemoryCache):
    """A provider that gives back something else than it was given."""

    def __init__(self, make: Callable[[Cached], object]) -> None:
        super().__init__()
        self.make = make

    async def get(self, key: str) -> Any:
        found = await super().get(key)
        return None if found is None else self.make(found)


def _flipped(kept: Cached) -> Cached:
    return Cached(kept.value[:-3] + bytes([kept.value[-3] ^ 1]) + kept.value[-2:], kept.expires_in)


def _unsealed(kept: Cached) -> Cached:
    planted = json.dumps({"id": ID, "title": "planted"}).encode()
    return Cached(msgspec.msgpack.encode([{}, planted, 0, 60.0 + 24 * 3600.0]), kept.expires_in)


JUNK: dict[str, Callable[[Cached], object]] = {
    "text": lambda _: "junk",
    "a number": lambda _: 7,
    "bytes": lambda kept: kept.value,
    "a pair": lambda kept: (kept.value, kept.expires_in),
    "a dict": lambda kept: {"value": kept.value, "expires_in": kept.expires_in},
    "an object": lambda _: object(),
    "false": lambda _: False,
    "no bytes": lambda kept: Cached(None, kept.expires_in),  # type: ignore[arg-type]
    "text for bytes": lambda kept: Cached(kept.value.decode("latin-1"), kept.expires_in),  # type: ignore[arg-type]
    "empty bytes": lambda kept: Cached(b"", kept.expires_in),
    "no time": lambda kept: Cached(kept.value, None),  # type: ignore[arg-type]
    "text for a time": lambda kept: Cached(kept.value, "5"),  # type: ignore[arg-type]
    "truth for a time": lambda kept: Cached(kept.value, expires_in=True),
    "no number": lambda kept: Cached(kept.value, math.nan),
    "for ever": lambda kept: Cached(kept.value, math.inf),
    "longer than it was kept": lambda kept: Cached(kept.value, kept.expires_in + 3600.0),
    "garbage": lambda kept: Cached(b"\xff\x00junk", kept.expires_in),
    "a pickle of another version": lambda kept: Cached(pickle.dumps({"status": 200, "body": "..."}), kept.expires_in),
    "half of it": lambda kept: Cached(kept.value[: len(kept.value) // 2], kept.expires_in),
    "more than it": lambda kept: Cached(kept.value + b"\x00", kept.expires_in),
    "another bit": _flipped,
    "without a seal": _unsealed,
}  # fmt: skip


@pytest.mark.parametrize("make", JUNK.values(), ids=JUNK)
@reads
@on_virtual_time
async def test_what_was_never_kept_is_a_miss(
    mast: Mast, read: Callable[..., Any], make: Callable[[Cached], object], caplog: pytest.LogCaptureFixture
) -> None:
    """No crash and no wrong answer: the server is asked, and the log says so once, without data."""
    cached = mast.cached(ttl=60.0, provider=Giving(make))
    with caplog.at_level(logging.WARNING, "meitner_aio"):
        for number in range(1, 5):
            assert await read(cached) == "old"
            assert mast.asked == number
    assert [record.getMessage() for record in caplog.records if "never stored" in record.getMessage()] == [
        "the cache provider returned bytes that were never stored; asking the service instead"
    ]
    assert "planted" not in caplog.text
    mast.down = True
    with pytest.raises(APIConnectionError):  # nor does it stand in for a service that is down
        await read(cached)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(value=st.binary(max_size=200), expires_in=st.floats(allow_nan=True, allow_infinity=True))
def test_no_bytes_that_somebody_made_up_are_an_answer(value: bytes, expires_in: float) -> None:
    """No bytes without a valid seal are returned."""

    async def main() -> None:
        mast = Mast()
        mast.seconds = 0.0
        cached = mast.cached(provider=Giving(lambda _: Cached(value, expires_in)))
        assert [await _title(cached) for _ in range(2)] == ["old"] * 2
        assert mast.asked == 2

    asyncio.run(main())


@on_virtual_time
async def test_an_answer_under_another_key_is_a_miss(mast: Mast) -> None:
    """An answer that the provider returns under another key is not used."""
    store = Elsewhere()
    cached = mast.cached(ttl=60.0, provider=store)

    async def found(title: str) -> str:
        mast.title = title
        [unit] = await cached.units.search(title=title).all()
        return str(unit.title)

    assert [await found("one"), await found("two")] == ["one", "two"]
    (one, kept), (two, also) = store._kept.items()
    store._kept[one], store._kept[two] = also, kept
    assert [await found("one"), await found("two")] == ["one", "two"]
    assert mast.asked == 4


@on_virtual_time
async def test_an_answer_sealed_by_another_is_a_miss(mast: Mast) -> None:
    """Somebody who can write to the provider, but has no credentials, cannot plant an answer."""
    planted = Elsewhere()
    thief = mast.cached(b"somebody else", ttl=60.0, provider=planted)
    mast.title = "planted"
    await _title(thief)
    [(value, expires_at)] = planted._kept.values()
    mast.title, store = "old", Elsewhere()
    cached = mast.cached(ttl=60.0, provider=store)
    await _title(cached)
    [key] = store._kept
    store._kept[key] = (value, expires_at)
    assert await _title(cached) == "old"
    assert mast.asked == 3


# Lifetimes of several views on one provider.


@pytest.mark.parametrize(
    ("writer", "reader", "good", "stands_in"),
    [
        ({"ttl": 5.0}, {"ttl": 60.0, "stale_if_error": False}, 60.0, 60.0),
        ({"ttl": 600.0}, {"ttl": 5.0, "stale_if_error": 10.0}, 5.0, 15.0),
        ({"ttl": 60.0, "stale_if_error": False}, {"ttl": 5.0}, 5.0, 60.0),
        ({"ttl": 5.0, "stale_if_error": 5.0}, {"ttl": 60.0, "stale_if_error": 60.0}, 10.0, 10.0),
    ],
)
@on_virtual_time
async def test_each_view_believes_an_answer_for_as_long_as_it_says_itself(
    mast: Mast, writer: dict[str, float], reader: dict[str, float], good: float, stands_in: float
) -> None:
    """Each view applies its own lifetime, whichever view stored the answer."""
    store = MemoryCache()
    mast.seconds = 0.0
    await _title(mast.cached(provider=store, **writer))
    view = mast.cached(provider=store, **reader)
    mast.title = "new"
    await asyncio.sleep(good - 0.1)
    assert await _title(view) == "old"
    await asyncio.sleep(0.2)
    mast.down = True
    if stands_in > good:
        assert await _title(view) == "old"
        await asyncio.sleep(stands_in - good - 0.2)
        assert await _title(view) == "old"
        await asyncio.sleep(0.2)
    with pytest.raises(APIConnectionError):
        await _title(view)


def test_the_identity_of_credentials_of_ones_own_is_nobody_elses() -> None:
    """Equal API keys share answers; a caller's own auth object shares with nobody."""
    assert Meitner(auth=ApiKey("a", "b")).cached._scope == Meitner("a", "b").cached._scope
