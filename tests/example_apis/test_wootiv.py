"""What a client of Wootiv promises, done with `wootiv`, against a server that knows no client."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from example_servers import Wootiv

from meitner_aio import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectionReason,
    InternalServerError,
    MeitnerError,
    NotFoundError,
    PermissionDeniedError,
    Portal,
    RateLimitError,
    RetryPolicy,
    UnprocessableEntityError,
    to_dict,
    to_json,
)

from .wootiv import Aws, Member, Members, Root, upload, wootiv

KEY = "a-key-of-wootiv"
AT_ONCE = RetryPolicy(initial=0.0)


@pytest.fixture
async def server(aiohttp_server):
    """Give a server with a space of 120 members, and its URL as `server.url`."""
    api = Wootiv(KEY, members=120)
    api.url = str((await aiohttp_server(api.app)).make_url("")).rstrip("/")
    return api


@pytest.fixture
async def client(server):
    """Give a client of the server, which retries at once."""
    async with wootiv(KEY, base_url=server.url, retry=AT_ONCE) as client:
        yield client


async def test_members_come_across_pages(client, server):
    """120 members in pages of 50: three requests, every member once."""
    members = [member async for member in client.resource(Members, space="s-1").list()]
    assert members == [Member(id=f"m-{n}", name=f"Kim {n}") for n in range(120)]
    assert [request.query["offset"] for request in server.seen] == ["0", "50", "100"]


async def test_a_member_is_written_as_json_and_as_a_dict(client):
    """Under the API's names, in the clear; only repr masks."""
    member = await client.resource(Members, space="s-1").list().first()
    assert to_dict(member) == json.loads(to_json(member)) == {"id": "m-0", "name": "Kim 0", "role": "guest"}
    assert repr(member) == "Member(id='m-0', name=***, role='guest')"


async def test_pages_can_be_turned_by_hand(client):
    """has_next_page, next_page_info and get_next_page."""
    page = await client.resource(Members, space="s-1").list(limit=50)
    sizes, places = [len(page)], []
    while page.has_next_page():
        places.append(page.next_page_info().offset)
        page = await page.get_next_page()
        sizes.append(len(page))
    assert (sizes, places) == ([50, 50, 20], [50, 100])


async def test_a_file_is_put_to_its_signed_url_without_the_key(client, server):
    """The URL may lead to any server: only a session without credentials goes there."""
    async with aiohttp.ClientSession() as session:
        await upload(client, "sunshine.png", b"\x89PNG" * 1000, session)
    assert server.files == {"sunshine.png": b"\x89PNG" * 1000}
    assert not server.leaked
    assert [(one.method, one.path) for one in server.seen] == [
        ("POST", "/aws/signed-put-url"),
        ("PUT", "/bucket/sunshine.png"),
    ]
    assert server.seen[0].body == {"filename": "sunshine.png"}


async def test_a_signed_url_is_not_shown(client):
    """Whoever reads it in a log could write."""
    signed = await client.resource(Aws).create_signed_put_url(filename="sunshine.png")
    assert signed.url.endswith("/bucket/sunshine.png?signature=abc")
    assert repr(signed) == "SignedUrl(url=***)"


async def test_nested_parameters_reach_the_root(client, server):
    """With none, and with some."""
    assert (await client.resource(Root).retrieve(params={})).name == "wootiv"
    await client.resource(Root).retrieve(params={"expand": "members"})
    assert [one.query for one in server.seen] == [{}, {"params[expand]": "members"}]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (422, UnprocessableEntityError),
        (429, RateLimitError),
        (500, InternalServerError),
        (503, InternalServerError),
    ],
)
async def test_every_status_has_its_error(client, server, status, kind):
    """Each is an APIStatusError with the status and the answer, and a MeitnerError."""
    server.failing = [status] * 9
    with pytest.raises(kind) as caught:
        await client.with_options(max_retries=0).resource(Aws).create_signed_put_url(filename="x")
    assert isinstance(caught.value, APIStatusError)
    assert caught.value.status_code == caught.value.response.status == status
    assert json.loads(caught.value.text) == {"error": "as told"}
    assert len(server.seen) == 1


async def test_a_server_that_cannot_be_reached_says_why():
    """APIConnectionError, which is a MeitnerError; the reason is data, and no error of a library hangs on it."""
    async with wootiv(KEY, base_url="http://127.0.0.1:9", max_retries=0) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.resource(Root).retrieve()
    assert isinstance(caught.value, MeitnerError)
    assert caught.value.reason is ConnectionReason.REFUSED


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
@pytest.mark.parametrize(("retries", "requests"), [(None, 3), (0, 1), (5, 6)])
async def test_a_call_is_retried_twice_or_as_often_as_it_says(server, status, retries, requests):
    """By the client, and by the request; the POST too, which says that it may be repeated."""
    server.failing = [status] * 9
    async with wootiv(KEY, base_url=server.url, retry=AT_ONCE) as client:
        once = client if retries is None else client.with_options(max_retries=retries)
        with pytest.raises(APIStatusError):
            await once.resource(Aws).create_signed_put_url(filename="x")
    assert len(server.seen) == requests


async def test_a_connection_that_breaks_is_tried_again(client, server):
    """Twice, and the third attempt is answered."""
    server.hanging = 2
    assert (await client.resource(Root).retrieve()).name == "wootiv"
    assert len(server.seen) == 3


async def test_a_timeout_is_that_of_the_client_or_of_the_request(server):
    """Seconds, or aiohttp's finer ones; an attempt that took too long is an APITimeoutError."""
    finer = aiohttp.ClientTimeout(total=60.0, sock_read=5.0, sock_connect=2.0)
    for timeout in (20.0, finer):
        async with wootiv(KEY, base_url=server.url, timeout=timeout, max_retries=0) as client:
            assert (await client.with_options(timeout=5000).resource(Root).retrieve()).name == "wootiv"
            with pytest.raises(APITimeoutError):
                await client.with_options(timeout=1e-9).resource(Root).retrieve()


async def test_a_transport_of_ones_own_is_a_session(server):
    """With a local address, as any connector of aiohttp has it; it is left open."""
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.1", 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        async with wootiv(KEY, base_url=server.url, session=session) as client:
            assert (await client.resource(Root).retrieve()).name == "wootiv"
        assert not session.closed


async def test_the_key_comes_from_the_environment(server, monkeypatch):
    """WOOTIV_API_KEY, else an error before any request; a wrong one is refused by the server, and never shown."""
    with pytest.raises(ConfigurationError, match="WOOTIV_API_KEY"):
        wootiv(base_url=server.url)
    monkeypatch.setenv("WOOTIV_API_KEY", KEY)
    async with wootiv(base_url=server.url) as client:
        assert (await client.resource(Root).retrieve()).name == "wootiv"
        assert KEY not in repr(client)
    async with wootiv("wrong-key", base_url=server.url) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.resource(Root).retrieve()
    assert "wrong-key" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize(("environment", "host"), [("production", "api"), ("environment_1", "staging")])
async def test_an_environment_is_a_server(environment, host):
    """By its name."""
    async with wootiv(KEY, environment=environment) as client:
        assert f"https://{host}.wootiv.example" in repr(client)


async def test_the_calls_need_no_asyncio(server):
    """A portal runs them for code without a loop; a closed one takes no more."""

    def read() -> int:
        with Portal(wootiv(KEY, base_url=server.url)) as portal:
            assert portal.run(portal.meitner.resource(Root).retrieve()).name == "wootiv"
            return len(list(portal.iterate(portal.meitner.resource(Members, space="s-1").list())))

    assert await asyncio.to_thread(read) == 120
