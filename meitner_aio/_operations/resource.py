"""What a resource is: a table of operations, bound to a directory. Which operations there are is not known here."""

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
    """How a resource reaches the directory: through `send`, with at most so many requests in flight for a listing.

    `sizes` is what is known of the pages of the server, `widest` how many requests may be in flight at all.
    """

    send: Send
    concurrency: int
    sizes: PageSizes
    widest: int | None = None

    def to(self, kind: type[R]) -> R:
        """Return a resource that is bound by it."""
        return kind(self.send, concurrency=self.concurrency, sizes=self.sizes, widest=self.widest)


class Bound:
    """What reaches the directory through a binding."""

    _wire: Binding  # private to users, so that tab completion shows nothing but operations


def binding_of(bound: Bound) -> Binding:
    """Return the binding of a resource, or of what has resources."""
    return bound._wire  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


class Resource(Bound, Generic[T]):
    """A kind of record in the directory. Subclasses are tables: a path, a model, and the operations that exist."""

    path: ClassVar[str]
    model: type[T]

    def __init__(
        self, send: Send, *, concurrency: int = 8, sizes: PageSizes | None = None, widest: int | None = None
    ) -> None:
        """Read and write through `send`; listings keep at most `concurrency` requests in flight.

        Resources that share `sizes` learn together how large a page may be. A listing that asks for more requests in
        flight than `widest` is refused.
        """
        self._wire = Binding(send, concurrency, PageSizes() if sizes is None else sizes, widest)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(operations(type(self)))}>"


class Operation:
    """One thing that a resource can do. Reading it from a resource binds it, once."""

    method: ClassVar[str] = "GET"
    suffix: ClassVar[str] = ""
    status: ClassVar[int] = 200
    summary: ClassVar[str] = ""

    name: str
    body: type[Record] | None = None
    """What the call takes as keywords: the fields of a write, the conditions of a search."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def route(self, resource: type[Resource[Any]]) -> str:
        """Return the path of the operation, with its parameters named."""
        return resource.path + self.suffix

    def _bound(self, resource: Resource[Any], call: Callable[P, V]) -> Callable[P, V]:
        """Give the call its name, signature and help, and keep it on the resource: it is a plain attribute then."""
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
    """What a call made of several operations looks like: it is bound as an operation is, without being one."""

    def __init__(self, body: type[Record] | None = None) -> None:
        self.body = body

    def bind(
        self, resource: Resource[Any], call: Callable[P, V], *, first: inspect.Parameter | None = None
    ) -> Callable[P, V]:
        """Give the call its name, signature and help, and keep it on the resource; `first` comes before the fields."""
        bound = self._bound(resource, call)
        if first is not None:
            shown = inspect.signature(bound)
            bound.__signature__ = shown.replace(parameters=[first, *shown.parameters.values()])  # type: ignore[attr-defined]
        return bound


def operations(resource: type[Resource[Any]]) -> dict[str, Operation]:
    """Return the operations of a resource by name."""
    return {name: value for name, value in vars(resource).items() if isinstance(value, Operation)}


def model_of(resource: type[Resource[T]]) -> type[T]:
    """Return the record of a resource, of which the class alone is not generic to type checkers."""
    model: type[T] = cast("Any", resource).model
    return model
