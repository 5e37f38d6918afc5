"""Plain calls of a sandbox for the tests that look at what it answers, with no client of ours between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple

from meitner_aio._wire.messages import Request
from meitner_aio.sandbox import Sandbox

KEY = {"Client-ID": "tests", "Client-Secret": "secret"}
NOON = 1_770_000_000.0
"""2026-02-02 02:40 UTC, in seconds since 1970."""
NOBODY = "00000000-0000-4000-8000-000000000000"

_numbers = count(1)


moment = datetime.fromisoformat
"""Reads a timestamp of an answer."""


class Clock:
    """A clock that moves only by hand."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Answer(NamedTuple):
    """An answer, decoded where it is JSON."""

    status: int
    data: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The code of the error object."""
        return self.data["error"]["code"]

    @property
    def message(self) -> str:
        """The message of the error object."""
        return self.data["error"]["message"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of a page."""
        return self.data["data"]


async def call(
    sandbox: Sandbox,
    method: str,
    path: str,
    data: Any = None,
    *,
    query: str = "",
    headers: Mapping[str, str] = KEY,
    content_type: str = "application/json",
    **more: Any,
) -> Answer:
    """Send one request in process; `data` is JSON unless it is bytes."""
    body = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
    response = await sandbox.send(Request("test", method, path, path, query, body, content_type, headers, **more))
    is_json = response.headers.get("Content-Type") == "application/json"
    said = json.loads(response.body) if is_json else response.body.decode() or None
    return Answer(response.status, said, response.headers)


async def made(sandbox: Sandbox, path: str, **fields: Any) -> dict[str, Any]:
    """Create a record, which must succeed, and return it."""
    answer = await call(sandbox, "POST", path, fields)
    assert answer.status == 201, answer.data
    return answer.data


async def search(
    sandbox: Sandbox, path: str, *, either: bool = False, query: str = "limit=1000", **groups: Any
) -> Answer:
    """Search with the groups of one level."""
    return await call(sandbox, "POST", f"{path}/_search", {"filter": {"orCondition": either, **groups}}, query=query)


def person(**fields: Any) -> dict[str, Any]:
    """Return what a student, employee or guardian needs, with an identity number of its own."""
    return {"identityNumber": f"20150101-{next(_numbers):04d}", "firstName": "Bo", "lastName": "Ek", **fields}


async def school(sandbox: Sandbox, **fields: Any) -> str:
    """Create a school and return its id."""
    return (await made(sandbox, "/school", **{"title": "Ekskolan", "schoolType": "GR", **fields}))["id"]


async def placed_student(sandbox: Sandbox, school_id: str, **placement: Any) -> str:
    """Create a student with a placement that began long ago, and return the student's id."""
    student = (await made(sandbox, "/student", **person()))["id"]
    terms = {"studentID": student, "schoolID": school_id, "schoolType": "GR", "startDate": "2020-08-18", **placement}
    await made(sandbox, "/student-placement", **terms)
    return student


async def placed_employee(sandbox: Sandbox, school_id: str, **placement: Any) -> str:
    """Create an employee with a placement that began long ago, and return the employee's id."""
    employee = (await made(sandbox, "/employee", **person()))["id"]
    terms = {"employeeID": employee, "schoolID": school_id, "startDate": "2020-08-18", **placement}
    await made(sandbox, "/employee-placement", **terms)
    return employee
