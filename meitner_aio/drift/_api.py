"""The operations of an OpenAPI document, by resource: the first word of their path. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ._schema import Json, Member, Reader, Value, as_object, items

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_PARAMETER = re.compile(r"\{[^{}/]*\}")

Place = tuple[str, str]
"""A method and what follows the path of the resource: ("PATCH", "/{id}/archive")."""


class Described(NamedTuple):
    """An operation as a document describes it."""

    parameters: Mapping[str, Member]
    """Those of the query and the headers."""
    body: Value | None
    statuses: tuple[str, ...]
    """Those of success."""
    answer: Value | None
    failures: tuple[Value, ...]
    deprecated: bool


def described(document: Json, reader: Reader, known: Iterable[str]) -> dict[str, dict[Place, Described]]:
    """Return the operations of each path of a resource. `known` are the paths that this version has.

    Paths may begin with that of the server; the ids in them may have any name.
    """
    paths = {_PARAMETER.sub("{id}", path): as_object(node) for path, node in as_object(document.get("paths")).items()}
    prefix = _prefix(paths, set(known))
    found: dict[str, dict[Place, Described]] = {}
    for path, node in paths.items():
        base, suffix = _split(path.removeprefix(prefix))
        item = reader.resolved(node)
        for method in _METHODS:
            if isinstance(item.get(method), dict):
                shared = items(item.get("parameters"))
                found.setdefault(base, {})[method.upper(), suffix] = _operation(reader, as_object(item[method]), shared)
    return found


def _prefix(paths: Iterable[str], known: set[str]) -> str:
    """Return what stands before the paths that are known, in most of them."""
    paths = list(paths)
    candidates = {path.removesuffix(base) for path in paths for base in known if path.endswith(base)}
    return max(sorted(candidates), key=lambda prefix: sum(prefix + base in paths for base in known), default="")


def _split(path: str) -> tuple[str, str]:
    first, _, rest = path.removeprefix("/").partition("/")
    return f"/{first}", f"/{rest}" if rest else ""


def _operation(reader: Reader, node: Json, shared: list[object]) -> Described:
    responses = {str(status): answer for status, answer in as_object(node.get("responses")).items()}
    good = tuple(status for status in responses if status.startswith("2"))
    failures = (reader.body(answer) for status, answer in responses.items() if status not in good)
    return Described(
        parameters=dict(_parameters(reader, [*shared, *items(node.get("parameters"))])),
        body=None if "requestBody" not in node else reader.body(node["requestBody"]) or Value("anything"),
        statuses=good,
        answer=next((found for status in good if (found := reader.body(responses[status])) is not None), None),
        failures=tuple(failure for failure in failures if failure is not None),
        deprecated=node.get("deprecated") is True,
    )


def _parameters(reader: Reader, nodes: Iterable[object]) -> Iterable[tuple[str, Member]]:
    for node in map(reader.resolved, nodes):
        name = node.get("name")
        if isinstance(name, str) and node.get("in") in ("query", "header"):
            yield name, Member(reader.value(node.get("schema")), node.get("required") is True)
