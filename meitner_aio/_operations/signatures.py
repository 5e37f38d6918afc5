"""The signatures that editors and `help` show: the fields of a record as keywords."""

from __future__ import annotations

import inspect
from functools import cache
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

from msgspec import UNSET, UnsetType

from ..records import Record, fields


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


def _without_unset(hint: object) -> object:
    if not isinstance(hint, UnionType) and get_origin(hint) is not Union:
        return hint
    return Union[tuple(member for member in get_args(hint) if member is not UnsetType)]  # noqa: UP007 - of a tuple
