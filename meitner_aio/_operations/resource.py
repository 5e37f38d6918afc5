"""A resource: a table of operations, bound to a directory. Does not know which operations exist."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, ParamSpec, TypeVar, cast

from .._wire.envelopes import USUAL_PAGING, Paging
from .._wire.messages import Send
from .._wire.page_size import PageSizes
from .._wire.paths import Place, check_api, check_path, joined, place_of, placeholders
from .._wire.validation import strip_traceback
from ..records import Record
from .deferred import WRITES, noting
from .signatures import described, returning, signature

T = TypeVar("T", bound=Record)
R = TypeVar("R", bound="Resource[Any]")
Op = TypeVar("Op", bound="Operation")
P = ParamSpec("P")
V = TypeVar("V")


_NONE: Mapping[str, object] = {}

_DECLARED = frozenset({"api", "paging", "id_pattern", "permanent"})


class Binding(NamedTuple):
    """How a resource reaches the directory: through `send`, with `concurrency` requests in flight for a listing.

    `sizes` holds what is known of the server's page sizes, `widest` the limit of requests in flight.
    """

    send: Send
    concurrency: int
    sizes: PageSizes
    widest: int | None = None

    def to(self, kind: type[R], parameters: Mapping[str, object] = _NONE) -> R:
        """Return a resource of this class with this binding; `parameters` are those of its path."""
        return kind(
            self.send, concurrency=self.concurrency, sizes=self.sizes, widest=self.widest, parameters=parameters
        )


class Bound:
    """Base of everything that reaches the directory through a binding."""

    _wire: Binding  # private, so that tab completion shows only operations


def binding_of(bound: Bound) -> Binding:
    """Return the binding of a resource, a client or a cached view."""
    return bound._wire  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


class Resource(Bound, Generic[T]):
    """A kind of record behind an API. A subclass is a table: a path, a model, and the operations that exist.

    The path is below the base URL of the client and may have parameters, `/space/{space}/members`, which
    `meitner.resource(Members, space=...)` fills in. A declaration that cannot work is refused when the class is made,
    with a `TypeError`.
    """

    path: ClassVar[str]
    model: type[T]
    api: ClassVar[str] = ""
    """Another API below the origin of the client's, such as `data-export/v1`; empty for the client's own."""
    paging: ClassVar[Paging] = USUAL_PAGING
    """How listings are paged."""
    id_pattern: ClassVar[str] = ""
    """A regular expression that every id matches as a whole; empty where ids are UUIDs."""
    permanent: ClassVar[bool] = False
    """Whether records are never deleted, so that none can be missing from a steady listing."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if operations(cls):
            _check(cls)

    def __init__(
        self,
        send: Send,
        *,
        concurrency: int = 8,
        sizes: PageSizes | None = None,
        widest: int | None = None,
        parameters: Mapping[str, object] = _NONE,
    ) -> None:
        """Read and write through `send`; by default a listing keeps `concurrency` requests in flight.

        Resources that share `sizes` share what they learn about page sizes. A listing that asks for more than `widest`
        requests in flight is refused. `parameters` are those of the path.
        """
        kind = type(self)
        self._wire = Binding(send, concurrency, PageSizes() if sizes is None else sizes, widest)
        self._place = place_of(kind.path, kind.api, parameters, kind.__name__)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(operations(type(self)))}>"

    def __dir__(self) -> list[str]:
        """Leave out what only a declaration says: completion shows what can be called."""
        return [name for name in super().__dir__() if name not in _DECLARED]


def place_in(resource: Resource[Any]) -> Place:
    """Return where a bound resource is."""
    return resource._place  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


class Operation:
    """One operation of a resource. The first access through a resource binds it."""

    verb: str = ""
    """What the retries know it as."""
    method: str = "GET"
    suffix: str = ""
    status: ClassVar[int] = 200
    summary: ClassVar[str] = ""
    needs_model: ClassVar[bool] = True
    audited: bool = False
    """Whether it deletes a record and leaves an audit event."""

    name: str
    body: type[Record] | None = None
    """The record whose fields the call takes as keywords: those of a write, or the conditions of a search."""

    def check(self, _resource: type[Resource[Any]], where: str, /) -> None:
        """Raise `TypeError` where the operation cannot work on a resource; `where` names it for people."""
        if placeholders(self.suffix) not in ([], ["id"]):
            raise TypeError(f"{where}: a path below that of the resource has {{id}} and no other parameter")

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def route(self, resource: type[Resource[Any]]) -> str:
        """Return the path of the operation, with placeholders for its parameters."""
        return joined(resource.path, self.suffix)

    def signature(self) -> inspect.Signature | None:
        """Return the signature to show; None for that of the call itself."""
        return None if self.body is None else signature(self.body, takes_id="{id}" in self.suffix)

    def place(self, resource: Resource[Any]) -> Place:
        """Return where the operation of a bound resource is; its path still lacks the id."""
        return place_in(resource).below(self.suffix)

    def _bound(self, resource: Resource[Any], call: Callable[P, V]) -> Callable[P, V]:
        """Give the call its name, signature and docstring, and store it on the resource as a plain attribute."""
        kind = type(resource)
        call.__name__ = self.name  # before it is wrapped: Python names the innermost function in errors of arguments
        call.__qualname__ = f"{kind.__name__}.{self.name}"
        call.__module__ = kind.__module__
        if self.name in WRITES:
            call = noting(kind, self.name, binding_of(resource).send, call)
        call = strip_traceback(call)
        noun = inspect.cleandoc(getattr(kind, "model", kind).__doc__ or "").partition("\n")[0]
        call.__doc__ = f"{self.summary}\n\n{self.method} {self.route(kind)}. {noun}"
        shown = self.signature() or inspect.signature(call)
        if self.body is not None:
            call.__doc__ += f"\n\nFields of {self.body.__name__}:\n\n{described(self.body)}"
        call.__signature__ = returning(shown, call, getattr(kind, "model", kind))  # type: ignore[attr-defined]
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
    table = {name: value for base in reversed(resource.__mro__) for name, value in vars(base).items()}
    return {name: value for name, value in table.items() if isinstance(value, Operation)}


def operation_of(resource: type[Resource[Any]], kind: type[Op]) -> Op | None:
    """Return the operation of this kind, whatever it is called; None if the resource has none."""
    return next((one for one in operations(resource).values() if isinstance(one, kind)), None)


def declared(kind: type[R]) -> type[R]:
    """Return a class that declares operations; `TypeError` for anything else."""
    if not (isinstance(kind, type) and issubclass(kind, Resource) and operations(kind)):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        raise TypeError("resource() takes a class of Resource that declares operations")
    return kind


def _check(resource: type[Resource[Any]]) -> None:
    """Raise `TypeError` for a declaration that cannot work."""
    owner = resource.__name__
    path = check_path(getattr(resource, "path", None), f"{owner}.path")
    names = placeholders(path)
    if len(set(names)) < len(names) or "id" in names:
        raise TypeError(f"{owner}.path: each parameter has a name of its own, and {{id}} is that of a record")
    check_api(resource.api, f"{owner}.api")
    if not isinstance(resource.paging, Paging):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        raise TypeError(f"{owner}.paging must be a Paging, not {type(resource.paging).__name__}")
    try:
        re.compile(resource.id_pattern)
    except (re.error, TypeError):
        raise TypeError(f"{owner}.id_pattern must be a regular expression") from None
    model: object = getattr(resource, "model", None)
    is_model = isinstance(model, type) and issubclass(model, Record)
    for name, operation in operations(resource).items():
        if hasattr(Resource, name) or name.startswith("_"):
            raise TypeError(f"{owner}.{name}: a resource has {name} already, so an operation needs another name")
        if operation.needs_model and not is_model:
            raise TypeError(f"{owner} needs a model, the Record that {owner}.{name} answers with: model = ...")
        operation.check(resource, f"{owner}.{name}")


def model_of(resource: type[Resource[T]]) -> type[T]:
    """Return the record type of a resource, typed: to type checkers the class alone is not generic."""
    model: type[T] = cast("Any", resource).model
    return model
