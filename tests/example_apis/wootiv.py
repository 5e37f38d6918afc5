"""A client of Wootiv: members of spaces, uploads to signed URLs, and its root. All that is particular to it."""

import math
import os
from typing import Any

import aiohttp

from meitner_aio import ConfigurationError, Meitner, QuotaPolicy
from meitner_aio.declare import UNSET, Action, List, Personal, Record, Resource, UnsetType

SERVERS = {"production": "https://api.wootiv.example", "environment_1": "https://staging.wootiv.example"}


class Key:
    """The API key, as a bearer token."""

    def __init__(self, key: str | None) -> None:
        if not key:
            raise ConfigurationError("no key: pass api_key, or set WOOTIV_API_KEY")
        self._key = key

    async def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}


class Member(Record):
    id: str
    name: Personal[str]
    role: str = "guest"


class Members(Resource[Member]):
    path = "/space/{space}/members"
    model = Member
    list = List()


class SignedUrl(Record):
    url: Personal[str]  # whoever has it may write


class File(Record):
    filename: str


class Aws(Resource[SignedUrl]):
    path = "/aws"
    model = SignedUrl
    create_signed_put_url = Action("POST", "/signed-put-url", one=False, body=File, answer=SignedUrl, safe=True)


class Nested(Record):
    params: dict[str, Any] | UnsetType = UNSET


class Version(Record):
    name: str


class Root(Resource[Version]):
    path = "/"
    model = Version
    retrieve = Action("GET", "/", one=False, query=Nested, answer=Version)


def wootiv(
    api_key: str | None = None, *, environment: str = "production", base_url: str | None = None, **options: Any
) -> Meitner:
    """Return a client; `options` are those of `Meitner`, such as `timeout` and `max_retries`."""
    auth, url = Key(api_key or os.environ.get("WOOTIV_API_KEY")), base_url or SERVERS[environment]
    return Meitner(auth=auth, base_url=url, quota=QuotaPolicy(per_hour=math.inf), **options)


async def upload(client: Meitner, filename: str, content: bytes, session: aiohttp.ClientSession) -> None:
    """PUT bytes to a signed URL. It leads to another server, which must not see the key: `session` has none."""
    signed = await client.resource(Aws).create_signed_put_url(filename=filename)
    async with session.put(signed.url, data=content, allow_redirects=False, raise_for_status=True):
        pass
