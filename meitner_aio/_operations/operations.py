"""The operations that read. Each takes its signature from a record; those that write are in `writes`.

Each is a descriptor that captures the constructor of a record with `ParamSpec`, so that type checkers and editors know
every field of `students.create(...)` without generated code. Of the wire it knows only `Send`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    NoReturn,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    cast,
    overload,
)

from .._listing.endpoints import Listed, RecordSource
from .._listing.listing import Listing
from .._runtime.coroutines import Coroutine
from .._wire.decoding import RecordDecoder, invalid, read
from .._wire.messages import RawResponse, Request
from .._wire.page_bounds import A_RECORD
from .._wire.paths import id_segment
from .._wire.raw_request import query_string
from .._wire.validation import built, checked
from ..query import ResourceQuery, to_filter
from ..records import Record, fields
from .answers import sent
from .lookup import SAME_KEY
from .resource import (
    Binding,
    CallSignature,
    Operation,
    Resource,
    binding_of,
    operation_of,
    operations,
    place_in,
)

__all__ = [
    "SAME_KEY",
    "Archive",
    "Binding",
    "CallSignature",
    "Get",
    "List",
    "ListCall",
    "Operation",
    "Resource",
    "Restore",
    "Search",
    "check_record",
    "operations",
    "record_reader",
    "record_source",
    "search_of",
]

T = TypeVar("T", bound=Record)
P = ParamSpec("P")
Q = TypeVar("Q")


@cache
def _decoder(model: type[Record]) -> RecordDecoder[Any]:
    return RecordDecoder(model)


def record_source(
    resource: Resource[T], filter: dict[str, object] | None = None, *, query: str = ""
) -> RecordSource[T]:
    """Return the pages of a list, narrowed by a query string, or of a search with a filter."""
    kind, wire, model = type(resource), binding_of(resource), resource.model
    # Records may be deleted outside the API, and without an event.
    audited = None if kind.permanent else any(operation.audited for operation in operations(kind).values())
    dated = not {"meta", "timestamp"}.isdisjoint(model.__struct_fields__)
    searchable = dated and operation_of(kind, Search) is not None
    return RecordSource(
        wire.send, Listed(place_in(resource), model, searchable, audited, kind.paging, query), filter, wire.sizes
    )


def record_reader(model: type[T], id: str | None = None, pattern: str = "") -> Callable[[Request, RawResponse], T]:
    """Return a function that reads one record, and refuses any but the requested one."""
    decoder: RecordDecoder[T] = _decoder(model)

    def reading(request: Request, response: RawResponse) -> T:
        record = read(request, response, decoder)
        found: object = getattr(record, "id", id)
        if id is not None and (str(found) if pattern else str(found).lower()) != id:
            raise invalid(request, response, "another record")
        return record

    return reading


def check_record(record: object, where: str) -> type[Record]:
    """Return the record that a call takes its keywords from; `TypeError` for anything else."""
    if not (isinstance(record, type) and issubclass(record, Record)):
        raise TypeError(f"{where} takes a class of Record, not {record!r:.60}")
    return record


class ListCall(Protocol[T]):
    """The type of `resource.list`."""

    def __call__(self, *, limit: int | None = None, offset: int = 0, concurrency: int | None = None) -> Listing[T]:
        """Return a lazy listing of every row: `limit` rows a page, from `offset`, `concurrency` requests in flight.

        Without a `limit`, pages are as large as the server gives them, at most 1,000 rows. Raises `ConfigurationError`
        for more requests in flight than the client's `max_concurrency`.
        """
        ...


class List(Operation, Generic[Q]):
    """List the records of a resource: with the options of `ListCall`, or by the parameters that a query record has."""

    summary = "Return a lazy listing of every record."

    @overload
    def __init__(self: List[None]) -> None: ...
    @overload
    def __init__(self: List[Callable[P, Record]], query: Callable[P, Record]) -> None: ...
    def __init__(self, query: object = None) -> None:
        """Where `query` is given, the call takes its fields, which become the query string, and `paged` the options."""
        self.body = cast("type[Record] | None", query)

    if not TYPE_CHECKING:  # type checkers report it without this

        def __getitem__(self, item: object) -> NoReturn:
            """Raise a `TypeError` that says what hides the type `list`."""
            raise TypeError("`list` is the operation here: write `builtins.list[...]`, or name the type before")

    def check(self, resource: type[Resource[Any]], where: str, /) -> None:
        """Raise `TypeError` for a query whose parameters are those of pages."""
        if self.body is None:
            return
        paging = resource.paging
        for field in fields(check_record(self.body, where)):
            if field.wire in (paging.limit, paging.offset):
                raise TypeError(f"{where}: {self.body.__name__}.{field.name} clashes with the parameter for pages")

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self: List[None], resource: Resource[T], owner: object) -> ListCall[T]: ...
    @overload
    def __get__(self: List[Callable[P, Record]], resource: Resource[T], owner: object) -> Callable[P, Listing[T]]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> object:
        """Bind to a resource."""
        if resource is None:
            return self
        source, wire, query = record_source(resource), binding_of(resource), self.body

        def call(*, limit: int | None = None, offset: int = 0, concurrency: int | None = None) -> Listing[T]:
            wanted = wire.concurrency if concurrency is None else concurrency
            return Listing(source, limit=limit, offset=offset, concurrency=wanted, widest=wire.widest)

        def asked(**given: object) -> Listing[T]:
            narrowed = record_source(resource, query=query_string(checked(built(cast("type[Record]", query), given))))
            return Listing(narrowed, concurrency=wire.concurrency, widest=wire.widest)

        return self._bound(resource, call if query is None else asked)


class Search(Operation, Generic[P]):
    """Search the records of a resource by conditions on their fields."""

    method = "POST"
    suffix = "/_search"
    summary = "Return a lazy listing of the records that meet every condition."

    def __init__(self, query: Callable[P, ResourceQuery]) -> None:
        self.body = cast("type[ResourceQuery]", query)

    def check(self, _resource: type[Resource[Any]], where: str, /) -> None:
        """Raise `TypeError` for conditions that are no `ResourceQuery`."""
        if not issubclass(check_record(self.body, where), ResourceQuery):
            raise TypeError(f"{where} takes a class of ResourceQuery")

    @overload
    def __get__(self, resource: None, owner: object) -> Search[P]: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> Callable[P, Listing[T]]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> Search[P] | Callable[P, Listing[T]]:
        """Bind to a resource."""
        if resource is None:
            return self
        query = cast("type[ResourceQuery]", self.body)

        def call(**conditions: object) -> Listing[T]:
            source, wire = record_source(resource, to_filter(built(query, conditions))), binding_of(resource)
            return Listing(source, concurrency=wire.concurrency, widest=wire.widest)

        return cast("Callable[P, Listing[T]]", self._bound(resource, call))


class _Searches(Protocol[T]):
    @property
    def search(self) -> Callable[..., Listing[T]]: ...


def search_of(resource: Resource[T]) -> Callable[..., Listing[T]]:
    """Return the search of a resource that has one, typed to take any conditions."""
    return cast("_Searches[T]", resource).search


def _on_one(operation: Operation, resource: Resource[T]) -> Callable[..., Coroutine[None, None, T]]:
    """Return the call that takes an id, and the parameters of a query if there is one, and returns the record."""
    send, model, pattern = binding_of(resource).send, resource.model, type(resource).id_pattern
    (route, path, api), query = operation.place(resource), operation.body

    def asked(id: str, given: dict[str, object]) -> Coroutine[None, None, T]:
        id, segment = id_segment(id, pattern)
        request = Request(
            *(operation.verb, operation.method, route, path.replace("{id}", segment)),
            query_string(checked(built(query or Record, given))),
            largest=A_RECORD,
            reader=record_reader(model, id, pattern),
            api=api,
        )
        return sent(send, request)

    def call(id: str) -> Coroutine[None, None, T]:
        return asked(id, {})

    def queried(id: str, **given: object) -> Coroutine[None, None, T]:
        return asked(id, given)

    return call if query is None else queried


class OnOne(Operation):
    """An operation that takes the id of a record and returns the record."""

    suffix = "/{id}"

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> Callable[[str], Coroutine[None, None, T]]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> Self | Callable[[str], Coroutine[None, None, T]]:
        """Bind to a resource."""
        return self if resource is None else self._bound(resource, _on_one(self, resource))


class Get(Operation, Generic[Q]):
    """Get one record: by its id, and by the parameters of a query record, if there is one."""

    verb = "get"
    suffix = "/{id}"
    summary = "Return the record with this id; raises `NotFoundError` if there is none."

    @overload
    def __init__(self: Get[None]) -> None: ...
    @overload
    def __init__(self: Get[Callable[P, Record]], query: Callable[P, Record]) -> None: ...
    def __init__(self, query: object = None) -> None:
        """Where `query` is given, its fields become the query string."""
        self.body = cast("type[Record] | None", query)

    def check(self, _resource: type[Resource[Any]], where: str, /) -> None:
        """Raise `TypeError` for a query that is no record, or has a field that is called as the id is."""
        if self.body is not None and "id" in check_record(self.body, where).__struct_fields__:
            raise TypeError(f"{where}: {self.body.__name__}.id clashes with the id of the record")

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self: Get[None], resource: Resource[T], owner: object) -> Callable[[str], Coroutine[None, None, T]]: ...
    @overload
    def __get__(
        self: Get[Callable[P, Record]], resource: Resource[T], owner: object
    ) -> Callable[Concatenate[str, P], Coroutine[None, None, T]]: ...
    def __get__(self, resource: Resource[Any] | None, owner: object) -> object:
        """Bind to a resource."""
        return self if resource is None else self._bound(resource, _on_one(self, resource))


class Archive(OnOne):
    """Archive one placement."""

    verb = "archive"
    method = "PATCH"
    suffix = "/{id}/archive"
    summary = "Archive the placement, whose end date must have passed."


class Restore(OnOne):
    """Restore one archived placement."""

    verb = "restore"
    method = "PATCH"
    suffix = "/{id}/restore"
    summary = "Restore the archived placement."
