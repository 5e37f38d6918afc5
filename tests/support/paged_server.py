"""A server of numbered rows that gives pages by a rule: it clamps, refuses, breaks down or lies about what is large.

It knows nothing of the client but the requests that arrive, and counts them. It answers through a socket (`Server.raw`)
and as the transport of a client (`Server.client`), on virtual time where a test wants it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from numbered_directory import row
from raw_server import RawServer, Seen

from meitner_aio import ApiKey, APITimeoutError, Meitner, RetryPolicy
from meitner_aio._pipeline.core import Core, Options
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._wire.messages import Headers, RawResponse, Request

_NOW = "Sat, 21 Nov 2026 10:00:00 GMT"
_DATE = f"Date: {_NOW}\r\n"
NAMES = {"/school": "schools", "/student": "students", "/guardian": "guardians", "/employee": "employees"}


class Page(NamedTuple):
    """What a rule makes of a limit: so many rows and what the answer says of them, or a failure."""

    rows: int = 0
    reported: int = 0
    status: int = 200
    seconds: float = 0.0


Rule = Callable[[int], Page]


def clamps(cap: int) -> Rule:
    """Give no more than `cap` rows, and say so."""
    return lambda limit: Page(min(limit, cap), min(limit, cap))


def refuses(cap: int, status: int = 400) -> Rule:
    """Refuse to give more than `cap` rows."""
    return lambda limit: Page(limit, limit) if limit <= cap else Page(status=status)


def breaks(cap: int, status: int = 502) -> Rule:
    """Break down where more than `cap` rows are asked for."""
    return refuses(cap, status)


def hangs(cap: int, seconds: float = 3600.0) -> Rule:
    """Take longer than anybody waits for more than `cap` rows."""
    return lambda limit: Page(limit, limit, seconds=seconds if limit > cap else 0.0)


def lies(cap: int) -> Rule:
    """Give no more than `cap` rows, and say that it were as many as were asked for."""
    return lambda limit: Page(min(limit, cap), limit)


def gives_more(least: int) -> Rule:
    """Give no fewer than `least` rows, and say so."""
    return lambda limit: Page(max(limit, least), max(limit, least))


@cache
def _row(name: str, number: int) -> str:
    return json.dumps(row(name, number))


class Server:
    """So many rows of every resource, in pages by one rule, or by one for each path (`/student`, `/student/_search`)."""

    def __init__(self, rows: int, rule: Rule, rules: Mapping[str, Rule] | None = None) -> None:
        self.rows = rows
        self.rule = rule
        self.rules = dict(rules or {})
        self.asked: list[tuple[str, int, int]] = []
        """Path, limit and offset of every request that arrived."""
        self.requests: list[Request] = []
        self.flying = self.most_flying = 0

    @property
    def limits(self) -> list[int]:
        """The limits asked for, in their order."""
        return [limit for _, limit, _ in self.asked]

    def answer(self, target: str) -> tuple[Page, bytes]:
        """Return what the rule says, and the body of the answer."""
        url = urlsplit(target)
        query, path = dict(parse_qsl(url.query)), url.path.removeprefix("/directory/v1")
        limit, offset = int(query["limit"]), int(query["offset"])
        self.asked.append((path, limit, offset))
        page = self.rules.get(path, self.rule)(limit)
        if page.status >= 300:
            error = {"code": "BadRequest", "message": "no", "requestID": "req-1"}
            return page, json.dumps({"error": error}).encode()
        name = NAMES.get(path.removesuffix("/_search"), "students")
        rows = [] if path.startswith("/audit") else range(offset, min(offset + page.rows, self.rows))
        pagination = {"offset": offset, "limit": page.reported, "total": 0 if path.startswith("/audit") else self.rows}
        data = ",".join(_row(name, number) for number in rows)
        return page, f'{{"data":[{data}],"pagination":{json.dumps(pagination)}}}'.encode()

    identity = b"paged"

    async def send(self, request: Request) -> RawResponse:
        """Answer as a transport does, after the seconds of the rule; a timeout when that is too long."""
        self.requests.append(request)
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            page, body = self.answer(f"{request.path}?{request.query}")
            await asyncio.sleep(min(page.seconds, request.timeout or 60.0))
            if page.seconds > (request.timeout or 60.0):
                raise APITimeoutError("no answer in time", sent=True, method=request.method, route=request.route)
            headers = {"Content-Type": "application/json", "Date": _NOW}
            return RawResponse(page.status, Headers(headers), body)
        finally:
            self.flying -= 1

    async def close(self) -> None:
        """Nothing is open."""

    def client(self, **options: Any) -> Meitner:
        """Return a client of this server: all of it, but for the socket."""
        meitner = Meitner("id", "secret", base_url="https://api.example/v1")
        chosen = Options(policy=options.pop("retry", RetryPolicy(initial=0.0, maximum=0.0)), headers={}, **options)
        meitner._join(Core("https://api.example/v1", self, ApiKey("id", "secret"), RateLimiter(8), chosen), chosen)
        return meitner

    def raw(self) -> RawServer:
        """Return a server on a socket."""
        return RawServer(self._reply)

    def _reply(self, seen: Seen) -> bytes:
        page, body = self.answer(seen.target)
        head = (
            f"HTTP/1.1 {page.status} X\r\n{_DATE}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body
