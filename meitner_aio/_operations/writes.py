"""The operations that write: create, update, delete. Each takes its signature from a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

from .._listing.listing import Listing
from .._runtime.coroutines import Coroutine
from .._wire.messages import Request
from .._wire.page_bounds import A_RECORD
from .._wire.paths import id_segment
from .._wire.validation import built, checked, encode
from ..query import ResourceQuery, to_filter
from ..records import Kind, Record, fields
from .answers import nothing, sent
from .create_recovery import Recovery
from .keys import NO_KEY, lost_key
from .lookup import Look, by_listing, by_search, no_look
from .operations import List, Search, check_record, record_reader, record_source
from .resource import Operation, Resource, binding_of, model_of, operation_of, operations

T = TypeVar("T", bound=Record)
P = ParamSpec("P")


class Create(Operation, Generic[P]):
    """Create a record from its fields."""

    method = "POST"
    status = 201
    summary = "Create a record and return it as stored; raises `ConflictError` if a unique value is taken."

    def __init__(self, body: Callable[P, Record], *, key: str | tuple[str, ...] = (), unique: bool = True) -> None:
        """`body` has the fields, `key` names those of the natural key, `unique` says whether the server enforces it.

        With a key, a create whose answer was lost is looked up before it is sent again: by the search of the resource,
        else in its list.
        """
        self.body = cast("type[Record]", body)
        self.key = (key,) if isinstance(key, str) else key
        self.unique = unique

    def check(self, resource: type[Resource[Any]], where: str, /) -> None:
        """Raise `TypeError` for a key that the fields do not have, or by which nothing can be looked up."""
        kinds = {field.name: field.kind for field in fields(check_record(self.body, where)) if not field.many}
        for name in self.key:
            if kinds.get(name) not in (Kind.TEXT, Kind.UUID):
                raise TypeError(f"{where}: the key {name!r} must be a field of text in the body")
            if not hasattr(model_of(resource), name):
                raise TypeError(f"{where}: {model_of(resource).__name__} does not tell the key {name!r}")
        if self.key and operation_of(resource, Search) is None and operation_of(resource, List) is None:
            raise TypeError(f"{where}: with a key, a resource needs a Search or a List to look records up by it")

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> Callable[P, Coroutine[None, None, T]]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> Self | Callable[P, Coroutine[None, None, T]]:
        """Bind to a resource."""
        return self if resource is None else self._bound(resource, self.calling(resource))

    def calling(
        self, resource: Resource[T], *, bulk: bool = False, sent_at: float | None = None
    ) -> Callable[..., Coroutine[None, None, T]]:
        """Return the call. In `bulk`, a create may use an idle connection if a lost answer can be recovered.

        `sent_at`, in seconds since 1970, is when a process that ended may have sent the same create.
        """
        send, (route, path, api) = binding_of(resource).send, self.place(resource)
        body, reader = cast("type[Record]", self.body), record_reader(resource.model)
        look, recoverable = self._lookup(resource), bulk and bool(self.key) and self.unique

        def call(**given: object) -> Coroutine[None, None, T]:
            write = checked(built(body, given))
            request = Request(
                *("create", self.method, route, path),
                body=encode(write),
                largest=A_RECORD,
                reader=reader,
                recoverable=recoverable,
                api=api,
            )
            key = NO_KEY if look is None else lost_key(write, self.key, unique=self.unique)
            look_up = look or no_look
            return Recovery(key, write, send=lambda: sent(send, request), look=look_up, sent_at=sent_at).create()

        return call

    def _lookup(self, resource: Resource[T]) -> Look[T] | None:
        """Return what looks records up by a key: the search, else the list; None for neither."""
        search = operation_of(type(resource), Search)
        if search is not None:
            query = cast("type[ResourceQuery]", search.body)
            return by_search(lambda conditions: record_source(resource, to_filter(built(query, conditions))))
        listed = any(isinstance(one, List) for one in operations(type(resource)).values())
        return by_listing(lambda: Listing(record_source(resource))) if listed and self.key else None


class Update(Operation, Generic[P]):
    """Update a record: its required fields always, other fields when they change."""

    method = "PATCH"
    suffix = "/{id}"
    summary = "Update a record and return it. Omitted fields stay as they are; None clears a field."

    def __init__(self, body: Callable[P, Record]) -> None:
        self.body = cast("type[Record]", body)

    def check(self, _resource: type[Resource[Any]], where: str, /) -> None:
        """Raise `TypeError` for a body that is no record."""
        check_record(self.body, where)

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
        send, model, pattern = binding_of(resource).send, resource.model, type(resource).id_pattern
        place, body = self.place(resource), cast("type[Record]", self.body)

        def call(id: str, /, **given: object) -> Coroutine[None, None, T]:
            id, segment = id_segment(id, pattern)
            request = Request(
                *("update", self.method, place.route, place.at(segment)),
                body=encode(checked(built(body, given))),
                largest=A_RECORD,
                reader=record_reader(model, id, pattern),
                api=place.api,
            )
            return sent(send, request)

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
        send, place, pattern = binding_of(resource).send, self.place(resource), type(resource).id_pattern

        def call(id: str) -> Coroutine[None, None, None]:
            path = place.at(id_segment(id, pattern)[1])
            return sent(send, Request("delete", self.method, place.route, path, reader=nothing, api=place.api))

        return cast("Callable[[str], Coroutine[None, None, None]]", self._bound(resource, call))
