"""The directory as its makers describe it, in plain dictionaries: JSON in, JSON out.

It shares nothing with the package but the seam that requests come through, and nothing with the sandbox: fields and
defaults come from the tests' own table, a filter is compared letter by letter with what is kept. It stamps whole
seconds, drops the zone of an instant in a filter, sends nil lists as null and absent objects as objects of nulls, and
tidies text on the way in where it is configured to.
"""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from api_table import Field, parse

from meitner_aio._wire.messages import Headers, RawResponse, Request, error_from
from meitner_aio.errors import APIConnectionError

API = parse()
BY_PATH = {resource.path: resource for resource in API.resources.values()}
UNIQUE = {
    "/student": [("identityNumber",), ("emailAddress1",)],
    "/guardian": [("identityNumber",), ("emailAddress1",)],
    "/employee": [("identityNumber",), ("emailAddress1",), ("phoneNumber1",)],
    "/group": [("schoolID", "title")],
}
BEGAN = 1_790_000_000.0
"""The clock at the beginning, in seconds since 1970."""

Tidy = Callable[[str], str]
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UPPER = ("countryCode", "municipalityCode")


def nfc(text: str) -> str:
    """Tidy text as the API is believed to: trimmed, composed."""
    return unicodedata.normalize("NFC", text.strip())


def nfd(text: str) -> str:
    """Tidy text as nobody expects: trimmed, decomposed."""
    return unicodedata.normalize("NFD", text.strip())


def raw(text: str) -> str:
    """Keep text as it came."""
    return text


class PlainDirectory:
    """A directory on a clock of its own. Every request takes a moment of the loop, and is kept in `requests`."""

    def __init__(self, *, tidy: Tidy = nfc, digits: int = 0, cuts: bool = False, cap: int = 1000) -> None:
        """Keep text as `tidy` makes it, stamps with so many digits of a second, and send at most `cap` rows a page.

        `cuts` is whether the bounds of a search lose what the stamps do not have.
        """
        self.tidy, self.digits, self.cuts, self.cap = tidy, digits, cuts, cap
        self.now = BEGAN
        self.rows: dict[str, list[dict[str, Any]]] = {path: [] for path in BY_PATH}
        self.requests: list[tuple[str, str, Any]] = []
        self.loses: Callable[[int], bool] = lambda _: False
        """Whether the answer to the n-th create, counted from 0, is lost after it happened."""
        self.before: Callable[[str, str, Any], Any] = lambda *_: None
        """Called with method, path and data before a request is answered; a status that it returns is the answer."""
        self._creates = 0

    @property
    def asked(self) -> list[str]:
        """The requests as method and path, ids left out."""
        return [f"{method} {re.sub('/[0-9a-f-]{36}', '/{id}', path)}" for method, path, _ in self.requests]

    def stamp(self) -> str:
        """Return the time as the directory writes it."""
        text = datetime.fromtimestamp(self.now, UTC).isoformat(timespec="microseconds")[:26]
        return text[: 20 + self.digits].rstrip(".") + "Z"

    def put(self, path: str, **fields: Any) -> dict[str, Any]:
        """Keep a row, as a create would."""
        meta = {"createdAt": self.stamp(), "createdBy": None, "updatedAt": None, "updatedBy": None}
        row = {field.wire: self._blank(field) for field in BY_PATH[path].part("r").values()}
        row |= {"id": str(uuid.uuid4()), "meta": meta}
        self.rows[path].append(self._written(row, fields))
        return row

    def _blank(self, field: Field) -> Any:
        if field.kind.startswith("object:"):
            return dict.fromkeys(inner.wire for inner in API.objects[field.kind.partition(":")[2]])
        if field.kind.startswith("list"):
            return []
        return json.loads(field.default) if field.default in ("true", "false") else field.default

    def _written(self, row: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Write what an absent list or object leaves alone, and a null inside of an object clears."""
        for name, value in data.items():
            if isinstance(value, dict):
                row[name] = self._written(row[name] or {}, value)
            elif isinstance(value, str):
                text = self.tidy(value)
                row[name] = text.upper() if name in _UPPER else text.lower() if _is_id(text) else text
            else:
                row[name] = [one.lower() if _is_id(one) else one for one in value] if isinstance(value, list) else value
        if row.get("external") and row["external"].get("sourceID") is not None:
            row["external"]["source"] = "api"
        return row

    async def __call__(self, request: Request) -> RawResponse:
        """Carry a request; what it refuses is raised, as the client does."""
        response = await self.send(request)
        if response.status >= 300:
            raise error_from(request, response)
        return response

    async def send(self, request: Request) -> RawResponse:
        """Carry a request there and back, or not back."""
        await asyncio.sleep(0)
        data = json.loads(request.body) if request.body else None
        self.requests.append((request.method, request.path, data))
        status = self.before(request.method, request.path, data)
        answered, body = (status, None) if status else self._answered(request, data)
        await asyncio.sleep(0)
        if answered == 201:
            self._creates += 1
            if self.loses(self._creates - 1):
                raise APIConnectionError("cut")
        date = datetime.fromtimestamp(self.now, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = Headers({"Content-Type": "application/json", "Date": date})
        return RawResponse(answered, headers, b"" if body is None else json.dumps(body).encode())

    def _answered(self, request: Request, data: Any) -> tuple[int, Any]:
        path, _, rest = request.path[1:].partition("/")
        path = f"/{path}"
        rows = self.rows[path]
        if request.method == "POST" and not rest:
            return self._created(path, data)
        if rest in ("", "_search"):
            found = [row for row in rows if data is None or self._meets(data["filter"], row)]
            asked = {name: int(value) for name, value in parse_qsl(request.query)}
            limit, offset = min(asked.get("limit", 50), self.cap), asked.get("offset", 0)
            page = [_sent(row) for row in found[offset : offset + limit]] or None
            return 200, {"data": page, "pagination": {"limit": limit, "offset": offset, "total": len(found)}}
        row = next((row for row in rows if row["id"] == rest), None)
        if row is None:
            return 404, None
        if request.method == "DELETE":
            rows.remove(row)
            return 204, None
        return self._updated(path, row, data) if request.method == "PATCH" else (200, _sent(row))

    def _created(self, path: str, data: dict[str, Any]) -> tuple[int, Any]:
        row = self.put(path, **data)
        if self._taken(path, row):
            self.rows[path].remove(row)
            return 409, None
        return 201, _sent(row)

    def _updated(self, path: str, row: dict[str, Any], data: dict[str, Any]) -> tuple[int, Any]:
        changed = self._written(json.loads(json.dumps(row)), {n: v for n, v in data.items() if v is not None})
        changed |= {name: None for name, value in data.items() if value is None}
        if self._taken(path, changed):
            return 409, None
        row |= changed
        row["meta"]["updatedAt"] = self.stamp()
        return 200, _sent(row)

    def _taken(self, path: str, row: dict[str, Any]) -> bool:
        keys = [[row[name] for name in names] for names in UNIQUE.get(path, ())]
        return any(
            [other[name] for name in names] == key and None not in key
            for names, key in zip(UNIQUE.get(path, ()), keys, strict=True)
            for other in self.rows[path]
            if other["id"] != row["id"]
        )

    def _meets(self, level: dict[str, Any], row: dict[str, Any]) -> bool:
        tests = [
            self._holds(group, _at(row, path), asked)
            for group, conditions in level.items()
            if group not in ("orCondition", "nestedFilters")
            for path, asked in _leaves(conditions)
        ]
        tests += [self._meets(inner, row) for inner in level.get("nestedFilters") or ()]
        return (any if level["orCondition"] else all)(tests)

    def _holds(self, group: str, kept: Any, asked: Any) -> bool:
        if group in ("null", "notNull"):
            return (kept is None or kept == []) is (asked if group == "null" else not asked)
        if kept is None:
            return False
        if group in ("contains", "notContains"):
            return any(map(self._same, asked, [kept] * len(asked))) is (group == "contains")
        if group in ("equals", "notEquals"):
            return self._same(asked, kept) is (group == "equals")
        kept, asked = self._order(kept, cut=False), self._order(asked, cut=self.cuts)
        if group.startswith("greater"):
            return kept > asked or (group == "greaterOrEqual" and kept == asked)
        return kept < asked or (group == "smallerOrEqual" and kept == asked)

    def _same(self, asked: Any, kept: Any) -> bool:
        return (asked.lower() if isinstance(asked, str) and _is_id(asked) else asked) == kept

    def _order(self, value: Any, *, cut: bool) -> Any:
        """Return what a value is ordered by: of an instant the clock it shows, whatever its zone."""
        found = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?", str(value))
        if found is None:
            return value
        fraction = (found[2] or "").ljust(6, "0")
        return found[1], fraction[: self.digits].ljust(6, "0") if cut else fraction


def _is_id(text: object) -> bool:
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def _sent(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it is sent: an empty list is a nil one."""
    return {name: None if value == [] else value for name, value in row.items()}


def _leaves(conditions: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in conditions.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _at(row: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        row = None if row is None else row.get(name)
    return row
