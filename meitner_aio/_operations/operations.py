"""The operations of the API. Each takes its signature from a record.

Each is a descriptor that captures the constructor of a record with `ParamSpec`, so that type checkers and editors know
every field of `students.create(...)` without generated code. Of the wire it knows only `Send`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cache
from typing import (
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    cast,
    overload,
)

from .._listing.endpoints import Listed, RecordSource
from .._listing.listing import Listing
from .._listing.source import PageRequest
from .._wire.decoding import DecodedPage, RecordDecoder, invalid, read
from .._wire.headers import media_type
from .._wire.messages import RawResponse, Request, Send, value_of
from .._wire.page_bounds import A_RECORD
from .._wire.validation import built, checked, checked_id, encode
from ..query import ResourceQuery, to_filter
from ..records import DirectoryRecord, Record
from .create_recovery import Recovery
from .keys import NO_KEY, Key, conditions, lost_key
from .resource import Binding, CallSignature, Operation, Resource, binding_of, operations

__all__ = [
    "SAME_KEY",
    "Archive",
    "Binding",
    "CallSignature",
    "Create",
    "Delete",
    "Get",
    "List",
    "ListCall",
    "Operation",
    "Resource",
    "Restore",
    "Search",
    "Update",
    "operations",
    "search_of",
]

SAME_KEY = 50
"""Records with the same key that are read at most: the API's default page."""

T = TypeVar("T", bound=DirectoryRecord)
P = ParamSpec("P")


@cache
def _decoder(model: type[Record]) -> RecordDecoder[Any]:
    return RecordDecoder(model)


def _source(resource: Resource[T], filter: dict[str, object] | None = None) -> RecordSource[T]:
    kind, wire = type(resource), binding_of(resource)
    table = operations(kind)
    deletion = table.get("delete")
    if isinstance(deletion, Delete):
        audited: bool | None = deletion.audited
    else:  # read-only records are never deleted; schools and units may be, outside the API and without an event
        audited = False if "update" in table else None
    return RecordSource(wire.send, Listed(kind.path, resource.model, "search" in table, audited), filter, wire.sizes)


def _reader(model: type[T], id: str | None) -> Callable[[Request, RawResponse], T]:
    """Return a function that reads one record, and refuses any but the requested one."""
    decoder: RecordDecoder[T] = _decoder(model)

    def reading(request: Request, response: RawResponse) -> T:
        record = read(request, response, decoder)
        if id is not None and record.id.lower() != id:
            raise invalid(request, response, "another record")
        return record

    return reading


async def _record(send: Send, request: Request) -> Any:  # noqa: ANN401 - the request's reader decides
    return value_of(request, await send(request))


class ListCall(Protocol[T]):
    """The type of `resource.list`."""

    def __call__(self, *, limit: int | None = None, offset: int = 0, concurrency: int | None = None) -> Listing[T]:
        """Return a lazy listing of every row: `limit` rows a page, from `offset`, `concurrency` requests in flight.

        Without a `limit`, pages are as large as the server gives them, at most 1,000 rows. Raises `ConfigurationError`
        for more requests in flight than the client's `max_concurrency`.
        """
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
        source, wire = _source(resource), binding_of(resource)

        def call(*, limit: int | None = None, offset: int = 0, concurrency: int | None = None) -> Listing[T]:
            wanted = wire.concurrency if concurrency is None else concurrency
            return Listing(source, limit=limit, offset=offset, concurrency=wanted, widest=wire.widest)

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
        query = cast("type[ResourceQuery]", self.body)

        def call(**conditions: object) -> Listing[T]:
            source, wire = _source(resource, to_filter(built(query, conditions))), binding_of(resource)
            return Listing(source, concurrency=wire.concurrency, widest=wire.widest)

        return cast("Callable[P, Listing[T]]", self._bound(resource, call))


class _Searches(Protocol[T]):
    @property
    def search(self) -> Callable[..., Listing[T]]: ...


def search_of(resource: Resource[T]) -> Callable[..., Listing[T]]:
    """Return the search of a resource that has one, typed to take any conditions."""
    return cast("_Searches[T]", resource).search


class OnOne(Operation):
    """An operation that takes the id of a record and returns the record."""

    suffix = "/{id}"

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> Callable[[str], Coroutine[None, None, T]]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> Self | Callable[[str], Coroutine[None, None, T]]:
        """Bind to a resource."""
        if resource is None:
            return self
        send, model, route = binding_of(resource).send, resource.model, self.route(type(resource))

        def call(id: str) -> Coroutine[None, None, T]:
            id = checked_id(id)
            path = route.replace("{id}", id)
            reader = _reader(model, id)
            return _record(send, Request(self.name, self.method, route, path, largest=A_RECORD, reader=reader))

        return cast("Callable[[str], Coroutine[None, None, T]]", self._bound(resource, call))


class Get(OnOne):
    """Get one record."""

    summary = "Return the record with this id; raises `NotFoundError` if there is none."


class Archive(OnOne):
    """Archive one placement."""

    method = "PATCH"
    suffix = "/{id}/archive"
    summary = "Archive the placement, whose end date must have passed."


class Restore(OnOne):
    """Restore one archived placement."""

    method = "PATCH"
    suffix = "/{id}/restore"
    summary = "Restore the archived placement."


class Create(Operation, Generic[P]):
    """Create a record from its fields."""

    method = "POST"
    status = 201
    summary = "Create a record and return it as stored; raises `ConflictError` if a unique value is taken."

    def __init__(self, body: Callable[P, Record], *, key: tuple[str, ...] = (), unique: bool = True) -> None:
        """`body` has the fields, `key` names those of the natural key, `unique` says whether the server enforces it."""
        self.body = cast("type[Record]", body)
        self.key = key
        self.unique = unique

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> Callable[P, Coroutine[None, None, T]]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> Self | Callable[P, Coroutine[None, None, T]]:
        """Bind to a resource."""
        return self if resource is None else self._bound(resource, self.calling(resource))

    def calling(self, resource: Resource[T], *, bulk: bool = False) -> Callable[..., Coroutine[None, None, T]]:
        """Return the call. In `bulk`, a create may use an idle connection if a lost answer can be recovered."""
        send, model, route = binding_of(resource).send, resource.model, self.route(type(resource))
        body, reader = cast("type[Record]", self.body), _reader(model, None)
        search, recoverable = operations(type(resource)).get("search"), bulk and bool(self.key) and self.unique

        def call(**given: object) -> Coroutine[None, None, T]:
            write = checked(built(body, given))
            request = Request(
                *(self.name, self.method, route, route),
                body=encode(write),
                largest=A_RECORD,
                reader=reader,
                recoverable=recoverable,
            )
            key = lost_key(write, self.key, unique=self.unique) if search else NO_KEY
            return Recovery(key, write, send=lambda: _record(send, request), look=look).create()

        async def look(key: Key) -> DecodedPage[T]:
            query = cast("type[ResourceQuery]", cast("Operation", search).body)
            return await _source(resource, to_filter(built(query, conditions([key])))).fetch(PageRequest(SAME_KEY, 0))

        return call


class Update(Operation, Generic[P]):
    """Update a record: its required fields always, other fields when they change."""

    method = "PATCH"
    suffix = "/{id}"
    summary = "Update a record and return it. Omitted fields stay as they are; None clears a field."

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
        send, model, route = binding_of(resource).send, resource.model, self.route(type(resource))
        body = cast("type[Record]", self.body)

        def call(id: str, /, **given: object) -> Coroutine[None, None, T]:
            id = checked_id(id)
            data = encode(checked(built(body, given)))
            path = route.replace("{id}", id)
            reader = _reader(model, id)
            request = Request(self.name, self.method, route, path, body=data, largest=A_RECORD, reader=reader)
            return _record(send, request)

        return cast("Callable[Concatenate[str, P], Coroutine[None, None, T]]", self._bound(resource, call))


class Delete(Operation):
    """Delete one record."""

    method = "DELETE"
    suffix = "/{id}"
    status = 204
    summary = "Delete the record; raises `NotFoundError` if there is none."

    def __init__(self, *, audited: bool = False) -> None:
        """`audited` says whether a deletion leaves an audit event."""
        self.audited = audited

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
        send, route = binding_of(resource).send, self.route(type(resource))

        def call(id: str) -> Coroutine[None, None, None]:
            id = checked_id(id)
            return _gone(send, Request(self.name, self.method, route, route.replace("{id}", id), reader=_nothing))

        return cast("Callable[[str], Coroutine[None, None, None]]", self._bound(resource, call))


def _nothing(request: Request, response: RawResponse) -> None:
    """Refuse the page of a gateway or a login portal: the API answers 204 without a body."""
    media = media_type(response.headers)
    if response.body and "json" not in media:
        raise invalid(request, response, f"{media or 'something'} where no body was expected")


async def _gone(send: Send, request: Request) -> None:
    await send(request)
