"""Copies of a client with other options: what they share, what is their own, and what is refused."""

from __future__ import annotations

import asyncio
import inspect
import logging
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import virtual_time
from conftest import AT_ONCE, CREDENTIALS, Scripted
from raw_server import STUDENT_ID, RawServer, answer, failure, page

from meitner_aio import (
    RESOURCES,
    APITimeoutError,
    ConfigurationError,
    InternalServerError,
    Meitner,
    MeitnerError,
    OAuth2,
    QuotaWait,
    RequestSent,
    ResponseReceived,
    RetryPolicy,
)
from meitner_aio._pipeline.core import Core
from meitner_aio._pipeline.credentials import ApiKey
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._wire.messages import Headers, RawResponse, Request


async def _silence(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_a_call_may_have_retries_of_its_own(scripted: Scripted) -> None:
    """The seed's idiom: with_options(max_retries=5) for one call, and the client stays as it was."""
    meitner, server = await scripted(failure(500))
    for client, attempts in ((meitner.with_options(max_retries=5), 6), (meitner, 3)):
        with pytest.raises(InternalServerError) as caught:
            await client.students.get(STUDENT_ID)
        assert caught.value.attempts == attempts
    assert len(server.seen) == 9


async def test_max_retries_keeps_the_rest_of_the_policy() -> None:
    """A policy's waits are not lost when only its number of retries is another."""
    policy = RetryPolicy(max_retries=7, initial=0.25, deadline=9.0)
    async with Meitner.sandbox(students=1, schools=1).with_options(retry=policy) as meitner:
        assert meitner.with_options(max_retries=1)._options.policy == RetryPolicy(
            max_retries=1, initial=0.25, deadline=9.0
        )


@pytest.mark.parametrize("patience", [0.05, aiohttp.ClientTimeout(sock_read=0.05)])
async def test_a_call_may_have_a_timeout_of_its_own(scripted: Scripted, patience: Any) -> None:
    """As a number or as aiohttp's own."""
    meitner, _ = await scripted(_silence, retry=None, max_retries=0)
    with pytest.raises(APITimeoutError):
        await meitner.with_options(timeout=patience).students.get(STUDENT_ID)
    assert meitner._options.timeout == 60.0


async def test_headers_are_laid_over_those_of_the_client(scripted: Scripted) -> None:
    """Names ignore case, the rest stays, and credentials cannot be replaced."""
    meitner, server = await scripted(answer(), headers={"X-Tenant": "a", "X-Kept": "1"})
    copied = meitner.with_options(headers={"x-tenant": "b", "Client-ID": "evil", "User-Agent": "mine"})
    await copied.students.get(STUDENT_ID)
    await meitner.students.get(STUDENT_ID)
    first, second = (seen.headers for seen in server.seen)
    assert (first["x-tenant"], first["x-kept"], first["user-agent"]) == ("b", "1", "mine")
    assert first["client-id"] == CREDENTIALS[0]
    assert second["x-tenant"] == "a"
    assert sorted(map(str.lower, copied._options.headers)) == [
        *("accept", "accept-encoding", "client-id", "user-agent", "x-kept", "x-tenant"),
    ]


async def test_a_copy_tells_its_own_listener(scripted: Scripted) -> None:
    """Attempts are told to the client that makes them; None is told to nobody."""
    first: list[Any] = []
    second: list[Any] = []
    meitner, _ = await scripted(answer(), on_event=first.append)
    await meitner.with_options(on_event=second.append).students.get(STUDENT_ID)
    assert not first
    assert [type(event) for event in second] == [RequestSent, ResponseReceived]
    await meitner.with_options(on_event=None).students.get(STUDENT_ID)
    assert not first
    await meitner.students.get(STUDENT_ID)
    assert len(first) == 2


def test_a_wait_for_the_quota_is_told_to_the_copy_that_waits() -> None:
    """The rate limiter is shared, its listeners are not."""

    async def main() -> tuple[list[Any], list[Any]]:
        ours: list[Any] = []
        theirs: list[Any] = []
        async with Meitner.sandbox(students=1, schools=1, quota=8, limiter="window") as meitner:
            one, other = meitner.with_options(on_event=ours.append), meitner.with_options(on_event=theirs.append)
            for _ in range(7):
                await one.students.list().count()
            del ours[:]
            await other.students.list().all()  # the last one is not spent without a look whether more comes
        return ours, theirs

    ours, theirs = virtual_time.run(main())
    assert not ours
    assert len([event for event in theirs if isinstance(event, QuotaWait)]) == 1


async def test_max_concurrency_is_that_of_listings(scripted: Scripted) -> None:
    """So many pages are under way; the rate limiter of the client is as wide as before."""
    rows = [{"id": f"{i:08d}-0000-4000-8000-000000000000", "title": "N"} for i in range(40)]
    flying = most = 0

    def at(offset: int) -> Any:
        async def reply(writer: asyncio.StreamWriter) -> None:
            nonlocal flying, most
            flying += 1
            most = max(most, flying)
            await asyncio.sleep(0.005)
            flying -= 1
            writer.write(page(rows[offset : offset + 1], offset=offset, limit=1, total=9))

        return reply

    meitner, _ = await scripted(*[at(offset) for offset in range(9)])
    assert len(await meitner.with_options(max_concurrency=1).units.list(limit=1).all()) == 9
    assert most == 1


class _Counting:
    """Pages of one row, all but the first of which are held back until so many requests are in flight together."""

    def __init__(self, expected: int) -> None:
        self.expected, self.flying, self.most = expected, 0, 0
        self.there = asyncio.Event()

    def __call__(self, seen: Any) -> Any:
        asked = parse_qs(urlsplit(seen.target).query)
        offset = int(asked.get("offset", ["0"])[0])
        return partial(self._reply, offset)

    async def _reply(self, offset: int, writer: asyncio.StreamWriter) -> None:
        self.flying += 1
        self.most = max(self.most, self.flying)
        if self.flying >= self.expected:
            self.there.set()
        if offset:
            await self.there.wait()
        self.flying -= 1
        row = {"id": f"{offset:08d}-0000-4000-8000-000000000000", "title": "N"}
        told = b"\r\nRateLimit-Limit: 5000\r\nRateLimit-Remaining: 4900\r\nRateLimit-Reset: 3600\r\n\r\n"
        writer.write(page([row], offset=offset, limit=1, total=80).replace(b"\r\n\r\n", told, 1))


@pytest.mark.parametrize(
    ("client", "copy", "listing", "expected"),
    [
        (32, None, None, 32),
        (32, None, 16, 16),
        (32, 16, None, 16),
        (16, 16, 12, 12),
        (32, 2, 16, 16),
    ],
)
async def test_as_many_requests_are_in_flight_as_was_said(
    client: int, copy: int | None, listing: int | None, expected: int
) -> None:
    """Counted by the server: `max_concurrency` of a client or copy, else `concurrency` of the listing."""
    counting = _Counting(expected)
    async with (
        RawServer(counting) as server,
        Meitner(*CREDENTIALS, base_url=server.url, max_concurrency=client) as meitner,
        asyncio.timeout(5),
    ):
        if copy is not None:
            meitner = meitner.with_options(max_concurrency=copy)  # noqa: PLW2901 - closed with the other
        assert len(await meitner.units.list(limit=1, concurrency=listing).all()) == 80
    assert counting.most == expected


@pytest.mark.parametrize(
    "asked",
    [
        lambda meitner: meitner.students.list(concurrency=16),
        lambda meitner: meitner.students.list().paged(concurrency=16),
        lambda meitner: meitner.students.search(last_name="Ek").paged(concurrency=16),
        lambda meitner: meitner.cached().students.list(concurrency=16),
        lambda meitner: meitner.with_options(max_concurrency=2).students.list(concurrency=16),
        lambda meitner: meitner.with_options(max_concurrency=32),
    ],
)
@pytest.mark.parametrize("within", [False, True])
def test_more_requests_in_flight_than_a_client_may_have_are_refused_at_once(asked: Any, within: bool) -> None:
    """Rather than given in silence what the client was built with: the error names `max_concurrency`."""
    meitner = Meitner.sandbox(students=1) if within else Meitner(*CREDENTIALS)
    with pytest.raises(ConfigurationError, match="max_concurrency"):
        asked(meitner)
    wider = Meitner.sandbox(students=1, max_concurrency=32) if within else Meitner(*CREDENTIALS, max_concurrency=32)
    asked(wider)


async def test_a_session_that_gives_fewer_connections_is_what_a_listing_is_measured_by() -> None:
    """A client with a narrow session reads by as many as it gives, and refuses a listing that says it wants more."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2)) as session:
        meitner = Meitner(*CREDENTIALS, session=session)
        assert meitner.students.list() is not None
        with pytest.raises(ConfigurationError, match=r"concurrency=3 is more than the 2 .* session"):
            meitner.students.list(concurrency=3)
        with pytest.raises(ConfigurationError, match="max_concurrency=32 is more than the 2 connections"):
            Meitner(*CREDENTIALS, session=session, max_concurrency=32)


class _Peer:
    """A transport that keeps who asked, and cannot be reached before it is let."""

    def __init__(self) -> None:
        self.flying = self.most = self.closed = 0

    async def send(self, _: Request) -> RawResponse:
        self.flying += 1
        self.most = max(self.most, self.flying)
        await asyncio.sleep(1.0)
        self.flying -= 1
        headers = {"RateLimit-Limit": "5000", "RateLimit-Remaining": "4000", "RateLimit-Reset": "3600"}
        return RawResponse(200, Headers({"Date": "Sat, 21 Nov 2026 10:00:00 GMT", **headers}), b"{}")

    async def close(self) -> None:
        self.closed += 1


def _on(peer: _Peer, width: int = 2) -> Meitner:
    meitner = Meitner.sandbox(students=1, schools=1)
    meitner._join(
        Core("https://api.example/v1", peer, ApiKey("a", "b"), RateLimiter(width), meitner._options), meitner._options
    )
    return meitner


def test_copies_share_slots_quota_and_retry_budget() -> None:
    """However many copies: two requests in flight, one window, one budget."""

    async def main() -> None:
        peer = _Peer()
        meitner = _on(peer)
        await meitner.request("GET", "/x")
        copies = [meitner.with_options(timeout=seconds) for seconds in range(1, 9)]
        await asyncio.gather(*(copied.request("GET", "/x") for copied in copies))
        assert peer.most == 2
        assert {copied.quota for copied in copies} == {meitner.quota}
        assert meitner.quota is not None
        assert meitner.quota.remaining == 4000

    virtual_time.run(main())


async def test_copies_share_one_token(scripted: Scripted) -> None:
    """One token request for a client and its copies."""
    token = answer(200, {"access_token": "tok", "expires_in": 3600})
    meitner, server = await scripted(token, answer(), auth=OAuth2("a", "b"))
    copies = [meitner.with_options(max_retries=0), meitner.with_options(timeout=5), meitner]
    await asyncio.gather(*(copied.students.get(STUDENT_ID) for copied in copies))
    assert [seen.target for seen in server.seen].count("/oauth/token") == 1


async def test_copies_share_their_connections(scripted: Scripted) -> None:
    """A copy for each call costs no connection."""
    meitner, server = await scripted(answer())
    for seconds in range(1, 6):
        await meitner.with_options(timeout=seconds).students.get(STUDENT_ID)
    assert server.connections == 1


@pytest.mark.parametrize("closes", ["the client", "a copy", "the block of a copy"])
async def test_closing_either_closes_both(scripted: Scripted, closes: str) -> None:
    """There is one thing to close: the connections that all of them share."""
    meitner, _ = await scripted(answer())
    copied = meitner.with_options(timeout=5)
    await copied.students.get(STUDENT_ID)
    if closes == "the block of a copy":
        async with copied:
            pass
    else:
        await (meitner if closes == "the client" else copied).close()
    for client in (meitner, copied, meitner.with_options(timeout=1)):
        assert "closed" in repr(client)
        with pytest.raises(MeitnerError, match="closed"):
            await client.students.get(STUDENT_ID)
        await client.close()


def test_copies_belong_to_the_same_loop() -> None:
    """A copy is no way around the loop that a client belongs to."""
    meitner = Meitner.sandbox(students=3, schools=1)

    async def count(client: Meitner) -> int:
        return await client.students.list().count()

    assert asyncio.run(count(meitner.with_options(timeout=5))) == 3
    with pytest.raises(MeitnerError, match="another event loop"):
        asyncio.run(count(meitner))


async def test_a_copy_of_a_copy_keeps_what_both_changed() -> None:
    """Options add up."""
    meitner = Meitner.sandbox(students=3, schools=1)
    log = logging.getLogger("mine")
    copied = meitner.with_options(timeout=5, logger=log).with_options(max_retries=7)
    assert (copied._options.timeout, copied._options.policy.max_retries, copied._options.log) == (5, 7, log)
    assert copied.with_options(logger=None)._options.log.name == "meitner_aio"
    assert await copied.students.list().count() == 3


async def test_a_copy_of_a_subclass_is_one() -> None:
    """With all that it was given."""

    class Ours(Meitner):
        label = "none"

    ours = Ours.sandbox(students=3, schools=1)
    assert isinstance(ours, Ours)
    ours.label = "north"
    copied = ours.with_options(timeout=5)
    assert isinstance(copied, Ours)
    assert copied.label == "north"
    assert copied.students is not ours.students


def test_a_copy_has_every_resource_and_shows_it() -> None:
    """Tab completion knows a copy as it knows a client."""
    meitner = Meitner.sandbox(students=1, schools=1)
    assert set(RESOURCES) <= set(dir(meitner.with_options(timeout=5)))
    assert dir(meitner.with_options(timeout=5)) == dir(meitner)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timeout": 0}, ValueError),
        ({"timeout": -1.0}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"timeout": float("inf")}, ValueError),
        ({"timeout": "60"}, TypeError),
        ({"timeout": True}, TypeError),
        ({"timeout": None}, TypeError),
        ({"max_retries": -1}, ValueError),
        ({"max_retries": 1.5}, TypeError),
        ({"max_retries": "2"}, TypeError),
        ({"max_retries": True}, TypeError),
        ({"retry": 3}, TypeError),
        ({"headers": {"X-A": "1\r\nEvil: 1"}}, ValueError),
        ({"headers": {"X-A": 1}}, TypeError),
        ({"max_concurrency": 0}, ValueError),
        ({"max_concurrency": 2.0}, TypeError),
        ({"on_event": "print"}, TypeError),
        ({"logger": "meitner"}, TypeError),
    ],
)
def test_what_means_nothing_is_refused_before_any_request(options: dict[str, Any], error: type[Exception]) -> None:
    """By the constructor and by with_options alike."""
    meitner = Meitner.sandbox(students=1, schools=1)
    with pytest.raises(error):
        meitner.with_options(**options)
    with pytest.raises(error):
        Meitner(*CREDENTIALS, **options)


@pytest.mark.parametrize(
    "options",
    [{"max_retry": 1}, {"rate": None}, {"session": None}, {"retry": AT_ONCE, "max_retries": 1}, {"base_url": "x"}],
)
def test_what_cannot_be_another_for_a_copy_is_a_type_error(options: dict[str, Any]) -> None:
    """An unknown name, what all copies share, and two ways to say one thing."""
    with pytest.raises(TypeError):
        Meitner.sandbox(students=1, schools=1).with_options(**options)


def test_editors_complete_every_option() -> None:
    """The signature names them, and no `**options` hides them."""
    parameters = inspect.signature(Meitner.with_options).parameters.values()
    assert all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    of_the_client = set(inspect.signature(Meitner.__init__).parameters)
    assert {parameter.name for parameter in parameters} <= of_the_client


def test_no_repr_shows_a_header() -> None:
    """A header that users add may be a secret; frames of tracebacks show their locals."""
    import rich.pretty

    meitner = Meitner.sandbox(students=1, schools=1).with_options(headers={"X-Key": "canary"})
    shown = [repr(meitner), repr(vars(meitner)), rich.pretty.pretty_repr(meitner._options)]
    assert not [text for text in shown if "canary" in text]
