"""The servers of two other APIs, written from what their documents promise, behind aiohttp.web. They know no client."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from typing import Any

from aiohttp import web

NOON = "2026-01-01T12:00:00Z"


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


class Recorded:
    """An application that notes every request, and lets nobody in without the key. It answers `failing` first."""

    def __init__(self, header: str, key: str) -> None:
        self.seen: list[Seen] = []
        self.failing: list[int] = []
        self.hanging = 0
        """How many requests break off without an answer."""
        self._required = header, key
        self.app = web.Application(middlewares=[self._noting])

    @web.middleware
    async def _noting(self, request: web.Request, handler: Any) -> web.StreamResponse:
        sent = await request.read()
        body = json.loads(sent) if sent and request.method == "POST" else sent
        self.seen.append(Seen(request.method, request.path, dict(request.query), body))
        header, key = self._required
        if self.hanging and request.transport is not None:
            self.hanging -= 1
            request.transport.close()
        if self.failing:
            return web.json_response({"error": "as told"}, status=self.failing.pop(0))
        if request.headers.get(header) != key and "signature" not in request.query:
            return web.json_response({"error": "no such key"}, status=401)
        return await handler(request)


class Wootiv(Recorded):
    """Members of spaces in pages of at most 50, URLs that are signed for one file, and a root."""

    def __init__(self, key: str, members: int) -> None:
        super().__init__("Authorization", f"Bearer {key}")
        self.rows = [{"id": f"m-{n}", "name": f"Kim {n}", "role": "guest"} for n in range(members)]
        self.files: dict[str, bytes] = {}
        self.leaked = False
        self.app.router.add_get("/", self._root)
        self.app.router.add_get("/space/{space}/members", self._members)
        self.app.router.add_post("/aws/signed-put-url", self._signed)
        self.app.router.add_put("/bucket/{file}", self._put)

    async def _root(self, request: web.Request) -> web.Response:
        return web.json_response({"name": "wootiv", "asked": dict(request.query)})

    async def _members(self, request: web.Request) -> web.Response:
        if request.match_info["space"] != "s-1":
            return web.json_response({"error": "no such space"}, status=404)
        limit, offset = min(int(request.query["limit"]), 50), int(request.query["offset"])
        page = {"limit": limit, "offset": offset, "total": len(self.rows)}
        return web.json_response({"data": self.rows[offset : offset + limit], "pagination": page})

    async def _signed(self, request: web.Request) -> web.Response:
        url = request.url.origin() / "bucket" / (await request.json())["filename"]
        return web.json_response({"url": str(url.with_query(signature="abc"))})

    async def _put(self, request: web.Request) -> web.Response:
        self.leaked = self.leaked or "Authorization" in request.headers
        self.files[request.match_info["file"]] = await request.read()
        return web.Response()


class Schematic(Recorded):
    """Companies and users that any of their keys finds, flags that are on for one company, and events."""

    def __init__(self, key: str) -> None:
        super().__init__("X-Schematic-Api-Key", key)
        self.rows: dict[str, list[dict[str, Any]]] = {"companies": [], "users": []}
        self.events: list[dict[str, Any]] = []
        self._numbers = count(1)
        for kind in self.rows:
            self.app.router.add_get(f"/{kind}/lookup", self._lookup)
            self.app.router.add_post(f"/{kind}", self._upsert)
        self.app.router.add_get("/companies/{id}", self._get)
        self.app.router.add_post("/flags/{flag}/check", self._check)
        self.app.router.add_post("/batch", self._batch)

    def _answer(self, row: dict[str, Any] | None) -> web.Response:
        if row is None:
            return web.json_response({"error": "not found"}, status=404)
        shown = {name: value for name, value in row.items() if name != "by"}
        return web.json_response({"data": shown, "params": {}})

    def _found(self, kind: str, keys: dict[str, str]) -> dict[str, Any] | None:
        return next((row for row in self.rows[kind] if row["by"].items() & keys.items()), None)

    async def _lookup(self, request: web.Request) -> web.Response:
        keys = {name[5:-1]: value for name, value in request.query.items() if name.startswith("keys[")}
        return self._answer(self._found(request.path.split("/")[1], keys))

    async def _get(self, request: web.Request) -> web.Response:
        rows = self.rows["companies"]
        return self._answer(next((row for row in rows if row["id"] == request.match_info["id"]), None))

    async def _upsert(self, request: web.Request) -> web.Response:
        kind, given = request.path.strip("/"), await request.json()
        row = self._found(kind, given["keys"])
        if row is None:
            lists = (
                "add_ons",
                "billing_subscriptions",
                "custom_plan_billings",
                "entitlements",
                "entity_traits",
                "keys",
            )
            lists += ("metrics", "payment_methods", "plans", "rules", "company_memberships")
            row = {name: [] for name in lists} | {"by": {}, "traits": {}, "name": "", "user_count": 0}
            row |= {"id": f"{kind[:4]}_{next(self._numbers)}", "created_at": NOON, "updated_at": NOON}
            self.rows[kind].append(row | {"environment_id": "env_1"})
            row = self.rows[kind][-1]
        row["by"] |= given["keys"]
        row["traits"] |= given.get("traits", {})
        row["name"] = given.get("name", row["name"])
        return self._answer(row)

    async def _check(self, request: web.Request) -> web.Response:
        given, flag = await request.json(), request.match_info["flag"]
        on = given.get("company") == {"id": "acme"}
        return web.json_response({"data": {"flag": flag, "value": on, "reason": "a rule"}, "params": {}})

    async def _batch(self, request: web.Request) -> web.Response:
        batch = (await request.json())["events"]
        if len(batch) > 100:
            return web.json_response({"error": "batch too large"}, status=400)
        self.events += batch
        return web.json_response({})
