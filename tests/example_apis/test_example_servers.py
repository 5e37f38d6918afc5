"""The servers of the examples keep to what they promise, whoever asks: else they would prove nothing of a client."""

from __future__ import annotations

import pytest
from example_servers import Schematic, Wootiv

BEARER = {"Authorization": "Bearer a-key"}
KEY = {"X-Schematic-Api-Key": "a-key"}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer other"}, {"Authorization": "a-key"}, KEY])
async def test_nobody_enters_without_the_key(aiohttp_client, headers):
    """Not for a page, and not for a signed URL."""
    http = await aiohttp_client(Wootiv("a-key", members=3).app)
    assert (await http.get("/space/s-1/members?limit=1&offset=0", headers=headers)).status == 401
    assert (await http.post("/aws/signed-put-url", json={"filename": "x"}, headers=headers)).status == 401


async def test_pages_are_small_and_tell_what_they_are(aiohttp_client):
    """At most 50 rows, whatever is asked for."""
    http = await aiohttp_client(Wootiv("a-key", members=60).app)
    page = await (await http.get("/space/s-1/members?limit=1000&offset=20", headers=BEARER)).json()
    assert [row["id"] for row in page["data"]] == [f"m-{n}" for n in range(20, 60)]
    assert page["pagination"] == {"limit": 50, "offset": 20, "total": 60}
    assert (await http.get("/space/other/members?limit=1&offset=0", headers=BEARER)).status == 404


async def test_any_key_finds_a_company_and_adds_the_others(aiohttp_client):
    """Upserts merge keys and traits; a lookup needs one key that fits."""
    http = await aiohttp_client(Schematic("a-key").app)
    for keys, traits in (({"id": "a"}, {"x": 1}), ({"id": "a", "vat": "7"}, {"y": 2}), ({"id": "b"}, {})):
        assert (await http.post("/companies", json={"keys": keys, "traits": traits}, headers=KEY)).status == 200
    found = await (await http.get("/companies/lookup", params={"keys[vat]": "7"}, headers=KEY)).json()
    assert (found["data"]["id"], found["data"]["traits"]) == ("comp_1", {"x": 1, "y": 2})
    assert (await http.get("/companies/lookup", params={"keys[vat]": "8"}, headers=KEY)).status == 404


@pytest.mark.parametrize(("events", "status"), [(100, 200), (101, 400)])
async def test_a_batch_has_a_limit(aiohttp_client, events, status):
    """As the real service has one; nothing of a refused one is kept."""
    api = Schematic("a-key")
    http = await aiohttp_client(api.app)
    assert (await http.post("/batch", json={"events": [{}] * events}, headers=KEY)).status == status
    assert len(api.events) == (events if status == 200 else 0)
