"""What the API's table states and what the package declares, as sentences: equal facts are equal text.

The package is asked by acting where it can be: an operation is described by the request that it makes, a filter by
what a search takes and how it spells it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET
from samples import ID, Recorder, answer, call, one, page, record

from meitner_aio import query, records
from meitner_aio._operations.operations import Resource, operations
from meitner_aio._wire.messages import Request, error_from
from meitner_aio.query import Condition, Query, to_filter
from meitner_aio.records import Field, Kind, OpenEnum, Record, fields
from meitner_aio.resources import RESOURCES

if TYPE_CHECKING:
    from api_table import Api
    from api_table import Field as Fact


def differences(api: Api) -> list[str]:
    """Return what only the table or only the package knows; nothing when they agree."""
    table, package = set(stated(api)), declared()
    return [
        *(f"only the table: {fact}" for fact in sorted(table - package)),
        *(f"only the package: {fact}" for fact in sorted(package - table)),
    ]


def stated(api: Api) -> Iterator[str]:
    """Say every fact of the table."""
    yield from (f"enum {name}: {value}" for name, values in api.enums.items() for value in values)
    yield from (f"error {status}" for status in api.errors)
    yield from (f"error code {code}" for code in api.errors.values())
    yield from (f"filter group {group}" for groups in api.groups.values() for group in groups)
    for name, facts in api.objects.items():
        yield from (f"{name}.{fact.wire} is {_stated_kind(fact, 'r')}" for fact in facts)
    for resource in api.resources.values():
        yield f"{resource.attribute} holds {resource.name} at {resource.path}"
        for operation in map(api.operations.__getitem__, resource.operations):
            where = f"{operation.method} {resource.path}{operation.suffix}?{'&'.join(operation.query)}"
            yield f"{resource.attribute}.{operation.name} is {where} -> {operation.status}"
        for part in "rcu":
            facts = resource.part(part).values()
            yield from (f"{resource.name}.{fact.wire} ({part}) is {_stated_kind(fact, part)}" for fact in facts)
        yield from (f"{resource.name} filters {where}" for where in _stated_filters(api, resource.fields))


def _stated_kind(fact: Fact, part: str) -> str:
    return _kind(fact.kind, fact.required, fact.nullable, fact.default if part == "r" else None)


def _stated_filters(api: Api, facts: list[Fact]) -> Iterator[str]:
    for fact in facts:
        inner = api.objects[fact.kind.removeprefix("object:")] if fact.kind.startswith("object:") else []
        for letter in fact.conditions:
            narrowed = [f"{fact.wire}.{leaf.wire}" for leaf in inner if letter in leaf.conditions]
            for leaf in narrowed if inner else [fact.wire]:
                yield from (f"{group} of {leaf}" for group in api.groups[letter])


@cache
def declared() -> frozenset[str]:
    """Return every fact of the package."""
    return frozenset((*_declared_words(), *_declared_resources()))


def _declared_words() -> Iterator[str]:
    enums = [enum for enum in OpenEnum.__subclasses__() if enum.__module__.startswith("meitner_aio.")]
    yield from (f"enum {enum.__name__}: {member.value}" for enum in enums for member in enum)
    yield from (f"error {status}" for status in range(300, 600) if _has_its_own_error(status))
    yield from (f"error code {code.value}" for code in records.ErrorCode)
    yield from (f"filter group {group}" for group in query.GROUPS)
    for kind in objects():
        yield from (f"{kind.__name__}.{field.wire} is {_declared_kind(kind, field)}" for field in fields(kind))


def _declared_resources() -> Iterator[str]:
    for attribute, resource in RESOURCES.items():
        name = resource.model.__name__
        yield f"{attribute} holds {name} at {resource.path}"
        yield from (f"{attribute}.{called} is {_made(resource, called)}" for called in operations(resource))
        for part, kind in {
            "r": resource.model,
            "c": body_of(resource, "create"),
            "u": body_of(resource, "update"),
        }.items():
            yield from (f"{name}.{field.wire} ({part}) is {_declared_kind(kind, field)}" for field in fields(kind))
        yield from (f"{name} filters {where}" for where in accepted(body_of(resource, "search")))


def _has_its_own_error(status: int) -> bool:
    """Whether an error class stands for this status alone; of 5xx, the API documents 500."""
    kind = type(error_from(Request("get", "GET", "/", "/"), answer(b"", status)))
    return status == 500 or (kind.__doc__ or "").startswith(f"{status}:")


def objects() -> list[type[Record]]:
    """Return the objects that records share."""
    kinds = [kind for kind in vars(records).values() if isinstance(kind, type) and issubclass(kind, Record)]
    return [kind for kind in kinds if not any(map(_is_of_the_api, kind.__subclasses__()))]


def _is_of_the_api(kind: type) -> bool:
    return kind.__module__.startswith(("meitner_aio.records", "meitner_aio.resources"))


class _Nothing(Query):
    """What an operation takes that does not exist."""


def body_of(resource: type[Resource[Any]], name: str) -> type[Any]:
    """Return the record whose fields an operation takes; one without fields, where there is none."""
    operation = operations(resource).get(name)
    return _Nothing if operation is None or operation.body is None else operation.body


def _declared_kind(owner: type[Record], field: Field) -> str:
    default = next(info.default for info in msgspec.structs.fields(owner) if info.name == field.name)
    shown = None if default in (None, UNSET, msgspec.NODEFAULT) else json.dumps(default).strip('"')
    kind = f"{field.kind}:{field.type.__name__}" if field.kind in (Kind.ENUM, Kind.OBJECT) else str(field.kind)
    kind = f"list<{kind}>" if field.many else kind
    return _kind(kind, field.required, field.nullable, shown)


def _kind(kind: str, required: bool, nullable: bool, default: str | None) -> str:
    marks = "!" * required + "?" * nullable
    return f"{kind}{marks}" if default is None else f"{kind}{marks} by default {default}"


def _made(resource: type[Resource[Any]], name: str) -> str:
    """Make the operation's request, and say what it was."""
    status = operations(resource)[name].status
    send = Recorder(page() if name in ("list", "search") else answer(record(resource.model), status))
    asyncio.run(call(resource, name, send))
    (request,) = send.requests
    assert request.path == request.route.replace("{id}", ID)
    asked = "&".join(pair.partition("=")[0] for pair in request.query.split("&"))
    return f"{request.method} {request.route}?{asked} -> {status}"


def accepted(kind: type[Query]) -> Iterator[str]:
    """Say which groups a query takes for each field, by trying all of them."""
    for field in fields(kind):
        if field.many:  # any_of and all_of: more queries, no field
            continue
        if issubclass(field.type, Query):
            for inner in fields(field.type):
                for condition in _conditions(one(inner)):
                    yield from _tried(kind(**{field.name: field.type(**{inner.name: condition})}))
        else:
            for condition in _conditions(one(field)):
                yield from _tried(kind(**{field.name: condition}))


def _conditions(value: Any) -> list[Condition]:
    """Return one condition for each filter group."""
    pairs: list[Condition] = [query.equals(value), query.like(value), query.one_of(value), query.null]
    bounds: list[Condition] = [make(value) for make in (query.above, query.below, query.at_most, query.at_least)]
    return [*pairs, *(~condition for condition in pairs), *bounds]


def _tried(asked: Query) -> Iterator[str]:
    try:
        made = to_filter(asked)
    except TypeError:
        return
    assert made.pop("orCondition") is False
    ((group, level),) = made.items()
    path = []
    while isinstance(level, dict):
        ((name, level),) = level.items()
        path.append(name)
    yield f"{group} of {'.'.join(path)}"
