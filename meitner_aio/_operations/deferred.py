"""Writes that were called and have not begun: what they would send, so that it can be kept and sent later.

A call of a write returns a coroutine, which says nothing about itself. So each is noted here for as long as it exists.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from msgspec import Struct

from .._wire.messages import Send

if TYPE_CHECKING:
    from .resource import Resource

P = ParamSpec("P")
V = TypeVar("V")

WRITES = frozenset({"create", "update", "delete", "archive", "restore"})
"""The operations that make one request each, which can be told from another."""


class Deferred(Struct, frozen=True):
    """One write: which, through what, and its arguments."""

    resource: type[Resource[Any]]
    operation: str
    send: Send
    arguments: tuple[object, ...]
    given: dict[str, object]

    def __repr__(self) -> str:
        """Show no value: they are personal data."""
        return f"Deferred({self.resource.__name__}.{self.operation})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("operation", self.operation)]


_deferred: WeakKeyDictionary[object, Deferred] = WeakKeyDictionary()


def noting(resource: type[Resource[Any]], operation: str, send: Send, call: Callable[P, V]) -> Callable[P, V]:
    """Return the call of a write, whose coroutines `deferred` knows."""

    @wraps(call)
    def noted(*args: P.args, **given: P.kwargs) -> V:
        kept = dict[str, object](given)
        made = call(*args, **given)
        _deferred[made] = Deferred(resource, operation, send, args, kept)
        return made

    return noted


def deferred(write: Coroutine[Any, Any, object]) -> Deferred | None:
    """Return what a coroutine would write; None when it is anything but one call of a write."""
    try:
        return _deferred.get(write)
    except TypeError:  # of another kind, which cannot be told from others
        return None
