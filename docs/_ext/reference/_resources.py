"""A page for each resource, made of its declaration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, get_args, get_origin

from meitner_aio._operations.resource import Operation, operations
from meitner_aio.declare import Create, Resource, Search, Update
from meitner_aio.records import Record
from meitner_aio.resources import DATA_EXPORT, LISTED

from ._fields import enums, notes, objects, operators, rows, type_of, when_read, when_written
from ._markdown import code, directive, joined, prose, summary, table
from ._signatures import Signature, of_call, written
from ._source import attributes

SAME_FIELDS = {"find": ("search", "conditions"), "upsert": ("create", "fields")}
"""Calls that take the keywords of another one, and what those are."""


async def _nowhere(_request: object) -> Any:
    raise AssertionError("a page asks nothing")


def attribute_path(name: str) -> str:
    """Return where a client has a resource: `meitner.students`."""
    return f"meitner.data_export.{name}" if name in DATA_EXPORT else f"meitner.{name}"


def title(kind: type[Resource[Any]]) -> str:
    """Return the name of a resource for people: `Student placements`."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind.__name__)
    return words.strip().capitalize()


def page(name: str, kind: type[Resource[Any]]) -> str:
    """Return the page of a resource, which a client has by a name."""
    api = f"/{kind.api}" if kind.api else "the Directory API"
    where = f"`{attribute_path(name)}` · {code(kind.path)} of {'`' + api + '`' if kind.api else api}"
    return (
        joined(
            f"# {title(kind)}",
            prose(inspect.getdoc(kind) or ""),
            where,
            "## Operations",
            *_calls(name, kind),
            "## Fields",
            _fields(kind),
            *_filters(kind),
            *_enums(kind),
            "## Classes",
            *(_class(one, kind) for one in classes(kind)),
        )
        + "\n"
    )


def bodies(kind: type[Resource[Any]]) -> dict[str, type[Record]]:
    """Return the record that each operation takes its keywords from."""
    return {name: operation.body for name, operation in operations(kind).items() if operation.body is not None}


def classes(kind: type[Resource[Any]]) -> list[type]:
    """Return the table of a resource, its records, and the objects in them, of which no other module tells."""
    found: list[type] = [kind, kind.model, *bodies(kind).values()]
    for record in (kind.model, *bodies(kind).values()):
        found += objects(record).values()
    near = ("meitner_aio.resources.", kind.__module__)
    return [one for one in dict.fromkeys(found) if one.__module__.startswith(near)]


def all_enums(kind: type[Resource[Any]]) -> dict[str, type[Enum]]:
    """Return the enums of everything that a resource reads and takes."""
    return {name: one for record in (kind.model, *bodies(kind).values()) for name, one in enums(record).items()}


def _calls(name: str, kind: type[Resource[Any]]) -> Iterator[str]:
    """Yield what can be called: the operations in the order of the table, then what is made of several."""
    resource, declared = kind(_nowhere), operations(kind)
    order = [*(one for one in vars(kind) if one in declared or hasattr(getattr(kind, one), "__get__")), *dir(resource)]
    for one in dict.fromkeys(order):
        call = getattr(resource, one)
        if not one.startswith("_") and callable(call) and not isinstance(call, type):
            yield _call(name, kind, one, call, declared.get(one))


def _call(
    name: str, kind: type[Resource[Any]], called: str, call: Callable[..., Any], operation: Operation | None
) -> str:
    signature = _signature(kind, called, call)
    doc, _, _ = inspect.cleandoc(call.__doc__ or "").partition("\n\nFields of ")
    if operation is not None:
        doc, _, place = doc.rpartition(f"\n\n{operation.method} ")
        doc = joined(doc, f"`{operation.method} {place.partition('. ')[0]}`")
        doc = joined(doc, _key(operation))
    elif called in SAME_FIELDS or called == "upsert_many":
        doc = doc.rpartition("\n\nPOST ")[0]
    if called in SAME_FIELDS:
        other, what = SAME_FIELDS[called]
        doc = joined(doc, f"The {what} are those of {code(other)}.", _keys(call) if called == "upsert" else "")
    options = {"async": ""} if signature.awaited else {}
    return directive("py:method", f"{attribute_path(name)}.{called}{signature.text}", prose(doc), **options)


def _key(operation: Operation) -> str:
    if not isinstance(operation, Create) or not operation.key:
        return ""
    names = " and ".join(code(one) for one in operation.key)
    unique = "which the server keeps unique" if operation.unique else "which several records may share"
    return f"Where the answer is lost, the record is looked up by {names}, {unique}, before anything is sent again."


def _signature(kind: type[Resource[Any]], called: str, call: Callable[..., Any]) -> Signature:
    """Return the signature to show: types as the package writes them, and no keyword twice on a page."""
    shown, model = inspect.signature(call), kind.model.__name__
    if called in SAME_FIELDS:
        before = [one for one in shown.parameters.values() if one.kind is one.POSITIONAL_ONLY]
        before = [one.replace(annotation=one.empty) for one in before]
        rest = inspect.Parameter(SAME_FIELDS[called][1], inspect.Parameter.VAR_KEYWORD)
        return written(shown.replace(parameters=[*before, rest]), model=model)
    if isinstance(operations(kind).get(called), Search):
        hints = {one: _declared_type(bodies(kind)[called], one) for one in shown.parameters}
        shown = shown.replace(parameters=[one.replace(annotation=hints[one.name]) for one in shown.parameters.values()])
        return written(shown, model=model)
    if called == "upsert_many":
        bare = (one.replace(annotation=one.empty) for one in shown.parameters.values())
        shown = shown.replace(parameters=list(bare))
        return written(shown, model=model)
    return of_call(call, model)


def _keys(call: Callable[..., Any]) -> str:
    """Return the keys that an upsert takes, which only its types say."""
    key = next(iter(inspect.signature(call).parameters.values())).annotation
    found = [one for one in get_args(key) or (key,) if Ellipsis not in get_args(one)]
    names: list[str] = []
    for one in found:
        parts = get_args(one)
        pair = get_origin(one) is tuple
        names += (
            ["({})".format(", ".join(repr(get_args(part)[0]) for part in parts))]
            if pair
            else map(repr, parts or (one,))
        )
    return f"Keys: {', '.join(code(name.replace(chr(39), chr(34))) for name in names)}."


def _declared_type(record: type[Record], name: str) -> str:
    owner = next(kind for kind in record.__mro__ if name in attributes(kind))
    return attributes(owner)[name].annotation.replace(" | UnsetType", "").replace("Self", record.__name__)


def _fields(kind: type[Resource[Any]]) -> str:
    declared = operations(kind).values()
    create = next((one.body for one in declared if isinstance(one, Create)), None)
    update = next((one.body for one in declared if isinstance(one, Update)), None)
    found = (
        (
            code(row.name) + (f"<br>{code(row.wire)}" if row.wire != row.name else ""),
            ". ".join(filter(None, [type_of(row.field), notes(row)])),
            *(when_read(row), when_written(create, row.name), when_written(update, row.name)),
        )
        for row in rows(kind.model)
    )
    return joined(
        "`no`: the server sets the field, or it is fixed when the record is made. Personal fields are masked in `repr`."
        if create
        else "",
        table(("Field, and its name in the API", "Type", "Read", "Create", "Update"), found),
    )


def _filters(kind: type[Resource[Any]]) -> Iterator[str]:
    search = next((one.body for one in operations(kind).values() if isinstance(one, Search)), None)
    if search is not None:
        yield "## Conditions of a search"
        yield (
            "A value alone means `equals`. A range is `above`, `at_least`, `below`, `at_most` or `between`; `~` is the "
            "opposite of any condition. Fields of an object are given in its query: `meta=MetaQuery(created_at=...)`."
        )
        found = ((code(row.name), row.field.kind.value, operators(row.field)) for row in rows(search))
        yield table(("Condition", "Type", "Takes"), found)


def _enums(kind: type[Resource[Any]]) -> Iterator[str]:
    found = all_enums(kind)
    if found:
        yield "## Enums"
    for name, one in found.items():
        yield enum(one, repeated=_is_repeated(kind, lambda other, name=name: name in all_enums(other)))


def _is_repeated(here: type[Resource[Any]], tells: Callable[[type[Resource[Any]]], bool]) -> bool:
    """Whether the page of an earlier resource tells of the same."""
    return next(filter(tells, LISTED.values()), here) is not here


def enum(kind: type[Enum], module: str = "meitner_aio", members: Iterable[str] = (), *, repeated: bool = False) -> str:
    """Return an enum with its values, and its other members; `repeated` where another page is its home."""
    told = attributes(kind)
    values = (
        (code(member.name), code(str(member.value)), told[member.name].doc if member.name in told else "")
        for member in kind
    )
    options = {"module": module} | ({"no-index": ""} if repeated else {})
    body = joined(prose(inspect.getdoc(kind) or ""), table(("Member", "Value", "Meaning"), values), *members)
    return directive("py:class", kind.__name__, body, **options)


def _class(kind: type, here: type[Resource[Any]]) -> str:
    repeated = _is_repeated(here, lambda other: kind in classes(other))
    options = {"module": "meitner_aio"} | ({"no-index": ""} if repeated else {})
    return directive("py:class", kind.__name__, prose(inspect.getdoc(kind) or ""), **options)


def pages() -> dict[str, str]:
    """Return the page of every resource by its file, and the list of them."""
    listed = (
        (f"[{title(kind)}]({name}.md)<br>{code(attribute_path(name))}", summary(kind.__doc__ or ""))
        for name, kind in LISTED.items()
    )
    index = joined(
        "# Resources",
        "What the directory holds, and what can be done with it; made from the declarations that the client runs.",
        table(("Resource", "What it is"), listed),
        directive("toctree", "", "\n".join(LISTED), hidden=""),
    )
    return {"index.md": index + "\n", **{f"{name}.md": page(name, kind) for name, kind in LISTED.items()}}
