"""The table of the API as an OpenAPI 3.1 document, for tools that know APIs by their documents. Pure.

Made of `api_table` alone: neither the package nor its sandbox has a say in it. Of what the vendor's code does with
bodies it says two things that the table does not: a list or an object that is null says nothing, and a field that is
not known is ignored, unless the document is a `closed` one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from api_table import API_KEY_HEADERS, OAUTH2_TOKEN_PATH, RATE_LIMIT_HEADERS, Api, Field, Operation, Resource

Schema = dict[str, Any]

_SIMPLE: dict[str, Schema] = {
    "uuid": {"type": "string", "format": "uuid"},
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
}
_PAGE: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    "offset": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
}

_BODIES = ("Create", "Update", "Filter", "Search", "Address", "ExternalRequest")
"""How the names of schemas end that stand in a body; an address stands in answers, too."""

Examples = Mapping[tuple[str, str], Mapping[str, Any]]
"""By attribute and operation: `id` for the path, `body` for the request."""


def document(api: Api, examples: Examples | None = None, *, closed: bool = False) -> Schema:
    """Return the whole document; in a `closed` one bodies hold nothing that it does not name."""
    paths: dict[str, Schema] = {}
    schemas = {name: _enum(values) for name, values in api.enums.items()}
    schemas |= {name: _object(facts) for name, facts in api.objects.items()}
    schemas["Failure"] = _closed({"error": _ref("Error")}, ["error"])
    for resource in api.resources.values():
        schemas |= _schemas(api, resource)
        for operation in map(api.operations.__getitem__, resource.operations):
            given = (examples or {}).get((resource.attribute, operation.name), {})
            place = paths.setdefault(resource.path + operation.suffix, {})
            place[operation.method.lower()] = _operation(resource, operation, given)
    if not closed:
        for name in (name for name in schemas if name.endswith(_BODIES)):
            _open(schemas[name])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Meitner Directory API", "version": "1"},
        "servers": [{"url": "/directory/v1"}],
        "paths": paths,
        "security": [{name: [] for name in API_KEY_HEADERS}, {"oauth2": []}],
        "components": {"schemas": schemas, "securitySchemes": _security()},
    }


def _open(schema: Schema) -> None:
    """Let an object, and those that stand in it, hold more than they name."""
    schema.pop("additionalProperties", None)
    for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        _open(inner)


def _security() -> Schema:
    keys = {name: {"type": "apiKey", "in": "header", "name": header} for name, header in API_KEY_HEADERS.items()}
    flow = {"clientCredentials": {"tokenUrl": OAUTH2_TOKEN_PATH, "scopes": {}}}
    return {**keys, "oauth2": {"type": "oauth2", "flows": flow}}


def _operation(resource: Resource, operation: Operation, given: Mapping[str, Any]) -> Schema:
    body = {"create": "Create", "update": "Update", "search": "Search"}.get(operation.name)
    described: Schema = {
        "operationId": f"{resource.attribute}.{operation.name}",
        "parameters": [{"name": name, "in": "query", "schema": _PAGE[name]} for name in operation.query],
        "responses": {
            str(operation.status): _response(_answered(resource, operation)),
            **{str(status): _response(_ref("Failure")) for status in (*operation.errors, 405)},
        },
    }
    if "{id}" in operation.suffix:
        where = {"name": "id", "in": "path", "required": True, "schema": _SIMPLE["uuid"]}
        described["parameters"].append(where | ({"example": given["id"]} if "id" in given else {}))
    if body is not None:
        content: Schema = {"schema": _ref(f"{resource.name}{body}")}
        if "body" in given:
            content["example"] = given["body"]
        described["requestBody"] = {"required": True, "content": {"application/json": content}}
    return described


def _answered(resource: Resource, operation: Operation) -> Schema | None:
    if operation.status == 204:
        return None
    return _ref(f"{resource.name}Page" if operation.query else resource.name)


def _response(schema: Schema | None) -> Schema:
    whole = {"type": "string", "pattern": "^[0-9]{1,15}$"}
    headers = {
        name: {"required": True, "description": what, "schema": whole} for name, what in RATE_LIMIT_HEADERS.items()
    }
    headers["X-Request-ID"] = {"required": True, "schema": _SIMPLE["uuid"]}
    content = {} if schema is None else {"content": {"application/json": {"schema": schema}}}
    return {"description": "-", "headers": headers, **content}


def _schemas(api: Api, resource: Resource) -> dict[str, Schema]:
    """Return what a resource is read as, written as, and searched by."""
    parts = {"Create": "c", "Update": "u"}
    parts = {"": "r"} | {name: part for name, part in parts.items() if name.lower() in resource.operations}
    made = {
        resource.name + name: _object(resource.part(part).values(), body=name != "") for name, part in parts.items()
    }
    rows = {"type": "array", "items": _ref(resource.name)}
    made[f"{resource.name}Page"] = _closed({"data": rows, "pagination": _ref("Pagination")}, ["data", "pagination"])
    if "search" in resource.operations:
        made[f"{resource.name}Filter"] = _filter(api, resource)
        made[f"{resource.name}Search"] = _closed({"filter": _ref(f"{resource.name}Filter")}, ["filter"])
    return made


def _object(facts: Iterable[Field], *, body: bool = False) -> Schema:
    facts = list(facts)
    values = {fact.wire: _value(fact, body=body) for fact in facts}
    return _closed(values, [fact.wire for fact in facts if fact.required])


def _value(fact: Field, *, body: bool) -> Schema:
    one, many = _kind(fact.element), fact.kind != fact.element
    schema = {"type": "array", "items": one} if many else one
    silent = body and (many or fact.kind.startswith("object:"))
    return _nullable(schema) if fact.nullable or silent else schema


def _kind(kind: str) -> Schema:
    return _ref(kind.partition(":")[2]) if ":" in kind else _SIMPLE[kind]


def _filter(api: Api, resource: Resource) -> Schema:
    """Return a level of a search. A group, or a field in one, that is null is no condition."""
    groups = {
        group: _nullable(_closed(_conditions(api, group, letter, resource.part("r").values()), []))
        for letter, names in api.groups.items()
        for group in names
    }
    nested = {"type": "array", "items": _ref(f"{resource.name}Filter")}
    return _closed({**groups, "orCondition": {"type": "boolean"}, "nestedFilters": _nullable(nested)}, ["orCondition"])


def _conditions(api: Api, group: str, letter: str, facts: Iterable[Field]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for fact in (fact for fact in facts if letter in fact.conditions):
        if fact.kind.startswith("object:"):
            inner = api.objects[fact.kind.partition(":")[2]]
            found[fact.wire] = _nullable(_closed(_conditions(api, group, letter, inner), []))
        else:
            one = {"type": "boolean"} if letter == "N" else _kind(fact.element)
            found[fact.wire] = _nullable({"type": "array", "items": one} if letter == "C" else one)
    return found


def _closed(properties: dict[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _enum(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": list(values)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}
