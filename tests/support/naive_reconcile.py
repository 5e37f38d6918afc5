"""How one would push a registry in an afternoon: the control that the checks of a reconcile must find wanting.

It lists everything by 100, compares by key, creates and updates what differs, and deletes what no row has; a request
that failed is sent again.
"""

from __future__ import annotations

import json
from typing import Any

from reconcile_tables import NATURAL, ORDER, REFERENCES, Record
from reconcile_worlds import Registry
from sandbox_calls import KEY

from meitner_aio._wire.messages import Request
from meitner_aio.errors import APIConnectionError
from meitner_aio.records import wire_name
from meitner_aio.sandbox import Sandbox

PATHS = {
    "schools": "/school",
    "employees": "/employee",
    "students": "/student",
    "guardians": "/guardian",
    "employee_placements": "/employee-placement",
    "student_placements": "/student-placement",
    "groups": "/group",
}
ATTEMPTS = 8


class NaiveReconcile:
    """One push."""

    def __init__(self, sandbox: Sandbox, registry: Registry) -> None:
        self.sandbox, self.registry = sandbox, registry
        self.there: dict[str, list[Record]] = {}

    async def run(self) -> None:
        """Push everything."""
        for resource in ORDER:
            self.there[resource] = await self.listed(PATHS[resource])
            if resource in self.registry:
                await self.push(resource)

    async def push(self, resource: str) -> None:
        """Push a resource."""
        records = {self.key(resource, record): record for record in self.there[resource]}
        for row in self.registry[resource]:
            body = self.body(row)
            record = records.pop(self.key(resource, body), None)
            if record is None:
                status, made = await self.call("POST", PATHS[resource], body)
                self.there[resource] += [made] if status == 201 else []
            elif any(record.get(name) != value for name, value in body.items()):
                await self.call("PATCH", f"{PATHS[resource]}/{record['id']}", body)
        for record in records.values() if resource != "schools" else ():
            await self.call("DELETE", f"{PATHS[resource]}/{record['id']}")

    def key(self, resource: str, record: Record) -> tuple[Any, ...]:
        """Return what tells a record from others."""
        names = NATURAL[resource] or ("title",)
        return tuple(record.get(wire_name(name)) for name in names)

    def body(self, row: Record) -> Record:
        """Return the body of a row."""
        body: Record = {}
        for column, value in row.items():
            if column == "source_id":
                body["external"] = {"sourceID": value}
            elif "." in column:
                name, by = column.split(".")
                field, homes, many = REFERENCES[name]
                ids = [self.id(homes, by, one) for one in (value if many else [value])]
                body[wire_name(field)] = [one for one in ids if one] if many else ids[0]
            else:
                body[wire_name(column)] = value.isoformat() if hasattr(value, "isoformat") else value
        return body

    def id(self, homes: tuple[str, ...], by: str, value: str) -> str | None:
        """Return the record that a key means."""
        for home in homes:
            for record in self.there.get(home, []):
                told = (
                    (record.get("external") or {}).get("sourceID") if by == "source_id" else record.get(wire_name(by))
                )
                if told == value:
                    return str(record["id"])
        return None

    async def listed(self, path: str) -> list[Record]:
        """Return all records."""
        rows: list[Record] = []
        while True:
            _, page = await self.call("GET", path, query=f"limit=100&offset={len(rows)}")
            rows += page["data"]
            if len(rows) >= page["pagination"]["total"]:
                return rows

    async def call(self, method: str, path: str, body: Any = None, *, query: str = "") -> tuple[int, Any]:
        """Send a request until it is answered, and return the status and what was said."""
        operation = {"POST": "create", "PATCH": "update", "DELETE": "delete", "GET": "list"}[method]
        data = None if body is None else json.dumps(body).encode()
        for _ in range(ATTEMPTS):
            try:
                answer = await self.sandbox.send(Request(operation, method, path, path, query, data, headers=KEY))
            except APIConnectionError:
                continue
            if answer.status != 429:
                return answer.status, json.loads(answer.body or b"null")
        raise APIConnectionError("no answer")
