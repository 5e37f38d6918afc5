"""The sandbox against the API's own facts, judged by a stranger: schemathesis, with a document made of the table.

The document that the package makes says the same (`test_sandbox_openapi`), and is judged once more by itself.

The suite asks each operation for its example and for a few more that schemathesis makes up, good and bad. By hand it
asks everything it can think of: `SCHEMATHESIS="--phases coverage,fuzzing --max-examples 50" pytest tests/sandbox/test_schemathesis.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from api_table import TABLE, Api, parse
from openapi import document
from sandbox_calls import KEY

from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Sandbox
from meitner_aio.sandbox.http.explorer_document import explorer_document

if find_spec("schemathesis") is None:  # which takes its time to import, and is run as a program
    pytest.skip("schemathesis is not installed", allow_module_level=True)

API = parse()
OPERATIONS = [(one.attribute, name) for one in API.resources.values() for name in one.operations]
DEADLINE = 600
"""Seconds that a run may take before the test fails."""

CONFIG = """
[warnings]
enabled = false

[checks]
positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "422"]

[[operations]]
include-path-regex = "placement"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "422"]
"""
"""A document states no rule that relates records, or that the API keeps to itself: 404, 409 and 422 are good answers.
Placements have whole numbers, which JSON Schema takes for whole when they are spelled `7.0`; the sandbox does not."""


class RunResult(NamedTuple):
    """What schemathesis said, and which answers it had judged, by operation."""

    code: int
    text: str
    statuses: dict[tuple[str, str], Counter[int]]


async def judged(tmp_path: Path, api: Api | None, *options: str, **choices: Any) -> RunResult:
    """Let schemathesis ask a sandbox, made with `choices`, what a table promises; or its own document, without one."""
    (tmp_path / "config.toml").write_text(CONFIG)
    async with Sandbox(students=40, schools=4, quota=10**9, **choices) as sandbox:
        explored = msgspec.to_builtins(explorer_document(sandbox.records))
        explored["paths"] = {path: place for path, place in explored["paths"].items() if "servers" not in place}
        closed = choices.get("unknown") == "refuse"
        described = explored if api is None else document(api, _examples(explored), closed=closed)
        (tmp_path / "api.json").write_text(json.dumps(described))
        sandbox.requests.clear()
        headers = [word for name, value in KEY.items() for word in ("-H", f"{name}: {value}")]
        command = [
            sys.executable, "-m", "schemathesis.cli", "--config-file", "config.toml", "run", "api.json",
            "--url", sandbox.url, *headers, "--checks", "all", "--continue-on-failure", "--seed", "1",
            "--generation-database", "none", "--no-color", *options,
        ]  # fmt: skip
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(tmp_path)}
        ended = await asyncio.to_thread(
            subprocess.run, command, cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=DEADLINE, check=False,
        )  # fmt: skip
        return RunResult(ended.returncode, ended.stdout + ended.stderr, _statuses(described, sandbox))


def _statuses(described: dict[str, Any], sandbox: Sandbox) -> dict[tuple[str, str], Counter[int]]:
    routes = [
        (method.upper(), re.compile(path.replace("{id}", "[^/]+")), tuple(operation["operationId"].split(".")))
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    found: dict[tuple[str, str], Counter[int]] = {name: Counter() for *_, name in routes}
    for seen in sandbox.requests:
        for method, path, name in routes:
            if method == seen.method and path.fullmatch(seen.path):
                found[name][seen.status] += 1
    return found


def _examples(explored: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the calls of the explorer by attribute and operation: questions only, which prove nothing by themselves."""
    examples: dict[tuple[str, str], dict[str, Any]] = {}
    for operation in (one for place in explored["paths"].values() for one in place.values()):
        ids = {one["name"]: one["example"] for one in operation["parameters"] if one["in"] == "path"}
        content = operation.get("requestBody", {"content": {"application/json": {}}})["content"]["application/json"]
        attribute, name = operation["operationId"].split(".")
        examples[attribute, name] = ids | ({"body": content["example"]} if content else {})
    return examples


@pytest.mark.parametrize(
    ("api", "usual"), [(API, 1), (None, 1), pytest.param(API, 2, marks=pytest.mark.slow)], ids=["table", "own", "more"]
)
async def test_the_sandbox_answers_as_the_api_promises(tmp_path: Path, api: Api | None, usual: int) -> None:
    """61 operations: statuses, media types, headers and every field of every answer; bad requests are refused.

    By the table, which closes what is answered, and by the document of its own explorer, of which every call succeeds.
    """
    options = os.environ.get("SCHEMATHESIS", f"--phases examples,fuzzing --max-examples {usual}").split()
    result = await judged(tmp_path, api, *options)
    assert result.code == 0, result.text
    assert "61 selected / 61 total" in result.text
    assert sorted(result.statuses) == sorted(OPERATIONS)
    assert not [name for name, seen in result.statuses.items() if not seen]
    if sum(seen.total() for seen in result.statuses.values()) < 10_000:  # beyond, the sandbox forgets the first
        missing = [name for name, seen in result.statuses.items() if not seen[API.operations[name[1]].status]]
        assert missing == []  # of each, a success was judged


@pytest.mark.parametrize(("unknown", "least"), [("refuse", 20), ("ignore", 10)])
@pytest.mark.parametrize("paths", ["^/unit$", pytest.param(r"^/unit(/\{id\})?$", marks=pytest.mark.slow)])
async def test_what_the_document_does_not_allow_is_refused(
    unknown: str, least: int, paths: str, tmp_path: Path
) -> None:
    """Of a resource, every bad request that schemathesis derives from the document: fields, kinds, bounds."""
    options = ("--phases", "coverage", "--include-path-regex", paths)
    result = await judged(tmp_path, API, *options, unknown=unknown)
    assert result.code == 0, result.text
    refused = result.statuses["units", "create"]
    assert refused[400] + refused[422] > least


LIES = {
    "a field that is not there": (
        "    unitCode          string?  ",
        "    colour string! r -\n    unitCode          string?  ",
    ),
    "another kind": ("enum SchoolType GR GY FS", "enum SchoolType AA"),
    "a status": ("{id}          200  -             400,401,403,404,409,429,500", "{id} 206 - 500"),
}


async def test_a_document_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    """The control: against another table, the same sandbox breaks its promises."""
    text = TABLE
    for old, new in LIES.values():
        assert old in text
        text = text.replace(old, new, 1)
    options = ("--phases", "examples", "--include-path-regex", "^/school")
    result = await judged(tmp_path, parse(text), *options)
    assert result.code == 1
    for reason in ("colour", "Undocumented status code", "is not one of"):
        assert reason in result.text, result.text


def test_the_document_says_what_the_table_says() -> None:
    """61 operations of 11 resources, and nothing that refers to what is not there."""
    described = document(API)
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert len(operations) == len(OPERATIONS) == 61
    assert len(RESOURCES) == 11
    names = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    referred = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(described)))
    assert referred == names
