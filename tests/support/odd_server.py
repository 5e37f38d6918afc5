"""A directory of few rows over a raw socket, whose every habit can be chosen: order, pages, zones, nulls, limiter.

Shares nothing with the package or its sandbox: rows are JSON, filters the four that a probe needs.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

from raw_server import RawServer, Seen, answer, failure

PATHS = (
    *("school", "unit", "group", "employee", "employee-placement", "guardian", "student", "student-placement"),
    *("grade-elementary", "grade-upper-secondary", "audit-event"),
)
NOON = 1_790_000_000.0
"""Seconds since 1970: not the top of an hour."""


class Clock:
    """Seconds that pass when somebody sleeps, and with every request."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now
        self.slept = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let seconds pass at once."""
        self.slept += seconds
        self.now += seconds


def row(number: int, created: str = "", **more: Any) -> dict[str, Any]:
    """Return a row; the later its number the later it was created, unless that is said."""
    day = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    meta = {
        "createdAt": created or f"{day:%Y-%m-%dT%H:%M:%SZ}",
        "createdBy": None,
        "updatedAt": None,
        "updatedBy": None,
    }
    if number % 3 == 0:
        meta["updatedAt"] = meta["createdAt"].replace("2025-", "2026-")
    return {"id": f"{number * 7919 % 10007:08d}-0000-4000-8000-{number:012d}", "meta": meta, **more}


def groups(count: int = 40) -> list[dict[str, Any]]:
    """Return groups in the order of their titles, four of each, and then of their creation."""
    rows = [
        row(count - number % 4 * 10 + number, title=f"Klass {number // 4:03d}", memberIDs=[], types=[])
        for number in range(count)
    ]
    return sorted(rows, key=lambda one: (one["title"], one["meta"]["createdAt"]))


def placements(count: int = 60, archived: int = 0) -> list[dict[str, Any]]:
    """Return student placements in the order of their creation, the last ones archived."""
    return [
        row(number, studentID="s", archivedAt="2026-01-01T00:00:00Z" if number >= count - archived else None)
        for number in range(count)
    ]


class OddServer(RawServer):
    """Answers lists, searches and openapi.json. `limiter(now)` returns headers for a request that it counts."""

    def __init__(  # every habit
        self,
        *,
        rows: dict[str, list[dict[str, Any]]] | None = None,
        searched: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda rows: rows,
        cap: int = 1000,
        refuse_over: int = 10**9,
        zones: str = "heed",
        nulls: str = "skip",
        list_archived: bool = True,
        null_lists: bool = False,
        limiter: Callable[[float], dict[str, str]] = lambda _: {},
        document: Any = None,
        forbidden: tuple[str, ...] = (),
        clock: Clock | None = None,
        latency: float = 0.05,
    ) -> None:
        super().__init__([self._reply])
        self.rows = {path: [] for path in PATHS} | (
            {"group": groups(), "student-placement": placements()} if rows is None else rows
        )
        self.clock = clock or Clock()
        self._searched, self._cap, self._refuse_over, self._latency = searched, cap, refuse_over, latency
        self._zones, self._nulls, self._list_archived, self._null_lists = zones, nulls, list_archived, null_lists
        self._limiter, self._document, self._forbidden = limiter, document, forbidden

    async def _reply(self, writer: asyncio.StreamWriter) -> None:
        self.clock.now += self._latency
        writer.write(self.respond(self.seen[-1]))
        await writer.drain()

    def respond(self, seen: Seen) -> bytes:
        """Return the answer to a request, with headers as the clock and the limiter say."""
        headers = {"Date": formatdate(self.clock.now, usegmt=True)}
        target = urlsplit(seen.target)
        path, _, search = target.path.removeprefix("/directory/v1/").partition("/")
        if path == "openapi.json":
            return (
                answer(404, body=b"no", headers=headers | {"Content-Type": "text/plain"})
                if self._document is None
                else answer(200, self._document, headers=headers)
            )
        headers |= self._limiter(self.clock.now)
        if path in self._forbidden:
            return answer(403, {"error": {"code": "Forbidden", "message": "no", "requestID": "r"}}, headers=headers)
        asked = {name: int(values[0]) for name, values in parse_qs(target.query).items()}
        limit, offset = min(asked.get("limit", 50), self._cap), asked.get("offset", 0)
        if asked.get("limit", 50) > self._refuse_over:
            return failure(422, "UnprocessableEntity", "too many", **headers)
        rows = self.rows[path]
        if search:
            filter_ = json.loads(seen.body)["filter"]
            if self._zones == "refuse" and "+02:00" in json.dumps(filter_):
                return failure(400, "BadRequest", "no zones", **headers)
            rows = self._searched([one for one in rows if self._meets(one, filter_)])
        elif not self._list_archived:
            rows = [one for one in rows if one.get("archivedAt") is None]
        page = rows[offset : offset + limit]
        data = (
            None
            if not page and self._null_lists
            else json.loads(json.dumps(page).replace("[]", "null"))
            if self._null_lists
            else page
        )
        return answer(
            200, {"data": data, "pagination": {"limit": limit, "offset": offset, "total": len(rows)}}, headers=headers
        )

    def _meets(self, one: dict[str, Any], filter_: dict[str, Any]) -> bool:
        groups_ = {name: fields for name, fields in filter_.items() if name not in ("orCondition", "nestedFilters")}
        ((group, fields),) = groups_.items()
        ((field, wanted),) = fields.items()
        value = one.get(field)
        while isinstance(wanted, dict):
            ((field, wanted),) = wanted.items()
            value = value.get(field)
        if group in ("null", "notNull"):
            return (value is None) is (group == "null")
        if value is None:
            return self._nulls == "keep"
        if group == "notEquals":
            return value != wanted
        if self._zones == "drop":
            wanted = wanted[:19] + "Z"
        at, bound = datetime.fromisoformat(value), datetime.fromisoformat(wanted)
        return {"smallerOrEqual": at <= bound, "greaterOrEqual": at >= bound, "smallerThan": at < bound}[group]


# Limiters, called with the time of each request that they count.


class Window:
    """So many requests a window of so many seconds, all of them back at once when it ends."""

    def __init__(
        self,
        limit: int,
        *,
        left: int | None = None,
        seconds: float = 3600.0,
        ends: float = NOON + 1800,
        late: bool = False,
    ) -> None:
        self.limit, self.left, self.seconds, self.ends, self.late = (
            limit,
            limit if left is None else left,
            seconds,
            ends,
            late,
        )

    def __call__(self, now: float) -> dict[str, str]:
        while now >= self.ends:
            self.ends, self.left = self.ends + self.seconds, self.limit
        before, self.left = self.left, self.left - 1
        return said(self.limit, before if self.late else self.left, self.ends)


class Bucket:
    """A leaky bucket that refills all the time, from which others may take, too. What Reset says can be chosen."""

    def __init__(
        self, limit: int, reset: str = "full", *, left: float | None = None, late: bool = False, others: float = 0.0
    ) -> None:
        self.limit, self.reset, self.late, self.others = limit, reset, late, others
        self.left, self.at, self.reported = limit if left is None else left, NOON, limit if left is None else int(left)

    def __call__(self, now: float) -> dict[str, str]:
        refill = self.limit / 3600
        self.left = max(0.0, min(self.limit, self.left + (refill - self.others) * (now - self.at)))
        self.at = now
        before, self.left = self.left, self.left - 1
        reported, self.reported = self.reported, int(self.left)
        ends = {
            "full": now + (self.limit - self.left) / refill,
            "next": now + (1 - self.left % 1) / refill,
            "hour": now + 3600,
            "top": math.ceil(now / 3600) * 3600,
        }[self.reset]
        return said(
            self.limit, (reported if self.late == "stale" else int(before)) if self.late else int(self.left), ends
        )


def said(limit: int, remaining: int, ends: float) -> dict[str, str]:
    """Return the three headers."""
    return {
        "RateLimit-Limit": str(limit),
        "RateLimit-Remaining": str(remaining),
        "RateLimit-Reset": str(round(ends * 1000)),
    }
