"""The public API as text: each name that users may import, with its signature, fields and members, one a line.

python tests/support/public_api.py > tests/release/public_api.txt
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, ForwardRef

import msgspec

from meitner_aio._operations.operations import Resource, operations
from meitner_aio.records import Record, fields

MODULES = (
    "", "arrow", "cached", "changes", "declare", "distributed", "dlt", "errors", "events", "export", "mirror", "notebook", "offline",
    "outbox", "portal", "query", "quota", "reconcile", "records", "sandbox", "tenants", "testing",
)  # fmt: skip
"""What users import from, below the package."""

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def api() -> str:
    """Return all of it."""
    known: set[type] = set()
    lines: list[str] = []
    for name in MODULES:
        module = importlib.import_module(f"meitner_aio.{name}".rstrip("."))
        lines += ["", f"# {module.__name__}", ""]
        for public in _names(module):
            lines += _described(public, getattr(module, public), module, known)
    return "\n".join(lines).strip() + "\n"


def _names(module: ModuleType) -> list[str]:
    told = getattr(module, "__all__", None)
    if told is not None:
        return sorted(told)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )


def _described(name: str, value: Any, module: ModuleType, known: set[type]) -> Iterator[str]:
    home = getattr(value, "__module__", module.__name__)
    if isinstance(value, type) and value in known:
        yield f"class {name}, as above"
    elif isinstance(value, type) and home.startswith("meitner_aio"):
        known.add(value)
        yield from _class(name, value)
    elif inspect.isroutine(value):
        yield f"{'async ' if inspect.iscoroutinefunction(value) else ''}def {name}{_signature(value)}"
    elif isinstance(value, ModuleType):
        yield f"{name}: module"
    else:
        yield f"{name} = {_shown(value)}"


def _class(name: str, kind: type) -> Iterator[str]:
    bases = ", ".join(
        base.__name__ for base in kind.__bases__ if base is not object and not base.__name__.startswith("_")
    )
    yield f"class {name}({bases})" if bases else f"class {name}"
    if issubclass(kind, enum.Enum):
        yield from (f"    {member.name} = {member.value!r}" for member in kind)
    elif issubclass(kind, Record):
        for field in fields(kind):
            yield f"    {field.name}: {_plain(kind, field.name)}{_default(kind, field.name)}"
    elif issubclass(kind, msgspec.Struct):
        yield from (f"    {one}: {_plain(kind, one)}{_default(kind, one)}" for one in kind.__struct_fields__)
    elif "__init__" in vars(kind):
        yield f"    def __init__{_signature(kind.__init__)}"
    yield from sorted(_members(kind))


def _members(kind: type) -> Iterator[str]:
    """Yield the methods, properties and annotated attributes of a class, with those of bases that nobody can name."""
    seen: set[str] = set(getattr(kind, "__struct_fields__", ()))
    if issubclass(kind, Resource):
        for name, operation in operations(kind).items():
            seen.add(name)
            body = operation.body
            told = _signature(getattr(kind(_send), name)) if body is None else f"(fields of {body.__name__})"
            yield f"    {name}: {type(operation).__name__}{told}"
    for owner in kind.__mro__:
        if not owner.__module__.startswith("meitner_aio") or (issubclass(kind, enum.Enum) and owner is not kind):
            continue
        for name in {**vars(owner), **getattr(owner, "__annotations__", {})}:
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            line = _member(name, vars(owner).get(name), owner, kind)
            if line:
                yield line


def _member(name: str, value: Any, owner: type, kind: type) -> str | None:
    if issubclass(kind, enum.Enum) and name in kind.__members__:
        return None
    if isinstance(value, property):
        return f"    {name}: {_returned(value.fget)}"
    if isinstance(value, staticmethod | classmethod):
        return f"    {type(value).__name__} {name}{_signature(value.__func__)}"
    if inspect.isfunction(value):
        return f"    {'async ' if inspect.iscoroutinefunction(value) else ''}def {name}{_signature(value)}"
    if name in getattr(owner, "__annotations__", {}):
        return f"    {name}: {_text(owner.__annotations__[name])}"
    return f"    {name}: {type(value).__name__}"


async def _send(request: object) -> Any:
    """Stand where a client would: nothing is sent."""
    raise AssertionError(request)


def _plain(kind: type, name: str) -> str:
    for owner in kind.__mro__:
        annotation = vars(owner).get("__annotations__", {}).get(name)
        if annotation is not None:
            return _text(annotation)
    return "?"


def _default(kind: type, name: str) -> str:
    place = kind.__struct_fields__.index(name) - len(kind.__struct_fields__)  # type: ignore[attr-defined]
    defaults = kind.__struct_defaults__  # type: ignore[attr-defined]
    if -place > len(defaults):
        return ""
    value = defaults[place]
    return "" if value is msgspec.NODEFAULT else f" = {_shown(value)}"


def _signature(call: Any) -> str:
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        return "(...)"
    parts: list[str] = []
    starred, before = False, None
    for one in signature.parameters.values():
        if one.kind is not one.POSITIONAL_ONLY and before is one.POSITIONAL_ONLY:
            parts.append("/")
        if one.kind is one.KEYWORD_ONLY and not starred:
            parts.append("*")
        starred, before = starred or one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL), one.kind
        parts.append(_STARS.get(one.kind, "") + _parameter(one))
    text = ", ".join(part for part in parts if part not in ("self", "cls"))
    returned = signature.return_annotation
    return f"({text})" if returned is inspect.Signature.empty else f"({text}) -> {_text(returned)}"


_STARS = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def _parameter(one: inspect.Parameter) -> str:
    annotation = "" if one.annotation is one.empty else f": {_text(one.annotation)}"
    default = "" if one.default is one.empty else f" = {_shown(one.default)}"
    return f"{one.name}{annotation}{default}"


def _returned(call: Any) -> str:
    return _text(getattr(call, "__annotations__", {}).get("return", "?"))


def _text(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation.strip("'\"")
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    return inspect.formatannotation(annotation).replace("typing.", "").replace("collections.abc.", "")


def _shown(value: Any) -> str:
    if isinstance(value, msgspec._core.Factory):
        return "..."
    if inspect.isroutine(value) or isinstance(value, type):
        return str(getattr(value, "__qualname__", value))
    return _ADDRESS.sub("", repr(value))


if __name__ == "__main__":
    sys.stdout.write(api())
