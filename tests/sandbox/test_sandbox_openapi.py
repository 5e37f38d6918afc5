"""The OpenAPI document that the sandbox serves, against the tests' own table of the API, and how it is had."""

from __future__ import annotations

import json
from typing import Any

import api_table
import msgspec
import pytest
from openapi import document
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError
from sandbox_calls import call

from meitner_aio.sandbox import Sandbox, fault
from meitner_aio.sandbox.http.explorer_document import explorer_document
from meitner_aio.sandbox.http.openapi import document as of_all

API = api_table.parse()
LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


async def _served(**choices: Any) -> dict[str, Any]:
    sandbox = Sandbox(students=0, schools=0, **choices)
    return (await call(sandbox, "GET", "/openapi.json", headers={})).data


def _plain(value: Any) -> Any:
    """Return a document with what may differ left out, and with what a schema requires in one order.

    The table closes objects, which the sandbox leaves open to fields of tomorrow; the sandbox has words for people.
    """
    if isinstance(value, dict):
        kept = {name: _plain(inner) for name, inner in value.items() if not _may_differ(name, inner)}
        return kept | ({"required": sorted(kept["required"])} if isinstance(kept.get("required"), list) else {})
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _may_differ(name: str, value: Any) -> bool:
    """Whether this is no field of a record that happens to be called so, but a word of OpenAPI that may differ."""
    words = name in ("description", "summary") and isinstance(value, str)
    return words or name == "additionalProperties" or (name == "tags" and isinstance(value, list))


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


async def test_it_is_an_openapi_document():
    """By the rules of OpenAPI 3.1: that of all that is served, which has what that of the API has, and three more lists."""
    described = json.loads(msgspec.json.encode(of_all(data_export=True)))
    OpenAPIV31SpecValidator(described).validate()
    served = await _served()
    assert served["components"]["schemas"].items() <= described["components"]["schemas"].items()
    paths = {path: place for path, place in described["paths"].items() if "servers" not in place}
    assert paths == served["paths"]
    assert sum(map(len, paths.values())) == 61
    exported = {path: place["servers"] for path, place in described["paths"].items() if path not in paths}
    assert exported.keys() == {"/attendance", "/criterion-result", "/upper-secondary-grade"}
    assert all(servers == [{"url": "/data-export/v1"}] for servers in exported.values())


def test_the_validator_notices():
    """The control: an operation without answers is none."""
    described = json.loads(msgspec.json.encode(of_all()))
    del described["paths"]["/unit"]["get"]["responses"]
    described["paths"]["/unit"]["get"]["parameters"] = [{"name": "limit", "in": "nowhere"}]
    with pytest.raises(OpenAPIValidationError):
        OpenAPIV31SpecValidator(described).validate()


def _explored(sandbox: Sandbox) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(explorer_document(sandbox.records)))


async def test_every_example_of_the_explorer_works():
    """In OpenAPI 3.0, for Swagger UI: each of 61 operations carries a call that succeeds on the directory as it is."""
    sandbox = Sandbox(students=40, limiter="none")
    explored = _explored(sandbox)
    OpenAPIV30SpecValidator(explored).validate()
    paths = explored["paths"]
    asked = [(path, method) for path, place in paths.items() for method in place if "servers" not in place]
    assert len(asked) == 61
    for path, method in asked:
        operation = explored["paths"][path][method]
        ids = [one["example"] for one in operation["parameters"] if one["in"] == "path"]
        content = operation.get("requestBody", {"content": {}})["content"].get("application/json", {})
        answer = await call(sandbox, method.upper(), path.replace("{id}", "".join(ids)), content.get("example"))
        assert answer.status == int(next(iter(operation["responses"]))), (operation["operationId"], answer.data)
        assert not path.endswith("_search") or answer.rows
        if method != "get":
            explored = _explored(sandbox)


def test_a_directory_without_records_has_no_examples():
    """The document stands all the same."""
    described = explorer_document(Sandbox(students=0, schools=0).records)
    assert "example" not in json.dumps(msgspec.to_builtins(described["paths"]))


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
