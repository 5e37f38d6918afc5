"""The signatures that editors and `help` show: the fields of a record as keywords."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

from msgspec import UNSET, UnsetType

from ..records import Field, Record, fields


@cache
def signature(body: type[Record], *, takes_id: bool) -> inspect.Signature:
    """Return the signature of a call: the fields of a record, without the types that only msgspec reads."""
    hints = get_type_hints(body)
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.required else UNSET,
            annotation=_without_unset(hints[field.name]),
        )
        for field in fields(body)
    ]
    if takes_id:
        parameters.insert(0, inspect.Parameter("id", inspect.Parameter.POSITIONAL_ONLY, annotation=str))
    return inspect.Signature(parameters)


def returning(shown: inspect.Signature, call: Callable[..., object], model: type) -> inspect.Signature:
    """Return a signature with what the call returns, its `T` being the model: `Listing[Student]`."""
    returned: object = call.__annotations__.get("return", inspect.Signature.empty)
    if isinstance(returned, str):
        returned = re.sub(r"\bT\b", model.__name__, returned)
    return shown.replace(return_annotation=returned)


@cache
def described(body: type[Record]) -> str:
    """Return a line for each field of a record: its kind, and whether it may be left out or be None."""
    declared = fields(body)
    width = max((len(field.name) for field in declared), default=0)
    return "\n".join(f"    {field.name:{width}}  {_described(field)}" for field in declared)


def _described(field: Field) -> str:
    kind = f"list of {field.described}" if field.many else field.described
    classes = (getattr(choice, "__name__", "") for choice in field.choices)
    others = "".join(f" or {name}" for name in classes if name)
    return f"{kind}{others}{', or None' if field.nullable else ''}{', required' if field.required else ''}"


def _without_unset(hint: object) -> object:
    if not isinstance(hint, UnionType) and get_origin(hint) is not Union:
        return hint
    return Union[tuple(member for member in get_args(hint) if member is not UnsetType)]  # noqa: UP007 - of a tuple
