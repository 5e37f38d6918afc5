"""The OpenAPI document that the sandbox serves, against the tests' own table of the API, and how it is had."""

from __future__ import annotations

from typing import Any

import api_table
import pytest
from openapi import document
from sandbox_calls import call

from meitner_aio.sandbox import Sandbox, fault

API = api_table.parse()
LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


async def _served(**choices: Any) -> dict[str, Any]:
    sandbox = Sandbox(students=0, schools=0, **choices)
    return (await call(sandbox, "GET", "/openapi.json", headers={})).data


def _plain(value: Any) -> Any:
    """Return a schema without what it does not allow, and with what it requires in one order."""
    if isinstance(value, dict):
        kept = {name: _plain(inner) for name, inner in value.items() if name != "additionalProperties"}
        return kept | ({"required": sorted(kept["required"])} if isinstance(kept.get("required"), list) else {})
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


async def test_it_says_what_the_table_says():
    """Paths, operations, statuses, parameters, fields, kinds, enums, and what a search takes: all of it, and no more."""
    served, expected = await _served(), _plain(document(API))
    assert served["components"]["schemas"].keys() == expected["components"]["schemas"].keys()
    for name, schema in expected["components"]["schemas"].items():
        assert _plain(served["components"]["schemas"][name]) == schema, name
    assert _plain(served) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    unitCode          string?  ", "    colour string! r -\n    unitCode          string?  "),
        ("    description  string? ", "    description  string! "),
        ("enum Gender Female Male Other", "enum Gender Female Male"),
        ("operation restore  PATCH ", "operation restore  POST "),
        ("csnSchoolCode     string?                 rcu  ECLN", "csnSchoolCode     string?                 rcu  ECN"),
    ],
)
async def test_another_table_says_something_else(old, new):
    """The control: a field, a null, a value, a method and a condition more or less are noticed."""
    assert old in api_table.TABLE
    other = api_table.parse(api_table.TABLE.replace(old, new, 1))
    assert _plain(await _served()) != _plain(document(other))


@pytest.mark.parametrize("path", ["/openapi.json", "/directory/v1/openapi.json", "http://x.example/directory/v1/openapi.json"])  # fmt: skip
async def test_it_needs_no_credentials_and_costs_nothing(path):
    """Below the base URL, as JSON; it counts for no quota and names none, and is remembered as a request."""
    sandbox = Sandbox(students=0, schools=0, quota=1, credentials=("an-id", "a-secret"))
    for _ in range(2):
        answer = await call(sandbox, "GET", path, headers={})
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert not any(name in answer.headers for name in LIMITS)
    good = {"Client-ID": "an-id", "Client-Secret": "a-secret"}
    assert (await call(sandbox, "GET", "/unit", headers=good)).headers["RateLimit-Remaining"] == "0"
    assert [seen.path for seen in sandbox.requested("openapi")] == ["/openapi.json"] * 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_it_can_only_be_got(method):
    """Any other method is nowhere."""
    assert (await call(Sandbox(students=0, schools=0), method, "/openapi.json")).data == "404 page not found"


async def test_it_may_fail_like_anything_else():
    """A fault can name it."""
    sandbox = Sandbox(students=0, schools=0, faults=[fault("503", times=1, operations=["openapi"])])
    assert (await call(sandbox, "GET", "/unit")).status == 200
    assert [(await call(sandbox, "GET", "/openapi.json")).status for _ in range(2)] == [503, 200]
