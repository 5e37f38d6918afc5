"""The OpenAPI document of the sandbox, made of the declarations of the resources. Pure.

It says what a client can know of the API: paths, operations with their statuses, fields, values of enums, and what a
search takes of each field.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any, TypeAlias, cast

from ..._operations.operations import List, Operation, Search, operations
from ..._operations.resource import Resource, model_of
from ...query import GROUPS
from ...records import Error, Field, Kind, Pagination, Record, fields
from ...resources import DATA_EXPORT, RESOURCES
from ..store.filters import applies

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | None"
Schema: TypeAlias = Mapping[str, Json]

_SIMPLE: dict[Kind, Schema] = {
    Kind.UUID: {"type": "string", "format": "uuid"},
    Kind.TEXT: {"type": "string"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.INTEGER: {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    Kind.DATE: {"type": "string", "format": "date"},
    Kind.INSTANT: {"type": "string", "format": "date-time"},
}
_PAGE: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    "offset": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
}
_HEADERS = {
    "RateLimit-Limit": "requests permitted an hour",
    "RateLimit-Remaining": "requests left in the current window",
    "RateLimit-Reset": "when the window ends: UTC epoch milliseconds, as a string",
}
_KEYS = {"client_credentials": "Client-ID", "client_secret": "Client-Secret"}
_REFUSALS = (400, 401, 403, 404, 405, 409, 429, 500)
_BROKEN_RULE = 422
"""The refusal of a body that can be read."""

_ONLY_LISTED = (400, 401, 429, 500)
"""The refusals of the Data Export API, where nothing is found by its id and another method is nowhere."""

_SUMMARIES = {
    "list": "All records, page by page",
    "search": "The records that meet conditions, page by page",
    "get": "One record",
    "create": "A new record",
    "update": "Change a record: what is left out stays as it is, null clears a field",
    "delete": "Delete a record",
    "archive": "Archive a placement whose end date has passed",
    "restore": "Restore an archived placement",
}


def document(*, data_export: bool = False) -> Schema:
    """Return the document: of the Directory API, which the vendor's own is about, or of all that the sandbox serves."""
    schemas = _Schemas()
    schemas["Failure"] = _object({"error": schemas.record(Error)}, ["error"])
    kinds: Mapping[str, type[Resource[Any]]] = RESOURCES | (DATA_EXPORT if data_export else {})
    paths: dict[str, dict[str, Json]] = {}
    for attribute, kind in kinds.items():
        for name, operation in operations(kind).items():
            place = paths.setdefault(operation.route(kind), {"servers": [{"url": f"/{kind.api}"}]} if kind.api else {})
            described = _operation(schemas, kind, operation)
            place[operation.method.lower()] = {"operationId": f"{attribute}.{name}", "tags": [attribute], **described}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Meitner Directory API", "version": "1"},
        "servers": [{"url": "/directory/v1"}],
        "tags": [{"name": attribute, "description": _first_line(kind)} for attribute, kind in kinds.items()],
        "paths": paths,
        "security": [{name: [] for name in _KEYS}, {"oauth2": []}],
        "components": {"schemas": schemas, "securitySchemes": _security()},
    }


def _first_line(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]


def _security() -> Schema:
    keys = {name: {"type": "apiKey", "in": "header", "name": header} for name, header in _KEYS.items()}
    flows: Schema = {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": {}}}
    return {**keys, "oauth2": {"type": "oauth2", "flows": flows}}


def _operation(schemas: _Schemas, kind: type[Resource[Any]], operation: Operation) -> Schema:
    listed, model = isinstance(operation, (List, Search)), model_of(kind)
    refusals = _ONLY_LISTED if kind.api else (*_REFUSALS, *([_BROKEN_RULE] if operation.body else []))
    answer = schemas.page(model) if listed else schemas.record(model)
    parameters: list[Schema] = [{"name": one, "in": "query", "schema": _PAGE[one]} for one in (_PAGE if listed else ())]
    if "{id}" in operation.suffix:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": _SIMPLE[Kind.UUID]})
    described: dict[str, Json] = {
        "summary": _SUMMARIES[operation.name],
        "parameters": parameters,
        "responses": {
            str(operation.status): _response(operation.status, None if operation.status == 204 else answer),
            **{str(status): _response(status, _ref("Failure")) for status in refusals},
        },
    }
    body, name = operation.body, f"{model.__name__}{operation.name.capitalize()}"
    if body is not None:
        schema = schemas.search(model) if listed else schemas.write(name, body)
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _response(status: int, schema: Schema | None) -> Schema:
    whole = {"type": "string", "pattern": "^[0-9]{1,15}$"}
    headers: dict[str, Schema] = {
        name: {"required": True, "description": what, "schema": whole} for name, what in _HEADERS.items()
    }
    headers["X-Request-ID"] = {"required": True, "schema": _SIMPLE[Kind.UUID]}
    content = {} if schema is None else {"content": {"application/json": {"schema": schema}}}
    return {"description": HTTPStatus(status).phrase, "headers": headers, **content}


class _Schemas(dict[str, Schema]):
    """The schemas by name. Each method returns a reference to one, and adds it with all that it refers to."""

    def record(self, record: type[Record]) -> Schema:
        """Refer to an object as it is read."""
        return self._add(record.__name__, record)

    def write(self, name: str, body: type[Record]) -> Schema:
        """Refer to the body of a create or an update, where a null list or object counts as left out."""
        return self._add(name, body, silent=True)

    def page(self, record: type[Record]) -> Schema:
        """Refer to a page of records."""
        rows: Schema = {"type": "array", "items": self.record(record)}
        name = f"{record.__name__}Page"
        page: dict[str, Schema] = {"data": rows, "pagination": self.record(Pagination)}
        self[name] = _object(page, ["data", "pagination"])
        return _ref(name)

    def search(self, record: type[Record]) -> Schema:
        """Refer to the body of a search. A group, or a field in one, that is null is no condition."""
        level, name = f"{record.__name__}Filter", f"{record.__name__}Search"
        groups = {group: _nullable(self._conditions(group, record)) for group in GROUPS}
        nested: Schema = {"type": "array", "items": _ref(level)}
        either = {"orCondition": {"type": "boolean"}, "nestedFilters": _nullable(nested)}
        self[level] = _object({**groups, **either}, ["orCondition"])
        self[name] = _object({"filter": _ref(level)}, ["filter"])
        return _ref(name)

    def _add(self, name: str, record: type[Record], *, silent: bool = False) -> Schema:
        """Add a record; with `silent`, its lists and objects may be null."""
        values: dict[str, Schema] = {}
        for field in fields(record):
            one = self._kind(field)
            value: Schema = {"type": "array", "items": one} if field.many else one
            null = field.nullable or (silent and (field.many or field.kind is Kind.OBJECT))
            values[field.wire] = _nullable(value) if null else value
        self[name] = _object(values, [field.wire for field in fields(record) if field.required])
        return _ref(name)

    def _kind(self, field: Field) -> Schema:
        if field.kind is Kind.OBJECT:
            return self.record(field.type)
        if field.kind is Kind.ENUM:
            name, members = field.type.__name__, cast("Iterable[Enum]", field.type)
            self[name] = {"type": "string", "enum": [member.value for member in members]}
            return _ref(name)
        return _SIMPLE[field.kind]

    def _conditions(self, group: str, record: type[Record]) -> Schema:
        found: dict[str, Schema] = {}
        for field in fields(record):
            if field.kind is Kind.OBJECT:
                found[field.wire] = _nullable(self._conditions(group, field.type))
            elif applies(group, field):
                one: Schema = {"type": "boolean"} if group in ("null", "notNull") else self._kind(field)
                several: Schema = {"type": "array", "items": one}
                found[field.wire] = _nullable(several if group in ("contains", "notContains") else one)
        return _object(found, [])


def _object(properties: Mapping[str, Schema], required: Iterable[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}
