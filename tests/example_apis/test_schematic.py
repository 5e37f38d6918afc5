"""What a client of Schematic promises, done with `schematic_client`, and beside the official one on the same server."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager

import httpx
import pytest
from conftest import AT_ONCE
from example_servers import Schematic as Server
from schematic.client import AsyncSchematic, AsyncSchematicConfig
from schematic.types import EventBodyIdentifyCompany

from meitner_aio import APIStatusError, InternalServerError, NotFoundError

from .schematic import Companies, Entity, Fields, Users
from .schematic_client import Schematic

KEY = "a-key-of-schematic"
ACME = {"id": "acme"}
WILE = {"email": "wcoyote@example.org", "user_id": "u-1"}


@pytest.fixture
async def server(aiohttp_server):
    """Give a server, and its URL as `server.url`."""
    api = Server(KEY)
    api.url = str((await aiohttp_server(api.app)).make_url("")).rstrip("/")
    return api


def ours(server, **options):
    """Return our client of the server."""
    return Schematic(KEY, base_url=server.url, capture_url=server.url, retry=AT_ONCE, **options)


def said(value):
    """Return JSON without its nulls: the official client writes some where ours leaves the field out."""
    if isinstance(value, dict):
        return {name: said(one) for name, one in value.items() if one is not None}
    return [said(one) for one in value] if isinstance(value, list) else value


def asked(server):
    """Return what a server was asked, request by request."""
    return [(one.method, one.path, one.query, said(one.body)) for one in server.seen]


@asynccontextmanager
async def theirs(server, **options):
    """Give the official client of the server, which sends its events when it is shut down."""
    async with httpx.AsyncClient() as http:
        options |= {"base_url": server.url, "event_capture_url": server.url, "event_buffer_period": 3600}
        config = AsyncSchematicConfig(httpx_client=http, logger=logging.getLogger("schematic"), **options)
        async with AsyncSchematic(KEY, config) as client:
            yield client


async def test_both_clients_send_the_same_and_read_the_same(aiohttp_server):
    """Companies and users by their keys, flags: the same paths, queries, bodies and answers, request by request."""
    servers = [Server(KEY), Server(KEY)]
    for one in servers:
        one.url = str((await aiohttp_server(one.app)).make_url("")).rstrip("/")
    written = {"keys": ACME, "name": "Acme", "traits": {"city": "Atlanta", "high_score": 25, "is_active": True}}
    person = {"keys": WILE, "name": "Wile E. Coyote", "traits": {"city": "Atlanta"}, "company": ACME}
    async with ours(servers[0]) as client:
        companies, users = client.api.resource(Companies), client.api.resource(Users)
        read = [await companies.upsert_company(**written), await companies.upsert_company(keys=ACME)]
        read += [await companies.lookup_company(keys=ACME), await companies.get_company(read[0].id)]
        read += [await users.upsert_user(**person), await users.lookup_user(keys=WILE)]
        flags = [await client.check_flag("a-flag", company=one, user=WILE) for one in (ACME, {"id": "x & y"})]
        flags.append(await client.check_flag("a-flag"))
    async with theirs(servers[1], cache_providers=[]) as client:
        known = client.companies
        rows = [await known.upsert_company(**written), await known.upsert_company(keys=ACME)]
        rows += [await known.lookup_company(keys=ACME), await known.get_company(rows[0].data.id)]
        rows += [await known.upsert_user(**person), await known.lookup_user(keys=WILE)]
        theirs_say = [await client.check_flag("a-flag", company=one, user=WILE) for one in (ACME, {"id": "x & y"})]
        theirs_say.append(await client.check_flag("a-flag"))
    assert asked(servers[0]) == asked(servers[1])
    assert len(servers[0].seen) == 9
    assert read == [Entity(id=row.data.id, name=row.data.name, traits=row.data.traits) for row in rows]
    assert flags == theirs_say == [True, False, False]


async def test_both_clients_send_the_same_events(aiohttp_server):
    """identify and track return at once; what the server then has is the same, with the keys of repetition."""
    servers = [Server(KEY), Server(KEY)]
    for one in servers:
        one.url = str((await aiohttp_server(one.app)).make_url("")).rstrip("/")
    traits = {"login_count": 24, "is_staff": False}
    async with ours(servers[0]) as client:
        client.identify(
            WILE, company=Fields(keys=ACME, name="Acme", traits={"city": "Atlanta"}), name="W", traits=traits
        )
        client.track("some-action", user=WILE, company=ACME)
        client.track("some-action", quantity=3)
        assert not servers[0].seen
    async with theirs(servers[1]) as client:
        company = EventBodyIdentifyCompany(keys=ACME, name="Acme", traits={"city": "Atlanta"})
        await client.identify(WILE, company=company, name="W", traits=traits)
        await client.track("some-action", user=WILE, company=ACME)
        await client.track("some-action", quantity=3)
    repeats = [event.pop("idempotency_key") for event in servers[0].events]
    assert len(set(repeats)) == 3
    assert said(servers[0].events) == said(servers[1].events)
    assert [(one.method, one.path) for one in servers[0].seen] == [("POST", "/batch")]
    assert [(one.method, one.path) for one in servers[1].seen] == [("POST", "/batch")] * len(servers[1].seen)


async def test_events_go_in_batches_and_none_is_lost(server):
    """250 events at once are three requests, in order; a failed answer does not count one twice."""
    server.failing = [503]
    async with ours(server) as client:
        for number in range(250):
            client.track(f"event-{number}")
        await client.outbox.flush()
        assert (client.outbox.sent, client.outbox.failures) == (1, [])
        client.track("later")
    assert [event["body"]["event"] for event in server.events] == [*(f"event-{n}" for n in range(250)), "later"]
    assert [len(one.body["events"]) for one in server.seen] == [100, 100, 100, 50, 1]
    again = [event["idempotency_key"] for event in server.seen[0].body["events"]]
    assert again == [event["idempotency_key"] for event in server.seen[1].body["events"]]


async def test_flags_are_kept(server):
    """Ten checks are one request, for each company and user; with a cache of no size, ten."""
    async with ours(server) as client:
        for _ in range(10):
            assert await client.check_flag("a", company=ACME)
            assert not await client.check_flag("a", user=WILE)
    assert len(server.seen) == 2
    async with ours(server, cache={"maxsize": 0}) as client:
        for _ in range(10):
            assert await client.check_flag("a", company=ACME)
    assert len(server.seen) == 12


async def test_equal_checks_at_the_same_time_are_one_request(server):
    """As a busy page asks."""
    async with ours(server) as client:
        assert await asyncio.gather(*(client.check_flag("a", company=ACME) for _ in range(20))) == [True] * 20
    assert len(server.seen) == 1


async def test_both_clients_have_the_same_defaults_while_the_service_is_down(server):
    """What flag_defaults says of a flag, else off; the event that cannot be sent is told."""
    known = {"a": True}
    server.failing = [500] * 99
    async with ours(server, flag_defaults=known) as client:
        mine = [await client.check_flag(flag) for flag in ("a", "b")]
        client.track("some-action")
        await client.outbox.flush()
        assert isinstance(client.outbox.failures[0].error, InternalServerError)
    server.failing = [500] * 99
    async with theirs(server, flag_defaults=known) as client:
        client._client_wrapper.httpx_client.base_max_retries = 0
        assert mine == [await client.check_flag(flag) for flag in ("a", "b")] == [True, False]


async def test_offline_asks_nobody(server):
    """Without a key, flags have their defaults, and events go nowhere, which the outbox counts."""
    known = {"some-flag-key": True}
    urls = {"base_url": server.url, "capture_url": server.url}
    async with Schematic("", flag_defaults=known, offline=True, **urls) as client:
        mine = [await client.check_flag(flag) for flag in ("some-flag-key", "other")]
        client.track("some-action")
        await client.outbox.flush()
        assert (client.outbox.dropped, client.outbox.failures) == (1, [])
    async with theirs(server, flag_defaults=known, offline=True) as client:
        assert mine == [await client.check_flag(flag) for flag in ("some-flag-key", "other")] == [True, False]
    assert not server.seen


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_method_has_its_own_timeout_and_retries(server, status):
    """Two retries unless the client or the method says otherwise, as the official client has it."""
    server.failing = [status] * 99
    async with ours(server, timeout=20.0) as client:
        for api, attempts in ((client.api, 3), (client.api.with_options(timeout=5.0, max_retries=1), 2)):
            with pytest.raises(APIStatusError):
                await api.resource(Companies).get_company("comp_1")
            assert len(server.seen) == attempts
            server.seen.clear()


async def test_an_error_has_its_status(server):
    """A company that nobody has, and a key that is none."""
    async with ours(server) as client:
        with pytest.raises(NotFoundError) as caught:
            await client.api.resource(Companies).lookup_company(keys={"id": "nobody"})
        assert isinstance(caught.value, APIStatusError)
        assert caught.value.status_code == 404
        assert json.loads(caught.value.text) == {"error": "not found"}
    async with Schematic("wrong", base_url=server.url, capture_url=server.url) as client:
        with pytest.raises(APIStatusError) as caught:
            await client.api.resource(Companies).get_company("comp_1")
    assert caught.value.status_code == 401
    assert "wrong" not in repr(client.api) + str(caught.value)
