"""A resource: a table of operations, bound to a directory. Does not know which operations exist."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NamedTuple, ParamSpec, TypeVar, cast

from .._wire.messages import Send
from .._wire.page_size import PageSizes
from .._wire.validation import strip_traceback
from ..records import DirectoryRecord, Record
from .signatures import signature

T = TypeVar("T", bound=DirectoryRecord)
R = TypeVar("R", bound="Resource[Any]")
P = ParamSpec("P")
V = TypeVar("V")


class Binding(NamedTuple):
    """How a resource reaches the directory: through `send`, with `concurrency` requests in flight for a listing.

    `sizes` holds what is known of the server's page sizes, `widest` the limit of requests in flight.
    """

    send: Send
    concurrency: int
    sizes: PageSizes
    widest: int | None = None

    def to(self, kind: type[R]) -> R:
        """Return a resource of this class with this binding."""
        return kind(self.send, concurrency=self.concurrency, sizes=self.sizes, widest=self.widest)


class Bound:
    """Base of everything that reaches the directory through a binding."""

    _wire: Binding  # private, so that tab completion shows only operations


def binding_of(bound: Bound) -> Binding:
    """Return the binding of a resource, a client or a cached view."""
    return bound._wire  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


class Resource(Bound, Generic[T]):
    """A kind of record in the directory. A subclass is a table: a path, a model, and the operations that exist."""

    path: ClassVar[str]
    model: type[T]

    def __init__(
        self, send: Send, *, concurrency: int = 8, sizes: PageSizes | None = None, widest: int | None = None
    ) -> None:
        """Read and write through `send`; by default a listing keeps `concurrency` requests in flight.

        Resources that share `sizes` share what they learn about page sizes. A listing that asks for more than `widest`
        requests in flight is refused.
        """
        self._wire = Binding(send, concurrency, PageSizes() if sizes is None else sizes, widest)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(operations(type(self)))}>"


class Operation:
    """One operation of a resource. The first access through a resource binds it."""

    method: ClassVar[str] = "GET"
    suffix: ClassVar[str] = ""
    status: ClassVar[int] = 200
    summary: ClassVar[str] = ""

    name: str
    body: type[Record] | None = None
    """The record whose fields the call takes as keywords: those of a write, or the conditions of a search."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def route(self, resource: type[Resource[Any]]) -> str:
        """Return the path of the operation, with placeholders for its parameters."""
        return resource.path + self.suffix

    def _bound(self, resource: Resource[Any], call: Callable[P, V]) -> Callable[P, V]:
        """Give the call its name, signature and docstring, and store it on the resource as a plain attribute."""
        kind, call = type(resource), strip_traceback(call)
        call.__name__ = self.name
        call.__qualname__ = f"{kind.__name__}.{self.name}"
        call.__module__ = kind.__module__
        noun = inspect.cleandoc(resource.model.__doc__ or "").partition("\n")[0]
        call.__doc__ = f"{self.summary}\n\n{self.method} {self.route(kind)}. {noun}"
        if self.body is not None:
            call.__signature__ = signature(self.body, takes_id="{id}" in self.suffix)  # type: ignore[attr-defined]
        resource.__dict__[self.name] = call
        return call


class CallSignature(Operation):
    """The name and signature of a call made of several operations. It binds like an operation, but is not one."""

    def __init__(self, body: type[Record] | None = None) -> None:
        self.body = body

    def bind(
        self, resource: Resource[Any], call: Callable[P, V], *, first: inspect.Parameter | None = None
    ) -> Callable[P, V]:
        """Give the call its name, signature and docstring, and store it; `first` is a parameter before the fields."""
        bound = self._bound(resource, call)
        if first is not None:
            shown = inspect.signature(bound)
            bound.__signature__ = shown.replace(parameters=[first, *shown.parameters.values()])  # type: ignore[attr-defined]
        return bound


def operations(resource: type[Resource[Any]]) -> dict[str, Operation]:
    """Return the operations of a resource by name."""
    return {name: value for name, value in vars(resource).items() if isinstance(value, Operation)}


def model_of(resource: type[Resource[T]]) -> type[T]:
    """Return the record type of a resource, typed: to type checkers the class alone is not generic."""
    model: type[T] = cast("Any", resource).model
    return model
