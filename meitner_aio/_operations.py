"""The typed half: a resource is a table of operations, and an operation takes its signature from a record.

Each operation is a descriptor that captures the constructor of a record with `ParamSpec`, so that checkers and editors
know every field of `students.create(...)` without a generated method. Knows of the wire only `Send`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import cache
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    Generic,
    NamedTuple,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import msgspec
from msgspec import UNSET, UnsetType

from ._listing import Listing
from ._protocol import Envelope, Request, Send, read, read_page
from ._values import built, checked, checked_id, encode
from .errors import ResponseValidationError
from .query import ResourceQuery, encode_search
from .records import Record, fields

if TYPE_CHECKING:
    from ._listing import Fetch

T = TypeVar("T", bound=Record)
P = ParamSpec("P")


class Wire(NamedTuple):
    """How a resource reaches the directory: through `send`, with at most so many requests in flight for a listing."""

    send: Send
    concurrency: int


class Resource(Generic[T]):
    """A kind of record in the directory. Subclasses are tables: a path, a model, and the operations that exist."""

    path: ClassVar[str]
    model: type[T]

    def __init__(self, send: Send, *, concurrency: int = 8) -> None:
        """Read and write through `send`; listings keep at most `concurrency` requests in flight."""
        self._wire = Wire(send, concurrency)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(operations(type(self)))}>"


def _wire(resource: Resource[Any]) -> Wire:
    # Private to users, so that tab completion shows nothing but operations.
    return resource._wire  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


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

    def _bound(self, resource: Resource[Any], call: Callable[..., Any]) -> Any:  # noqa: ANN401 - typed by __get__
        """Give the call its face, and keep it on the resource: afterwards it is a plain attribute."""
        kind = type(resource)
        call.__name__ = self.name
        call.__qualname__ = f"{kind.__name__}.{self.name}"
        call.__module__ = kind.__module__
        noun = inspect.cleandoc(resource.model.__doc__ or "").partition("\n")[0]
        call.__doc__ = f"{self.summary}\n\n{self.method} {self.route(kind)}. {noun}"
        if self.body is not None:
            call.__signature__ = _signature(self.body, takes_id="{id}" in self.suffix)  # type: ignore[attr-defined]
        resource.__dict__[self.name] = call
        return call


def operations(resource: type[Resource[Any]]) -> dict[str, Operation]:
    """Return the operations of a resource by name."""
    return {name: value for name, value in vars(resource).items() if isinstance(value, Operation)}


@cache
def _signature(body: type[Record], *, takes_id: bool) -> inspect.Signature:
    """Return the signature that editors and `help` show: the fields of a record without what only msgspec reads."""
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


def _without_unset(hint: Any) -> Any:  # noqa: ANN401 - a typing form
    if not isinstance(hint, UnionType) and get_origin(hint) is not Union:
        return hint
    return Union[tuple(member for member in get_args(hint) if member is not UnsetType)]  # noqa: UP007 - of a tuple


@cache
def _decoders(model: type[Record]) -> tuple[Any, Any]:
    """Return the decoders of a record and of a page of them."""
    return msgspec.json.Decoder(model), msgspec.json.Decoder(Envelope[model])  # type: ignore[valid-type]


def _fetch(resource: Resource[T], request: Request) -> Fetch[T]:
    """Return what brings one page of a listing or a search."""
    send = _wire(resource).send
    decoder: msgspec.json.Decoder[Envelope[T]] = _decoders(resource.model)[1]
    head = (request.operation, request.method, request.route, request.path)

    async def fetch(limit: int, offset: int) -> Envelope[T]:
        asked = Request(*head, f"limit={limit}&offset={offset}", request.body)
        return read_page(asked, await send(asked), decoder)

    return fetch


async def _record(send: Send, request: Request, model: type[T], id: str | None = None) -> T:  # noqa: A002
    """Send, and return the record that the answer holds; it must be the one that was asked for."""
    response = await send(request)
    decoder: msgspec.json.Decoder[T] = _decoders(model)[0]
    record = read(request, response, decoder)
    if id is not None and cast("Any", record).id.lower() != id:
        raise ResponseValidationError(
            f"{request.method} {request.route} was answered with another record",
            method=request.method,
            route=request.route,
            attempts=response.attempts,
        )
    return record


class ListCall(Protocol[T]):
    """The type of `resource.list`."""

    def __call__(self, *, limit: int | None = None, offset: int = 0, concurrency: int | None = None) -> Listing[T]:
        """Return a lazy listing of every row: `limit` rows a page, from `offset`, so many requests in flight."""
        ...


class List(Operation):
    """List the records of a resource."""

    summary = "Return a lazy listing of every record."

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> ListCall[T]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> Self | ListCall[T]:
        """Bind to a resource."""
        if resource is None:
            return self
        route = self.route(type(resource))
        fetch, usual = _fetch(resource, Request(self.name, self.method, route, route)), _wire(resource).concurrency

        def call(*, limit: int | None = None, offset: int = 0, concurrency: int | None = None) -> Listing[T]:
            return Listing(fetch, limit=limit, offset=offset, concurrency=usual if concurrency is None else concurrency)

        return cast("ListCall[T]", self._bound(resource, call))


class Search(Operation, Generic[P]):
    """Search the records of a resource by conditions on their fields."""

    method = "POST"
    suffix = "/_search"
    summary = "Return a lazy listing of the records that meet every condition."

    def __init__(self, query: Callable[P, ResourceQuery]) -> None:
        self.body = cast("type[ResourceQuery]", query)

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> Callable[P, Listing[T]]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> Self | Callable[P, Listing[T]]:
        """Bind to a resource."""
        if resource is None:
            return self
        route, query = self.route(type(resource)), cast("type[ResourceQuery]", self.body)

        def call(**conditions: Any) -> Listing[T]:  # noqa: ANN401 - typed by P
            body = encode_search(built(query, conditions))
            request = Request(self.name, self.method, route, route, "", body)
            return Listing(_fetch(resource, request), concurrency=_wire(resource).concurrency)

        return cast("Callable[P, Listing[T]]", self._bound(resource, call))


class OnOne(Operation):
    """An operation on one record, named by its id, that answers with the record."""

    suffix = "/{id}"

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> Callable[[str], Coroutine[None, None, T]]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> Self | Callable[[str], Coroutine[None, None, T]]:
        """Bind to a resource."""
        if resource is None:
            return self
        send, model, route = _wire(resource).send, resource.model, self.route(type(resource))

        def call(id: str) -> Coroutine[None, None, T]:  # noqa: A002 - the API's own word
            id = checked_id(id)  # noqa: A001
            return _record(send, Request(self.name, self.method, route, route.replace("{id}", id)), model, id)

        return cast("Callable[[str], Coroutine[None, None, T]]", self._bound(resource, call))


class Get(OnOne):
    """Get one record."""

    summary = "Return the record with this id; `NotFoundError` when there is none."


class Archive(OnOne):
    """Archive one placement."""

    method = "PATCH"
    suffix = "/{id}/archive"
    summary = "Archive the placement, whose end date must have passed."


class Restore(OnOne):
    """Restore one archived placement."""

    method = "PATCH"
    suffix = "/{id}/restore"
    summary = "Undo the archiving of the placement."


class Create(Operation, Generic[P]):
    """Create a record from its fields."""

    method = "POST"
    status = 201
    summary = "Create a record and return it as the server keeps it; `ConflictError` when a unique field is taken."

    def __init__(self, body: Callable[P, Record]) -> None:
        self.body = cast("type[Record]", body)

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> Callable[P, Coroutine[None, None, T]]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> Self | Callable[P, Coroutine[None, None, T]]:
        """Bind to a resource."""
        if resource is None:
            return self
        send, model, route = _wire(resource).send, resource.model, self.route(type(resource))
        body = cast("type[Record]", self.body)

        def call(**given: Any) -> Coroutine[None, None, T]:  # noqa: ANN401 - typed by P
            data = encode(checked(built(body, given)))
            return _record(send, Request(self.name, self.method, route, route, "", data), model)

        return cast("Callable[P, Coroutine[None, None, T]]", self._bound(resource, call))


class Update(Operation, Generic[P]):
    """Update a record: required fields always, other fields when they change."""

    method = "PATCH"
    suffix = "/{id}"
    summary = "Change a record and return it. A field left out is left alone; None clears one."

    def __init__(self, body: Callable[P, Record]) -> None:
        self.body = cast("type[Record]", body)

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(
        self, resource: Resource[T], owner: object
    ) -> Callable[Concatenate[str, P], Coroutine[None, None, T]]: ...
    def __get__(
        self, resource: Resource[T] | None, owner: object
    ) -> Self | Callable[Concatenate[str, P], Coroutine[None, None, T]]:
        """Bind to a resource."""
        if resource is None:
            return self
        send, model, route = _wire(resource).send, resource.model, self.route(type(resource))
        body = cast("type[Record]", self.body)

        def call(id: str, /, **given: Any) -> Coroutine[None, None, T]:  # noqa: ANN401, A002 - typed by P
            id = checked_id(id)  # noqa: A001
            data = encode(checked(built(body, given)))
            request = Request(self.name, self.method, route, route.replace("{id}", id), "", data)
            return _record(send, request, model, id)

        return cast("Callable[Concatenate[str, P], Coroutine[None, None, T]]", self._bound(resource, call))


class Delete(Operation):
    """Delete one record."""

    method = "DELETE"
    suffix = "/{id}"
    status = 204
    summary = "Delete the record; `NotFoundError` when there is none."

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> Callable[[str], Coroutine[None, None, None]]: ...
    def __get__(
        self, resource: Resource[T] | None, owner: object
    ) -> Self | Callable[[str], Coroutine[None, None, None]]:
        """Bind to a resource."""
        if resource is None:
            return self
        send, route = _wire(resource).send, self.route(type(resource))

        def call(id: str) -> Coroutine[None, None, None]:  # noqa: A002 - the API's own word
            id = checked_id(id)  # noqa: A001
            return _gone(send, Request(self.name, self.method, route, route.replace("{id}", id)))

        return cast("Callable[[str], Coroutine[None, None, None]]", self._bound(resource, call))


async def _gone(send: Send, request: Request) -> None:
    await send(request)
