"""Good values for every kind of field, and the smallest `Send`s, for tests that need any of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec

from meitner_aio._operations.operations import Resource, operations
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio.query import ResourceQuery
from meitner_aio.records import Field, Record, fields

ID = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"
OTHER_ID = "0d9b1c3e-7f42-4a86-8b15-6e2d9c0f4a71"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

_SIMPLE: dict[str, object] = {
    "uuid": ID,
    "string": "Ek",
    "boolean": True,
    "integer": 7,
    "date": date(2015, 1, 1),
    "date-time": NOON,
}


def one(field: Field) -> Any:
    """Return a good single value of a field: an element, where the field holds a list."""
    kind = field.kind.partition(":")[0]
    if kind == "enum":
        return next(iter(field.type))
    return record(field.type) if kind == "object" else _SIMPLE[kind]


def good(field: Field) -> Any:
    """Return a good value of a field."""
    return [one(field)] if field.many else one(field)


def required(body: type[Record]) -> dict[str, Any]:
    """Return the keywords that a record cannot be built without."""
    return {field.name: good(field) for field in fields(body) if field.required}


def every(body: type[Record]) -> dict[str, Any]:
    """Return a keyword for every field of a record."""
    return {field.name: good(field) for field in fields(body)}


def record(model: type[Record]) -> Any:
    """Return a record with every field set."""
    return model(**every(model))


def answer(body: object, status: int = 200, **headers: str) -> RawResponse:
    """Return an answer with a JSON body; bytes go out as they are, header names take `_` for `-`."""
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return RawResponse(status, Headers({"Content-Type": "application/json"} | given), data)


def page(*rows: object, total: int | None = None) -> RawResponse:
    """Return an answer that holds a page."""
    total = len(rows) if total is None else total
    return answer({"data": rows, "pagination": {"offset": 0, "limit": 100, "total": total}})


class Recorder:
    """A `Send` that keeps the requests and gives every one the same answer."""

    def __init__(self, response: RawResponse) -> None:
        self.response = response
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> RawResponse:
        """Take a request."""
        self.requests.append(request)
        return self.response


async def call(resource: type[Resource[Any]], name: str, send: Any) -> Any:
    """Call an operation of a resource with the least it takes, and return what it comes to."""
    operation, bound = operations(resource)[name], getattr(resource(send), name)
    ids = [ID] if "{id}" in operation.suffix else []
    given: dict[str, Any] = {}
    if operation.body is not None:
        given = {"id": ID} if issubclass(operation.body, ResourceQuery) else required(operation.body)
    return await bound(*ids, **given)
