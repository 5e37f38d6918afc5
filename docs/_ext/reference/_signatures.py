"""Signatures and types as they are written in code."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from msgspec import UNSET, UnsetType

_TYPING = re.compile(r"\b(?:typing|t|dt|datetime|os|collections\.abc)\.(?=[A-Za-z])")
_COROUTINE = re.compile(r"Coroutine\[(?:Any|None), (?:Any|None), (.*)\]")


class Signature(NamedTuple):
    """What a directive takes: the text between the parentheses and after, and whether the call is awaited."""

    text: str
    awaited: bool


_SINGLE: dict[object, str] = {None: "None", type(None): "None", Ellipsis: "..."}


def spelled(hint: object) -> str:
    """Return an annotation as one writes it, without what only machines read."""
    if isinstance(hint, str):
        return re.sub(r"^(['\"])(.*)\1$", r"\2", hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return spelled(inner[0])
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(spelled(one) for one in inner if one is not UnsetType))
    if origin is not None and inner:
        return f"{spelled(origin)}[{', '.join(map(spelled, inner))}]"
    return _SINGLE.get(hint) or str(getattr(hint, "__name__", hint))


def default(value: object) -> str:
    """Return a default as one writes it; three dots for what has no short spelling."""
    if value is UNSET:
        return "UNSET"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    simple = (str, int, float, bytes, bool, type(None))
    if isinstance(value, simple) or (type(value) is tuple and all(isinstance(one, simple) for one in value)):
        return repr(value)
    return "..."


def _parameter(parameter: inspect.Parameter, *, types_shown: bool) -> str:
    star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text, equals = f"{star}{parameter.name}", "="
    if types_shown and parameter.annotation is not parameter.empty:
        text, equals = f"{text}: {spelled(parameter.annotation)}", " = "
    return text if parameter.default is parameter.empty else f"{text}{equals}{default(parameter.default)}"


def written(signature: inspect.Signature, *, types_shown: bool = True, model: str = "") -> Signature:
    """Return a signature as text. Keywords that must be given come first. `model` takes the place of `T`."""
    kinds = inspect.Parameter
    given = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
    keywords = sorted(
        (one for one in given if one.kind is kinds.KEYWORD_ONLY), key=lambda one: one.default is not one.empty
    )
    before = [one for one in given if one.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    several = [one for one in given if one.kind is kinds.VAR_POSITIONAL]
    rest = [one for one in given if one.kind is kinds.VAR_KEYWORD]
    texts: list[str] = []
    for place, one in enumerate(before):
        texts.append(_parameter(one, types_shown=types_shown))
        after = before[place + 1] if place + 1 < len(before) else None
        if one.kind is kinds.POSITIONAL_ONLY and (after is None or after.kind is not one.kind):
            texts.append("/")
    texts += [_parameter(one, types_shown=types_shown) for one in several] or ["*"] * bool(keywords)
    texts += [_parameter(one, types_shown=types_shown) for one in [*keywords, *rest]]
    returned, awaited = signature.return_annotation, False
    text = f"({', '.join(texts)})"
    if returned is not inspect.Signature.empty:
        back = spelled(returned)
        promised = _COROUTINE.fullmatch(back)
        back, awaited = (promised[1], True) if promised else (back, False)
        text = f"{text} -> {back}"
    if model:
        text = re.sub(r"\bT\b", model, text)
    return Signature(_TYPING.sub("", text), awaited)


def of_call(call: Callable[..., Any], model: str = "") -> Signature:
    """Return the signature of a function or method."""
    found = written(inspect.signature(call), model=model)
    return found._replace(awaited=found.awaited or inspect.iscoroutinefunction(call))
