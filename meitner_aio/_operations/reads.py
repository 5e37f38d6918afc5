"""The reads of a resource in a cached view, with a default answer for when the service is down."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from msgspec import UNSET

from .._wire.decoding import LACKED
from .._wire.validation import is_id
from ..errors import APIConnectionError, InternalServerError, NotFoundError, QuotaExhausted, RateLimitError
from ..records import DirectoryRecord
from .action import Action
from .operations import Get, ListCall, Search
from .resource import Resource, operations

if TYPE_CHECKING:
    from .._listing.listing import Listing
    from .composed import Readable

T = TypeVar("T", bound=DirectoryRecord)
P = ParamSpec("P")
Q = ParamSpec("Q")
V = TypeVar("V")
D = TypeVar("D")
D_co = TypeVar("D_co", covariant=True)
Other = TypeVar("Other")
R = TypeVar("R", bound=Resource[Any])
Arg_contra = TypeVar("Arg_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)

_NONE: Mapping[str, object] = MappingProxyType({})

DOWN = (APIConnectionError, InternalServerError, RateLimitError, QuotaExhausted)
"""Errors that say only that the service does not answer now, and nothing about the request."""


class Answered(Protocol[Arg_contra, Result_co, D_co]):
    """A read that takes `default=`: the result when the service is down and no answer is kept."""

    @overload
    def __call__(self, asked: Arg_contra, /) -> Coroutine[None, None, Result_co | D_co]: ...
    @overload
    def __call__(self, asked: Arg_contra, /, *, default: Other) -> Coroutine[None, None, Result_co | Other]: ...


class Reads(Generic[T, D]):
    """The reads of a resource: `list`, `get` and `get_many`, with the resource's own signatures."""

    list: ListCall[T]
    get: Answered[str, T, D]
    get_many: Answered[Iterable[str], dict[str, T], D]

    def __init__(self, resource: Readable[T], default: D, defaults: Mapping[str, object]) -> None:
        self.list = resource.list
        self.get = cast("Answered[str, T, D]", _or_default(resource.get, default, defaults))
        self.get_many = cast("Answered[Iterable[str], dict[str, T], D]", _or_default(resource.get_many, default))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(vars(self))}>"


class Searches(Reads[T, D], Generic[T, P, D]):
    """The reads of a searchable resource: `search` and `find` as well."""

    search: Callable[P, Listing[T]]
    find: Callable[P, Coroutine[None, None, T | D | None]]
    """Takes `default=` as `get` does, which types cannot express."""

    def __init__(self, resource: Readable[T], search: Search[P], default: D, defaults: Mapping[str, object]) -> None:
        super().__init__(resource, default, defaults)
        self.search = search.__get__(resource, type(resource))
        find: Callable[P, Coroutine[None, None, T | None]] = cast("Any", resource).find
        self.find = _or_default(find, default)


def defaulting(resource: R, default: object, defaults: Mapping[str, object]) -> R:
    """Return a declared resource whose gets and actions that read take `default=`, and have these without it."""
    for name, operation in operations(type(resource)).items():
        if isinstance(operation, Get | Action) and operation.verb == "get":
            by_id = defaults if "{id}" in operation.suffix else _NONE
            vars(resource)[name] = _or_default(getattr(resource, name), default, by_id)
    return resource


def _or_default(
    call: Callable[Q, Coroutine[None, None, V]], usual: D, by_id: Mapping[str, object] = _NONE
) -> Callable[..., Coroutine[None, None, V | D]]:
    """Return the call with one more keyword, `default`: if it is not given, that of the id asked for, else `usual`.

    A call that has a `default` of its own keeps it.
    """
    taken = inspect.signature(call)
    own = "default" in taken.parameters

    @wraps(call)
    def answered(*args: Q.args, **conditions: Q.kwargs) -> Coroutine[None, None, V | D]:
        known = by_id.get(_spelled(args[0]), usual) if by_id and args else usual
        default = cast("D", known if own else conditions.pop("default", known))
        asking = call(*args, **conditions)
        return asking if default is UNSET else _defaulted(asking, default)

    if not own:
        default = inspect.Parameter("default", inspect.Parameter.KEYWORD_ONLY, default=usual)
        answered.__signature__ = taken.replace(parameters=[*taken.parameters.values(), default])  # type: ignore[attr-defined]
    return answered


def _spelled(id_: object) -> str:
    """Return an id as the keys of defaults have it; text that is none for what is no id, which the call refuses."""
    return (id_.lower() if is_id(id_) else id_) if isinstance(id_, str) else ""


async def _defaulted(asking: Coroutine[None, None, V], default: D) -> V | D:
    try:
        return await asking
    except DOWN:
        return default
    except NotFoundError as error:
        if LACKED not in error.headers:
            raise
        return default
