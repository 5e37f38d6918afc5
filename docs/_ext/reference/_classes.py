"""Classes and functions as directives, with signatures, docstrings and members."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Literal, get_origin, get_overloads, is_typeddict

from msgspec import Struct

from meitner_aio._operations.members import Member
from meitner_aio.query import Query
from meitner_aio.records import Record

from . import _resources
from ._fields import notes, operators, rows, type_of, when_read
from ._markdown import code, directive, fence, joined, prose, summary, table
from ._names import ROOT, Name, is_public
from ._signatures import spelled, written
from ._source import Attribute, attributes, set_attributes


def function(kind: str, name: str, call: Callable[..., Any], **options: str) -> str:
    """Return a function or a method, with all its overloads."""
    plain = inspect.unwrap(call)
    calls = get_overloads(plain) or [plain]
    signatures = [written(_unfolded(inspect.signature(one), one.__globals__)) for one in calls]
    if inspect.iscoroutinefunction(plain) or any(one.awaited for one in signatures):
        options["async"] = ""
    more = fence("\n".join(f"{name}{one.text}" for one in signatures[1:])) if signatures[1:] else ""
    body = joined(f"Also:\n\n{more}" if more else "", prose(inspect.getdoc(plain) or ""))
    return directive(kind, f"{name}{signatures[0].text}", body, **options)


def class_entry(one: Name, kind: type) -> str:
    if issubclass(kind, Enum) and len(kind):
        return _resources.enum(kind, one.module, _members(kind))
    public = [base.__name__ for base in kind.__bases__ if is_public(base)]
    body = joined(
        f"Bases: {', '.join(map(code, public))}" if public else "",
        prose(_own_doc(kind)),
        _record(kind) if issubclass(kind, Record) else _attributes(kind),
        *_members(kind),
    )
    which = "py:exception" if issubclass(kind, Exception) else "py:class"
    options = {} if _is_typed(kind) else {"single-line-parameter-list": ""}
    return directive(which, f"{one.name}{_constructor(kind)}", body, module=one.module, **options)


def _own_doc(kind: type) -> str:
    doc = vars(kind).get("__doc__") or ""
    generated = doc.startswith(f"{kind.__name__}(")  # by dataclass or NamedTuple
    return "" if generated else inspect.cleandoc(doc)


def _constructor(kind: type) -> str:
    """Return the parameters of a class that users make; types are left to the table, where there is one."""
    if issubclass(kind, (Record, Exception, Enum)) or getattr(kind, "_is_protocol", False) or inspect.isabstract(kind):
        return ""
    try:
        signature = inspect.signature(kind)
    except (TypeError, ValueError):
        return ""
    if _needs_ours(kind, signature):
        return ""
    shown = _unfolded(signature.replace(return_annotation=signature.empty), vars(sys.modules[kind.__module__]))
    return written(shown, types_shown=_is_typed(kind)).text if signature.parameters else ""


def _is_typed(kind: type) -> bool:
    """Whether the constructor shows its types: those of fields are in a table."""
    return not issubclass(kind, (Struct, tuple)) and not hasattr(kind, "__dataclass_fields__")


def _unfolded(signature: inspect.Signature, known: Mapping[str, object]) -> inspect.Signature:
    """Return a signature in which a name for some values, of which no page tells, gives way to the values."""
    given = signature.parameters.values()
    return signature.replace(parameters=[one.replace(annotation=_values(one.annotation, known)) for one in given])


def _values(annotation: object, known: Mapping[str, object]) -> object:
    if not isinstance(annotation, str):
        return annotation

    def values(word: re.Match[str]) -> str:
        value = known.get(word[0])
        return str(value).removeprefix("typing.") if get_origin(value) is Literal and not is_public(value) else word[0]

    return re.sub(r"[A-Za-z_]\w*", values, annotation)


def _needs_ours(kind: type, signature: inspect.Signature) -> bool:
    """Whether a constructor needs a value of a class that is not public: then only the package calls it."""
    given = [one for one in signature.parameters.values() if one.default is one.empty]
    words = {word for one in given for word in re.findall(r"\w+", spelled(one.annotation))}
    values = [vars(sys.modules[kind.__module__]).get(word) for word in words]
    ours = [one for one in values if inspect.isclass(one) and one.__module__.startswith(ROOT)]
    return any(not is_public(one) for one in ours)


def _shown_bases(kind: type) -> list[type]:
    """Return the class and the private classes that it is made of, whose members no page of their own tells of."""
    bases = [base for base in kind.__mro__[1:] if base.__module__.startswith(ROOT) and not is_public(base)]
    return [kind, *bases]


def _record(kind: type[Record]) -> str:
    if issubclass(kind, Query):
        listed = ((code(row.name), code(row.wire), row.field.kind.value, operators(row.field)) for row in rows(kind))
        return table(("Condition", "In the API", "Type", "Takes"), listed)
    found = (
        (code(row.name), code(row.wire), type_of(row.field), when_read(row), notes(row))
        for row in rows(kind)
        if "." not in row.name
    )
    return table(("Field", "In the API", "Type", "Read", "Notes"), found)


def _attributes(kind: type) -> str:
    """Return the attributes of a class as a table: those that it declares, and those that its constructor explains."""
    found: dict[str, Attribute] = {}
    if is_typeddict(kind):  # it forgets its bases, but not what they had
        keys = kind.__annotations__.items()
        found = {name: Attribute(name, getattr(one, "__forward_arg__", ""), "", "") for name, one in keys}
    for base in reversed(_shown_bases(kind)):
        found |= attributes(base) | set_attributes(base)
    listed = (_attribute_row(kind, one) for one in found.values())
    return table(("Attribute", "Type", "Meaning"), listed)


def _attribute_row(kind: type, one: Attribute) -> tuple[str, str, str]:
    value = vars(kind).get(one.name) or getattr(kind, one.name, None)
    if isinstance(value, Member):  # a resource
        return code(one.name), code(value.kind.__name__), summary(value.kind.__doc__ or "")
    hint = str(_values(one.annotation, vars(sys.modules[kind.__module__])))
    hint = hint or ("" if value is None else type(value).__name__)
    return code(one.name), code(hint) if hint else "", one.doc


def _members(kind: type) -> Iterator[str]:
    seen: set[str] = set()
    for base in _shown_bases(kind):
        for name, value in vars(base).items():
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            if isinstance(value, property):
                doc = prose(inspect.getdoc(value) or "")
                hint = spelled(inspect.signature(value.fget).return_annotation) if value.fget else ""
                yield directive("py:property", name, doc, **({"type": hint} if hint else {}))
            elif isinstance(value, (staticmethod, classmethod)):
                kinds = {"staticmethod": ""} if isinstance(value, staticmethod) else {"classmethod": ""}
                yield function("py:method", name, value.__func__, **kinds)
            elif inspect.isfunction(value):
                yield function("py:method", name, value)
