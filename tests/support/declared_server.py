"""An API that no file of the package knows: members of spaces, behind raw bytes on loopback. Counts what arrives.

It shares nothing with the client: paths are split and unescaped here, pages are cut here, answers are written by hand.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from raw_server import RawServer, Reply, Seen, answer, failure

Json = dict[str, Any]
Envelope = Callable[[list[Json], int, int, int], Json]


def usual(rows: list[Json], limit: int, offset: int, total: int) -> Json:
    """Write a page as the Directory API does."""
    return {"data": rows, "pagination": {"limit": limit, "offset": offset, "total": total}}


def flat(rows: list[Json], _limit: int, _offset: int, total: int) -> Json:
    """Write a page that tells its rows and the total only."""
    return {"items": rows, "total": total}


def deep(rows: list[Json], limit: int, offset: int, total: int) -> Json:
    """Write a page whose rows and facts are in objects of their own."""
    return {"result": {"rows": rows}, "page": {"size": limit, "start": offset, "count": total, "more": True}}


def member(number: int, **fields: Any) -> Json:
    """Return a member, by a number that is also its id."""
    role = "admin" if number % 3 == 0 else "guest"
    return {"id": f"m-{number}", "firstName": f"Kim{number}", "email": f"{number}@example.org", "role": role} | fields


class Spaces:
    """Members by space. `cap` is the largest page, `loses` the probability that the answer to a POST is lost."""

    def __init__(
        self, envelope: Envelope = usual, *, cap: int = 100, names: tuple[str, str] = ("limit", "offset"), **loss: Any
    ) -> None:
        self.spaces: dict[str, list[Json]] = {"a": [member(number) for number in range(250)], "b c": [member(7)]}
        self.envelope = envelope
        self.cap = cap
        self.names = names
        self.loses: float = loss.pop("loses", 0.0)
        self.random = Random(loss.pop("seed", 1))
        self.unique: bool = loss.pop("unique", True)
        assert not loss
        self.counted: Counter[str] = Counter()
        """Requests by method and last word of the path, such as "POST members"."""
        self.invited: Counter[str] = Counter()

    def raw(self) -> RawServer:
        """Return a server on a socket."""
        return RawServer(self.reply)

    def reply(self, seen: Seen) -> Reply:
        """Answer a request; one that writes may lose its answer, before or after it was carried out."""
        url = urlsplit(seen.target)
        assert "//" not in url.path, url.path
        parts = [unquote(part) for part in url.path.split("/")[1:]]
        lost = seen.method == "POST" and self.random.random() < self.loses
        if lost and self.random.random() < 0.3:
            return None
        said = self.routed(seen, parts, {name: values[0] for name, values in parse_qs(url.query).items()})
        return None if lost else said

    def routed(self, seen: Seen, parts: list[str], query: dict[str, str]) -> bytes:
        """Answer by the path."""
        match parts:
            case ["directory", "v1", ""]:
                return answer(200, {"name": "the root", "version": 3})
            case ["data-export", "v1", "attendances"]:
                self.counted["GET attendances"] += 1
                return self.page([{"minutes": n % 5} for n in range(250)], query)
            case ["directory", "v1", "space", space, "members", *rest] if space in self.spaces:
                last = rest[-1] if len(rest) == 2 else "member" if rest else "members"
                self.counted[f"{seen.method} {last}"] += 1
                return self.of(self.spaces[space], seen, rest, query)
        return failure(404, "NotFound")

    def of(self, rows: list[Json], seen: Seen, rest: list[str], query: dict[str, str]) -> bytes:
        """Answer what concerns the members of one space."""
        found = next((row for row in rows if rest and row["id"] == rest[0]), None)
        match seen.method, rest:
            case "GET", []:
                return self.page([row for row in rows if row["role"] == query.get("role", row["role"])], query)
            case "POST", []:
                return self.create(rows, json.loads(seen.body))
            case "POST", ["_count"]:
                return answer(200, {"count": len(rows)})
        if found is None:
            return failure(404, "NotFound")
        return self.of_one(rows, found, seen, rest[1:])

    def of_one(self, rows: list[Json], found: Json, seen: Seen, rest: list[str]) -> bytes:
        """Answer what concerns one member."""
        match seen.method, rest:
            case "GET", ["badge"]:
                return answer(200, body=b"\x89PNG", headers={"Content-Type": "image/png"})
            case "PATCH", []:
                found |= json.loads(seen.body)
            case "DELETE", []:
                rows.remove(found)
                return answer(204, body=b"")
            case "POST", ["invite" | "nudge"]:
                self.invited[found["id"]] += 1
            case "GET", []:
                pass
            case _:
                return failure(405, "BadRequest")
        return answer(200, found)

    def create(self, rows: list[Json], given: Json) -> bytes:
        """Create a member, unless another has the address."""
        assert re.fullmatch(r"[^@]+@[^@]+", given["email"])
        if self.unique and any(row["email"] == given["email"] for row in rows):
            return failure(409, "Conflict")
        rows.append(made := member(len(rows) + 1000) | {key: value for key, value in given.items() if key != "pin"})
        return answer(201, made)

    def page(self, rows: list[Json], query: dict[str, str]) -> bytes:
        """Cut a page."""
        limit, offset = (int(query[name]) for name in self.names)
        limit = min(limit, self.cap)
        return answer(200, self.envelope(rows[offset : offset + limit], limit, offset, len(rows)))
